//! Names of topics.

/// How a name is written.
pub(crate) const TOPIC_HINT: &str = "a name has 1 to 249 letters, digits, `.`, `_` and `-`, and is not `.` or `..`";

/// What Kafka takes as a name (`org.apache.kafka.common.internals.Topic`).
pub(crate) fn is_topic(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=249).contains(&name.len()) && name.chars().all(letter) && !matches!(name, "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_kafka() {
        for name in ["a", "orders.v1_x-2", "...", &"n".repeat(249)] {
            assert!(is_topic(name), "{name}");
        }
        for name in ["", ".", "..", "a b", "a/b", "\u{e9}", "bad name!", &"n".repeat(250)] {
            assert!(!is_topic(name), "{name}");
        }
    }
}
