//! The circuits of a target by number. That of the whole target, which a route without `circuit` has alone, is found without a
//! search: it is looked for a dozen times a message.

use crate::{
    hash::{NumberMap, Seeded},
    member::Member,
};

/// The circuit of messages that name none.
const WHOLE: u64 = 0;

#[derive(Debug)]
pub(crate) struct Members {
    whole: Option<Member>,
    named: NumberMap<Member>,
}

impl Members {
    pub(crate) fn new(seed: Seeded) -> Self {
        Self { whole: None, named: NumberMap::with_hasher(seed) }
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
        if circuit == WHOLE { self.whole.take() } else { self.named.remove(&circuit) }
    }

    pub(crate) fn len(&self) -> usize {
        self.named.len() + usize::from(self.whole.is_some())
    }

    /// Those of them that hold their messages apart from the others': named, and not up.
    pub(crate) fn holds_apart(circuit: u64, member: &Member) -> bool {
        circuit != WHOLE && !member.circuit.is_up()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Member)> {
        let named = self.named.iter().map(|(circuit, member)| (*circuit, member));
        self.whole.iter().map(|member| (WHOLE, member)).chain(named)
    }
}
