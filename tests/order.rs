//! P10: order by key, over kills (SIGKILL) of the real program and a partner with moods.
//!
//! A sender sends the orders of a customer one after the other, so that they are stored in the order of their numbers. What
//! holds for the requests of a customer at the partner, whoever is killed and when:
//!
//! - an order is sent for the first time when every acknowledged one before it has been taken or refused for good;
//! - the first deliveries come in the order of the numbers.
//!
//! After a kill those whose settlement was not yet on disk are sent again: delivery is at least once.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod support;

use crossdock_testkit::{Load, Random, Request, pause, seed};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};
use support::{assert_nothing_lost, gateway, is_refused, moody_partner, order};

const KILLS: u64 = 30;
/// Customers of each sender.
const CUSTOMERS: u64 = 3;

#[test]
fn the_orders_of_a_customer_come_in_order_over_kills() {
    let mut random = Random::new(seed("order"));
    let partner = moody_partner(random.next());
    let mut gateway = gateway(&partner, "");
    let routes = fs::read_to_string(gateway.path("routes.yaml")).unwrap();
    let ordered = routes.replacen("    steps:", "    order_by: .customer\n    steps:", 1);
    assert_ne!(ordered, routes);
    gateway.write("routes.yaml", &ordered);
    let load = Load::start(gateway.http, "/orders", 4, |name| {
        order(name).replacen('{', &format!(r#"{{ "customer": "{}", "#, customer(name)), 1)
    });
    for _ in 0..KILLS {
        gateway.start();
        pause(Duration::from_millis(random.between(5, 400)));
        gateway.kill();
    }
    gateway.start();
    let (acknowledged, sent) = load.stop();
    assert_nothing_lost(&gateway, &partner, &acknowledged);
    let got = partner.got();
    let repeated = got.len() - got.iter().map(Request::name).collect::<BTreeSet<_>>().len();
    eprintln!(
        "{} acknowledged of {sent} sent, {} requests, {repeated} of them repeated",
        acknowledged.len(),
        got.len()
    );
    assert!(acknowledged.len() as u64 > KILLS * 5, "too few to prove anything: {}", acknowledged.len());
    let mut of_customer = BTreeMap::<String, Vec<&Request>>::new();
    for request in &got {
        of_customer.entry(customer(request.name())).or_default().push(request);
    }
    for (customer, requests) in of_customer {
        if let Err((at, wrong)) = check(&requests, &acknowledged) {
            let around = requests.iter().take(at + 10).skip(at.saturating_sub(30));
            let shown: Vec<_> = around.map(|request| (request.name(), &request.answer)).collect();
            panic!("customer {customer}: {wrong}: {shown:?}");
        }
    }
}

/// Names are `o-SENDER-NUMBER`.
fn number(name: &str) -> u64 {
    name.rsplit('-').next().unwrap().parse().unwrap()
}

fn customer(name: &str) -> String {
    let (sender, _) = name.rsplit_once('-').unwrap();
    format!("{sender}-{}", number(name) % CUSTOMERS)
}

/// What holds for all requests of one customer.
fn check(requests: &[&Request], acknowledged: &BTreeSet<String>) -> Result<(), (usize, String)> {
    let Some(first) = requests.first() else { return Ok(()) };
    let of = customer(first.name());
    let mut before: BTreeSet<u64> =
        acknowledged.iter().filter(|name| customer(name) == of).map(|name| number(name)).collect();
    let (mut delivered, mut last) = (BTreeSet::new(), None);
    for (at, request) in requests.iter().enumerate() {
        let number = number(request.name());
        if let Some(open) = before.first().filter(|open| **open < number) {
            return Err((at, format!("{number} was sent before {open} was taken or refused")));
        }
        if request.is_accepted()
            && delivered.insert(number)
            && let Some(higher) = last.replace(number).filter(|higher| *higher > number)
        {
            return Err((at, format!("{number} was delivered for the first time after {higher}")));
        }
        if request.is_accepted() || is_refused(request.name()) {
            before.remove(&number);
        }
    }
    Ok(())
}
