//! Publishing again and again: one entry a minute for a caller and a channel.

use super::Caller;
use crossdock_model::Timestamp;
use std::time::Duration;

/// How long an entry counts what is published.
const SERIES: Duration = Duration::from_secs(60);
/// Most series at a time; what is beyond makes entries of its own.
const SERIES_MAX: usize = 64;

/// The series that go on.
#[derive(Default)]
pub(super) struct Series(Vec<One>);

struct One {
    channel: String,
    who: String,
    host: Option<String>,
    id: u64,
    until: Timestamp,
    messages: u64,
}

impl Series {
    /// Takes out what is over: the entries, and how many messages each counted.
    pub fn over(&mut self, now: Timestamp) -> Vec<(u64, u64)> {
        // One that lies in the future is over, too: the clock was set back.
        let goes_on = |one: &One| now < one.until && one.until <= now.after(SERIES);
        let over = self.0.iter().filter(|one| !goes_on(one)).map(|one| (one.id, one.messages)).collect();
        self.0.retain(goes_on);
        over
    }

    /// Whether an entry counts what this caller publishes to the channel.
    pub fn counts(&self, channel: &str, caller: &Caller) -> bool {
        self.0.iter().any(|one| one.is_of(channel, caller))
    }

    /// An entry counts from now on.
    pub fn begin(&mut self, channel: &str, caller: &Caller, id: u64, now: Timestamp) {
        if self.0.len() < SERIES_MAX {
            let (channel, who, host) = (channel.to_owned(), caller.who.clone(), host(caller).map(str::to_owned));
            self.0.push(One { channel, who, host, id, until: now.after(SERIES), messages: 0 });
        }
    }

    /// A message more; now and then the count is to be written down: after a crash at least half of it is known.
    pub fn count(&mut self, channel: &str, caller: &Caller) -> Option<(u64, u64)> {
        let one = self.0.iter_mut().find(|one| one.is_of(channel, caller))?;
        one.messages += 1;
        one.messages.is_power_of_two().then_some((one.id, one.messages))
    }

    /// The entries that count now, and how many messages each has counted.
    pub fn all(&self) -> Vec<(u64, u64)> {
        self.0.iter().map(|one| (one.id, one.messages)).collect()
    }
}

impl One {
    fn is_of(&self, channel: &str, caller: &Caller) -> bool {
        self.channel == channel && self.who == caller.who && self.host.as_deref() == host(caller)
    }
}

/// A caller's address without its port, which differs by connection.
fn host(caller: &Caller) -> Option<&str> {
    caller.remote.as_deref().map(|remote| remote.rsplit_once(':').map_or(remote, |(host, _)| host))
}
