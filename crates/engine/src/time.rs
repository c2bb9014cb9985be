//! The calendar and the stopwatch, side by side: what is stored and shown is told by the one, what is waited for by the
//! other, so that a jump of the calendar holds nothing up and hurries nothing.

use crate::Clock;
use crossdock_model::{Moment, Timestamp};
use std::time::Duration;
use tokio::time::Instant;

/// Longest sleep in one piece: what is due by the calendar is looked at again at least this often.
const SLEEP_MAX: Duration = Duration::from_secs(30);

/// Both clocks of the process.
#[derive(Clone)]
pub(crate) struct Time {
    clock: Clock,
    start: Instant,
}

impl Time {
    /// The stopwatch starts now.
    pub fn new(clock: Clock) -> Self {
        Self { clock, start: Instant::now() }
    }

    /// The calendar's time.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The stopwatch's.
    pub fn moment(&self) -> Moment {
        Moment(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// The first moment by which `wait` has passed from now on: what is given for a time is not taken back before, and
    /// the stopwatch shows whole milliseconds.
    pub fn moment_in(&self, wait: Duration) -> Moment {
        self.moment().after(wait.saturating_add(Duration::from_millis(1)))
    }

    /// When the stopwatch shows the moment; never, if that is none.
    pub fn instant(&self, moment: Option<Moment>) -> Instant {
        let latest = Instant::now() + SLEEP_MAX;
        let at = moment.and_then(|moment| self.start.checked_add(Duration::from_millis(moment.0)));
        at.map_or(latest, |at| at.min(latest))
    }

    /// The moment of a calendar time as things stand now.
    pub fn moment_of(&self, at: Timestamp) -> Moment {
        self.moment().after(at.since(self.now()))
    }

    /// The calendar time of a moment as things stand now.
    pub fn timestamp_of(&self, moment: Moment) -> Timestamp {
        let (now, here) = (self.now(), self.moment());
        if moment >= here {
            now.after(moment.since(here))
        } else {
            let ago = i64::try_from(here.since(moment).as_millis()).unwrap_or(i64::MAX);
            Timestamp(now.0.saturating_sub(ago))
        }
    }
}
