//! The keys of records of a log, such as a partition of Kafka's: noted by runs.
//!
//! ```text
//! decision    7  8  9      11 12 13        (10 was refused and is not stored)
//! noted       key of 7: 7 to 9 · key of 11: 11 to 13
//! ```
//! A record of a log is known by its place, and places come one behind the other. Those that a decision stores without a gap
//! are a run. It is noted by the key of its first record, with the first and the last place where other keys have the hash of
//! a body. Who reads the log again meets that record, which its key tells exactly, also from one of the same place in a log
//! that was made anew; what comes behind it, up to the last place, was stored with it.
//!
//! A reader that goes on where it stood begins with the first record of a run, since what a decision stores is settled at once.
//! One that is set back into the midst of a run stores the rest of it again, under the same ids; the runs behind are known.

use super::plan::Plan;
use crate::{KeyClaim, LogPlace, PutResult, format::Key};
use crossdock_model::{Digest, MessageId, Timestamp};
use hashbrown::HashMap;

/// More logs are not read again at once: what is known of them is let go, and some records may be stored again.
const PASSING_MAX: usize = 4096;

/// Runs that are read again, by scope and lane: their first record was met.
#[derive(Clone, Debug, Default)]
pub struct Passing(HashMap<(u32, u64), Rest>);

/// What of a run has not come again.
#[derive(Clone, Copy, Debug)]
struct Rest {
    turn: u16,
    next: i64,
    last: i64,
}

/// Records of a log, one behind the other.
#[derive(Debug)]
pub struct Run {
    scope: u32,
    lane: u64,
    turn: u16,
    hash: Digest,
    id: MessageId,
    until: Timestamp,
    first: i64,
    last: i64,
}

impl Passing {
    fn begin(&mut self, at: (u32, u64), rest: Rest) {
        if self.0.len() >= PASSING_MAX {
            self.0.clear();
        }
        self.0.insert(at, rest);
    }

    /// Whether a record is of the run that is read again in its lane. If it is not, that run is over.
    fn has(&mut self, scope: u32, place: LogPlace) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let Some(rest) = self.0.get_mut(&(scope, place.lane)) else { return false };
        let has = rest.turn == place.turn && (rest.next..=rest.last).contains(&place.at);
        if has {
            rest.next = place.at + 1;
        } else {
            self.0.remove(&(scope, place.lane));
        }
        has
    }
}

impl Plan<'_> {
    /// Whether a record of a log is stored: it is the first of a run, or comes behind that.
    pub fn known_place(&mut self, scope: u32, claim: &KeyClaim, place: LogPlace) -> Option<PutResult> {
        // In this decision, too: what is left of one reading and what begins the next may meet there.
        let here = self.runs.iter().find(|run| (run.scope, run.hash) == (scope, claim.hash)).map(|run| run.last);
        let last = here.or_else(|| self.seen(scope, claim.hash).map(|(places, _)| last_of(places)));
        let known = match last {
            Some(last) => {
                let rest = Rest { turn: place.turn, next: place.at.saturating_add(1), last };
                self.passing.begin((scope, place.lane), rest);
                true
            }
            None => self.passing.has(scope, place),
        };
        known.then_some(PutResult::Duplicate { id: claim.id })
    }

    /// A record of a log is stored with this decision.
    pub fn take_place(&mut self, scope: u32, claim: &KeyClaim, place: LogPlace) {
        let KeyClaim { hash, id, until, .. } = *claim;
        let LogPlace { lane, turn, at } = place;
        match self.runs.iter_mut().rfind(|run| (run.scope, run.lane, run.turn) == (scope, lane, turn)) {
            Some(run) if run.last.checked_add(1) == Some(at) => {
                run.last = at;
                run.until = run.until.max(until);
            }
            Some(_) | None => self.runs.push(Run { scope, lane, turn, hash, id, until, first: at, last: at }),
        }
    }

    /// Adds the records of what was taken.
    pub fn note_runs(&mut self) {
        for Run { scope, hash, id, until, first, last, .. } in std::mem::take(&mut self.runs) {
            self.note(scope, Key { hash, body: places(first, last), id, until });
        }
    }
}

fn places(first: i64, last: i64) -> Digest {
    let both = u128::from(first.cast_unsigned()) | u128::from(last.cast_unsigned()) << 64;
    Digest(both.to_le_bytes())
}

fn last_of(places: Digest) -> i64 {
    let both = u128::from_le_bytes(places.0);
    ((both >> 64) as u64).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_stand_where_a_body_would() {
        for (first, last) in [(0, 0), (5, 70), (i64::MAX - 1, i64::MAX), (-3, 4)] {
            assert_eq!(last_of(places(first, last)), last);
        }
    }

    #[test]
    fn a_run_that_is_read_again_ends_with_its_last_record_or_a_step_back() {
        let mut passing = Passing::default();
        let has = |passing: &mut Passing, at| passing.has(1, LogPlace { lane: 9, turn: 0, at });
        let rest = Rest { turn: 0, next: 5, last: 8 };
        assert!(!has(&mut passing, 5));
        passing.begin((1, 9), rest);
        let lane = |lane| LogPlace { lane, turn: 0, at: 5 };
        assert!(!passing.has(1, lane(8)) && !passing.has(2, lane(9)));
        assert!(has(&mut passing, 5) && has(&mut passing, 7) && has(&mut passing, 8));
        assert!(!has(&mut passing, 9) && !has(&mut passing, 8), "it is over");
        passing.begin((1, 9), rest);
        assert!(!passing.has(1, LogPlace { turn: 1, ..lane(9) }), "it went back");
        passing.begin((1, 9), rest);
        assert!(has(&mut passing, 6) && !has(&mut passing, 6) && !has(&mut passing, 7), "the log was made anew");
    }
}
