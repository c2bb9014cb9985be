//! What killed the processes before this one, as far as their notes tell, and whose turn it is to be sent alone.

use crate::tasks::blocking;
use crossdock_delivery::{Unclean, Verdict, judge};
use crossdock_store::{Channels, End, Ends, Flight, FlightNotes, SubscriptionNumber};
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};
use tokio::sync::Notify;

/// What was in flight at the last ends, and notes of what is now.
pub(crate) struct Crash {
    /// None where they cannot be kept: then nobody is suspected either.
    notes: Option<FlightNotes>,
    /// In flight at two unclean ends in a row.
    pub suspects: Vec<Flight>,
    /// The one of them that was alone at the last.
    pub charged: Option<Flight>,
    /// Who may send.
    pub turns: Turns,
}

/// A message of a subscription.
type Key = (SubscriptionNumber, u64);

impl Crash {
    /// Reads and judges what the last processes left; `boot` names the machine's present start, without which notes are
    /// worth nothing.
    pub async fn read(channels: &Arc<dyn Channels>, boot: Option<[u8; 16]>) -> Self {
        let Some(boot) = boot else { return Self::new(None, Vec::new(), None) };
        let channels = Arc::clone(channels);
        let opened = blocking(move || {
            let (notes, ends) = channels.flight_notes(boot)?;
            let (suspects, charged) = verdict(&ends);
            if charged.is_some() {
                notes.charged()?;
            }
            Ok::<_, std::io::Error>((notes, suspects, charged))
        });
        match opened.await {
            Some(Ok((notes, suspects, charged))) => {
                if !suspects.is_empty() {
                    let count = suspects.len();
                    tracing::warn!(
                        count,
                        "the program ended twice with these messages on their way: each is sent alone"
                    );
                }
                Self::new(Some(notes), suspects, charged)
            }
            failed => {
                let error = failed.and_then(Result::err).map(|error| error.to_string()).unwrap_or_default();
                tracing::warn!(error, "what is on its way cannot be noted: what kills the program is not found out");
                Self::new(None, Vec::new(), None)
            }
        }
    }

    fn new(notes: Option<FlightNotes>, suspects: Vec<Flight>, charged: Option<Flight>) -> Self {
        let turns = Turns { over: AtomicBool::new(suspects.is_empty()), places: Mutex::default() };
        Self { notes, suspects, charged, turns }
    }

    /// Where a subscription's flights are noted.
    pub fn region(&self, subscription: SubscriptionNumber) -> Option<crossdock_store::FlightRegion> {
        self.notes.as_ref().map(|notes| notes.region(subscription))
    }

    /// The process is being stopped: whatever ends it from now on is no message's fault.
    pub async fn close(&self) {
        let Some(notes) = self.notes.clone() else { return };
        if let Some(Err(error)) = blocking(move || notes.close()).await {
            tracing::warn!(%error, "the stop cannot be noted: messages on their way may be suspected at the next start");
        }
    }
}

/// Suspects and the one to charge. That the rules were applied to a message counts more than that it was sent: they
/// are the same for all targets.
fn verdict(ends: &Ends) -> (Vec<Flight>, Option<Flight>) {
    let Some(last) = &ends.last else { return (Vec::new(), None) };
    let key = |flight: &Flight| (flight.subscription, flight.offset);
    let flights = |end: &End| match end {
        End::Together(flights) => flights.clone(),
        End::Alone(flight) => vec![*flight],
    };
    let unclean = |end: &End| match end {
        End::Together(flights) => Unclean::Together(flights.iter().map(key).collect::<Vec<Key>>()),
        End::Alone(flight) => Unclean::Alone(key(flight)),
    };
    let Verdict { suspects, charged } = judge(ends.before.as_ref().map(unclean).as_ref(), &unclean(last));
    let mut noted = flights(last);
    noted.retain(|flight| suspects.contains(&key(flight)));
    let charged = charged.filter(|_| !ends.charged);
    let charged = noted.iter().find(|flight| charged == Some(key(flight))).copied();
    (noted, charged)
}

/// While there are crash suspects: who may send, so that each is sent with nothing else in flight in the process. They
/// come from the last process alone, so that once all are dealt with nobody has to ask again.
pub(crate) struct Turns {
    over: AtomicBool,
    places: Mutex<Vec<Place>>,
}

struct Place {
    bell: Arc<Notify>,
    suspects: usize,
    wants: bool,
    busy: bool,
}

/// What a route may do now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Permit {
    /// Whatever it likes.
    Everything,
    /// Send its suspect: nothing else is in flight.
    Suspect,
    /// Start nothing: a suspect is or will be in flight.
    Nothing,
}

impl Turns {
    /// Adds a route, which counts as busy until it asks for the first time.
    pub fn join(&self, bell: Arc<Notify>) -> usize {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.push(Place { bell, suspects: 1, wants: false, busy: true });
        places.len() - 1
    }

    /// A route says how many suspects it has left, whether one of them could be sent now, and whether it has anything
    /// in flight; what it may do until it asks again. Others are rung when that changes for them.
    pub fn ask(&self, who: usize, suspects: usize, wants: bool, busy: bool) -> Permit {
        if self.over.load(Ordering::Acquire) {
            return Permit::Everything;
        }
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mine) = places.get_mut(who) else { return Permit::Everything };
        let (news, lets_go) = (mine.wants != wants || (mine.busy && !busy), mine.wants && !wants);
        (mine.suspects, mine.wants, mine.busy) = (suspects, wants, busy);
        let over = places.iter().all(|place| place.suspects == 0);
        self.over.store(over, Ordering::Release);
        let first = places.iter().position(|place| place.wants);
        if over || (news && first.is_some_and(|first| first != who)) || lets_go {
            places.iter().enumerate().filter(|(at, _)| *at != who).for_each(|(_, place)| place.bell.notify_one());
        } else if news && first == Some(who) {
            // Those that have come to rest since they asked last are to say so.
            places.iter().filter(|place| place.busy && !place.wants).for_each(|place| place.bell.notify_one());
        }
        let at_rest = places.iter().enumerate().all(|(at, place)| at == who || !place.busy);
        let permit = match first {
            None => Permit::Everything,
            Some(first) if first == who && !busy && at_rest => Permit::Suspect,
            Some(_) => Permit::Nothing,
        };
        if let (Permit::Everything | Permit::Suspect, Some(mine)) = (permit, places.get_mut(who)) {
            mine.busy = true;
        }
        permit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flight(offset: u64) -> Flight {
        Flight { subscription: SubscriptionNumber(1), offset, evaluating: offset.is_multiple_of(2) }
    }

    #[test]
    fn what_was_in_flight_twice_is_suspected_and_who_was_alone_is_charged_once() {
        let together = |offsets: &[u64]| Some(End::Together(offsets.iter().copied().map(flight).collect()));
        let check = |before: Option<End>, last: Option<End>, charged, expected: (&[u64], Option<u64>)| {
            let (suspects, charged) = verdict(&Ends { before, last, charged });
            let offsets: Vec<u64> = suspects.iter().map(|suspect| suspect.offset).collect();
            assert_eq!((&*offsets, charged.map(|charged| charged.offset)), expected);
        };
        check(None, None, false, (&[], None));
        check(None, together(&[1, 2]), false, (&[], None));
        check(together(&[1, 2]), together(&[2, 3]), false, (&[2], None));
        check(together(&[2]), Some(End::Alone(flight(2))), false, (&[2], Some(2)));
        check(together(&[2]), Some(End::Alone(flight(2))), true, (&[2], None));
    }

    #[test]
    fn a_suspect_is_sent_when_nobody_is_busy_and_nobody_sends_meanwhile() {
        let crash = Crash::new(None, vec![flight(1)], None);
        let turns = &crash.turns;
        let [a, b] = [turns.join(Arc::default()), turns.join(Arc::default())];
        assert_eq!(turns.ask(a, 0, false, false), Permit::Everything, "nobody has said that it wants");
        assert_eq!(turns.ask(b, 1, true, false), Permit::Nothing, "the other one may have begun something");
        assert_eq!(turns.ask(a, 0, false, true), Permit::Nothing);
        assert_eq!(turns.ask(b, 1, true, false), Permit::Nothing);
        assert_eq!(turns.ask(a, 0, false, false), Permit::Nothing);
        assert_eq!(turns.ask(b, 1, true, false), Permit::Suspect);
        assert_eq!(turns.ask(b, 1, true, true), Permit::Nothing, "it is under way");
        assert_eq!(turns.ask(a, 0, false, false), Permit::Nothing);
        assert_eq!(turns.ask(b, 1, false, false), Permit::Everything, "it cannot be reached now: the others go on");
        assert_eq!(turns.ask(a, 0, false, false), Permit::Everything);
        assert_eq!(turns.ask(a, 0, false, false), Permit::Everything);
        assert_eq!(turns.ask(b, 0, false, true), Permit::Everything);
        assert!(turns.over.load(Ordering::Relaxed), "once for all");
    }

    #[test]
    fn nobody_is_woken_over_a_suspect_whose_target_is_away() {
        let crash = Crash::new(None, vec![flight(1)], None);
        let turns = &crash.turns;
        let bells = [Arc::new(Notify::new()), Arc::new(Notify::new())];
        let places = bells.each_ref().map(|bell| turns.join(Arc::clone(bell)));
        let rung = |bell: &Arc<Notify>| std::pin::pin!(bell.notified()).as_mut().enable();
        // Each is let go on, does nothing, and comes back: two who woke each other would do so for as long as it is away.
        for _ in 0..3 {
            for (suspects, who) in [1, 0].into_iter().zip(places) {
                assert_eq!(turns.ask(who, suspects, false, false), Permit::Everything);
            }
            assert_eq!(bells.each_ref().map(rung), [false, false]);
        }
        // It is there again, and gone again: who may have begun something is asked, who stood still for it may go on.
        assert_eq!(turns.ask(places[0], 1, true, false), Permit::Nothing);
        assert_eq!(bells.each_ref().map(rung), [false, true]);
        assert_eq!(turns.ask(places[1], 0, false, false), Permit::Nothing);
        assert_eq!(bells.each_ref().map(rung), [true, false]);
        assert_eq!(turns.ask(places[0], 1, true, false), Permit::Suspect);
        assert_eq!(turns.ask(places[0], 1, false, false), Permit::Everything);
        assert_eq!(bells.each_ref().map(rung), [false, true]);
    }
}
