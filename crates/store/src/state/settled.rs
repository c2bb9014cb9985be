//! Which offsets of a channel are settled: all below a floor, and above it bitmap pages.
//!
//! ```text
//! offsets   0 ────────── floor ──┬── page ──┬── page ──┬── no page ──►
//!           all settled          │ 65,536   │ all set: │ none settled
//!                                │ bits     │ no bits  │
//! ```
//! A page without a settled offset is not there, one with all settled holds no bits, and one below the floor is gone: in
//! order, nothing is kept but the floor.

use crate::{OffsetRun, Outcome};
use std::collections::BTreeMap;

/// Offsets of a page.
pub const PAGE_OFFSETS: u64 = 65_536;
const WORDS: usize = (PAGE_OFFSETS / 64) as usize;

/// The bits of a page: 8 KiB.
pub type Bits = Box<[u64]>;

fn no_bits() -> Bits {
    vec![0; WORDS].into_boxed_slice()
}

/// A page of which some offsets, or all, are settled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Page {
    /// All.
    Full,
    /// Some: their number and bits.
    Part(u32, Bits),
}

impl Page {
    /// The page that begins with an offset, with runs of it that are settled.
    pub fn of_runs(first: u64, runs: &[OffsetRun]) -> Self {
        let mut bits = no_bits();
        runs.iter().for_each(|run| set_bits(&mut bits, run.first - first, run.count));
        Self::Part(runs.iter().map(|run| run.count as u32).sum(), bits)
    }
}

/// The settled offsets of a channel or subscription.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Settled {
    floor: u64,
    pages: BTreeMap<u64, Page>,
}

impl Settled {
    /// Nothing from `floor` on is settled.
    pub const fn from_floor(floor: u64) -> Self {
        Self { floor, pages: BTreeMap::new() }
    }

    /// As they were written down.
    pub const fn from_parts(floor: u64, pages: BTreeMap<u64, Page>) -> Self {
        Self { floor, pages }
    }

    /// All below is settled.
    pub const fn floor(&self) -> u64 {
        self.floor
    }

    /// The pages above the floor.
    pub const fn pages(&self) -> &BTreeMap<u64, Page> {
        &self.pages
    }

    /// Whether an offset is settled.
    pub fn has(&self, offset: u64) -> bool {
        offset < self.floor
            || match self.pages.get(&(offset / PAGE_OFFSETS)) {
                None => false,
                Some(Page::Full) => true,
                Some(Page::Part(_, bits)) => bit(bits, offset % PAGE_OFFSETS),
            }
    }

    /// The first offset from `from` on that is not settled.
    pub fn next_open(&self, from: u64) -> u64 {
        let mut at = from.max(self.floor);
        loop {
            let number = at / PAGE_OFFSETS;
            let next = match self.pages.get(&number) {
                None => return at,
                Some(Page::Full) => None,
                Some(Page::Part(_, bits)) => next_zero(bits, at % PAGE_OFFSETS),
            };
            match next {
                Some(within) => return number * PAGE_OFFSETS + within,
                None => at = (number + 1) * PAGE_OFFSETS,
            }
        }
    }

    /// The first offset from `from` on, and below `end`, that is settled; `end` if there is none.
    pub fn next_settled(&self, from: u64, end: u64) -> u64 {
        let mut at = from;
        if at < self.floor {
            return at.min(end);
        }
        if self.pages.is_empty() {
            return end;
        }
        while at < end {
            let number = at / PAGE_OFFSETS;
            match self.pages.get(&number) {
                None => {
                    let Some((next, _)) = self.pages.range(number..).next() else { return end };
                    at = next * PAGE_OFFSETS;
                }
                Some(Page::Full) => return at,
                Some(Page::Part(_, bits)) => match next_one(bits, at % PAGE_OFFSETS) {
                    Some(within) => return (number * PAGE_OFFSETS + within).min(end),
                    None => at = (number + 1) * PAGE_OFFSETS,
                },
            }
        }
        end
    }

    /// The runs within `run` that are not settled.
    pub fn open_runs(&self, run: OffsetRun) -> Vec<OffsetRun> {
        let end = run.first.saturating_add(run.count);
        let mut open = Vec::new();
        let mut at = self.next_open(run.first);
        while at < end {
            let stop = self.next_settled(at, end);
            open.push(OffsetRun { first: at, count: stop - at });
            at = self.next_open(stop);
        }
        open
    }

    /// Settles a run; returns the runs of it that were open.
    pub fn settle(&mut self, run: OffsetRun) -> Vec<OffsetRun> {
        let end = run.first.saturating_add(run.count);
        if end <= self.floor || run.count == 0 {
            return Vec::new();
        }
        if self.pages.is_empty() && run.first <= self.floor {
            let fresh = OffsetRun { first: self.floor, count: end - self.floor };
            self.floor = end;
            return vec![fresh];
        }
        let fresh = self.open_runs(run);
        for run in &fresh {
            self.set(*run);
        }
        if fresh.first().is_some_and(|first| first.first == self.floor) {
            self.raise_floor();
        }
        fresh
    }

    /// Sets the bits of a run that is open.
    fn set(&mut self, run: OffsetRun) {
        let (mut at, end) = (run.first, run.first + run.count);
        while at < end {
            let number = at / PAGE_OFFSETS;
            let stop = end.min((number + 1) * PAGE_OFFSETS);
            let count = (stop - at) as u32;
            let page = self.pages.entry(number).or_insert_with(|| Page::Part(0, no_bits()));
            if let Page::Part(set, bits) = page {
                set_bits(bits, at % PAGE_OFFSETS, u64::from(count));
                *set += count;
                if u64::from(*set) == PAGE_OFFSETS {
                    *page = Page::Full;
                }
            }
            at = stop;
        }
    }

    fn raise_floor(&mut self) {
        self.floor = self.next_open(self.floor);
        let keep = self.floor / PAGE_OFFSETS;
        while let Some(first) = self.pages.first_entry().filter(|first| *first.key() < keep) {
            first.remove();
        }
        // The page that the floor stands in, with nothing settled above it, says nothing.
        let above = self.next_settled(self.floor, (keep + 1) * PAGE_OFFSETS);
        if above == (keep + 1) * PAGE_OFFSETS {
            self.pages.remove(&keep);
        }
    }
}

fn bit(bits: &Bits, within: u64) -> bool {
    bits.get((within / 64) as usize).is_some_and(|word| word >> (within % 64) & 1 == 1)
}

fn set_bits(bits: &mut Bits, first: u64, count: u64) {
    let (mut at, end) = (first, first + count);
    while at < end {
        let low = at % 64;
        let many = (64 - low).min(end - at);
        let mask = if many == 64 { u64::MAX } else { ((1 << many) - 1) << low };
        if let Some(word) = bits.get_mut((at / 64) as usize) {
            *word |= mask;
        }
        at += many;
    }
}

fn next_zero(bits: &Bits, from: u64) -> Option<u64> {
    next_match(bits, from, |word| !word)
}

fn next_one(bits: &Bits, from: u64) -> Option<u64> {
    next_match(bits, from, |word| word)
}

/// The first place from `from` on whose bit is set in the word as `seen`.
fn next_match(bits: &Bits, from: u64, seen: fn(u64) -> u64) -> Option<u64> {
    let mut ignore = u64::MAX << (from % 64);
    for (number, word) in bits.iter().enumerate().skip((from / 64) as usize) {
        let found = seen(*word) & ignore;
        if found != 0 {
            return Some(number as u64 * 64 + u64::from(found.trailing_zeros()));
        }
        ignore = u64::MAX;
    }
    None
}

/// How offsets were settled, where that was not by delivery: kept for subscriptions that share a group with others, so
/// that the last one to settle a message knows how it ended for the group.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcomes(BTreeMap<u64, Vec<(Outcome, Settled)>>);

impl Outcomes {
    /// Notes how a run was settled.
    pub fn note(&mut self, run: OffsetRun, outcome: Outcome) {
        if outcome == Outcome::Delivered {
            return;
        }
        let (mut at, end) = (run.first, run.first + run.count);
        while at < end {
            let number = at / PAGE_OFFSETS;
            let stop = end.min((number + 1) * PAGE_OFFSETS);
            let kinds = self.0.entry(number).or_default();
            let place = kinds.iter().position(|(known, _)| *known == outcome).unwrap_or_else(|| {
                kinds.push((outcome, Settled::from_floor(number * PAGE_OFFSETS)));
                kinds.len() - 1
            });
            if let Some((_, set)) = kinds.get_mut(place) {
                set.settle(OffsetRun { first: at, count: stop - at });
            }
            at = stop;
        }
    }

    /// How a settled offset was settled.
    pub fn of(&self, offset: u64) -> Outcome {
        let kinds = self.0.get(&(offset / PAGE_OFFSETS)).map(Vec::as_slice).unwrap_or_default();
        kinds.iter().find(|(_, set)| set.has(offset)).map_or(Outcome::Delivered, |(outcome, _)| *outcome)
    }

    /// Forgets whole pages below an offset.
    pub fn forget_below(&mut self, offset: u64) {
        while let Some(first) = self.0.first_entry().filter(|first| *first.key() < offset / PAGE_OFFSETS) {
            first.remove();
        }
    }

    /// Each page and outcome with its runs, to be written down.
    pub fn runs(&self) -> impl Iterator<Item = (Outcome, OffsetRun)> + '_ {
        self.0.iter().flat_map(|(number, kinds)| {
            let (first, end) = (number * PAGE_OFFSETS, (number + 1) * PAGE_OFFSETS);
            kinds.iter().flat_map(move |(outcome, set)| {
                settled_runs(set, first, end).into_iter().map(move |run| (*outcome, run))
            })
        })
    }
}

/// The runs between two offsets that are settled.
fn settled_runs(set: &Settled, first: u64, end: u64) -> Vec<OffsetRun> {
    let mut runs = Vec::new();
    let mut at = set.next_settled(first, end);
    while at < end {
        let stop = set.next_open(at).min(end);
        runs.push(OffsetRun { first: at, count: stop - at });
        at = set.next_settled(stop, end);
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn offsets(runs: &[OffsetRun]) -> Vec<u64> {
        runs.iter().flat_map(|run| run.first..run.first + run.count).collect()
    }

    /// Runs around the borders of pages, where mistakes live.
    fn run() -> impl Strategy<Value = OffsetRun> {
        let near = prop_oneof![0..200_u64, 65_400..65_700_u64, 130_900..131_300_u64];
        let length = prop_oneof![1..4_u64, 1..300_u64, 60_000..70_000_u64];
        (near, length).prop_map(|(first, count)| OffsetRun { first, count })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

        #[test]
        fn it_is_a_set_that_knows_its_floor(runs in proptest::collection::vec(run(), 1..30)) {
            let (mut settled, mut model) = (Settled::from_floor(3), vec![false; 300_000]);
            model[..3].fill(true);
            let open_from = |model: &[bool], at: u64| at + model[at as usize..].iter().position(|set| !set).unwrap() as u64;
            for run in runs {
                let fresh = settled.settle(run);
                let within = run.first..run.first + run.count;
                prop_assert_eq!(offsets(&fresh), within.clone().filter(|o| !model[*o as usize]).collect::<Vec<_>>());
                model[within.start as usize..within.end as usize].fill(true);
                let floor = open_from(&model, 0);
                prop_assert_eq!(settled.floor(), floor);
                for probe in [run.first.saturating_sub(1), run.first, run.first + run.count, floor] {
                    prop_assert_eq!(settled.has(probe), model[probe as usize]);
                    prop_assert_eq!(settled.next_open(probe), open_from(&model, probe));
                }
                prop_assert!(settled.pages().keys().all(|page| (page + 1) * PAGE_OFFSETS > floor));
            }
            let all = offsets(&settled_runs(&settled, 0, 300_000));
            prop_assert_eq!(all, (0..300_000).filter(|o| model[*o as usize]).collect::<Vec<_>>());
        }
    }

    #[test]
    fn in_order_nothing_is_kept_and_full_pages_hold_no_bits() {
        let mut settled = Settled::default();
        settled.settle(OffsetRun { first: 0, count: 1_000_000 });
        assert!(settled.pages().is_empty());
        settled.settle(OffsetRun { first: 2_000_000, count: 200_000 });
        assert_eq!(settled.pages().values().filter(|page| **page == Page::Full).count(), 2);
        settled.settle(OffsetRun { first: 1_000_000, count: 1_000_000 });
        assert_eq!((settled.floor(), settled.pages().len()), (2_200_000, 0));
    }

    #[test]
    fn outcomes_are_delivered_unless_noted() {
        let mut outcomes = Outcomes::default();
        outcomes.note(OffsetRun { first: 65_530, count: 10 }, Outcome::Dead);
        outcomes.note(OffsetRun { first: 5, count: 1 }, Outcome::Filtered);
        let shown: Vec<_> = [5, 6, 65_529, 65_530, 65_539, 65_540].iter().map(|o| outcomes.of(*o).name()).collect();
        assert_eq!(shown, ["filtered", "delivered", "delivered", "dead", "dead", "delivered"]);
        assert_eq!(outcomes.runs().map(|(_, run)| run.count).sum::<u64>(), 11);
        outcomes.forget_below(65_536);
        assert_eq!(outcomes.of(65_530), Outcome::Delivered);
        assert_eq!(outcomes.of(65_539), Outcome::Dead);
    }
}
