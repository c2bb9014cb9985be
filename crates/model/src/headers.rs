//! User headers: typed, in order, duplicates kept.

use crate::{Text, Value};

/// A user header as received.
#[derive(Clone, PartialEq, Debug)]
pub struct Header {
    /// The name in the case it came with.
    pub name: Text,
    /// The value with the type it came with.
    pub value: Value,
}

/// The user headers of a message, in order, duplicates kept. Names are compared exactly by [`Headers::get`], as Kafka,
/// AMQP and MQTT do; a source of a protocol whose names know no case (HTTP) hands them over in lower case.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Headers(Vec<Header>);

impl Headers {
    /// No headers.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a header behind the others, also if one of the name is there.
    pub fn push(&mut self, name: impl Into<Text>, value: impl Into<Value>) {
        self.0.push(Header { name: name.into(), value: value.into() });
    }

    /// The last value of the name, which is what a map of the headers would hold.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().rev().find(|header| header.name == name).map(|header| &header.value)
    }

    /// Puts the value in the place of the first header of the name and removes its other ones, or adds it.
    pub fn set(&mut self, name: Text, value: Value) {
        match self.0.iter().position(|header| header.name == name) {
            None => self.0.push(Header { name, value }),
            Some(first) => {
                let mut at = 0;
                self.0.retain(|header| {
                    at += 1;
                    at - 1 <= first || header.name != name
                });
                if let Some(header) = self.0.get_mut(first) {
                    header.value = value;
                }
            }
        }
    }

    /// Removes all headers of the name.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|header| header.name != name);
    }

    /// All headers in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Header> {
        self.0.iter()
    }

    /// How many there are, duplicates counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = &'a Header;
    type IntoIter = std::slice::Iter<'a, Header>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FromIterator<Header> for Headers {
    fn from_iter<I: IntoIterator<Item = Header>>(headers: I) -> Self {
        Self(headers.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_keeps_the_place_and_drops_duplicates() {
        let mut headers = Headers::new();
        for (name, value) in [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4")] {
            headers.push(name, value);
        }
        headers.set(Text::from_static("a"), Value::from("5"));
        let shown: Vec<_> = headers.iter().map(|h| format!("{}={}", h.name, h.value)).collect();
        assert_eq!(shown, ["a=5", "b=2", "c=4"]);
        assert_eq!(headers.get("a"), Some(&Value::from("5")));
    }
}
