//! What an operation needs to go on, as it stands in its record: JSON, in a form of its own.

use crate::DeadFilter;
use bytes::Bytes;
use crossdock_model::Text;
use crossdock_settings::Rate;
use serde::{Deserialize, Serialize};

/// What an operation is about.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Body {
    /// Which dead letters.
    pub filter: DeadFilter,
    /// How fast.
    pub rate: Option<Rate>,
    /// The queues, and in each the offset from which on letters are not meant.
    pub until: Vec<(Text, u64)>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    route: Option<String>,
    code: Option<String>,
    ids: Option<Vec<String>>,
    per_second: Option<f64>,
    until: Vec<(String, u64)>,
}

impl Body {
    /// Its record.
    pub fn encode(&self) -> Bytes {
        let DeadFilter { route, code, ids } = &self.filter;
        let record = Record {
            route: route.as_ref().map(ToString::to_string),
            code: code.as_ref().map(ToString::to_string),
            ids: ids.as_ref().map(|ids| ids.iter().map(ToString::to_string).collect()),
            per_second: self.rate.map(|rate| rate.per_second),
            until: self.until.iter().map(|(name, offset)| (name.to_string(), *offset)).collect(),
        };
        // Strings and numbers can always be written.
        Bytes::from(serde_json::to_vec(&record).unwrap_or_default())
    }

    /// What a record says; none if another version wrote it that this one does not understand.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let Record { route, code, ids, per_second, until } = serde_json::from_slice(bytes).ok()?;
        let ids = match ids {
            Some(ids) => Some(ids.iter().map(|id| id.parse().ok()).collect::<Option<Vec<_>>>()?),
            None => None,
        };
        let rate = per_second.filter(|rate| *rate > 0.0).map(|per_second| Rate { per_second });
        let filter = DeadFilter { route: route.map(Text::from), code: code.map(Text::from), ids };
        let until = until.into_iter().map(|(name, offset)| (Text::from(name), offset)).collect();
        Some(Self { filter, rate, until })
    }
}
