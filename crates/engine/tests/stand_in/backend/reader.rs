//! A subscription: what it has settled, what it noted, and who has it.

use crossdock_model::{Text, Timestamp};
use crossdock_store::{ChannelNumber, Fence, Outcome, Touch, Touched, Try, Watch};
use std::{collections::BTreeMap, time::Instant};

pub struct Reader {
    pub name: Text,
    pub channel: ChannelNumber,
    pub group: Text,
    /// The first offset that it reads.
    pub start: u64,
    /// How what stands in the channel was settled.
    pub settled: BTreeMap<u64, Outcome>,
    pub noted: BTreeMap<u64, (Touched, Vec<Try>)>,
    /// What was fetched: by which lease, and until when it is its fetcher's.
    pub leased: BTreeMap<u64, (u64, Instant)>,
    /// How many claims there were, or none.
    pub claims: u64,
    pub watch: Option<Watch>,
}

impl Reader {
    pub fn new(name: Text, channel: ChannelNumber, group: Text, start: u64) -> Self {
        let (settled, noted, leased) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { name, channel, group, start, settled, noted, leased, claims: 0, watch: None }
    }

    pub fn is_open(&self, offset: u64) -> bool {
        offset >= self.start && !self.settled.contains_key(&offset)
    }

    /// Whether it is fetched next, rather than another time or not at all.
    pub fn is_fresh(&self, offset: u64) -> bool {
        self.is_open(offset) && !self.noted.contains_key(&offset) && !self.leased.contains_key(&offset)
    }

    pub fn settle(&mut self, offset: u64, outcome: Outcome) {
        self.settled.insert(offset, outcome);
        self.noted.remove(&offset);
        self.leased.remove(&offset);
    }

    pub fn note(&mut self, touch: Touch) {
        let Touch { offset, tries, charges, due, at, fault, .. } = touch;
        let (known, history) =
            self.noted.entry(offset).or_insert((Touched { offset, tries: 0, charges: 0, due: None }, Vec::new()));
        if tries > known.tries {
            history.push(Try { number: tries, at, target: None, fault });
        }
        *known = Touched { offset, tries, charges, due };
    }

    /// Nobody has it that had it before.
    pub fn claim(&mut self) -> u64 {
        self.claims += 1;
        self.leased.clear();
        self.watch = None;
        self.claims
    }
}

/// `claim NUMBER of SUBSCRIPTION`: other bytes than those of the embedded log.
pub fn fence(subscription: u32, claim: u64) -> Fence {
    Fence::new(format!("claim {claim} of {subscription}").into())
}

pub fn parse_fence(fence: &Fence) -> Option<(u32, u64)> {
    let text = std::str::from_utf8(fence.bytes()).ok()?;
    let (claim, subscription) = text.strip_prefix("claim ")?.split_once(" of ")?;
    Some((subscription.parse().ok()?, claim.parse().ok()?))
}

/// A message and when it was appended.
pub fn appended(at: Option<&crossdock_store::StoredMessage>) -> Option<Timestamp> {
    at.map(|message| message.appended_at)
}
