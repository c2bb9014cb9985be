//! An event that crosses all protocols in the form that each has for it, and stays the same event.

use crate::place::*;
use crossdock_testkit::{Gateway, Partner, Request, request, servers::unique, wait_for};
use serde_json::Value;

const DATA: &str = "{\"celsius\": 21.50}";

/// What the event says of itself. The subject is not ASCII, `shift` is an attribute of our own.
const ATTRIBUTES: [(&str, &str); 7] = [
    ("specversion", "1.0"),
    ("id", "e-1"),
    ("source", "/plant/3"),
    ("type", "com.example.temperature"),
    ("subject", "Kessel 3 °C"),
    ("time", "2026-01-31T12:00:00Z"),
    ("shift", "7"),
];

/// Into Kafka, over AMQP and MQTT in binary mode, out over HTTP in structured mode; `seen` lets what stands in RabbitMQ be
/// seen as it does, and `back` takes the structured event to Kafka again.
fn routes(port: u16, [kafka, mqtt, back]: &[Place; 3]) -> String {
    let exchange = unique("events");
    let mut text = "connections:\n".to_owned();
    for protocol in Protocol::BROKERS {
        text += &protocol.connection(protocol.address(), &unique("events"));
    }
    text += &Protocol::Http.connection(&format!("127.0.0.1:{port}"), "");
    let from_amqp = |queue: &str| {
        let bind = format!("[{{ exchange: {exchange}, declare: {{ type: fanout }} }}]");
        let queue = unique(queue);
        format!("{{ amqp: {{ connection: amqp, queue: {queue}, declare: {{ durable: true }}, bind: {bind} }} }}")
    };
    let to_amqp = format!("{{ amqp: {{ connection: amqp, exchange: {exchange}, routing_key: event }} }}");
    let event = |to: String| to.strip_suffix(" }").unwrap().to_owned() + ", encode: cloudevent }";
    let mut route = |name: &str, from: &str, to: &str| text += &format!("  {name}:\n    from: {from}\n    to: {to}\n");
    route("kafka-to-amqp", &kafka.from(), &event(to_amqp));
    route("seen", &from_amqp("seen"), "{ http: { connection: http, path: /seen } }");
    route("amqp-to-mqtt", &from_amqp("amqp"), &event(mqtt.to()));
    route("back", "{ http: { path: /back } }", &event(back.to()));
    let wrapped = "{ http: { connection: http, path: /structured } }\n    steps: [ { encode: cloudevent } ]";
    route("mqtt-to-http", &mqtt.from(), wrapped);
    text.replacen("  kafka-to-amqp:", "routes:\n  kafka-to-amqp:", 1)
}

fn first(partner: &Partner, path: &str) -> Request {
    wait_for(SOON, path, || partner.got().into_iter().find(|request| request.path == path))
}

#[test]
fn an_event_crosses_all_protocols_and_comes_back() {
    let partner = Partner::accepting();
    let places = [Protocol::Kafka, Protocol::Mqtt, Protocol::Kafka].map(|protocol| Place::new(protocol, "events"));
    let mut gateway = Gateway::new(env!("CARGO_BIN_EXE_crossdock"), &routes(partner.port(), &places));
    gateway.start();
    wait_until_up(&gateway);
    let [kafka, mqtt, back] = &places;
    let subscriber = || {
        let mut subscriber = mqtt.client("mosquitto_sub");
        let session = ["-V", "5", "-q", "1", "-c", "-x", "600", "-i", &format!("{}-seen", mqtt.name), "-t", &mqtt.name];
        subscriber.args(session);
        subscriber
    };
    run(subscriber().arg("-E"), b"");
    let mut headers = vec!["-k".to_owned(), "plant 3".into(), "-H".into(), "content-type=application/json".into()];
    headers.extend(ATTRIBUTES.into_iter().flat_map(|(name, value)| ["-H".to_owned(), format!("ce_{name}={value}")]));
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    kafka.put(&gateway, DATA.as_bytes(), &headers);

    // As it stands in RabbitMQ, whose clients show no headers. A header of HTTP takes no `°`, so that one is not seen here.
    let seen = first(&partner, "/seen");
    assert_eq!((seen.body.as_slice(), seen.header("content-type")), (DATA.as_bytes(), Some("application/json")));
    for (name, value) in ATTRIBUTES.into_iter().filter(|(_, value)| value.is_ascii()) {
        assert_eq!(seen.header(&format!("ce-{name}")), Some(value), "{:?}", seen.headers);
    }
    let seen = run(subscriber().args(["-C", "1", "-W", "90", "-F", "%C|%P|%p"]), b"");
    let [content_type, properties, data] = seen.trim_end().splitn(3, '|').collect::<Vec<_>>().try_into().unwrap();
    assert_eq!((content_type, data), ("application/json", DATA));
    for (name, value) in ATTRIBUTES {
        assert!(format!(" {properties} ").contains(&format!(" {name}:{value} ")), "no {name} in {properties}");
    }
    let structured = first(&partner, "/structured");
    assert_eq!(structured.header("content-type"), Some("application/cloudevents+json"));
    let event: Value = serde_json::from_slice(&structured.body).unwrap();
    for (name, value) in ATTRIBUTES {
        assert_eq!(event[name], value, "{event}");
    }
    assert_eq!((&event["partitionkey"], &event["datacontenttype"]), (&"plant 3".into(), &"application/json".into()));

    let sent = [("content-type", "application/cloudevents+json")];
    let answer = request(gateway.http, "POST", "/back", &sent, &structured.body).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
    let read = ["-C", "-q", "-t", &back.name, "-o", "beginning", "-c", "1", "-f", "%h|%s"];
    let read = run(back.client("kcat").args(read), b"");
    let (headers, data) = read.split_once('|').unwrap();
    assert_eq!(data, DATA, "the very bytes that came first");
    for (name, value) in ATTRIBUTES.into_iter().chain([("partitionkey", "plant 3")]) {
        assert!(format!(",{headers},").contains(&format!(",ce_{name}={value},")), "no {name} in {headers}");
    }
    let names = ["kafka-to-amqp", "seen", "amqp-to-mqtt", "mqtt-to-http", "back"];
    assert_all_delivered(&gateway, &names.map(str::to_owned));
}
