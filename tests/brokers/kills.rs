//! The gateway is killed under load from each broker: what a broker was told is taken is in the store, what was not comes again.

use crate::place::*;
use crossdock_testkit::{Answer, Gateway, Partner, Random, pause, seed, servers::unique};
use std::{collections::BTreeSet, io::Write, process::Stdio, thread, time::Duration};

const MESSAGES: usize = 1200;
const KILLS: usize = 6;

fn names(protocol: Protocol) -> impl Iterator<Item = String> {
    (0..MESSAGES).map(move |n| format!("{}-{n:06}", protocol.name()))
}

#[test]
fn kills_under_load_lose_nothing_of_any_broker() {
    let mut random = Random::new(seed("brokers-kills"));
    let partner = Partner::new(|_, _| Answer::Status(200));
    let mut text = "connections:\n".to_owned();
    text += &Protocol::Http.connection(&format!("127.0.0.1:{}", partner.port()), "");
    let mut routes = "routes:\n".to_owned();
    let places = Protocol::BROKERS.map(|protocol| {
        text += &protocol.connection(protocol.address(), &unique("kills"));
        let (name, place) = (protocol.name(), Place::new(protocol, "kills"));
        routes += &format!(
            "  {name}:\n    from: {}\n    to: {{ http: {{ connection: http, path: \"/{name}/{{{{ .id }}}}\", method: PUT }} }}\n    \
             retry: {{ initial: 50ms, max: 500ms }}\n",
            place.from()
        );
        place
    });
    let mut gateway = Gateway::new(env!("CARGO_BIN_EXE_crossdock"), &(text + &routes));
    gateway.start();
    wait_until_up(&gateway);
    let loads: Vec<_> = places
        .iter()
        .map(|place| {
            let mut child = place.liner().stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            let (mut pipe, protocol) = (child.stdin.take().unwrap(), place.protocol);
            thread::spawn(move || {
                for (n, name) in names(protocol).enumerate() {
                    writeln!(pipe, "{{\"id\":\"{name}\"}}").unwrap();
                    if n % 20 == 19 {
                        pipe.flush().unwrap();
                        pause(Duration::from_millis(100));
                    }
                }
                drop(pipe);
                assert!(child.wait().unwrap().success(), "the client of {}", protocol.name());
            })
        })
        .collect();
    for _ in 0..KILLS {
        pause(Duration::from_millis(random.between(200, 1200)));
        gateway.kill();
        gateway.start();
    }
    loads.into_iter().for_each(|load| load.join().unwrap());
    let all: BTreeSet<String> = Protocol::BROKERS.into_iter().flat_map(names).collect();
    let mut arrived = BTreeSet::new();
    let done = crossdock_testkit::try_wait_for(SOON * 2, || {
        arrived = partner.accepted().into_iter().collect();
        arrived.is_superset(&all).then_some(())
    });
    let missing: Vec<_> = all.difference(&arrived).take(20).collect();
    assert!(done.is_some(), "{} never arrived: {missing:?}", all.difference(&arrived).count());
    eprintln!("{} messages arrived {} times", all.len(), partner.count());
    assert_all_delivered(&gateway, &Protocol::BROKERS.map(|protocol| protocol.name().to_owned()));
}
