//! Messages of QoS 2 that are stored while their exchange with the broker is not over: known by packet id when they come
//! again.
//!
//! By the protocol (§4.3.3) whatever comes under such an id is the same message. A broker that was restored from an older
//! state, or that dropped the message while we were away, knows nothing of the exchange and gives the id to another message,
//! which must not be taken for stored. So it is the same only if it looks the same and the broker says that it repeats it
//! (DUP, §3.3.1.1). Where that is in doubt a message is stored twice, never lost.

use crate::{
    lock,
    packet::{Delivery, Publish, PublishProperties, QoS},
};
use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, Hasher, RandomState},
    sync::Mutex,
};

/// The record of a source; it outlives the connections, as the session does, but not the process.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    hasher: RandomState,
    looks: Mutex<HashMap<u16, Look>>,
}

/// How a message looks: a keyed hash of what a broker repeats unchanged. Only of use while the record lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Look(u64);

impl Recorded {
    /// How a message of QoS 2 looks; none of others, which nobody records.
    pub(super) fn look(&self, publish: &Publish) -> Option<Look> {
        if publish.qos != QoS::ExactlyOnce {
            return None;
        }
        let mut hasher = self.hasher.build_hasher();
        (&publish.topic, &publish.payload).hash(&mut hasher);
        if let Some(properties) = publish.properties.as_deref() {
            // Expiry counts down, and subscription identifiers follow what is subscribed to.
            let PublishProperties { content_type, response_topic, correlation_data, user_properties, .. } = properties;
            (content_type, response_topic, correlation_data, user_properties).hash(&mut hasher);
        }
        Some(Look(hasher.finish()))
    }

    /// The message is stored, and its exchange is not over.
    pub(super) fn add(&self, id: u16, look: Look) {
        lock(&self.looks).insert(id, look);
    }

    /// Whether this is one that is stored. If it is another one, the exchange of the stored one is over.
    pub(super) fn has(&self, delivery: Delivery, look: Option<Look>) -> bool {
        let mut looks = lock(&self.looks);
        let Some(known) = looks.get(&delivery.id).filter(|_| delivery.qos == QoS::ExactlyOnce) else { return false };
        let same = delivery.dup && look == Some(*known);
        if !same {
            looks.remove(&delivery.id);
        }
        same
    }

    /// The exchange is over.
    pub(super) fn forget(&self, id: u16) {
        lock(&self.looks).remove(&id);
    }

    /// The session is over, and all exchanges with it.
    pub(super) fn clear(&self) {
        lock(&self.looks).clear();
    }
}

/// A set of packet ids, which costs next to nothing for each message.
#[derive(Debug)]
pub(super) struct Ids(Vec<u64>);

impl Ids {
    pub(super) fn new() -> Self {
        Self(vec![0; 1 << 10])
    }

    pub(super) fn contains(&self, id: u16) -> bool {
        self.0.get(usize::from(id >> 6)).is_some_and(|word| word & Self::bit(id) != 0)
    }

    pub(super) fn insert(&mut self, id: u16) {
        if let Some(word) = self.0.get_mut(usize::from(id >> 6)) {
            *word |= Self::bit(id);
        }
    }

    pub(super) fn remove(&mut self, id: u16) {
        if let Some(word) = self.0.get_mut(usize::from(id >> 6)) {
            *word &= !Self::bit(id);
        }
    }

    const fn bit(id: u16) -> u64 {
        1 << (id & 63)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn publish(dup: bool, topic: &str, payload: &str, user: &[(&str, &str)], expiry: u32) -> Publish {
        let properties = PublishProperties {
            user_properties: user.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            message_expiry_interval: Some(expiry),
            ..PublishProperties::default()
        };
        Publish {
            dup,
            retain: false,
            qos: QoS::ExactlyOnce,
            id: 7,
            topic: Bytes::copy_from_slice(topic.as_bytes()),
            payload: Bytes::copy_from_slice(payload.as_bytes()),
            properties: Some(Box::new(properties)),
        }
    }

    #[test]
    fn only_what_looks_the_same_and_is_said_to_be_repeated_is_known() {
        for (again, known) in [
            (publish(true, "t", "ab", &[("k", "v")], 3), true),
            (publish(false, "t", "ab", &[("k", "v")], 9), false),
            (publish(true, "t", "ac", &[("k", "v")], 9), false),
            (publish(true, "ta", "b", &[("k", "v")], 9), false),
            (publish(true, "t", "ab", &[("k", "w")], 9), false),
            (Publish { properties: None, ..publish(true, "t", "ab", &[], 9) }, false),
        ] {
            let recorded = Recorded::default();
            let first = publish(false, "t", "ab", &[("k", "v")], 9);
            recorded.add(7, recorded.look(&first).unwrap());
            assert!(!recorded.has(Delivery { id: 8, ..again.delivery() }, recorded.look(&again)));
            assert_eq!(recorded.has(again.delivery(), recorded.look(&again)), known, "{again:?}");
            // Another message ended the exchange of the first one.
            let first = Publish { dup: true, ..first };
            assert_eq!(recorded.has(first.delivery(), recorded.look(&first)), known, "{again:?}");
        }
        let recorded = Recorded::default();
        assert_eq!(recorded.look(&Publish { qos: QoS::AtLeastOnce, ..publish(true, "t", "", &[], 9) }), None);
    }

    proptest! {
        #[test]
        fn ids_are_a_set(steps in proptest::collection::vec((any::<bool>(), 0..200_u16), 0..100)) {
            let (mut ids, mut model) = (Ids::new(), BTreeSet::new());
            for (add, id) in steps {
                let id = if id > 100 { u16::MAX - id } else { id };
                if add {
                    ids.insert(id);
                    model.insert(id);
                } else {
                    ids.remove(id);
                    model.remove(&id);
                }
            }
            let touched = (0..200).map(|id| if id > 100 { u16::MAX - id } else { id });
            prop_assert!(touched.into_iter().all(|id| ids.contains(id) == model.contains(&id)));
        }
    }
}
