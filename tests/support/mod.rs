//! The routes that the end-to-end tests of kills and stops run, and what became of each message at the end.

use crossdock_testkit::{Answer, Gateway, Partner, Random};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Orders come in over HTTP, are checked at the door, wait in a queue, and go out changed to a partner over HTTP. `more`
/// goes into the section `gateway`, indented by two.
pub fn gateway(partner: &Partner, more: &str) -> Gateway {
    let routes = format!(
        r#"
channels: {{ orders: {{ queue: {{}} }} }}
connections: {{ erp: {{ http: {{ base_url: "http://127.0.0.1:{}" }} }} }}
routes:
  in:
    from: {{ http: {{ path: /orders, method: POST, max_body: 256KiB }} }}
    accept:
      - validate: {{ json_schema: order.schema.json }}
    to: {{ queue: orders }}
  out:
    from: {{ queue: orders }}
    steps:
      - transform: .name = upcase(string!(.name))
    to: {{ http: {{ connection: erp, path: "/orders/{{{{ .order_id }}}}", method: PUT }} }}
    retry: {{ attempts: 8, initial: 20ms, factor: 2, max: 200ms }}
"#,
        partner.port()
    );
    let gateway = Gateway::new(env!("CARGO_BIN_EXE_crossdock"), &routes);
    gateway.write_routes(more, &routes);
    let schema = r#"{ "type": "object", "required": ["order_id", "name"],
                      "properties": { "order_id": { "type": "string", "pattern": "^o-" } } }"#;
    gateway.write("order.schema.json", schema);
    gateway
}

/// The body of an order of this name.
pub fn order(name: &str) -> String {
    format!(r#"{{ "order_id": "{name}", "name": "Ada", "total": 12.50, "lines": [1, 2, 3] }}"#)
}

/// Whether the partner refuses the order for good, so that it ends as a dead letter.
pub fn is_refused(name: &str) -> bool {
    name.ends_with('7')
}

/// A partner with moods: now and then it cuts the connection after it has read the request, or is out of sorts. A few
/// orders it always refuses.
pub fn moody_partner(seed: u64) -> Partner {
    let random = Mutex::new(Random::new(seed));
    Partner::new(move |request, _| {
        let mood = random.lock().unwrap_or_else(PoisonError::into_inner).between(0, 100);
        match mood {
            _ if is_refused(request.name()) => Answer::Status(422),
            0..3 => Answer::Drop,
            3..6 => Answer::Status(500),
            6..8 => Answer::Status(503),
            _ => Answer::Status(200),
        }
    })
}

/// Waits until nothing is stored any more, then compares: every acknowledged order was delivered or is a dead letter, and
/// every count adds up.
pub fn assert_nothing_lost(gateway: &Gateway, partner: &Partner, acknowledged: &BTreeSet<String>) {
    gateway.wait_until_drained("out", Duration::from_secs(120));
    let delivered: BTreeSet<String> = partner.accepted().into_iter().collect();
    let dead: BTreeSet<String> = gateway.list("/dead-letters").iter().map(order_id).collect();
    let lost: Vec<_> = acknowledged.iter().filter(|name| !delivered.contains(*name) && !dead.contains(*name)).collect();
    assert!(lost.is_empty(), "{} of {} acknowledged are lost: {lost:?}", lost.len(), acknowledged.len());
    let wrongly_dead: Vec<_> = dead.iter().filter(|name| !is_refused(name)).collect();
    assert!(wrongly_dead.is_empty(), "dead, though the partner never refused them: {wrongly_dead:?}");
    gateway.assert_account();
}

fn order_id(dead: &Value) -> String {
    let payload = dead.get("payload").and_then(Value::as_str).unwrap_or_default();
    let order: Value = serde_json::from_str(payload).unwrap_or_default();
    order.get("order_id").and_then(Value::as_str).unwrap_or_default().to_owned()
}
