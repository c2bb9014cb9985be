//! A set of offsets, small where few lie in a stretch as where most of it does.
//!
//! ```text
//! page of 65,536 offsets   few: their low halves, sorted, 2 bytes each │ from 4,096 on: a bit for each, 8 KiB
//! ```

use super::settled::PAGE_OFFSETS;
use crate::OffsetRun;
use std::collections::BTreeMap;

/// With more than these, bits take less.
const FEW_MAX: usize = 4096;
const WORDS: usize = (PAGE_OFFSETS / 64) as usize;

/// The offsets of a page.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Page {
    Few(Vec<u16>),
    /// Their number and bits.
    Many(u32, Box<[u64]>),
}

/// A set of offsets.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OffsetSet {
    pages: BTreeMap<u64, Page>,
    len: u64,
}

impl OffsetSet {
    pub const fn len(&self) -> u64 {
        self.len
    }

    pub fn has(&self, offset: u64) -> bool {
        self.pages.get(&(offset / PAGE_OFFSETS)).is_some_and(|page| page.has(low(offset)))
    }

    /// Adds an offset; whether it was not there.
    pub fn insert(&mut self, offset: u64) -> bool {
        let page = self.pages.entry(offset / PAGE_OFFSETS).or_insert_with(|| Page::Few(Vec::new()));
        let new = page.insert(low(offset));
        self.len += u64::from(new);
        new
    }

    /// Takes an offset out; whether it was there.
    pub fn remove(&mut self, offset: u64) -> bool {
        let number = offset / PAGE_OFFSETS;
        let Some(page) = self.pages.get_mut(&number) else { return false };
        let removed = page.remove(low(offset));
        self.len -= u64::from(removed);
        if page.is_empty() {
            self.pages.remove(&number);
        }
        removed
    }

    /// Takes out all of a run; how many that were.
    pub fn remove_run(&mut self, run: OffsetRun) -> u64 {
        let (before, end) = (self.len, run.first.saturating_add(run.count));
        let mut at = run.first;
        while let Some(offset) = self.next(at).filter(|offset| *offset < end) {
            self.remove(offset);
            at = offset + 1;
        }
        before - self.len
    }

    /// The first one from `from` on.
    pub fn next(&self, from: u64) -> Option<u64> {
        self.pages.range(from / PAGE_OFFSETS..).find_map(|(number, page)| {
            let first = number * PAGE_OFFSETS;
            page.next(if from > first { low(from) } else { 0 }).map(|within| first + u64::from(within))
        })
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        let mut at = Some(0);
        std::iter::from_fn(move || {
            let offset = self.next(at?)?;
            at = offset.checked_add(1);
            Some(offset)
        })
    }
}

/// An offset's place in its page.
const fn low(offset: u64) -> u16 {
    (offset % PAGE_OFFSETS) as u16
}

impl Page {
    fn is_empty(&self) -> bool {
        match self {
            Self::Few(few) => few.is_empty(),
            Self::Many(count, _) => *count == 0,
        }
    }

    fn has(&self, within: u16) -> bool {
        match self {
            Self::Few(few) => few.binary_search(&within).is_ok(),
            Self::Many(_, bits) => {
                bits.get(usize::from(within / 64)).is_some_and(|word| word >> (within % 64) & 1 == 1)
            }
        }
    }

    fn insert(&mut self, within: u16) -> bool {
        match self {
            Self::Few(few) => {
                let Err(at) = few.binary_search(&within) else { return false };
                if few.len() < FEW_MAX {
                    few.insert(at, within);
                    return true;
                }
                let mut bits = vec![0_u64; WORDS].into_boxed_slice();
                few.iter().chain([&within]).for_each(|within| set(&mut bits, *within));
                *self = Self::Many(FEW_MAX as u32 + 1, bits);
                true
            }
            Self::Many(count, bits) => {
                let new = bits.get(usize::from(within / 64)).is_some_and(|word| word >> (within % 64) & 1 == 0);
                set(bits, within);
                *count += u32::from(new);
                new
            }
        }
    }

    fn remove(&mut self, within: u16) -> bool {
        match self {
            Self::Few(few) => few.binary_search(&within).map(|at| few.remove(at)).is_ok(),
            Self::Many(count, bits) => {
                let Some(word) = bits.get_mut(usize::from(within / 64)) else { return false };
                let was = *word >> (within % 64) & 1 == 1;
                *word &= !(1 << (within % 64));
                *count -= u32::from(was);
                was
            }
        }
    }

    fn next(&self, from: u16) -> Option<u16> {
        match self {
            Self::Few(few) => few.get(few.partition_point(|within| *within < from)).copied(),
            Self::Many(_, bits) => {
                let mut seen = u64::MAX << (from % 64);
                for (number, word) in bits.iter().enumerate().skip(usize::from(from / 64)) {
                    if word & seen != 0 {
                        return u16::try_from(number * 64 + (word & seen).trailing_zeros() as usize).ok();
                    }
                    seen = u64::MAX;
                }
                None
            }
        }
    }
}

fn set(bits: &mut [u64], within: u16) {
    if let Some(word) = bits.get_mut(usize::from(within / 64)) {
        *word |= 1 << (within % 64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]

        #[test]
        fn it_is_a_set(
            steps in proptest::collection::vec((0..3_u8, 0..140_000_u64, 1..6_000_u64), 1..30),
            probes in proptest::collection::vec(0..140_000_u64, 20),
        ) {
            let (mut set, mut model) = (OffsetSet::default(), BTreeSet::new());
            for (what, first, count) in steps {
                match what {
                    0 | 1 => {
                        for offset in first..first + count {
                            prop_assert_eq!(set.insert(offset), model.insert(offset));
                        }
                    }
                    _ => {
                        let within = model.range(first..first + count).count() as u64;
                        prop_assert_eq!(set.remove_run(OffsetRun { first, count }), within);
                        model.retain(|offset| !(first..first + count).contains(offset));
                    }
                }
                prop_assert_eq!(set.len(), model.len() as u64);
                for probe in &probes {
                    prop_assert_eq!(set.has(*probe), model.contains(probe));
                    prop_assert_eq!(set.next(*probe), model.range(probe..).next().copied());
                }
            }
            prop_assert!(set.iter().eq(model.iter().copied()));
        }
    }
}
