//! Targets that break between send and confirm, and targets that are away: nothing is lost, nothing is dead. And one message
//! that nobody can take.

use crate::place::*;
use crossdock_testkit::{Answer, Direction, Gateway, Partner, Proxy, pause, servers::unique, wait_for};
use std::{collections::BTreeSet, thread, time::Duration};

/// A gateway that bridges HTTP to each broker, through a proxy before each.
struct Bridge {
    gateway: Gateway,
    targets: [Place; 3],
    proxies: [Proxy; 3],
}

fn proxy(protocol: Protocol) -> Proxy {
    match protocol {
        Protocol::Kafka => Proxy::to_kafka(protocol.address()),
        Protocol::Http | Protocol::Amqp | Protocol::Mqtt => Proxy::to(protocol.address()),
    }
}

impl Bridge {
    fn new(name: &str) -> Self {
        let targets = Protocol::BROKERS.map(|protocol| Place::with_listener(protocol, name));
        let proxies = Protocol::BROKERS.map(proxy);
        let mut text = "connections:\n".to_owned();
        let mut routes = "routes:\n".to_owned();
        for (target, proxy) in targets.iter().zip(&proxies) {
            let protocol = target.protocol;
            text += &protocol.connection(&proxy.address(), &unique(name));
            routes += &format!(
                "  {0}:\n    from: {{ http: {{ path: \"/{0}\" }} }}\n    to: {1}\n    retry: {{ attempts: 5, initial: \
                 100ms, max: 1s }}\n",
                protocol.name(),
                target.to()
            );
        }
        let gateway = Gateway::new(env!("CARGO_BIN_EXE_crossdock"), &(text + &routes));
        Self { gateway, targets, proxies }
    }

    fn routes() -> [String; 3] {
        Protocol::BROKERS.map(|protocol| protocol.name().to_owned())
    }

    fn counts(&self, route: &str) -> serde_json::Value {
        self.gateway.api("GET", &format!("/routes/{route}"), "").unwrap().json()["counts"].clone()
    }
}

fn order(n: usize) -> String {
    format!("{{\"id\":\"o-{n:05}\"}}")
}

fn orders(count: usize) -> BTreeSet<Vec<u8>> {
    (0..count).map(|n| order(n).into_bytes()).collect()
}

#[test]
fn a_confirm_that_is_cut_off_doubles_at_most() {
    const COUNT: usize = 240;
    let mut bridge = Bridge::new("confirms");
    bridge.gateway.start();
    thread::scope(|scope| {
        let gateway = &bridge.gateway;
        let loads = Protocol::BROKERS.map(|protocol| {
            scope.spawn(move || {
                for n in 0..COUNT {
                    let answer = gateway.post(&format!("/{}", protocol.name()), &order(n)).unwrap();
                    assert_eq!(answer.status, 202);
                    pause(Duration::from_millis(10));
                }
            })
        });
        while !loads.iter().all(thread::ScopedJoinHandle::is_finished) {
            for proxy in &bridge.proxies {
                proxy.stall(Direction::ToClient);
            }
            // What is sent now is taken by the server, and its confirm gets nowhere.
            pause(Duration::from_millis(150));
            for proxy in &bridge.proxies {
                proxy.cut();
                proxy.heal();
            }
            pause(Duration::from_millis(700));
        }
    });
    let expected = orders(COUNT);
    for target in &bridge.targets {
        let more = target.wait_for_all(&bridge.gateway, &expected);
        eprintln!("{}: {COUNT} messages arrived, {more} of them again", target.protocol.name());
    }
    let cuts: usize = bridge.proxies.iter().map(Proxy::connections).sum();
    assert!(cuts > 6, "connections were cut and made again: {cuts}");
    assert_all_delivered(&bridge.gateway, &Bridge::routes());
}

#[test]
fn targets_that_are_away_for_long_fill_no_dead_letter_queue() {
    const COUNT: usize = 100;
    let mut bridge = Bridge::new("outage");
    bridge.proxies.iter_mut().for_each(Proxy::down);
    bridge.gateway.start();
    for n in 0..COUNT {
        for route in Bridge::routes() {
            assert_eq!(bridge.gateway.post(&format!("/{route}"), &order(n)).unwrap().status, 202);
        }
    }
    // Longer than all attempts of a message would take, if they counted.
    pause(Duration::from_secs(12));
    for route in Bridge::routes() {
        let counts = bridge.counts(&route);
        assert_eq!((&counts["stored"], &counts["dead"]), (&COUNT.into(), &0.into()), "{route}: {counts}");
        let targets = bridge.gateway.api("GET", &format!("/routes/{route}"), "").unwrap().json()["targets"].clone();
        assert_ne!(targets[0]["state"], "up", "{route}: {targets}");
        assert!(targets[0]["reason"].is_string(), "{route}: {targets}");
    }
    bridge.proxies.iter_mut().for_each(Proxy::up);
    let expected = orders(COUNT);
    for target in &bridge.targets {
        target.wait_for_all(&bridge.gateway, &expected);
    }
    assert_all_delivered(&bridge.gateway, &Bridge::routes());
}

#[test]
fn a_message_that_nobody_takes_harms_no_other() {
    let partner = Partner::new(|request, _| match request.name() {
        "o-00007" => Answer::Status(500),
        _ => Answer::Status(200),
    });
    let mut text = "connections:\n".to_owned();
    text += &Protocol::Http.connection(&format!("127.0.0.1:{}", partner.port()), "");
    let mut routes = "routes:\n".to_owned();
    let places = Protocol::BROKERS.map(|protocol| {
        text += &protocol.connection(protocol.address(), &unique("poison"));
        let (name, place) = (protocol.name(), Place::new(protocol, "poison"));
        routes += &format!(
            "  {name}:\n    from: {}\n    to: {{ http: {{ connection: http, path: \"/{name}/{{{{ .id }}}}\", method: PUT }} }}\n    \
             order_by: .id\n    retry: {{ attempts: 3, initial: 50ms, max: 200ms }}\n",
            place.from()
        );
        place
    });
    let mut gateway = Gateway::new(env!("CARGO_BIN_EXE_crossdock"), &(text + &routes));
    gateway.start();
    wait_until_up(&gateway);
    let lines: String = (0..50).map(|n| order(n) + "\n").collect();
    for place in &places {
        run(&mut place.liner(), lines.as_bytes());
    }
    // Whether the message or the target is to blame shows in what becomes of others: there must be others.
    let mut next = 100;
    wait_for(SOON, "a dead letter of each route", || {
        next += 1;
        for place in &places {
            run(&mut place.liner(), (order(next) + "\n").as_bytes());
        }
        (gateway.list("/dead-letters").len() == 3).then_some(())
    });
    for route in Bridge::routes() {
        gateway.wait_until_drained(&route, SOON);
    }
    for dead in gateway.list("/dead-letters") {
        // RabbitMQ's own client sends the line with its end.
        assert_eq!(dead["payload"].as_str().map(str::trim_end), Some(order(7).as_str()), "{dead}");
        assert_eq!(dead["cause"]["code"], "http.500", "{dead}");
    }
    let accepted: BTreeSet<_> = partner.got().into_iter().filter(|r| r.is_accepted()).map(|r| r.path).collect();
    assert_eq!(accepted.len(), 3 * (49 + next - 100));
    gateway.assert_account();
}

/// An exchange that is not there is one target's trouble: others of the same connection go on meanwhile.
#[test]
fn a_target_that_is_not_there_holds_no_other_of_its_connection() {
    const COUNT: usize = 50;
    let place = Place::with_listener(Protocol::Amqp, "beside");
    let text = format!(
        "connections:\n{}routes:\n  good:\n    from: {{ http: {{ path: /good }} }}\n    to: {}\n  bad:\n    from: {{ http: {{ \
         path: /bad }} }}\n    to: {{ amqp: {{ connection: amqp, exchange: {}, routing_key: k }} }}\n",
        Protocol::Amqp.connection(Protocol::Amqp.address(), ""),
        place.to(),
        unique("nobody-declared-this"),
    );
    let mut gateway = Gateway::new(env!("CARGO_BIN_EXE_crossdock"), &text);
    gateway.start();
    let target =
        |route: &str| gateway.api("GET", &format!("/routes/{route}"), "").unwrap().json()["targets"][0].clone();
    for n in 0..12 {
        assert_eq!(gateway.post("/bad", &order(1000 + n)).unwrap().status, 202);
    }
    wait_for(SOON, "the target without an exchange to be held", || (target("bad")["state"] != "up").then_some(()));
    for n in 0..COUNT {
        assert_eq!(gateway.post("/good", &order(n)).unwrap().status, 202);
        let good = target("good");
        assert_eq!(good["state"], "up", "{good}");
    }
    place.wait_for_all(&gateway, &orders(COUNT));
    let bad = target("bad");
    assert_ne!(bad["state"], "up", "{bad}");
    assert!(bad["reason"].as_str().is_some_and(|reason| reason.contains("amqp.404")), "{bad}");
    assert!(gateway.list("/dead-letters").is_empty());
    gateway.assert_account();
}
