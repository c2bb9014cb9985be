//! What a request to a service looks like, whatever the message holds.

use crate::bench::*;
use crate::common::*;
use crate::partner::*;
use crossdock_connector::{Connector, Receipt};
use crossdock_http::Http;
use crossdock_model::{FaultClass, Value};
use serde_json::json;
use std::sync::Arc;

#[tokio::test]
async fn a_request_carries_the_message() {
    let partner = Partner::fine().await;
    let connection = json!({
        "base_url": format!("{}/api/", partner.url()),
        "auth": { "bearer": "s3cret" },
        "headers": { "X-Tenant": "a" },
    });
    let target = json!({ "path": "/orders/{{ .id }}", "method": "PUT", "headers": { "X-Route": "{{ .route }}" } });
    let mut bench = Bench::new(&sink(&connection, &target)).await;
    let mut outgoing = message(1, &["/orders/o%2F4", "web"]);
    Arc::make_mut(&mut outgoing.envelope).headers.push("X-Unit", Value::from("kg"));
    bench.send(vec![outgoing]).await;
    assert_eq!(bench.result(1).await, Ok(Receipt { lost: vec![] }));
    let request = &partner.seen()[0];
    assert_eq!(request.line, "PUT /api/orders/o%2F4 HTTP/1.1");
    assert_eq!(request.body, b"{\"n\":1}");
    let host = partner.address.to_string();
    for (name, value) in [
        ("host", Some(host.as_str())),
        ("content-type", Some("application/json")),
        ("content-length", Some("7")),
        ("idempotency-key", Some("key-1")),
        ("authorization", Some("Bearer s3cret")),
        ("x-tenant", Some("a")),
        ("x-route", Some("web")),
        ("x-unit", Some("kg")),
        ("user-agent", Some(concat!("crossdock/", env!("CARGO_PKG_VERSION")))),
        ("accept", None),
        ("transfer-encoding", None),
    ] {
        assert_eq!(request.header(name), value, "{name} in {request:?}");
    }
}

#[tokio::test]
async fn bodies_and_methods() {
    for (method, payload, length, body, lost) in [
        ("POST", Some("x"), Some("1"), "x", &[][..]),
        ("POST", Some(""), Some("0"), "", &[]),
        ("PATCH", None, Some("0"), "", &["payload"]),
        ("DELETE", Some("x"), Some("1"), "x", &[]),
        ("GET", Some("x"), None, "", &["payload"]),
        ("GET", Some(""), None, "", &[]),
        ("HEAD", Some("x"), None, "", &["payload"]),
        ("HEAD", None, None, "", &[]),
    ] {
        let partner = Partner::start(|_, _| Script::Say("HTTP/1.1 204 X\r\n\r\n".into())).await;
        let mut config = sink(&json!({ "base_url": partner.url() }), &json!({ "method": method }));
        let mut bench = Bench::new(&config).await;
        let mut outgoing = message(1, &[""]);
        Arc::make_mut(&mut outgoing.envelope).payload = payload.map(Into::into);
        bench.send(vec![outgoing.clone()]).await;
        assert_eq!(bench.result(1).await.unwrap().lost, lost, "{method} {payload:?}");
        let request = &partner.seen()[0];
        assert_eq!((request.header("content-length"), &*request.body), (length, body.as_bytes()), "{method}");
        assert_eq!(request.line, format!("{method} / HTTP/1.1"));
        config.strict = true;
        let mut bench = Bench::new(&config).await;
        bench.send(vec![outgoing]).await;
        assert_eq!(bench.result(1).await.is_ok(), lost.is_empty(), "{method} {payload:?}");
    }
}

#[tokio::test]
async fn hostile_values_split_no_request() {
    let partner = Partner::fine().await;
    let target = json!({ "path": "/a/{{ .x }}", "headers": { "X-Own": "{{ .y }}" } });
    let mut config = sink(&json!({ "base_url": partner.url() }), &target);
    let mut bench = Bench::new(&config).await;
    bench
        .send(vec![
            message(1, &["/a/b\r\nX-Evil: 1", "fine"]),
            message(2, &["/a", "a\r\nX-Evil: 1"]),
            message(3, &["/a/../b", ""]),
        ])
        .await;
    assert!(bench.result(1).await.is_ok());
    assert_eq!(bench.result(2).await.unwrap_err().code, "http.header");
    assert_eq!(bench.result(3).await.unwrap_err().code, "http.path");
    let seen = partner.seen();
    assert_eq!((seen.len(), &*seen[0].line), (1, "POST /a/b%0D%0AX-Evil:%201 HTTP/1.1"));
    assert_eq!(seen[0].header("x-evil"), None);
    // What does not fit is counted, or refused where the target is strict.
    let mut outgoing = message(4, &["/a", ""]);
    let envelope = Arc::make_mut(&mut outgoing.envelope);
    envelope.headers.push("x-evil", Value::from("a\r\nb: c"));
    envelope.properties.correlation_id = Some(vec![0xff].into());
    bench.send(vec![outgoing.clone()]).await;
    assert_eq!(bench.result(4).await.unwrap().lost, ["correlation_id", "headers"]);
    config.strict = true;
    let mut bench = Bench::new(&config).await;
    bench.send(vec![outgoing]).await;
    let fault = bench.result(4).await.unwrap_err();
    assert_eq!((fault.class, &*fault.code), (FaultClass::Rejected, "mapping.lost"));
    assert_eq!(partner.seen().len(), 2);
}

#[tokio::test]
async fn a_preview_shows_the_request_without_secrets() {
    let http = Http::new(&gateway(&json!({})));
    let connection = json!({ "base_url": "http://u:s3cret@erp.example/api", "headers": { "x-tenant": "a" } });
    let config = sink(&connection, &json!({ "path": "/orders/{{ .id }}", "method": "PUT" }));
    let preview = http.preview(&config, &message(1, &["/orders/o-4"])).unwrap();
    assert_eq!(preview.act, "PUT http://erp.example/api/orders/o-4");
    let shown = format!("{:?}", preview.headers);
    assert!(shown.contains("x-tenant") && shown.contains("key-1") && !shown.contains("Basic"), "{shown}");
}
