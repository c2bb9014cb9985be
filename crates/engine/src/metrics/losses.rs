//! What protocols could not carry: fields of the envelope by target.

use crossdock_model::Text;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Fields that were lost on the way out, by field and target. Locked only when something is lost.
#[derive(Default)]
pub(crate) struct Losses(Mutex<BTreeMap<(Text, Text), u64>>);

/// Most fields that are told apart, so that the names of headers cannot fill the memory; the rest is `other`.
const FIELDS_MAX: usize = 256;

impl Losses {
    /// Counts fields that a target could not take.
    pub fn count(&self, target: &Text, fields: &[Text]) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for field in fields {
            let known = counts.len() < FIELDS_MAX || counts.contains_key(&(field.clone(), target.clone()));
            let field = if known { field.clone() } else { Text::from_static("other") };
            *counts.entry((field, target.clone())).or_default() += 1;
        }
    }

    /// All counts by field and target.
    pub fn read(&self) -> Vec<((Text, Text), u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(key, count)| (key.clone(), *count)).collect()
    }
}
