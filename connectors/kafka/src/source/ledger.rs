//! What is received and what of it is settled, by partition and assignment: which offset may be committed.
//!
//! A *scope* is a partition in one assignment. When the partition is taken away its scope ends, and what settles later
//! under its number is ignored: by then somebody else commits for the partition.

use crossdock_connector::{Token, Tracker};
use crossdock_model::Text;

/// The scopes of a session.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    session: u32,
    next_scope: u32,
    /// In the order of their numbers.
    scopes: Vec<Scope>,
    dirty: bool,
}

/// A partition in one assignment.
#[derive(Debug)]
pub(super) struct Scope {
    /// Its number, which tokens carry.
    pub number: u32,
    /// The topic.
    pub topic: Text,
    /// The partition.
    pub partition: i32,
    tracker: Tracker<i64>,
    /// Where reading began or, later, what stands behind everything that is settled.
    next: Option<i64>,
    dirty: bool,
    /// Whether its end was agreed with the engine.
    released: bool,
    /// Whether a message was given back, so that it must be read again.
    rewind: bool,
}

impl Ledger {
    /// The ledger of a session; tokens of others are not its own.
    pub fn new(session: u32) -> Self {
        Self { session, ..Self::default() }
    }

    /// A partition was assigned, or is read again from [`Scope::next`] on.
    pub fn begin(&mut self, topic: &Text, partition: i32) -> u32 {
        let number = self.next_scope;
        self.next_scope += 1;
        self.scopes.push(Scope {
            number,
            topic: topic.clone(),
            partition,
            tracker: Tracker::new(),
            next: None,
            dirty: false,
            released: false,
            rewind: false,
        });
        number
    }

    /// A message was received; gives its token. None if its scope has ended.
    pub fn receive(&mut self, scope: u32, offset: i64) -> Option<Token> {
        let session = self.session;
        let scope = self.scope(scope)?;
        scope.next.get_or_insert(offset);
        Some(Token { session, scope: scope.number, seq: scope.tracker.receive(offset) })
    }

    /// A message is settled; `given_back` if it must be read again.
    pub fn settle(&mut self, token: Token, given_back: bool) {
        if token.session != self.session {
            return;
        }
        let Some(scope) = self.scope(token.scope) else { return };
        if given_back {
            scope.rewind = true;
            return;
        }
        // What was given back is before whatever settles behind it, so the watermark stays there.
        let Scope { tracker, next, .. } = scope;
        let before = *next;
        tracker.settle(token.seq, |offset| *next = Some(offset + 1));
        let moved = *next != before;
        scope.dirty |= moved;
        self.dirty |= moved;
    }

    /// What may be committed and was not yet told: topic, partition, and the offset behind everything settled.
    pub fn take_progress(&mut self) -> Vec<(Text, i32, i64)> {
        if !std::mem::take(&mut self.dirty) {
            return Vec::new();
        }
        let mut progress = Vec::new();
        for scope in &mut self.scopes {
            if std::mem::take(&mut scope.dirty)
                && let Some(next) = scope.next
            {
                progress.push((scope.topic.clone(), scope.partition, next));
            }
        }
        progress
    }

    /// The scopes of which a message was given back, with the offset to read from; they end.
    pub fn take_rewinds(&mut self) -> Vec<(Scope, i64)> {
        let (rewind, kept) = std::mem::take(&mut self.scopes).into_iter().partition(|scope| scope.rewind);
        self.scopes = kept;
        let rewind: Vec<Scope> = rewind;
        rewind.into_iter().filter_map(|scope| scope.next.map(|next| (scope, next))).collect()
    }

    /// Whether a message was given back.
    pub fn wants_rewind(&self) -> bool {
        self.scopes.iter().any(|scope| scope.rewind)
    }

    /// The engine has nothing more to say of a scope.
    pub fn release(&mut self, number: u32) {
        if let Some(scope) = self.scope(number) {
            scope.released = true;
        }
    }

    /// Whether a scope has messages whose fate is open.
    pub fn is_open(&self, number: u32) -> bool {
        self.scopes.iter().any(|scope| scope.number == number && scope.tracker.outstanding() > 0 && !scope.released)
    }

    /// The partitions are gone.
    pub fn end(&mut self, numbers: &[u32]) {
        self.scopes.retain(|scope| !numbers.contains(&scope.number));
    }

    /// The scopes there are.
    pub fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// The number of a partition's scope.
    pub fn number_of(&self, topic: &str, partition: i32) -> Option<u32> {
        let mut scopes = self.scopes.iter().rev();
        scopes.find(|scope| scope.partition == partition && *scope.topic == *topic).map(|scope| scope.number)
    }

    fn scope(&mut self, number: u32) -> Option<&mut Scope> {
        let at = self.scopes.binary_search_by_key(&number, |scope| scope.number).ok()?;
        self.scopes.get_mut(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: Text = Text::from_static("t");

    fn progress(ledger: &mut Ledger) -> Vec<(i32, i64)> {
        ledger.take_progress().into_iter().map(|(_, partition, next)| (partition, next)).collect()
    }

    #[test]
    fn progress_never_goes_over_a_hole() {
        let mut ledger = Ledger::new(1);
        let scope = ledger.begin(&TOPIC, 0);
        // Offsets have gaps where a topic was compacted.
        let tokens: Vec<_> = [10, 11, 15, 16].map(|offset| ledger.receive(scope, offset).unwrap()).into();
        for (settled, expected) in [(1, vec![]), (0, vec![(0, 12)]), (0, vec![]), (3, vec![]), (2, vec![(0, 17)])] {
            ledger.settle(tokens[settled], false);
            assert_eq!(progress(&mut ledger), expected, "after {settled}");
        }
    }

    #[test]
    fn what_belongs_to_another_session_or_assignment_moves_nothing() {
        let mut ledger = Ledger::new(2);
        let first = ledger.begin(&TOPIC, 0);
        let old = ledger.receive(first, 5).unwrap();
        ledger.settle(Token { session: 1, ..old }, false);
        assert_eq!(progress(&mut ledger), []);
        ledger.end(&[first]);
        let second = ledger.begin(&TOPIC, 0);
        let new = ledger.receive(second, 5).unwrap();
        ledger.settle(old, false);
        assert_eq!((progress(&mut ledger), ledger.receive(first, 6)), (vec![], None));
        ledger.settle(new, false);
        assert_eq!(progress(&mut ledger), [(0, 6)]);
        assert_eq!(ledger.number_of("t", 0), Some(second));
    }

    #[test]
    fn a_partition_is_drained_when_all_is_settled_or_released() {
        let mut ledger = Ledger::new(0);
        let (one, two) = (ledger.begin(&TOPIC, 0), ledger.begin(&TOPIC, 1));
        let token = ledger.receive(one, 0).unwrap();
        ledger.receive(two, 0);
        assert!(ledger.is_open(one) && ledger.is_open(two));
        ledger.settle(token, false);
        ledger.release(two);
        assert!(!ledger.is_open(one) && !ledger.is_open(two));
    }

    #[test]
    fn what_is_given_back_is_read_again_from_the_first_that_is_not_settled() {
        let mut ledger = Ledger::new(0);
        let scope = ledger.begin(&TOPIC, 3);
        let tokens: Vec<_> = (20..24).map(|offset| ledger.receive(scope, offset).unwrap()).collect();
        ledger.settle(tokens[0], false);
        ledger.settle(tokens[1], true);
        ledger.settle(tokens[2], false);
        assert!(ledger.wants_rewind());
        assert_eq!(progress(&mut ledger), [(3, 21)]);
        let rewinds = ledger.take_rewinds();
        assert_eq!(rewinds.iter().map(|(scope, from)| (scope.partition, *from)).collect::<Vec<_>>(), [(3, 21)]);
        assert!(ledger.scopes().is_empty() && !ledger.wants_rewind());
    }
}
