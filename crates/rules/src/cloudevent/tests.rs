//! Both modes in and out, and what hostile senders write into them.

use super::*;
use crossdock_model::{MessageId, Origin, Timestamp, Value};
use proptest::prelude::*;

const HTTP: EventMode = EventMode::Binary { prefix: "ce-", percent_encoded: true };
const KAFKA: EventMode = EventMode::Binary { prefix: "ce_", percent_encoded: false };
const MQTT: EventMode = EventMode::Binary { prefix: "", percent_encoded: false };

fn message(payload: &str, content_type: Option<&'static str>, headers: &[(&str, &str)]) -> Envelope {
    let mut envelope = Envelope::new(MessageId::from_bytes([1; 16]), Timestamp(1_700_000_000_123), payload.to_owned());
    envelope.properties.content_type = content_type.map(Text::from_static);
    for (name, value) in headers {
        envelope.headers.push(Text::from(*name), Text::from(*value));
    }
    envelope.origin = Origin { protocol: "http".into(), address: "/or ders".into(), ..Origin::default() };
    envelope
}

fn encoded(envelope: &Envelope, mode: EventMode) -> Envelope {
    encode_event(envelope, mode, &EventDefaults::default()).unwrap()
}

fn shown(envelope: &Envelope) -> Vec<String> {
    let mut shown: Vec<_> = envelope.headers.iter().map(|h| format!("{}={}", h.name, h.value)).collect();
    shown.sort();
    shown
}

fn json(envelope: &Envelope) -> serde_json::Value {
    serde_json::from_slice(envelope.bytes()).unwrap()
}

#[test]
fn a_message_that_is_no_event_is_named_by_its_own_identity() {
    let mut plain = message("{\"n\": 1.0}", Some("application/json"), &[("x-unit", "7")]);
    plain.properties.key = Some("k".into());
    let event = encoded(&plain, EventMode::Structured);
    assert_eq!(event.properties.content_type.as_deref(), Some(STRUCTURED_TYPE));
    assert!(std::str::from_utf8(event.bytes()).unwrap().ends_with("\"data\":{\"n\": 1.0}}"), "the very bytes");
    let expected = serde_json::json!({
        "specversion": "1.0", "id": plain.id.to_string(), "source": "http:/or%20ders", "type": "crossdock.message",
        "time": "2023-11-14T22:13:20.123Z", "partitionkey": "k", "datacontenttype": "application/json",
        "data": {"n": 1.0}
    });
    assert_eq!(json(&event), expected);
    assert_eq!(shown(&event), ["x-unit=7"], "other headers stay");
    assert_eq!(encoded(&plain, EventMode::Structured), event, "the same again");
    let binary = encoded(&plain, KAFKA);
    assert_eq!(binary.payload, plain.payload);
    assert_eq!(binary.properties, plain.properties);
    let id = format!("ce_id={}", plain.id);
    let expected = [
        id.as_str(),
        "ce_partitionkey=k",
        "ce_source=http:/or%20ders",
        "ce_specversion=1.0",
        "ce_time=2023-11-14T22:13:20.123Z",
        "ce_type=crossdock.message",
        "x-unit=7",
    ];
    assert_eq!(shown(&binary), expected);
    let defaults = EventDefaults { kind: Some("t".into()), source: Some("s".into()), subject: Some("j".into()) };
    let named = json(&encode_event(&plain, EventMode::Structured, &defaults).unwrap());
    assert!(named["type"] == "t" && named["source"] == "s" && named["subject"] == "j", "{named}");
}

#[test]
fn a_structured_event_leaves_nothing_to_be_lost_that_it_says_itself() {
    let mut plain = message("{}", Some("application/json"), &[]);
    plain.properties.time = Some(Timestamp(1_700_000_000_123));
    plain.properties.key = Some("k".into());
    plain.properties.traceparent = Some("00-a-b-01".into());
    plain.properties.tracestate = Some("v=1".into());
    plain.properties.priority = Some(3);
    let event = encoded(&plain, EventMode::Structured);
    let value = json(&event);
    assert!(value["time"] == "2023-11-14T22:13:20.123Z" && value["traceparent"] == "00-a-b-01", "{value}");
    let left = &event.properties;
    assert_eq!((left.time, &left.key, &left.traceparent, &left.tracestate), (None, &None, &None, &None));
    assert_eq!(left.priority, Some(3), "the event does not say it");
    // What an event that came as one says otherwise is not what the fields say.
    let mut other = message(STRUCTURED, Some(STRUCTURED_TYPE), &[]);
    other.properties.time = plain.properties.time;
    assert_eq!(encoded(&other, EventMode::Structured).properties.time, plain.properties.time);
    // After a step the message may go over a protocol that has fields.
    let stepped = wrap_event(&plain, &EventDefaults::default()).unwrap();
    assert_eq!((stepped.payload, stepped.properties.time), (event.payload, plain.properties.time));
}

#[test]
fn a_coding_of_the_payload_is_not_lost_in_silence() {
    let mut coded = message("coded", Some("application/json"), &[]);
    for (coding, is_lost) in [("gzip", true), ("identity", false)] {
        coded.properties.content_encoding = Some(coding.into());
        let left = encoded(&coded, EventMode::Structured).properties.content_encoding;
        assert_eq!(left.is_some(), is_lost, "what stays has no place beside a structured event, and is counted");
        let stepped = wrap_event(&coded, &EventDefaults::default());
        assert_eq!(stepped.err().map(|fault| fault.code.to_string()), is_lost.then(|| "encode".to_owned()), "{coding}");
    }
}

#[test]
fn headers_from_outside_are_no_attributes_beside_the_events_own() {
    let hostile = [
        ("ce-id", "EVIL"),
        ("CE-Source", "EVIL"),
        ("ce-subject", "EVIL"),
        ("ID", "EVIL"),
        ("time", "EVIL"),
        ("x", "1"),
    ];
    let plain = message("{}", Some("application/json"), &hostile);
    for (mode, others) in [
        (HTTP, "ID=EVIL,time=EVIL"),
        (KAFKA, "CE-Source=EVIL,ID=EVIL,ce-id=EVIL,ce-subject=EVIL,time=EVIL"),
        (MQTT, "CE-Source=EVIL,ce-id=EVIL,ce-subject=EVIL"),
    ] {
        let event = encoded(&plain, mode);
        let evil: Vec<_> = shown(&event).into_iter().filter(|header| header.ends_with("=EVIL")).collect();
        assert_eq!(evil.join(","), others, "{mode:?}");
        let EventMode::Binary { prefix, .. } = mode else { panic!() };
        let id = event.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(&format!("{prefix}id")));
        assert_eq!(id.map(|header| header.value.to_string()).collect::<Vec<_>>(), [plain.id.to_string()]);
    }
}

#[test]
fn a_step_may_set_single_attributes() {
    let set = message("x", Some("text/plain"), &[("ce_type", "order"), ("ce_tenant", "a"), ("ce_NO", "n")]);
    let event = encoded(&set, EventMode::Structured);
    let value = json(&event);
    assert!(value["type"] == "order" && value["tenant"] == "a" && value["data"] == "x", "{value}");
    assert_eq!(shown(&event), ["ce_NO=n"]);
}

const STRUCTURED: &str = r#"{"specversion": "1.0", "id": "é 1", "source": "/s", "type": "t", "time": "2020-01-01T00:00:00Z",
    "datacontenttype": "application/json", "n": 7, "ok": true, "gone": null, "data": {"a":  1.50}}"#;

#[test]
fn an_event_keeps_what_it_says_through_all_modes() {
    let structured = message(STRUCTURED, Some("application/cloudevents+json; charset=utf-8"), &[("x-unit", "7")]);
    let binary = encoded(&structured, HTTP);
    assert_eq!(
        (binary.bytes(), binary.properties.content_type.as_deref()),
        (&b"{\"a\":  1.50}"[..], Some("application/json"))
    );
    let expected = [
        "ce-id=%C3%A9%201",
        "ce-n=7",
        "ce-ok=true",
        "ce-source=/s",
        "ce-specversion=1.0",
        "ce-time=2020-01-01T00:00:00Z",
        "ce-type=t",
        "x-unit=7",
    ];
    assert_eq!(shown(&binary), expected);
    let again = encoded(&binary, EventMode::Structured);
    assert_eq!(json(&again)["id"], "é 1");
    assert_eq!(encoded(&again, HTTP), binary, "through both and back");
    let decoded = decode_event(&structured).unwrap();
    assert_eq!(decoded.headers.get("ce_id"), Some(&Value::from("é 1")));
    assert_eq!(decode_event(&binary).unwrap(), decoded, "whatever mode it came in");
    assert_eq!(decode_event(&decoded).unwrap(), decoded);
    let kafka = encoded(&structured, KAFKA);
    assert_eq!(kafka.headers.get("ce_id"), Some(&Value::from("é 1")), "no percent-encoding in Kafka");
    let mut mqtt = encoded(&structured, MQTT);
    assert_eq!(mqtt.headers.get("id"), Some(&Value::from("é 1")));
    mqtt.origin.protocol = "mqtt".into();
    assert_eq!(decode_event(&mqtt).unwrap().headers.get("ce_n"), Some(&Value::from("7")));
}

#[test]
fn amqp_has_had_other_prefixes() {
    for prefix in ["cloudEvents:", "cloudEvents_", "ce-", "ce_"] {
        let names = ["specversion", "id", "source", "type"].map(|name| format!("{prefix}{name}"));
        let headers: Vec<_> = names.iter().map(|name| (name.as_str(), "1.0")).collect();
        let mut event = message("d", Some("text/plain"), &headers);
        event.origin.protocol = "amqp".into();
        let decoded = decode_event(&event).unwrap();
        assert_eq!(shown(&decoded), ["ce_id=1.0", "ce_source=1.0", "ce_specversion=1.0", "ce_type=1.0"], "{prefix}");
    }
}

#[track_caller]
fn check_data(members: &str, data: Option<&[u8]>, content_type: Option<&str>) {
    let text = format!(r#"{{"specversion":"1.0","id":"1","source":"s","type":"t"{members}}}"#);
    let event = message(&text, Some(STRUCTURED_TYPE), &[]);
    let decoded = decode_event(&event).unwrap();
    assert_eq!(decoded.payload.as_deref(), data, "{members}");
    assert_eq!(decoded.properties.content_type.as_deref(), content_type, "{members}");
    let again = decode_event(&encoded(&decoded, EventMode::Structured)).unwrap();
    assert_eq!(again.payload, decoded.payload, "{members}");
}

#[test]
fn data_is_the_bytes_it_stands_for() {
    check_data("", None, None);
    check_data(r#","data":null"#, None, None);
    check_data(r#","data":"a\n""#, Some(br#""a\n""#), Some("application/json"));
    check_data(r#","datacontenttype":"text/xml","data":"<a>\n</a>""#, Some(b"<a>\n</a>"), Some("text/xml"));
    check_data(r#","datacontenttype":"image/png","data_base64":"/w==""#, Some(b"\xff"), Some("image/png"));
    check_data(r#","data_base64":"eA==""#, Some(b"x"), Some("application/json"));
}

#[track_caller]
fn check_refused(payload: &str, content_type: &'static str, headers: &[(&str, &str)], part: &str) {
    let why = decode_event(&message(payload, Some(content_type), headers)).unwrap_err();
    assert!(why.contains(part), "{why}");
}

#[test]
fn what_claims_to_be_an_event_and_is_none_is_refused() {
    check_refused("{}", "application/json", &[], "no header `specversion`");
    check_refused("[]", STRUCTURED_TYPE, &[], "no JSON object");
    check_refused("{", STRUCTURED_TYPE, &[], "no JSON object");
    check_refused("{\"specversion\":\"0.3\"}", STRUCTURED_TYPE, &[], "only 1.0");
    check_refused("{\"specversion\":\"1.0\",\"id\":\"\"}", STRUCTURED_TYPE, &[], "`id` is missing");
    check_refused("{\"id\":{}}", STRUCTURED_TYPE, &[], "`id` is no text");
    check_refused("{\"Id\":\"x\"}", STRUCTURED_TYPE, &[], "no attribute's name");
    check_refused("{\"data\":1,\"data_base64\":\"\"}", STRUCTURED_TYPE, &[], "both");
    check_refused("{\"data_base64\":\"*\"}", STRUCTURED_TYPE, &[], "no base64");
    check_refused("<a/>", "application/cloudevents+xml", &[], "only application/cloudevents+json");
    check_refused("x", "text/plain", &[("ce-specversion", "2.0")], "only 1.0");
    check_refused("x", "text/plain", &[("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-type", "t")], "`source`");
    check_refused(&"[".repeat(100_000), STRUCTURED_TYPE, &[], "no JSON object");
    check_refused(&format!("{{\"id\":{}", "[".repeat(100_000)), STRUCTURED_TYPE, &[], "no JSON object");
}

proptest! {
    #[test]
    fn any_payload_goes_through_structured_mode_and_back(
        payload: Vec<u8>,
        content_type in prop::sample::select(vec![None, Some("application/json"), Some("text/plain"), Some("x/y")]),
        subject in ".{0,20}",
    ) {
        let mut plain = message("", content_type, &[]);
        plain.payload = Some(Bytes::from(payload.clone()));
        plain.headers.push("ce_subject", Text::from(subject.clone()));
        let structured = encoded(&plain, EventMode::Structured);
        let back = decode_event(&structured).unwrap();
        prop_assert_eq!(back.bytes(), &payload[..]);
        prop_assert_eq!(back.headers.get("ce_subject").unwrap().to_string(), subject.clone());
        let http = encoded(&structured, HTTP);
        for header in &http.headers {
            let text = header.value.to_string();
            prop_assert!(text.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{text:?} is no header's value");
        }
        let from_http = decode_event(&http).unwrap();
        prop_assert_eq!(from_http.headers.get("ce_subject").unwrap().to_string(), subject);
        prop_assert_eq!(from_http.bytes(), &payload[..]);
    }
}

/// Runs steps over a structured event; the content type and payload that leave.
fn check_steps(steps: serde_json::Value, content_type: Option<&'static str>, payload: &str, expected: &str) {
    let pipeline = crate::testing::pipeline(crate::Stage::Steps, &steps);
    let mut working = pipeline.start(std::sync::Arc::new(message(payload, content_type, &[])));
    let got = match pipeline.run(&mut working).and_then(|_| working.finish()) {
        Ok(left) => {
            let headers = shown(&left).join(" ");
            let content_type = left.properties.content_type.as_deref().unwrap_or("-");
            format!("{content_type} {} {headers}", String::from_utf8_lossy(left.bytes()))
        }
        Err(fault) => fault.to_string(),
    };
    assert!(got.starts_with(expected), "{steps}\n wanted {expected}\n got    {got}");
}

#[test]
fn steps_unwrap_and_wrap() {
    let (event, json) = (Some(STRUCTURED_TYPE), Some("application/json"));
    let attributes =
        "ce_id=é 1 ce_n=7 ce_ok=true ce_source=/s ce_specversion=1.0 ce_time=2020-01-01T00:00:00Z ce_type=t";
    let unwrap = serde_json::json!([{"decode": "cloudevent"}]);
    check_steps(unwrap, event, STRUCTURED, &format!("application/json {{\"a\":  1.50}} {attributes}"));
    let change = serde_json::json!([
        {"decode": "cloudevent"}, {"filter": "%headers.ce_type == \"t\""}, {"transform": ".b = .a\n%headers.ce_type = \"u\""}
    ]);
    let attributes = attributes.replace("ce_type=t", "ce_type=u");
    check_steps(change, event, STRUCTURED, &format!("application/json {{\"a\":1.5,\"b\":1.5}} {attributes}"));
    let through = serde_json::json!([{"decode": "cloudevent"}, {"transform": ".a = 2"}, {"encode": "cloudevent"}]);
    check_steps(through, event, STRUCTURED, "application/cloudevents+json {\"specversion\":\"1.0\",\"id\":\"é 1\",");
    let wrap = serde_json::json!([
        {"transform": ".a = 2"}, {"encode": {"cloudevent": {"type": "order"}}}, {"filter": ".a == 2"}
    ]);
    check_steps(wrap, json, "{}", "application/cloudevents+json {\"specversion\":\"1.0\",\"id\":\"01010101-");
    // Bytes that nobody can decode are wrapped all the same, and the value behind it is theirs.
    let opaque = serde_json::json!([{"encode": "cloudevent"}]);
    check_steps(opaque, Some("image/png"), "x", "application/cloudevents+json {\"specversion\":\"1.0\"");
    let behind = serde_json::json!([{"encode": "cloudevent"}, {"filter": ".n == 1"}]);
    check_steps(behind, json, "{\"n\":1}", "application/cloudevents+json {\"specversion\":\"1.0\"");
    // Data that nobody can decode leaves as it is.
    for (data, leaves) in [
        (r#""data":"hello","datacontenttype":"text/plain""#, "text/plain hello ce_id"),
        (r#""data_base64":"aGk=","datacontenttype":"image/x""#, "image/x hi ce_id"),
    ] {
        let event_of = format!(r#"{{"specversion":"1.0","id":"n","source":"/z","type":"t",{data}}}"#);
        check_steps(serde_json::json!([{"decode": "cloudevent"}]), event, &event_of, leaves);
    }
    check_steps(
        serde_json::json!([{"decode": "cloudevent"}]),
        json,
        "{}",
        "decode: not a CloudEvent: the content type",
    );
}

#[test]
fn data_of_an_event_that_is_coded_leaves_as_it_is() {
    let pipeline = crate::testing::pipeline(crate::Stage::Steps, &serde_json::json!([{"decode": "cloudevent"}]));
    let attributes =
        [("ce_specversion", "1.0"), ("ce_id", "n"), ("ce_source", "/z"), ("ce_type", "t"), ("content-type", "")];
    let mut event = message("\u{1f}\u{8}", Some("application/json"), &attributes[..4]);
    event.properties.content_encoding = Some("gzip".into());
    let mut working = pipeline.start(std::sync::Arc::new(event));
    let left = pipeline.run(&mut working).and_then(|_| working.finish()).unwrap();
    assert_eq!((left.bytes(), left.properties.content_encoding.as_deref()), (&b"\x1f\x08"[..], Some("gzip")));
}

#[test]
fn a_trace_tells_what_unwrapping_did() {
    let pipeline = crate::testing::pipeline(crate::Stage::Steps, &serde_json::json!([{"decode": "cloudevent"}]));
    let mut working = pipeline.start(std::sync::Arc::new(message(STRUCTURED, Some(STRUCTURED_TYPE), &[])));
    let mut seen = Vec::new();
    pipeline.trace(&mut working, &mut |step| seen.push(step)).unwrap();
    let changes: Vec<_> = seen[0].changes.iter().map(|change| (&*change.at, change.after.as_deref())).collect();
    for expected in
        [("%headers.ce_type", Some("\"t\"")), ("%content_type", Some("\"application/json\"")), (".a", Some("1.5"))]
    {
        assert!(changes.contains(&expected), "{expected:?} is not in {changes:?}");
    }
}
