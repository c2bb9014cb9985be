//! Which message kills the process.
//!
//! Before a send the offsets in flight are noted. One that was in flight at two unclean ends in a row is a suspect: it
//! is sent before all others, with nothing else in flight in the process. Only a crash then charges it, and acquits the
//! rest; so one kill costs nobody time or an attempt, and a message that kills is dead after `attempts` + 2 ends.

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
    /// To be admitted as [`crash_suspect`](crate::Entry::crash_suspect).
    pub suspects: Vec<K>,
    /// The one to charge (see [`Scheduler::crashed`](crate::Scheduler::crashed)); it is among the suspects.
    pub charged: Option<K>,
}

/// Judges the last unclean end, given the one right before it; `before` is none if the process before that ended
/// cleanly, or if there was none.
#[must_use]
pub fn judge<K: Clone + PartialEq>(before: Option<&Unclean<K>>, last: &Unclean<K>) -> Verdict<K> {
    let was_there = |key: &K| match before {
        None => false,
        Some(Unclean::Together(keys)) => keys.contains(key),
        Some(Unclean::Alone(one)) => one == key,
    };
    match last {
        Unclean::Alone(one) => Verdict { suspects: vec![one.clone()], charged: Some(one.clone()) },
        Unclean::Together(keys) => {
            Verdict { suspects: keys.iter().filter(|key| was_there(key)).cloned().collect(), charged: None }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: Option<Unclean<u64>>, last: Unclean<u64>, suspects: &[u64], charged: Option<u64>) {
        assert_eq!(judge(before.as_ref(), &last), Verdict { suspects: suspects.to_vec(), charged });
    }

    #[test]
    fn two_unclean_ends_in_a_row_make_a_suspect_and_a_third_alone_charges() {
        let together = |keys: &[u64]| Unclean::Together(keys.to_vec());
        check(None, together(&[1, 2, 3]), &[], None);
        check(Some(together(&[1, 2, 3])), together(&[2, 3, 4]), &[2, 3], None);
        check(Some(together(&[2, 3, 4])), Unclean::Alone(2), &[2], Some(2));
        check(Some(Unclean::Alone(2)), Unclean::Alone(2), &[2], Some(2));
        check(Some(Unclean::Alone(2)), together(&[5, 6]), &[], None);
        check(Some(together(&[2, 3])), together(&[]), &[], None);
        check(None, Unclean::Alone(9), &[9], Some(9));
    }
}
