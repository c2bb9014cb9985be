//! What a plan holds, and what is told of it.

use crate::support::{load_text, valid};
use crossdock_config::{
    ChannelKind, ChannelUse, Channels, Destination, From, Idempotency, OnFailure, Plan, Start, Sync, explain,
};
use crossdock_connector::{Evaluated, OnRefused, Slot};
use crossdock_model::{Envelope, MessageId, Timestamp};
use crossdock_rules::{Rendered, Routed, Working};
use std::{sync::Arc, time::Duration};

fn contract() -> Arc<Plan> {
    load_text(valid("contract")).plan.unwrap()
}

fn of_routes(text: &str) -> Arc<Plan> {
    let head = "version: 1\nchannels: { q: { queue: {} }, p: { queue: {} } }\n\
                connections: { erp: { http: { base_url: \"http://h\" } }, mq: { amqp: { url: \"amqp://h\" } } }\n";
    let loaded = load_text(format!("{head}routes:\n{text}"));
    loaded.plan.unwrap_or_else(|| panic!("{}", loaded.report.render(false)))
}

fn json(body: &str) -> Envelope {
    let mut envelope = Envelope::new(MessageId::from_bytes([7; 16]), Timestamp(0), body.to_owned());
    envelope.properties.content_type = Some("application/json".into());
    envelope
}

#[test]
fn a_plan_can_be_shared() {
    const fn shareable<T: Send + std::marker::Sync>() {}
    shareable::<Plan>();
}

#[test]
fn sections_have_their_types() {
    let plan = contract();
    let gateway = plan.gateway();
    assert_eq!(gateway.data_dir, plan.folder().join("data"));
    assert_eq!(gateway.http.text("listen").map(|text| &**text), Some("127.0.0.1:8080"));
    assert_eq!(gateway.admin.url(), "http://127.0.0.1:8090");
    assert_eq!(gateway.admin.token.as_ref().map(|token| token.reveal()), Some("tok3n"));
    assert_eq!(gateway.store.sync, Sync::Every(Duration::from_millis(50)));
    assert_eq!(gateway.store.message_bytes_max(), 16 << 20);
    assert_eq!(plan.connection("erp").map(|erp| erp.connector), Some("http"));
    assert_eq!(plan.connector_config("0123abcd".into()).state_folder, plan.folder().join("data/connectors"));
}

#[test]
fn defaults_stand_without_sections() {
    let plan = load_text("version: 1\nchannels: { q: queue }\n").plan.unwrap();
    let gateway = plan.gateway();
    assert_eq!(gateway.http.text("listen").map(|text| &**text), Some("127.0.0.1:8080"));
    assert_eq!(gateway.store.sync, Sync::Always);
    assert_eq!(gateway.store.segment_bytes, 32 << 20);
    assert!(gateway.admin.token.is_none() && gateway.store.encryption.is_none());
}

#[test]
fn channels_are_declared_implied_and_hidden() {
    let plan = of_routes(
        "  a: { from: { http: { path: /a } }, to: { queue: q } }\n  \
           b: { from: { queue: q }, to: { http: { connection: erp } }, dead_letter: { queue: p } }\n  \
           c: { from: { http: { path: /c } }, to: { http: { connection: erp } } }\n  \
           d: { from: { http: { path: /d } }, steps: [ filter: .a == 1 ], to: { queue: p } }\n  \
           e: { from: { http: { path: /e } }, steps: [], to: [ { queue: q }, { queue: p } ] }\n",
    );
    let names: Vec<_> = plan.channels().iter().map(|channel| &*channel.name).collect();
    assert_eq!(names, ["q", "p", "a.dead", "c.dead", "d.dead", "e.dead", "route:c", "route:d"]);
    assert_eq!(plan.channel("a.dead").map(|channel| &channel.purpose), Some(&ChannelUse::DeadLetters));
    assert!(plan.channels().iter().all(|channel| matches!(channel.kind, ChannelKind::Queue(_))));
    let reads = |id: &str| match plan.route(id).unwrap().reads() {
        Channels::Queue(name) => name.to_string(),
        Channels::Topic { .. } | Channels::None => String::new(),
    };
    assert_eq!(["a", "b", "c", "d", "e"].map(reads), ["", "q", "route:c", "route:d", ""]);
    assert_eq!(plan.reader("q").map(|route| &*route.id), Some("b"));
    assert_eq!(plan.reader("route:d").map(|route| &*route.id), Some("d"));
    assert!(plan.reader("p").is_none());
}

#[test]
fn a_route_has_everything() {
    let plan = contract();
    let route = plan.route("orders-to-erp").unwrap();
    assert_eq!(route.on_failure, OnFailure::Skip);
    assert_eq!(route.order_by.as_ref().map(|program| &**program.text()), Some(".customer.id"));
    assert!(route.circuit.is_some() && route.accept.is_empty());
    assert_eq!(route.steps.labels().count(), 3);
    assert_eq!((route.retry.attempts, route.retry.initial), (8, Duration::from_secs(1)));
    assert_eq!((route.retry.max, route.retry.alone_limit), (Duration::from_secs(300), Duration::from_secs(86_400)));
    assert_eq!(&*route.dead_letter, "orders-to-erp.dead");
    let events = plan.route("events").unwrap();
    assert_eq!(events.was.as_deref(), Some("old-events"));
    assert!(matches!(&events.from, From::Topic { name, start: Start::At(_), subscription }
        if &**name == "order-events" && &**subscription == "replay"));
    assert_eq!(events.targets[0].idempotency, Idempotency::PerRedrive);
    let refused = plan.route("refused").unwrap();
    assert!(matches!(&refused.from, From::Connector(source) if source.on_refused == OnRefused::Reject));
    assert!(matches!(&plan.route("web-orders").unwrap().from, From::Connector(source)
        if source.on_refused == OnRefused::Tell));
}

#[test]
fn targets_are_named_by_connection_and_address() {
    let plan = of_routes(
        "  a:\n    from: { http: { path: /a } }\n    to:\n      \
           - http: { connection: erp }\n      \
           - http: { connection: erp, path: \"/o/{{ .id }}\" }\n      \
           - http: { connection: erp, path: \"/${env:SECRET}\" }\n      \
           - http: { connection: erp, path: /o, name: mine }\n      \
           - amqp: { connection: mq, exchange: e, routing_key: k }\n      \
           - amqp: { connection: mq, routing_key: k }\n      \
           - queue: q\n      \
           - queue: { name: p }\n",
    );
    let route = plan.route("a").unwrap();
    let names: Vec<_> = route.targets.iter().map(|target| &*target.name).collect();
    assert_eq!(names, ["erp", "erp:/o/{{ .id }}", "erp:/***", "mine", "mq:e/k", "mq:k", "queue:q", "queue:p"]);
    let ordinals: Vec<_> = route
        .targets
        .iter()
        .filter_map(|target| match &target.to {
            Destination::Connector { config, .. } => Some((config.ordinal, config.target.clone() == target.name)),
            Destination::Channel(_) => None,
        })
        .collect();
    assert_eq!(ordinals, [(0, true), (1, true), (2, true), (3, true), (0, true), (1, true)]);
}

#[test]
fn formulas_come_by_their_slots() {
    let plan = of_routes(
        "  a:\n    from: { http: { path: /a } }\n    to:\n      \
           amqp: { key: .n + 1 ?? 0, routing_key: \"k.{{ .r }}\", connection: mq, exchange: e }\n",
    );
    let route = plan.route("a").unwrap();
    let Destination::Connector { config, .. } = &route.targets[0].to else { panic!("a connector") };
    let mut message = Working::new(Arc::new(json(r#"{"n": 41, "r": "x"}"#)));
    let routed = route.router.route(&mut message).unwrap();
    let [Routed::To(rendered)] = &routed[..] else { panic!("{routed:?}") };
    let at = |name: &str| rendered[usize::from(config.settings.slot(name).unwrap().0)].clone();
    assert_eq!(at("exchange"), Rendered::Text("e".into()));
    assert_eq!(at("routing_key"), Rendered::Text("k.x".into()));
    assert_eq!(at("key"), Rendered::Text("42".into()));
}

#[test]
fn a_sources_expressions_can_be_evaluated() {
    let plan = contract();
    let From::Connector(source) = &plan.route("made").unwrap().from else { panic!("a connector") };
    let slot = source.config.settings.slot("payload").unwrap();
    let value = source.config.formulas.evaluate(slot, &json(r#"{"sequence": 5}"#));
    assert_eq!(value, Ok(Evaluated::Json(r#"{"n":5}"#.into())));
    assert!(source.config.formulas.evaluate(Slot(9), &json("{}")).is_err());
}

#[test]
fn the_default_body_gives_way_to_a_small_segment() {
    let plan = load_text(valid("small-segment")).plan.unwrap();
    let From::Connector(source) = &plan.routes()[0].from else { panic!("a connector") };
    assert_eq!(source.config.settings.size("max_body"), Some(512 << 10));
}

#[test]
fn the_environment_is_substituted() {
    let plan = load_text(valid("from-environment")).plan.unwrap();
    assert_eq!(plan.routes()[0].retry.attempts, 3);
    assert_eq!(plan.routes()[0].retry.initial, Duration::from_secs(5));
}

/// The configuration for people: nothing of what is secret, everything else.
#[test]
fn secrets_are_masked() {
    let text = "version: 1\ngateway: { admin: { token: s3cret-1 } }\nconnections:\n  \
                erp: { http: { base_url: \"http://u:s3cret-2@h/x\", auth: { basic: { user: s3cret-3, password: \"${env:SECRET}\" } }, headers: { X-Api-Key: s3cret-4, x-a: b } } }\n\
                channels: { q: queue }\nroutes:\n  \
                r:\n    from: { http: { path: /a, auth: { bearer: \"${env:SECRET}\" } } } # kept\n    \
                steps:\n      - filter: .a == \"${env:SECRET}\"\n    \
                to: { http: { connection: erp, path: \"/x/${env:SECRET}\", headers: { x-b: \"${env:EMPTY:-s3cret-5}\" } } }\n";
    let loaded = load_text(text);
    let plan = loaded.plan.unwrap_or_else(|| panic!("{}", loaded.report.render(false)));
    let masked = plan.masked();
    let explained = explain(&plan, "r").unwrap();
    for shown in [masked.to_string(), explained] {
        assert!(!shown.contains("s3cret"), "{shown}");
    }
    assert_eq!(masked["connections"]["erp"]["http"]["base_url"], "http://u:***@h/x");
    assert_eq!(masked["connections"]["erp"]["http"]["auth"]["basic"]["user"], "***");
    assert_eq!(masked["connections"]["erp"]["http"]["headers"]["x-a"], "b");
    assert_eq!(masked["routes"]["r"]["from"]["http"]["auth"]["bearer"], "***");
    assert_eq!(masked["routes"]["r"]["to"]["http"]["path"], "/x/***");
    assert_eq!(masked["version"], 1);
    let text = plan.masked_text();
    for word in ["s3cret-1", "s3cret-2", "s3cret-3", "s3cret-4"] {
        assert!(!text.contains(word), "{text}");
    }
    for word in ["http://u:***@h/x", "password: \"${env:SECRET}\"", "# kept", "token: ***"] {
        assert!(text.contains(word), "{word} in {text}");
    }
}

#[test]
fn routes_are_explained() {
    let plan = contract();
    for route in plan.routes() {
        let text = explain(&plan, &route.id).unwrap();
        assert!(text.lines().count() >= 4, "{text}");
        assert!(!text.contains("tok3n"));
    }
    assert_eq!(explain(&plan, "nobody"), None);
    let text = explain(&plan, "orders-to-erp").unwrap();
    for word in [
        "From: the queue orders",
        "the same `.customer.id`",
        "let through only what holds `to_float!(.total) > 0`",
        "upcase",
        "erp:/orders/{{ .order_id }}: http, connection erp, path /orders/{{ .order_id }}, method PUT",
        "when `.ship_to.country == \"DE\"`",
        "otherwise",
        "8 attempts",
        "orders-to-erp.dead",
    ] {
        assert!(text.contains(word), "`{word}` is not in:\n{text}");
    }
}

#[test]
fn the_manner_of_a_target_is_explained() {
    let loaded = load_text(
        "version: 1
connections: { p: { http: { base_url: 'http://localhost:1' } } }
routes:
  r:
    from: { http: { path: /in } }
    steps: [ { encode: { json: {} } } ]
    to:
      http: { connection: p, path: /a }
      encode: { cloudevent: { source: /s } }
      strict: true
      forward_origin: true
      idempotency: per_redrive
    retry: { alone_limit: 2h }
",
    );
    let plan = loaded.plan.unwrap_or_else(|| panic!("{}", loaded.report.render(false)));
    let text = explain(&plan, "r").unwrap();
    for word in [
        "write the payload as json\n",
        "written as cloudevent (source /s)",
        "what the protocol cannot carry is a fault",
        "`crossdock-origin` goes with each message",
        "each redrive has an idempotency key of its own",
        "charged after 2h",
    ] {
        assert!(text.contains(word), "`{word}` is not in:\n{text}");
    }
}
