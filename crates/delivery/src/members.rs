//! The circuits of a target by number. That of the whole target, which a route without `circuit` has alone, is found without a
//! search: it is looked for a dozen times a message. What the others have is kept as a sum, so that nobody has to look at each:
//! there may be one for every tenant.

use crate::{
    hash::{NumberMap, Seeded},
    member::{Member, Tally},
};
use crossdock_model::Moment;
use std::collections::BTreeSet;

/// The circuit of messages that name none.
const WHOLE: u64 = 0;

#[derive(Debug)]
pub(crate) struct Members {
    whole: Option<Member>,
    named: NumberMap<Member>,
    /// The sum of what is named.
    tally: Tally,
    /// Those of it that are down, by when they left up.
    down: BTreeSet<(Moment, u64)>,
}

impl Members {
    pub(crate) fn new(seed: Seeded) -> Self {
        let (tally, down) = (Tally::default(), BTreeSet::new());
        Self { whole: None, named: NumberMap::with_hasher(seed), tally, down }
    }

    pub(crate) fn get(&self, circuit: u64) -> Option<&Member> {
        if circuit == WHOLE { self.whole.as_ref() } else { self.named.get(&circuit) }
    }

    pub(crate) fn get_mut(&mut self, circuit: u64) -> Option<&mut Member> {
        if circuit == WHOLE { self.whole.as_mut() } else { self.named.get_mut(&circuit) }
    }

    pub(crate) fn get_or_insert_with(&mut self, circuit: u64, make: impl FnOnce() -> Member) -> &mut Member {
        if circuit == WHOLE {
            self.whole.get_or_insert_with(make)
        } else {
            self.named.entry(circuit).or_insert_with(make)
        }
    }

    pub(crate) fn remove(&mut self, circuit: u64) -> Option<Member> {
        if circuit == WHOLE {
            return self.whole.take();
        }
        let member = self.named.remove(&circuit)?;
        self.count(circuit, member.tally, Tally::default());
        Some(member)
    }

    /// To be called whenever what waits in a circuit has changed, or whether it is up. True if what waits in it waits apart from
    /// now on.
    pub(crate) fn recount(&mut self, circuit: u64) -> bool {
        if circuit == WHOLE {
            return false;
        }
        let Some(member) = self.named.get_mut(&circuit) else { return false };
        let was_apart = member.is_apart;
        member.set_apart();
        let (now, began) = (tally(circuit, member), member.is_apart && !was_apart);
        let before = std::mem::replace(&mut member.tally, now);
        self.count(circuit, before, now);
        began
    }

    fn count(&mut self, circuit: u64, before: Tally, now: Tally) {
        let sum = &mut self.tally;
        sum.apart = sum.apart + now.apart - before.apart;
        sum.voices = sum.voices + now.voices - before.voices;
        if before.down_since != now.down_since {
            before.down_since.map(|since| self.down.remove(&(since, circuit)));
            self.down.extend(now.down_since.map(|since| (since, circuit)));
        }
    }

    /// How many wait apart from the others (see [`Self::holds_apart`]) or for another try, and how many that were never tried
    /// wait with the others.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        debug_assert!(
            self.named.iter().all(|(circuit, member)| member.tally == tally(*circuit, member)),
            "a change was not counted"
        );
        let whole = self.whole.as_ref().map_or_else(Tally::default, |member| tally(WHOLE, member));
        (self.tally.apart + whole.apart, self.tally.voices + whole.voices)
    }

    /// Of those that are down, the one that left up first.
    pub(crate) fn first_down(&self) -> Option<&Member> {
        let named = self.down.first().and_then(|(_, circuit)| self.named.get(circuit));
        let since = |member: &&Member| member.circuit.down().map(|down| down.since);
        self.whole.iter().chain(named).filter(|member| since(member).is_some()).min_by_key(since)
    }

    pub(crate) fn len(&self) -> usize {
        self.named.len() + usize::from(self.whole.is_some())
    }

    /// Those of them that hold their messages apart from the others': named, and not up, or not through with what gathered
    /// while they were not.
    pub(crate) const fn holds_apart(circuit: u64, member: &Member) -> bool {
        circuit != WHOLE && member.is_apart
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Member)> {
        let named = self.named.iter().map(|(circuit, member)| (*circuit, member));
        self.whole.iter().map(|member| (WHOLE, member)).chain(named)
    }
}

fn tally(circuit: u64, member: &Member) -> Tally {
    let (fresh, waiting) = (member.queue.fresh_len(), member.queue.waiting_len());
    let down_since = member.circuit.down().map(|down| down.since);
    if Members::holds_apart(circuit, member) {
        Tally { apart: waiting + fresh, voices: 0, down_since }
    } else {
        Tally { apart: waiting, voices: fresh, down_since }
    }
}
