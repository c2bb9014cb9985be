//! Settings that cannot be meant.

use crate::common::*;
use crossdock_connector::Connector;
use crossdock_http::Http;
use serde_json::json;

#[tokio::test]
async fn a_port_in_use_and_odd_settings_are_told() {
    let door = Door::storing().await;
    let taken = Http::new(&gateway(&json!({ "listen": door.address.to_string() })));
    let error = taken.start().await.unwrap_err();
    assert!(
        error.message.contains(&door.address.to_string()) && error.hint.contains("gateway.http.listen"),
        "{error:?}"
    );
    let check = |listener: serde_json::Value, sources: &[serde_json::Value], codes: &[&str]| {
        let http = Http::new(&gateway(&listener));
        let configs: Vec<_> = sources.iter().map(|section| source("in", section)).collect();
        let mut found = http.check(&configs);
        for config in &configs {
            found.append(http.source(config).err().unwrap_or_default());
        }
        let found: Vec<_> = found.iter().map(|diagnostic| diagnostic.code).collect();
        assert_eq!(found, codes, "{listener} {sources:?}");
    };
    check(json!({}), &[json!({ "path": "/a" }), json!({ "path": "/a", "method": "PUT" })], &[]);
    check(
        json!({}),
        &[json!({ "path": "/a" }), json!({ "path": "/b" }), json!({ "path": "/a" })],
        &["http.path_taken"],
    );
    check(json!({ "listen": "8080" }), &[json!({ "path": "a" })], &["http.listen", "http.path"]);
    check(json!({ "tls": { "certificate": "none.pem", "key": "none.pem" } }), &[], &["http.tls"]);
    check(json!({}), &[json!({ "path": "/a", "auth": { "bearer": "" } })], &["http.auth_empty"]);
    check(
        json!({}),
        &[json!({ "path": "/a", "auth": { "basic": { "user": "u", "password": "" } } })],
        &["http.auth_empty"],
    );
    check(
        json!({}),
        &[json!({ "path": "/a", "auth": { "basic": { "user": "u:", "password": "p" } } })],
        &["http.auth_user"],
    );
}

#[tokio::test]
async fn settings_that_cannot_be_meant_are_told() {
    let http = Http::new(&gateway(&json!({})));
    let check = |connection: serde_json::Value, target: serde_json::Value, codes: &[&str]| {
        let found = http.sink(&sink(&connection, &target)).err().unwrap_or_default();
        let found: Vec<_> = found.iter().map(|diagnostic| diagnostic.code).collect();
        assert_eq!(found, codes, "{connection} {target}");
    };
    let fine = json!({ "base_url": "http://h" });
    let tls = |section| json!({ "base_url": "https://h", "tls": section });
    check(fine.clone(), json!({ "headers": { "Host": "x", "Authorization": "y" } }), &[]);
    check(json!({ "base_url": "ftp://h" }), json!({ "path": "/a/../b" }), &["http.base_url", "http.path"]);
    check(fine.clone(), json!({ "headers": { "Content-Length": "1", "a b": "1" } }), &["http.header", "http.header"]);
    check(fine, json!({ "status": { "99": "failed", "x": "failed" } }), &["http.status", "http.status"]);
    check(json!({ "base_url": "http://u:p@h", "auth": { "bearer": "t" } }), json!({}), &["http.auth_twice"]);
    check(json!({ "base_url": "http://h", "auth": { "bearer": "a\nb" } }), json!({}), &["http.auth"]);
    check(json!({ "base_url": "http://h", "headers": { "x": "a\nb" } }), json!({}), &["http.header"]);
    check(tls(json!({ "ca": "none.pem" })), json!({}), &["http.tls"]);
    check(tls(json!({ "certificate": "none.pem" })), json!({}), &["http.tls"]);
}

#[test]
fn credentials_without_tls_are_told() {
    let http = Http::new(&gateway(&json!({})));
    for (section, is_told) in [
        (json!({ "base_url": "http://erp.example", "auth": { "bearer": "s3cret" } }), true),
        (json!({ "base_url": "http://u:s3cret@erp.example/api" }), true),
        (json!({ "base_url": "http://erp.example" }), false),
        (json!({ "base_url": "https://erp.example", "auth": { "bearer": "s3cret" } }), false),
        (json!({ "base_url": "http://localhost:8080", "auth": { "bearer": "s3cret" } }), false),
    ] {
        let found = http.advise(&sink(&section, &json!({})).connection.unwrap());
        let codes: Vec<_> = found.iter().map(|one| one.code).collect();
        assert_eq!(codes, if is_told { vec!["connection.clear_text"] } else { vec![] }, "{section}");
        assert!(!found.has_errors() && !format!("{found:?}").contains("s3cret"), "{found:?}");
    }
}
