//! The checks that every connector passes, with the HTTP clients and services of the test kit.
//!
//! HTTP keeps nothing: a sender repeats what is not acknowledged, as a webhook's sender does.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use crossdock_connector::{Connector, GatewayConfig, SourceErrorKind, mapping::Part};
use crossdock_http::Http;
use crossdock_model::FaultClass;
use crossdock_testkit::{
    Answer, Partner, pause, request, sink_suite, source_suite,
    suite::{Can, Message, Peer, SOON},
};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Once},
    thread,
    time::{Duration, Instant},
};

/// Senders that post to the gateway, and a service that takes what it posts.
struct Web {
    port: u16,
    service: Partner,
    taken: usize,
}

/// Posts until it is taken or refused, or the test has given up.
fn post(port: u16, message: &Message) {
    let mut headers = vec![];
    headers.extend(message.content_type.as_deref().map(|value| ("content-type", value)));
    headers.extend(message.correlation_id.as_deref().map(|value| ("x-correlation-id", value)));
    let start = Instant::now();
    while start.elapsed() < SOON {
        let answer = request(port, "POST", "/in", &headers, &message.payload);
        if answer.is_ok_and(|answer| matches!(answer.status, 202 | 422)) {
            return;
        }
        pause(Duration::from_millis(50));
    }
}

impl Peer for Web {
    const CAN: Can =
        Can { carries: &[Part::ContentType, Part::CorrelationId], window: None, missing: SourceErrorKind::Missing };

    async fn new() -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| rustls::crypto::aws_lc_rs::default_provider().install_default().unwrap());
        let service = Partner::new(|request, _| match request.path.as_str() {
            "/out" => Answer::Status(200),
            _ => Answer::Status(404),
        });
        Self { port: crossdock_testkit::free_port(), service, taken: 0 }
    }

    fn connector(&self, gateway: &GatewayConfig) -> Arc<dyn Connector> {
        Arc::new(Http::new(gateway))
    }

    fn server(&self) -> Option<String> {
        Some(format!("127.0.0.1:{}", self.service.port()))
    }

    fn connection(&self, address: &str) -> Option<Value> {
        Some(json!({ "base_url": format!("http://{address}"), "timeout": "3s", "connect_timeout": "1s" }))
    }

    fn source(&self) -> Value {
        json!({ "path": "/in", "max_body": "2MiB" })
    }

    fn target(&self) -> Value {
        json!({ "path": "/out" })
    }

    fn missing_target(&self) -> Option<(Value, FaultClass)> {
        Some((json!({ "path": "/elsewhere" }), FaultClass::Rejected))
    }

    fn http_port(&self) -> u16 {
        self.port
    }

    async fn put(&mut self, messages: &[Message]) {
        for message in messages {
            let (port, message) = (self.port, message.clone());
            thread::spawn(move || post(port, &message));
        }
    }

    async fn take(&mut self) -> Vec<Message> {
        let got = self.service.got();
        let new = got.get(self.taken..).unwrap_or_default().iter();
        let taken = new.map(|request| Message {
            content_type: request.header("content-type").map(str::to_owned),
            correlation_id: request.header("x-correlation-id").map(str::to_owned),
            ..Message::new(request.body.clone())
        });
        let taken = taken.collect();
        self.taken = got.len();
        taken
    }
}

mod source {
    use super::*;
    source_suite!(Web:
        opens_and_closes,
        receives_bytes_and_metadata,
        gives_again_what_was_not_settled,
        settles_what_it_can_before_it_closes,
        refused_is_gone_and_postponed_is_not,
    );
}

mod sink {
    use super::*;
    sink_suite!(Web:
        sends_bytes_and_metadata,
        closes_with_a_result_for_each,
        believes_nothing_but_the_confirm,
        bears_a_cut_at_any_byte,
        waits_for_a_server_that_is_absent,
        closes_in_time_before_a_silent_server,
        tells_what_is_missing,
        bears_a_slow_line,
    );
}
