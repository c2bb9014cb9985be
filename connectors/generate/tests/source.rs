//! The source, driven as the engine drives it, in virtual time.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use bytes::Bytes;
use crossdock_connector::{
    Connector, Credit, Evaluated, Event, Formula, FormulaKind, Formulas, GatewayConfig, Placed, Rate, Received,
    Returns, Setting, Settings, Settlement, Slot, Source, SourceConfig, Span,
};
use crossdock_generate::Generate;
use crossdock_model::{Fault, FaultClass, Text};
use std::{collections::BTreeSet, path::PathBuf, time::Duration};

fn source(count: Option<i64>, per_second: Option<f64>, formulas: Formulas) -> Box<dyn Source> {
    let gateway = GatewayConfig {
        http: Settings::default(),
        folder: PathBuf::new(),
        store: Text::new(),
        admin_url: Text::new(),
        state_folder: PathBuf::new(),
    };
    let mut settings = Settings::empty(Span::default());
    let mut insert = |name, value| settings.insert(name, Placed::new(value, Span::default()));
    let kind = FormulaKind::Expression(Returns::Value);
    insert("payload", Setting::Formula(Formula { text: Text::new(), layout: Default::default(), kind, slot: Slot(0) }));
    if let Some(count) = count {
        insert("count", Setting::Integer(count));
    }
    if let Some(per_second) = per_second {
        insert("rate", Setting::Rate(Rate { per_second }));
    }
    let config = SourceConfig {
        route: Text::from_static("r"),
        was: None,
        connection: None,
        settings,
        formulas,
        folder: PathBuf::new(),
    };
    Generate::new(&gateway).source(&config).unwrap()
}

/// Gives the input back, as JSON.
fn echo() -> Formulas {
    Formulas::new(|_, input| Ok(Evaluated::Json(Bytes::copy_from_slice(input.bytes()))))
}

fn stored(messages: &[Received]) -> Vec<(crossdock_connector::Token, Settlement)> {
    messages.iter().map(|m| (m.token, Settlement::Stored { id: m.envelope.id, duplicate: false })).collect()
}

fn messages(event: Event) -> Vec<Received> {
    if let Event::Messages(messages) = event { messages } else { Vec::new() }
}

const CREDIT: Credit = Credit { messages: 100, bytes: 10_000 };

#[tokio::test(start_paused = true)]
async fn ends_when_all_are_stored() {
    let (mut receiver, mut settler) = source(Some(10), None, echo()).open().await.unwrap();
    let first = messages(receiver.next(Credit { messages: 7, bytes: 10_000 }).await.unwrap());
    let second = messages(receiver.next(CREDIT).await.unwrap());
    let offsets =
        |messages: &[Received]| messages.iter().map(|m| m.envelope.origin.offset.unwrap()).collect::<Vec<_>>();
    assert_eq!((offsets(&first), offsets(&second)), ((0..7).collect(), vec![7, 8, 9]));
    settler.settle(stored(&first)).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(60), receiver.next(CREDIT)).await.is_err(), "three are open");
    let again = second.iter().map(|m| (m.token, Settlement::Again { after: Some(Duration::from_secs(5)) }));
    settler.settle(again.collect()).await.unwrap();
    let third = messages(receiver.next(CREDIT).await.unwrap());
    let ids = |messages: &[Received]| messages.iter().map(|m| m.envelope.id).collect::<BTreeSet<_>>();
    assert_eq!(ids(&second), ids(&third));
    settler.settle(stored(&third)).await.unwrap();
    assert!(matches!(receiver.next(CREDIT).await.unwrap(), Event::End));
}

#[tokio::test(start_paused = true)]
async fn keeps_its_rate() {
    let (mut receiver, _settler) = source(None, Some(4.0), echo()).open().await.unwrap();
    let (started, mut made) = (tokio::time::Instant::now(), 0);
    while started.elapsed() < Duration::from_secs(10) {
        made += messages(receiver.next(CREDIT).await.unwrap()).len();
    }
    assert_eq!(made, 41);
}

#[tokio::test(start_paused = true)]
async fn payloads_are_the_same_in_every_run_and_ids_are_not() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let (mut receiver, _settler) = source(None, None, echo()).open().await.unwrap();
        let made = messages(receiver.next(CREDIT).await.unwrap());
        runs.push(made.into_iter().map(|m| (m.envelope.id, m.envelope.payload.clone().unwrap())).collect::<Vec<_>>());
    }
    assert_eq!(runs[0].len(), 100);
    assert!(runs[0].iter().zip(&runs[1]).all(|(a, b)| a.1 == b.1 && a.0 != b.0));
}

#[tokio::test(start_paused = true)]
async fn what_a_session_left_open_the_next_gives_again_under_its_id() {
    let mut source = source(Some(5), None, echo());
    let (mut receiver, mut settler) = source.open().await.unwrap();
    let first = messages(receiver.next(CREDIT).await.unwrap());
    settler.settle(stored(&first[..2])).await.unwrap();
    let (mut receiver, mut new_settler) = source.open().await.unwrap();
    settler.settle(stored(&first)).await.unwrap();
    let second = messages(receiver.next(CREDIT).await.unwrap());
    let ids = |messages: &[Received]| messages.iter().map(|m| m.envelope.id).collect::<BTreeSet<_>>();
    assert_eq!(ids(&second), ids(&first[2..]), "the old session's settlements say nothing");
    new_settler.settle(stored(&second)).await.unwrap();
    assert!(matches!(receiver.next(CREDIT).await.unwrap(), Event::End));
}

#[tokio::test(start_paused = true)]
async fn the_credit_in_bytes_is_kept() {
    let (mut receiver, _settler) = source(None, None, echo()).open().await.unwrap();
    let one = messages(receiver.next(Credit { messages: 100, bytes: 1 }).await.unwrap());
    assert_eq!(one.len(), 1, "the first may be larger");
    let some = messages(receiver.next(Credit { messages: 100, bytes: 200 }).await.unwrap());
    let bytes: usize = some.iter().map(|m| m.envelope.bytes().len()).sum();
    assert!(some.len() > 1 && bytes <= 200, "{bytes}");
    assert_eq!(some[0].envelope.origin.offset, Some(1), "none is left out");
}

#[tokio::test(start_paused = true)]
async fn text_and_json_have_their_types() {
    let formulas = Formulas::new(|_, input| match input.origin.offset {
        Some(0) => Ok(Evaluated::Text(Bytes::from_static(b"hello"))),
        _ => Ok(Evaluated::Json(Bytes::from_static(b"[]"))),
    });
    let (mut receiver, _settler) = source(Some(2), None, formulas).open().await.unwrap();
    let two = messages(receiver.next(CREDIT).await.unwrap());
    let types: Vec<_> = two.iter().map(|m| m.envelope.properties.content_type.clone().unwrap()).collect();
    assert_eq!(types, ["text/plain", "application/json"]);
}

/// Such a fault once took the source down; the next session gave again what was stored and not yet settled, without end.
#[tokio::test(start_paused = true)]
async fn a_payload_that_cannot_be_made_is_refused_and_the_next_follows() {
    let formulas = Formulas::new(|_, input| match input.origin.offset {
        Some(2 | 5) => Err(Fault::rejected("expression", "no")),
        Some(3) => panic!("a bug of the expression's language"),
        _ => Ok(Evaluated::Json(Bytes::copy_from_slice(input.bytes()))),
    });
    let (mut receiver, mut settler) = source(Some(6), None, formulas).open().await.unwrap();
    let (mut made, mut refused) = (Vec::new(), Vec::new());
    loop {
        match receiver.next(CREDIT).await.unwrap() {
            Event::Messages(messages) => {
                made.extend(messages.iter().map(|m| m.envelope.origin.offset.unwrap()));
                settler.settle(stored(&messages)).await.unwrap();
            }
            Event::Refused(all) => {
                refused.extend(all.iter().map(|(token, refusal)| (token.seq, refusal.fault.clone())));
                let settlements = all.into_iter().map(|(token, refusal)| (token, Settlement::Refused(refusal)));
                settler.settle(settlements.collect()).await.unwrap();
            }
            Event::End => break,
            other @ (Event::Revoking { .. } | Event::Blocked(_) | Event::Unblocked) => panic!("{other:?}"),
        }
    }
    assert_eq!(made, [0, 1, 4], "none twice");
    assert_eq!(refused.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [2, 3, 5], "tokens are without gaps");
    for (seq, fault) in refused {
        let (code, text) = if seq == 3 { ("internal.panic", "panicked") } else { ("expression", "no") };
        assert_eq!((fault.class, &*fault.code), (FaultClass::Rejected, code));
        assert!(fault.text.contains(&format!("sequence {seq}")) && fault.text.contains(text), "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_keep_the_rate_and_let_others_run() {
    let fail = || Formulas::new(|_, _| Err(Fault::rejected("expression", "no")));
    let (mut receiver, _settler) = source(None, Some(4.0), fail()).open().await.unwrap();
    let (started, mut refused) = (tokio::time::Instant::now(), 0);
    while started.elapsed() < Duration::from_secs(10) {
        refused += usize::from(matches!(receiver.next(CREDIT).await.unwrap(), Event::Refused(_)));
    }
    assert_eq!(refused, 41);
    let (mut receiver, _settler) = source(None, None, fail()).open().await.unwrap();
    let other = tokio::spawn(async {});
    for _ in 0..1000 {
        assert!(matches!(receiver.next(CREDIT).await.unwrap(), Event::Refused(_)));
    }
    assert!(other.is_finished(), "nobody else had a turn");
}
