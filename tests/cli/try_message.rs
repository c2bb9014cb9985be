//! `try` and `explain`: what would happen, and nothing does.

use crate::harness::prepared;
use crossdock_testkit::Gateway;

const ROUTES: &str = "
channels: { orders: { queue: {} } }
connections: { erp: { http: { base_url: \"http://127.0.0.1:1/api\" } } }
routes:
  in:
    from: { http: { path: /orders } }
    accept: [ { validate: { json_schema: order.schema.json } } ]
    to: { queue: orders }
  out:
    from: { queue: orders }
    steps:
      - filter: .total != 13
      - transform: |
          .name = upcase(string!(.customer.name))
          %headers.region = .ship_to.country
      - encode: { xml: { root: Order } }
    to:
      - name: erp
        when: .ship_to.country == \"DE\"
        http: { connection: erp, path: \"/orders/{{ .order_id }}\", method: PUT }
      - name: rest
        otherwise: true
        file: { path: \"rest/{{ .order_id }}.xml\", mode: create }
";
const ORDER: &str = r#"{"order_id": "o-4", "total": 14, "customer": {"name": "Ada"}, "ship_to": {"country": "DE"}}"#;

fn folder() -> Gateway {
    let folder = prepared(ROUTES);
    folder.write("order.schema.json", r#"{"type": "object", "required": ["order_id"]}"#);
    folder.write("m.json", ORDER);
    folder
}

#[track_caller]
fn check(arguments: &[&str], stdin: &str, status: i32, shown: &[&str], not_shown: &[&str]) {
    let ended = folder().run(&[&["try"], arguments].concat(), stdin);
    assert_eq!(ended.status, status, "{}{}", ended.stdout, ended.stderr);
    for part in shown {
        assert!(ended.stdout.contains(part), "no `{part}` in {}", ended.stdout);
    }
    for part in not_shown {
        assert!(!ended.stdout.contains(part), "`{part}` is in {}", ended.stdout);
    }
}

#[test]
fn each_step_is_shown_and_what_would_be_sent() {
    let sent =
        ["transform", ".name: \"ADA\"", "%headers.region", "PUT", "/api/orders/o-4", "<Order>", "<name>ADA</name>"];
    check(&["out", "m.json"], "", 0, &sent, &["rest/o-4"]);
    check(&["out", "--content-type", "application/json"], ORDER, 0, &sent, &[]);
    check(&["out"], &ORDER.replace("DE", "FR"), 0, &["rest/o-4"], &["/api/orders"]);
    check(&["in", "m.json"], "", 0, &["append to channel orders"], &[]);
}

#[test]
fn what_goes_no_further_says_so() {
    check(&["out"], &ORDER.replace("14", "13"), 0, &["filtered", "nothing would be sent"], &["/orders/o-4"]);
    check(&["in"], "{}", 1, &["refused", "order_id"], &["append"]);
    check(&["in"], "{", 1, &["refused"], &["append"]);
    check(&["out"], r#"{"customer": {"name": 7}}"#, 1, &["would be a dead letter", "steps[1]"], &[]);
}

#[test]
fn programs_see_the_same() {
    let ended = folder().run(&["try", "out", "m.json", "-H", "x-unit=7", "--json"], "");
    let value: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(value["outcome"], "sent", "{value}");
    assert_eq!(value["steps"].as_array().unwrap().len(), 3, "{value}");
    assert_eq!(value["targets"][0]["target"], "erp", "{value}");
    assert!(value["payload"].as_str().unwrap().contains("<Order>"), "{value}");
}

#[test]
fn nothing_is_made_by_trying() {
    let folder = folder();
    assert_eq!(folder.run(&["try", "out", "m.json"], "").status, 0);
    assert!(!folder.path("data").exists() && !folder.path("rest").exists());
}

#[test]
fn a_route_is_explained_in_words() {
    let ended = folder().run(&["explain", "out"], "");
    assert!(ended.status == 0 && ended.stdout.lines().count() >= 4, "{}{}", ended.stdout, ended.stderr);
}
