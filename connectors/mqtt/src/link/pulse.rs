//! Keep-alive (3.1.1 §3.1.2.10).

use std::time::{Duration, Instant};

/// When to ping, and when a broker is dead. A ping goes out twice in a period whatever else is written; a broker that is
/// listened to and says nothing for a whole one is dead. While nothing is read nobody can tell, and nobody judges. It is
/// judged at the second tick in a row, for a process that stood still finds its timers due before it finds what has come
/// meanwhile.
#[derive(Debug)]
pub(super) struct Pulse {
    /// Zero is none.
    period: Duration,
    pinged: Instant,
    /// When something came, or when we began to listen again.
    heard: Instant,
    reading: bool,
    /// It was too long ago at the last tick.
    overdue: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Beat {
    Quiet,
    Ping,
    Dead,
}

impl Pulse {
    pub(super) fn new(keep_alive: u16, now: Instant) -> Self {
        Self {
            period: Duration::from_secs(u64::from(keep_alive)),
            pinged: now,
            heard: now,
            reading: true,
            overdue: false,
        }
    }

    pub(super) const fn period(&self) -> Duration {
        self.period
    }

    /// Something came.
    pub(super) const fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// Whether we listen from now on.
    pub(super) fn reading(&mut self, reading: bool, now: Instant) {
        if reading && !self.reading {
            self.heard = now;
        }
        self.reading = reading;
    }

    /// What is to be done now.
    pub(super) fn tick(&mut self, now: Instant) -> Beat {
        if self.period.is_zero() {
            return Beat::Quiet;
        }
        let was_overdue = self.overdue;
        self.overdue = self.reading && now.duration_since(self.heard) > self.period;
        if self.overdue && was_overdue {
            return Beat::Dead;
        }
        if now.duration_since(self.pinged) * 2 >= self.period {
            self.pinged = now;
            return Beat::Ping;
        }
        Beat::Quiet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_broker_is_dead_only_while_it_is_listened_to() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut pulse = Pulse::new(10, start);
        assert_eq!(pulse.tick(at(4)), Beat::Quiet);
        assert_eq!(pulse.tick(at(5)), Beat::Ping);
        pulse.heard(at(6));
        assert_eq!(pulse.tick(at(9)), Beat::Quiet);
        assert_eq!(pulse.tick(at(10)), Beat::Ping);
        pulse.reading(false, at(12));
        assert_eq!(pulse.tick(at(60)), Beat::Ping);
        pulse.reading(true, at(60));
        assert_eq!(pulse.tick(at(70)), Beat::Ping);
        assert_eq!(pulse.tick(at(71)), Beat::Quiet);
        assert_eq!(pulse.tick(at(72)), Beat::Dead);
        assert_eq!(Pulse::new(0, start).tick(at(1000)), Beat::Quiet);
    }
}
