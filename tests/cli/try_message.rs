//! `try` and `explain`: what would happen, and nothing does.

use crate::harness::{api, post, prepared, started, wait};
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
fn what_no_target_can_be_given_is_dead() {
    let both =
        "[ { http: { connection: erp, path: '/o/{{ .id }}' } }, { http: { connection: erp, name: all, path: /o } } ]";
    for (targets, outcome, parts) in [
        ("{ http: { connection: erp, path: '/o/{{ .id }}' } }", "dead", &["would be a dead letter for erp"][..]),
        (both, "sent", &["would be a dead letter for erp", "would be sent to all"]),
    ] {
        let folder = prepared(&STORED.replace("{ http: { connection: erp, path: /o } }", targets));
        let ended = folder.run(&["try", "out", "--json"], r#"{"n": 1, "id": null}"#);
        let told: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        assert!(ended.status == 1 && told["outcome"] == outcome, "{told}");
        assert_eq!(told["fault"].is_object(), outcome == "dead", "{told}");
        let ended = folder.run(&["try", "out"], r#"{"n": 1, "id": null}"#);
        for part in parts {
            assert!(ended.stdout.contains(part), "no `{part}` in {}", ended.stdout);
        }
    }
}

const STORED: &str = "
channels: { orders: { queue: {} } }
connections: { erp: { http: { base_url: \"http://127.0.0.1:1/api\" } } }
routes:
  in:
    from: { http: { path: /orders } }
    accept: [ { filter: .n != 13 } ]
    to: { queue: orders }
  out:
    from: { queue: orders }
    steps: [ { transform: '.n = to_int!(.n) + 1' } ]
    to: { http: { connection: erp, path: /o } }
";

#[test]
fn a_stored_message_is_tried_where_it_stands_and_stays_there() {
    let gateway = started(STORED);
    let json = [("content-type", "application/json"), ("x-unit", "7")];
    assert_eq!(gateway.operate(&["pause", "out"], "").status, 0);
    let waiting = post(&gateway, "/orders", &json, br#"{"n": 1}"#).json()["id"].as_str().unwrap().to_owned();
    let ended = gateway.operate(&["try", "out", "--message", &waiting], "");
    assert_eq!(ended.status, 0, "{}{}", ended.stdout, ended.stderr);
    for part in ["ok    steps[0] transform", ".n: 1 → 2", "POST", "/api/o", "x-unit: 7", r#"{"n":2}"#] {
        assert!(ended.stdout.contains(part), "no `{part}` in {}", ended.stdout);
    }
    let ended = gateway.operate(&["try", "out", "--message", &waiting, "--json"], "");
    let told: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(told["id"] == *waiting && told["start"] == "steps" && told["outcome"] == "sent", "{told}");
    // For the route at whose door it was let in it comes in once more.
    let again = api(&gateway, "POST", "/routes/in/try", &format!(r#"{{"message": "{waiting}"}}"#)).json();
    assert!(again["start"] == "accept" && again["targets"][0]["act"] == "append to channel orders", "{again}");
    assert_eq!(gateway.operate(&["resume", "out"], "").status, 0);
    let bad = post(&gateway, "/orders", &json, br#"{"n": "x"}"#).json()["id"].as_str().unwrap().to_owned();
    wait("the dead letter", || api(&gateway, "GET", "/dead-letters", "").json()["items"][0]["id"] == *bad);
    let ended = gateway.operate(&["try", "out", "--message", &bad], "");
    assert!(ended.status == 1 && ended.stdout.contains("FAIL  steps[0]"), "{}{}", ended.stdout, ended.stderr);
    let depths = api(&gateway, "GET", "/channels", "").json();
    let depth = |name: &str| {
        let channels = depths["items"].as_array().unwrap();
        channels.iter().find(|channel| channel["name"] == name).unwrap()["messages"].clone()
    };
    assert!(depth("orders") == 1 && depth("out.dead") == 1, "trying took or made something: {depths}");
}

#[test]
fn a_message_given_to_the_api_is_tried_from_the_door() {
    let gateway = started(STORED);
    let tried = |route: &str, body: &str| {
        let answer = api(&gateway, "POST", &format!("/routes/{route}/try"), body);
        (answer.status, answer.json())
    };
    let given = r#"{"payload": "{\"n\": 13}", "content_type": "application/json", "headers": {"x-unit": [7, "8"]}}"#;
    let (status, told) = tried("in", given);
    assert!(status == 200 && told["outcome"] == "filtered" && told["step"] == "accept[0] filter", "{told}");
    let (_, told) = tried("out", r#"{"payload_base64": "eyJuIjogMX0=", "headers": {"x-unit": [7, "8"]}}"#);
    assert!(told["payload"] == r#"{"n":2}"#, "{told}");
    let headers = told["targets"][0]["headers"].to_string();
    assert!(headers.contains(r#"["x-unit","7"],["x-unit","8"]"#), "{headers}");
    for (body, status) in [
        (r#"{"message": "00000000-0000-4000-8000-000000000000"}"#, 404),
        (r#"{"message": "nonsense"}"#, 400),
        (r#"{"message": "00000000-0000-4000-8000-000000000000", "payload": ""}"#, 400),
        (r#"{"payload": "", "payload_base64": ""}"#, 400),
        (r#"{"payload_base64": "*"}"#, 400),
        (r#"{"headers": {"crossdock-key": "x"}}"#, 400),
        (r#"{"headers": {"x": {"y": 1}}}"#, 400),
        (r#"{"mesage": "x"}"#, 400),
    ] {
        assert_eq!(tried("out", body).0, status, "{body}");
    }
    assert_eq!(tried("none", "{}").0, 404);
    assert_eq!(gateway.operate(&["try", "none", "--message", "00000000-0000-4000-8000-000000000000"], "").status, 4);
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
