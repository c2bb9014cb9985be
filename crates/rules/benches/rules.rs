//! What the steps cost a message: a 522-byte order is parsed, validated, mapped (ten fields) and encoded, on one core.
//!
//! `cargo bench -p crossdock-rules --bench rules -- [ROUNDS [NAME]]` prints microseconds of CPU a message for each list
//! of steps: the least and the median of rounds that alternate between the lists. CPU time is the kernel's
//! (`/proc/thread-self/schedstat`), so that other work on the machine counts as little as can be.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints its figures, and stops where it cannot go on"
)]

use crossdock_expression::Compiler;
use crossdock_model::{Envelope, MessageId, Text, Timestamp};
use crossdock_rules::{Environment, Files, Pipeline, SourceFile, Stage, Verdict};
use crossdock_settings::{Diagnostics, Formula, FormulaKind, Layout, Placed, Returns, Setting, Settings, Slot, Span};
use std::{
    hint::black_box,
    path::{Path, PathBuf},
    sync::Arc,
};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const MESSAGES: usize = 20_000;
const BYTES: usize = 522;

struct Fixtures;

impl Files for Fixtures {
    fn read(&mut self, path: &Path) -> Result<SourceFile, String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(path);
        let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
        Ok(SourceFile { shown: path.to_string_lossy().into(), path, text })
    }
}

fn placed(value: Setting) -> Placed<Setting> {
    Placed::new(value, Span::default())
}

fn step(name: &'static str, value: Setting) -> Placed<Setting> {
    placed(Setting::Variant { name, value: Box::new(placed(value)) })
}

fn validate() -> Placed<Setting> {
    let mut group = Settings::empty(Span::default());
    group.insert("json_schema", placed(Setting::Path(PathBuf::from("order.schema.json"))));
    step("validate", Setting::Group(group))
}

fn formula(text: &str, kind: Returns) -> Setting {
    Setting::Formula(Formula {
        text: Text::from(text),
        layout: Layout::default(),
        kind: FormulaKind::Expression(kind),
        slot: Slot(0),
    })
}

fn encode(format: &'static str) -> Placed<Setting> {
    let mut group = Settings::empty(Span::default());
    if format == "xml" {
        group.insert("root", placed(Setting::Text(Text::from_static("Order"))));
    }
    let inner = Setting::Variant { name: format, value: Box::new(placed(Setting::Group(group))) };
    step("encode", inner)
}

fn pipeline(steps: &[Placed<Setting>]) -> Pipeline {
    let compiler = Compiler::new();
    let mut found = Diagnostics::new();
    let mut environment = Environment { compiler: &compiler, files: &mut Fixtures };
    let pipeline = Pipeline::compile(Stage::Steps, steps, None, &mut environment, &mut found);
    assert!(found.is_empty(), "{found:?}");
    pipeline.unwrap()
}

/// Orders of 522 bytes, from a fixed seed.
fn orders() -> Vec<Arc<Envelope>> {
    let mut seed = 7_u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let names = ["Ada Lovelace", "Grace Hopper", "Edsger Dijkstra", "Barbara Liskov", "Tony Hoare", "Radia Perlman"];
    let order = |number: usize| {
        let mut lines = Vec::new();
        let mut cents = 0;
        for _ in 0..3 {
            let (sku, quantity, price) = (random(1_000_000), random(8) + 1, random(20_000));
            cents += quantity * price;
            lines.push(format!(r#"{{"sku":"SKU-{sku:06}","qty":{quantity},"price":{}}}"#, price as f64 / 100.0));
        }
        let name = names.get(random(6) as usize).unwrap();
        let (customer, postcode) = (random(5000), 10_000 + random(89_999));
        let text = |note: &str| {
            format!(
                r#"{{"order_id":"o-{number:08}","created":"2026-11-21T08:15:30Z","channel":"web","customer":{{"id":"c-{customer:05}","name":"{name}","email":"someone@example.org","tier":"gold"}},"ship_to":{{"street":"1 Long Street","city":"Bremen","postcode":"{postcode}","country":"DE"}},"lines":[{}],"total":{},"note":"{note}"}}"#,
                lines.join(","),
                cents as f64 / 100.0,
            )
        };
        let short = text("").len();
        text(&"x".repeat(BYTES.saturating_sub(short)))
    };
    let envelope = |text: String| {
        assert_eq!(text.len(), BYTES);
        Arc::new(Envelope::new(MessageId::from_bytes([1; 16]), Timestamp(0), text))
    };
    (0..MESSAGES).map(order).map(envelope).collect()
}

/// Time that this thread was on a processor.
fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// What a round costs with the generic value of serde_json, to tell a slow machine from slow steps.
fn generic(orders: &[Arc<Envelope>]) -> f64 {
    let start = cpu_nanos();
    for order in orders {
        let value: serde_json::Value = serde_json::from_slice(order.bytes()).unwrap();
        black_box(serde_json::to_vec(&value).unwrap());
    }
    (cpu_nanos() - start) as f64 / 1e3 / MESSAGES as f64
}

fn main() {
    // Cargo adds `--bench` to what it is given.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let rounds = arguments.first().and_then(|text| text.parse().ok()).unwrap_or(15);
    let map = include_str!("../fixtures/order.vrl");
    let transform = || step("transform", formula(map, Returns::Changes));
    let filter = || step("filter", formula("to_float!(.total) > 0", Returns::Condition));
    let cases = [
        ("nothing", vec![]),
        (
            "parse",
            vec![step(
                "decode",
                Setting::Variant { name: "json", value: Box::new(placed(Setting::Group(Settings::default()))) },
            )],
        ),
        ("parse, filter", vec![filter()]),
        ("parse, validate", vec![validate()]),
        ("parse, encode json", vec![encode("json")]),
        ("parse, map, encode json", vec![transform()]),
        ("parse, validate, map, encode json", vec![validate(), transform()]),
        ("parse, validate, map, encode xml", vec![validate(), transform(), encode("xml")]),
    ];
    let orders = orders();
    let wanted = arguments.get(1).cloned().unwrap_or_default();
    let cases = cases.iter().filter(|(name, _)| name.contains(&wanted));
    let pipelines: Vec<_> = cases.map(|(name, steps)| (*name, pipeline(steps))).collect();
    let mut times = vec![Vec::new(); pipelines.len()];
    for _ in 0..rounds {
        for ((_, pipeline), times) in pipelines.iter().zip(&mut times) {
            let start = cpu_nanos();
            for order in &orders {
                let mut message = pipeline.start(Arc::clone(order));
                let verdict = pipeline.run(&mut message).unwrap();
                assert!(matches!(verdict, Verdict::Pass { .. }));
                black_box(message.finish().unwrap());
            }
            times.push((cpu_nanos() - start) as f64 / 1e3 / MESSAGES as f64);
        }
    }
    let names = pipelines.iter().map(|(name, _)| *name).chain(["serde_json::Value, parse and write"]);
    times.push((0..rounds).map(|_| generic(&orders)).collect());
    for (name, mut times) in names.zip(times) {
        times.sort_by(f64::total_cmp);
        let (least, median) = (times.first().unwrap(), times.get(times.len() / 2).unwrap());
        println!("{name:<36} {least:6.2} µs  (median {median:.2})");
    }
}
