//! What an answer, or its absence, means.

use crate::bench::*;
use crate::common::*;
use crate::partner::*;
use crossdock_connector::{Connector, Receipt};
use crossdock_http::Http;
use crossdock_model::{Answer as By, FaultClass};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

#[tokio::test]
async fn success_is_an_answer_of_2xx_to_its_end() {
    let say = |text: &str| Script::SayAndClose(text.to_owned());
    for script in [
        status(200, "", "a body"),
        status(202, "", ""),
        say("HTTP/1.1 204 No Content\r\n\r\n"),
        say("HTTP/1.1 200 OK\r\n\r\nto the end"),
        say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        say("HTTP/1.0 200 OK\r\n\r\n"),
        say(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ),
        status(201, "", &"x".repeat(3_000_000)),
    ] {
        assert_eq!(outcome(script, json!({}), json!({})).await, Ok(Receipt::default()));
    }
    use {By::Nobody, FaultClass::Failed};
    for (script, code) in [
        (say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbroken"), "http.reset"),
        (say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"), "http.reset"),
        (say("HTTP/1.1 200 O"), "http.reset"),
        (say(""), "http.reset"),
        (Script::Close, "http.reset"),
        (say("SSH-2.0-OpenSSH\r\n"), "http.response"),
        (say("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), "http.response"),
    ] {
        check(script, json!({}), Failed, code, Nobody).await;
    }
}

#[tokio::test]
async fn faults_have_their_class_code_and_words() {
    use {By::Application, By::Intermediary, FaultClass::Busy, FaultClass::Failed, FaultClass::Rejected};
    let fault =
        check(status(422, "", "{\"error\":\r\n \"no such sku\"}"), json!({}), Rejected, "http.422", Application).await;
    assert_eq!(&*fault.text, "the service answered 422 Unprocessable Entity: {\"error\": \"no such sku\"}");
    check(status(404, "", &"x".repeat(3_000_000)), json!({}), Rejected, "http.404", Application).await;
    check(
        Script::SayAndClose("HTTP/1.1 400 X\r\nContent-Length: 99\r\n\r\nhalf".into()),
        json!({}),
        Rejected,
        "http.400",
        Application,
    )
    .await;
    check(status(401, "", ""), json!({}), Failed, "http.401", Application).await;
    check(status(500, "", ""), json!({}), Failed, "http.500", Application).await;
    check(status(302, "Location: http://127.0.0.1:1/\r\n", ""), json!({}), Failed, "http.302", Application).await;
    check(status(503, "", ""), json!({}), Failed, "http.503", Intermediary).await;
    let fault = check(status(503, "Retry-After: 3\r\n", ""), json!({}), Busy, "http.503", Intermediary).await;
    assert_eq!(fault.retry_after, Some(Duration::from_secs(3)));
    let fault = check(
        status(429, "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n", ""),
        json!({}),
        Busy,
        "http.429",
        Intermediary,
    )
    .await;
    assert_eq!(fault.retry_after, Some(Duration::ZERO));
    let own = json!({ "status": { "404": "failed", "500": "rejected", "409": "delivered", "418": "busy" } });
    check(status(404, "", ""), own.clone(), Failed, "http.404", Application).await;
    check(status(500, "", ""), own.clone(), Rejected, "http.500", Application).await;
    check(status(418, "", ""), own.clone(), Busy, "http.418", Application).await;
    assert_eq!(outcome(status(409, "", ""), json!({}), own).await, Ok(Receipt::default()));
}

#[tokio::test]
async fn time_is_limited_from_start_to_end() {
    use {By::Nobody, FaultClass::Failed};
    for script in [Script::Hang, Script::Say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nslow".into())] {
        let begun = Instant::now();
        let fault = check(script, json!({ "timeout": "400ms" }), Failed, "http.timeout", Nobody).await;
        assert!(begun.elapsed() >= Duration::from_millis(390) && begun.elapsed() < Duration::from_secs(5), "{fault}");
    }
    // The connection's word counts where the target has none.
    let begun = Instant::now();
    let fault = outcome(Script::Hang, json!({ "timeout": "300ms" }), json!({})).await.unwrap_err();
    assert!(&*fault.code == "http.timeout" && begun.elapsed() < Duration::from_secs(5), "{fault}");
}

#[tokio::test]
async fn what_was_not_sent_is_unreachable() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    // A listener that accepts nobody: its backlog is full, so connecting hangs.
    let deaf = tokio::net::TcpSocket::new_v4().unwrap();
    deaf.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let deaf = deaf.listen(0).unwrap();
    let deaf_address = deaf.local_addr().unwrap();
    let filling: Vec<_> = (0..8).map(|_| tokio::spawn(tokio::net::TcpStream::connect(deaf_address))).collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let plain = Partner::fine().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for (url, code) in [
        (format!("http://{free}"), "http.connect"),
        (format!("http://{deaf_address}"), "http.connect"),
        ("http://no-such-host.invalid".into(), "http.dns"),
        (format!("https://{}", plain.address), "http.tls"),
        (format!("https://{}", silent.local_addr().unwrap()), "http.tls"),
    ] {
        let config = sink(&json!({ "base_url": url, "connect_timeout": "500ms" }), &json!({}));
        let mut bench = Bench::new(&config).await;
        bench.send(vec![message(1, &[""])]).await;
        let fault = bench.result(1).await.unwrap_err();
        let expected = (FaultClass::Unreachable, By::Nobody);
        assert_eq!((fault.class, fault.answer), expected, "{url}: {fault}");
        assert_eq!(&*fault.code, code, "{url}: {fault}");
    }
    filling.into_iter().for_each(|task| task.abort());
}

#[tokio::test]
async fn private_addresses_are_blocked_in_every_spelling() {
    let partner = Partner::fine().await;
    let port = partner.address.port();
    for host in ["localhost", "2130706433", "0x7f000001", "127.1", "017700000001"] {
        let connection = json!({ "base_url": format!("http://{host}:{port}"), "block_private": true });
        let mut bench = Bench::new(&sink(&connection, &json!({}))).await;
        bench.send(vec![message(1, &[""])]).await;
        let fault = bench.result(1).await.unwrap_err();
        assert_eq!(fault.class, FaultClass::Unreachable, "{host}: {fault}");
        assert!(["http.private", "http.dns"].contains(&&*fault.code), "{host}: {fault}");
    }
    assert!(partner.seen().is_empty());
    let http = Http::new(&gateway(&json!({})));
    for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254"] {
        let connection = json!({ "base_url": format!("http://{host}:{port}"), "block_private": true });
        let found = http.sink(&sink(&connection, &json!({}))).err().unwrap();
        assert!(found.iter().any(|diagnostic| diagnostic.code == "http.private"), "{host}: {found:?}");
    }
}

#[tokio::test]
async fn probing_tells_whether_the_service_is_there() {
    let http = Http::new(&gateway(&json!({})));
    for (code, class) in [(200, None), (404, None), (405, None), (500, None), (401, Some(FaultClass::Failed))] {
        let partner =
            Partner::start(move |_, _| Script::Say(format!("HTTP/1.1 {code} X\r\nContent-Length: 0\r\n\r\n"))).await;
        let config = sink(&json!({ "base_url": format!("{}/api", partner.url()) }), &json!({}));
        let result = http.probe(&config.connection.unwrap()).await;
        assert_eq!(result.err().map(|fault| fault.class), class, "{code}");
        assert_eq!(partner.seen()[0].line, "HEAD /api HTTP/1.1");
    }
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let config = sink(&json!({ "base_url": format!("http://{free}") }), &json!({}));
    let fault = http.probe(&config.connection.unwrap()).await.unwrap_err();
    assert_eq!(fault.class, FaultClass::Unreachable);
}
