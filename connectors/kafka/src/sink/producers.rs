//! The producers of a gateway: one for each connection and set of options in use.

use super::producer::Producer;
use crate::lock;
use crossdock_model::{Fault, Text};
use rdkafka::ClientConfig;
use std::{
    fmt,
    sync::{Arc, Mutex, Weak},
};

/// How a producer is made.
#[derive(Clone)]
pub(crate) struct Recipe {
    config: ClientConfig,
    brokers: Text,
}

impl Recipe {
    /// A producer of this configuration; the brokers are for people.
    pub(super) const fn new(config: ClientConfig, brokers: Text) -> Self {
        Self { config, brokers }
    }
}

/// Makes producers and knows those in use, so that targets whose producers would be equal share one.
#[derive(Clone, Default)]
pub(crate) struct Producers(Arc<Mutex<Known>>);

type Known = Vec<(ClientConfig, Weak<Producer>)>;

impl fmt::Debug for Producers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Producers")
    }
}

impl Producers {
    /// A producer by its recipe. Waits.
    ///
    /// # Errors
    /// librdkafka does not make one of this configuration (a certificate that is none).
    pub(super) fn of(&self, recipe: &Recipe) -> Result<Arc<Producer>, Fault> {
        let mut known = lock(&self.0);
        known.retain(|(_, producer)| producer.strong_count() > 0);
        let in_use = known.iter().filter(|(config, _)| is_equal(config, &recipe.config));
        let found = in_use.filter_map(|(_, producer)| producer.upgrade()).find(|producer| !producer.is_broken());
        if let Some(producer) = found {
            return Ok(producer);
        }
        let producer = Producer::new(&recipe.config, &recipe.brokers)?;
        known.push((recipe.config.clone(), Arc::downgrade(&producer)));
        Ok(producer)
    }
}

fn is_equal(one: &ClientConfig, other: &ClientConfig) -> bool {
    let names = |config: &ClientConfig| {
        let mut names: Vec<String> = config.config_map().keys().map(|name| (*name).to_owned()).collect();
        names.sort_unstable();
        names
    };
    let own = names(one);
    own == names(other) && own.iter().all(|name| one.get(name) == other.get(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> ClientConfig {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn producers_are_shared_if_nothing_differs_not_even_a_password() {
        let base = [("bootstrap.servers", "b:1"), ("sasl.password", "one")];
        for (other, equal) in [
            (vec![("sasl.password", "one"), ("bootstrap.servers", "b:1")], true),
            (vec![("sasl.password", "two"), ("bootstrap.servers", "b:1")], false),
            (vec![("bootstrap.servers", "b:1")], false),
        ] {
            assert_eq!(is_equal(&config(&base), &config(&other)), equal, "{other:?}");
        }
    }
}
