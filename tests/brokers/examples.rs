//! The bridges of `examples/`, run as they stand: each folder's routes.yaml with the servers' addresses in the environment,
//! and the commands of its README.md as a reader types them.

use crate::place::*;
use crossdock_testkit::{Gateway, Partner, request, servers, servers::create_topic, wait_for};
use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

/// A bridge that runs, and the commands of its README, without the first one, which starts it.
struct Example {
    gateway: Gateway,
    readme: String,
    commands: Vec<String>,
}

impl Example {
    fn start(name: &str, environment: &[(&str, &str)]) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
        let mut gateway = Gateway::new(env!("CARGO_BIN_EXE_crossdock"), "");
        for file in fs::read_dir(&folder).unwrap() {
            let file = file.unwrap();
            gateway.write(file.file_name().to_str().unwrap(), &fs::read_to_string(file.path()).unwrap());
        }
        let check = gateway.run(&["check"], "");
        assert_eq!(check.status, 0, "{}{}", check.stdout, check.stderr);
        let (http, admin) = (format!("127.0.0.1:{}", gateway.http), format!("127.0.0.1:{}", gateway.admin));
        gateway.set("CROSSDOCK_HTTP", &http);
        gateway.set("CROSSDOCK_ADMIN", &admin);
        for (name, value) in environment {
            gateway.set(name, value);
        }
        let readme = fs::read_to_string(folder.join("README.md")).unwrap();
        let block = readme.split("```sh\n").nth(1).unwrap().split("```").next().unwrap().replace("\\\n", "");
        let mut commands = block.lines().map(str::to_owned);
        assert_eq!(commands.next().unwrap(), "crossdock check && crossdock run &");
        let commands = commands.collect();
        gateway.start();
        wait_until_up(&gateway);
        Self { gateway, commands, readme }
    }

    /// A shell that types a command, with the servers where they are in this test.
    fn shell(&self, command: &str) -> Command {
        let (host, port) = servers::mosquitto().address().rsplit_once(':').unwrap();
        let (kafka, rabbit) = (servers::kafka().address(), servers::rabbit().url());
        let mut script = String::new();
        for program in ["mosquitto_pub", "mosquitto_sub"] {
            script += &format!("{program}() {{ command {program} -h {host} -p {port} \"$@\"; }}\n");
        }
        for program in ["amqp-publish", "amqp-get", "amqp-consume"] {
            script += &format!("{program}() {{ command {program} --url '{rabbit}' \"$@\"; }}\n");
        }
        let http = format!("127.0.0.1:{}", self.gateway.http);
        script += &command.replace("127.0.0.1:9092", kafka).replace("127.0.0.1:8080", &http);
        let mut shell = Command::new("bash");
        shell.args(["-c", &script]).stdin(Stdio::null());
        shell
    }

    /// What a command of the README prints.
    #[track_caller]
    fn types(&self, begin: &str) -> String {
        let mut commands = self.commands.iter();
        let command = commands.find(|command| command.starts_with(begin));
        let command = command.unwrap_or_else(|| panic!("no command begins with `{begin}`: {:?}", self.commands));
        let ran = self.shell(command).output().unwrap();
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }

    /// Types a command of the README until it prints this, which the README says too.
    #[track_caller]
    fn types_until(&self, begin: &str, printed: &str) {
        let mut last = String::new();
        let seen = crossdock_testkit::try_wait_for(SOON, || {
            last = self.types(begin);
            last.contains(printed).then_some(())
        });
        assert!(seen.is_some(), "`{begin}…` prints {last:?}, not {printed:?}\n{}", self.gateway.log_tail());
    }

    fn says(&self, text: &str) {
        assert!(self.readme.contains(text), "README.md does not say `{text}`");
    }

    /// The dead letters, once there are so many. A server that was used before may give one of an earlier run again.
    #[track_caller]
    fn dead(&self, count: usize) -> Vec<serde_json::Value> {
        wait_for(SOON, "dead letters", || {
            let dead = self.gateway.list("/dead-letters");
            (dead.len() >= count).then_some(dead)
        })
    }
}

#[test]
fn sensors_over_mqtt_into_a_kafka_topic() {
    create_topic(servers::kafka().address(), "temperatures", 4, &[]).unwrap();
    let environment = [("MQTT", servers::mosquitto().address()), ("KAFKA", servers::kafka().address())];
    let example = Example::start("mqtt-to-kafka", &environment);
    example.types("mosquitto_pub");
    let printed = r#"oven-3: {"celsius":100.0,"device":"oven-3","topic":"plant/3/temperature"}"#;
    example.says(printed);
    example.types_until("kcat", printed);
    let hot = r#"mosquitto_pub -t plant/4/temperature -q 1 -m '{"device": "sun", "value": 5500}'"#;
    assert!(example.shell(hot).status().unwrap().success());
    let dead = example.dead(1);
    assert_eq!(dead[0]["cause"]["code"], "validate.json_schema", "{dead:?}");
    example.gateway.assert_account();
}

#[test]
fn orders_from_a_rabbitmq_queue_to_an_http_service() {
    let shop = Partner::accepting();
    let url = format!("http://127.0.0.1:{}", shop.port());
    let example = Example::start("rabbitmq-to-http", &[("RABBIT", servers::rabbit().url()), ("SHOP", &url)]);
    example.types("amqp-publish");
    let got = wait_for(SOON, "the order", || shop.got().into_iter().next());
    assert_eq!((got.method.as_str(), got.path.as_str()), ("PUT", "/orders/17"));
    assert_eq!(got.header("content-type"), Some("application/json"));
    let body = String::from_utf8(got.body).unwrap();
    assert_eq!(body, r#"{"customer":"Ada","id":"17","lines":[{"article":"A-1","count":2}]}"#);
    example.says(&body);
    for bad in ["<Order id=\"18\"><Customer>Ada</Customer></Order>", "<Order id=\"19\">"] {
        let publish = format!("amqp-publish -r orders -p -C application/xml -b '{bad}'");
        assert!(example.shell(&publish).status().unwrap().success());
    }
    example.dead(2);
    assert_eq!(shop.count(), 1);
    example.gateway.assert_account();
}

#[test]
fn webhooks_over_http_into_a_rabbitmq_exchange() {
    let example = Example::start("http-to-rabbitmq", &[("RABBIT", servers::rabbit().url())]);
    let first = example.types("curl");
    assert!(first.contains("202 Accepted"), "{first}");
    // It is published to nobody, and not to who listens from here on.
    example.gateway.wait_until_drained("webhooks", SOON);
    // Who listens: once the exchange is there, until one webhook has come.
    let listen = "until amqp-consume -e hooks -r 'hook.payment.#' -c 1 cat; do sleep 0.2; done";
    let mut listener = example.shell(listen).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    example.says("amqp-consume -e hooks -r 'hook.payment.#' cat");
    let post = |token: &str, body: &str| {
        let token = format!("Bearer {token}");
        let headers = [("content-type", "application/json"), ("authorization", token.as_str())];
        request(example.gateway.http, "POST", "/hooks", &headers, body.as_bytes()).unwrap().status
    };
    let hook = r#"{"type": "payment.failed", "data": {"order": 18}}"#;
    wait_for(SOON, "the webhook to be heard", || {
        assert_eq!(post("change-me", hook), 202);
        listener.try_wait().unwrap()
    });
    let mut heard = String::new();
    std::io::Read::read_to_string(listener.stdout.as_mut().unwrap(), &mut heard).unwrap();
    assert_eq!(heard, hook, "what no step changed leaves as it came");
    assert_eq!(post("wrong", hook), 401);
    assert_eq!(post("change-me", r#"{"type": "Payment Failed", "data": {}}"#), 422);
    let again = example.types("curl");
    let id = |answer: &str| answer.lines().last().unwrap().to_owned();
    assert_eq!(id(&again), id(&first), "the same key is the same webhook");
    example.gateway.wait_until_drained("webhooks", SOON);
    example.gateway.assert_account();
}

#[test]
fn commands_from_a_kafka_topic_to_devices_over_mqtt() {
    create_topic(servers::kafka().address(), "commands", 4, &[]).unwrap();
    let environment = [("MQTT", servers::mosquitto().address()), ("KAFKA", servers::kafka().address())];
    let example = Example::start("kafka-to-mqtt", &environment);
    let printed = r#"devices/pump-7/commands {"device": "pump-7", "command": "start"}"#;
    example.says(printed);
    let heard = example.gateway.path("heard");
    let subscribe = example.commands.iter().find(|command| command.starts_with("mosquitto_sub")).unwrap();
    let subscribe = format!("{} -C 1 > '{}'", subscribe.trim_end_matches('&'), heard.display());
    let mut subscriber = example.shell(&subscribe).spawn().unwrap();
    wait_for(SOON, "the command to be heard", || {
        example.types("echo");
        subscriber.try_wait().unwrap()
    });
    assert_eq!(fs::read_to_string(heard).unwrap().trim_end(), printed);
    let to_all = "echo '{\"device\": \"#\", \"command\": \"stop\"}' | kcat -b 127.0.0.1:9092 -P -t commands";
    assert!(example.shell(to_all).status().unwrap().success());
    let dead = example.dead(1);
    assert_eq!(dead[0]["cause"]["code"], "validate.json_schema", "{dead:?}");
    example.gateway.wait_until_drained("commands", SOON);
    example.gateway.assert_account();
}

#[test]
fn one_order_to_rabbitmq_kafka_and_mqtt() {
    create_topic(servers::kafka().address(), "orders", 4, &[]).unwrap();
    let environment = [
        ("RABBIT", servers::rabbit().url()),
        ("KAFKA", servers::kafka().address()),
        ("MQTT", servers::mosquitto().address()),
    ];
    let example = Example::start("fan-out", &environment);
    let answer = example.types("curl");
    assert!(answer.contains("\"id\""), "{answer}");
    example.types_until("amqp-get", "<customer>Ada</customer>");
    example.types_until("kcat", r#"{"id": "17", "customer": "Ada", "total": 1250.5}"#);
    example.types_until("mosquitto_sub", r#"{"text":"Ada ordered for 1250.5"}"#);
    for route in ["warehouse", "analysts", "screen"] {
        example.gateway.wait_until_drained(route, SOON);
    }
    assert!(example.gateway.list("/dead-letters").is_empty());
    example.gateway.assert_account();
}
