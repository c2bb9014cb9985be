//! Requests that carry several messages: NDJSON, and batches of CloudEvents.

use bytes::Bytes;
use crossdock_model::Text;
use serde_json::value::RawValue;

/// Most messages of one request; each takes memory beside its bytes.
const ITEMS_MAX: usize = 10_000;

/// How a body is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Batch {
    /// A line a message (`application/x-ndjson`).
    Lines,
    /// An element a message (`application/cloudevents-batch+json`).
    CloudEvents,
}

/// A message of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Item {
    /// Its line or its place in the list, from 1; with the key of the request it is the message's own.
    pub(super) number: usize,
    /// A slice of the body.
    pub(super) payload: Bytes,
}

/// Why a body cannot be cut.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum BatchError {
    /// It is no list of objects.
    Undecodable(String),
    /// It has more than [`ITEMS_MAX`].
    TooMany,
}

impl Batch {
    /// How a body of this type is cut; not at all if it is one message.
    pub(super) fn of(content_type: Option<&Text>) -> Option<Self> {
        let essence = content_type?.split(';').next()?.trim();
        if essence.eq_ignore_ascii_case("application/x-ndjson") {
            return Some(Self::Lines);
        }
        essence.eq_ignore_ascii_case("application/cloudevents-batch+json").then_some(Self::CloudEvents)
    }

    /// The type of each message.
    pub(super) const fn item_type(self) -> Text {
        match self {
            Self::Lines => Text::from_static("application/json"),
            Self::CloudEvents => Text::from_static("application/cloudevents+json"),
        }
    }

    /// Cuts a body without copying. Empty lines are no messages.
    pub(super) fn cut(self, body: &Bytes) -> Result<Vec<Item>, BatchError> {
        let items = match self {
            Self::Lines => lines(body),
            Self::CloudEvents => elements(body)?,
        };
        if items.len() > ITEMS_MAX { Err(BatchError::TooMany) } else { Ok(items) }
    }
}

impl std::fmt::Display for BatchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Undecodable(why) => f.write_str(why),
            Self::TooMany => write!(f, "a request takes at most {ITEMS_MAX} messages: send several requests"),
        }
    }
}

fn lines(body: &Bytes) -> Vec<Item> {
    let cut = body.split(|byte| *byte == b'\n').enumerate();
    let trimmed = cut.map(|(at, line)| (at + 1, line.trim_ascii()));
    let filled = trimmed.filter(|(_, line)| !line.is_empty());
    filled.take(ITEMS_MAX + 1).map(|(number, line)| Item { number, payload: body.slice_ref(line) }).collect()
}

fn elements(body: &Bytes) -> Result<Vec<Item>, BatchError> {
    let undecodable = |why: String| BatchError::Undecodable(format!("the body is no JSON list of events: {why}"));
    let list: Vec<&RawValue> = serde_json::from_slice(body).map_err(|error| undecodable(error.to_string()))?;
    let mut items = Vec::with_capacity(list.len().min(ITEMS_MAX));
    for (at, element) in list.iter().enumerate() {
        if !element.get().starts_with('{') {
            return Err(undecodable(format!("element {} is no object", at + 1)));
        }
        items.push(Item { number: at + 1, payload: body.slice_ref(element.get().as_bytes()) });
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(batch: Batch, body: &str, expected: Result<&[(usize, &str)], &str>) {
        let cut = batch.cut(&Bytes::copy_from_slice(body.as_bytes()));
        let cut = cut.map(|items| {
            let text = |item: Item| (item.number, String::from_utf8(item.payload.to_vec()).unwrap());
            items.into_iter().map(text).collect::<Vec<_>>()
        });
        match (cut, expected) {
            (Ok(cut), Ok(expected)) => {
                let expected: Vec<_> = expected.iter().map(|(n, text)| (*n, (*text).to_owned())).collect();
                assert_eq!(cut, expected, "{body:?}");
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (cut, expected) => panic!("{body:?}: {cut:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn cuts_lines() {
        check(Batch::Lines, "{\"a\":1}\n{\"a\":2}", Ok(&[(1, "{\"a\":1}"), (2, "{\"a\":2}")]));
        check(Batch::Lines, "\r\n {\"a\":1} \r\n\n{broken\n", Ok(&[(2, "{\"a\":1}"), (4, "{broken")]));
        check(Batch::Lines, "", Ok(&[]));
        check(Batch::Lines, &"1\n".repeat(10_001), Err("at most 10000"));
    }

    #[test]
    fn cuts_lists_of_events() {
        check(
            Batch::CloudEvents,
            " [ {\"id\":\"1\"} , {\"id\": \"]\"}]",
            Ok(&[(1, "{\"id\":\"1\"}"), (2, "{\"id\": \"]\"}")]),
        );
        check(Batch::CloudEvents, "[]", Ok(&[]));
        check(Batch::CloudEvents, "{}", Err("no JSON list"));
        check(Batch::CloudEvents, "[{},7]", Err("element 2 is no object"));
        check(Batch::CloudEvents, "[{}", Err("no JSON list"));
        check(Batch::CloudEvents, &format!("[{}", "[".repeat(100_000)), Err("no JSON list"));
    }

    #[test]
    fn knows_the_types() {
        for (name, batch) in [
            ("application/x-ndjson", Some(Batch::Lines)),
            ("Application/X-NDJSON; charset=utf-8", Some(Batch::Lines)),
            ("application/cloudevents-batch+json", Some(Batch::CloudEvents)),
            ("application/cloudevents+json", None),
            ("application/json", None),
        ] {
            assert_eq!(Batch::of(Some(&Text::from_static(name))), batch, "{name}");
        }
        assert_eq!(Batch::of(None), None);
    }
}
