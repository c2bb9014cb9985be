//! Which message kills the process (blame.md, Crash).

/// What the notes of an unclean end say. `K` names a message of a subscription.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unclean<K> {
    /// These were in flight.
    Together(Vec<K>),
    /// This one was in flight, sent alone because it was suspected.
    Alone(K),
}

/// What follows for the messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict<K> {
    /// In flight at two unclean ends in a row, or sent alone when the process ended: to be admitted as
    /// [`crash_suspect`](crate::Entry::crash_suspect).
    pub suspects: Vec<K>,
    /// The one that an unclean end while it was alone charges (see [`Scheduler::crashed`](crate::Scheduler::crashed)).
    pub charged: Option<K>,
}

/// Judges the last unclean end, given the one before it in a row (none if the process before ended cleanly).
#[must_use]
pub fn judge<K: Clone + Ord>(_before: Option<&Unclean<K>>, _last: &Unclean<K>) -> Verdict<K> {
    todo!()
}
