//! What a connection is doing, and since when: from it follow the time limits, and by the bytes of a head whether its
//! framing is clear.
//!
//! ```text
//!            first byte                head complete               answer written
//!   Idle ───────────────► Head ─────────────────────► Busy(1) ─────────────────────► Idle
//!    75 s: closed           10 s: 408, closed           the service's time
//! ```
//!
//! No timer is touched per request: a phase is a lock and a clock reading; one lazy timer per connection looks at it.

use crate::Limits;
use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::time::Instant;

/// Larger head buffers are given back after the request.
const HEAD_KEPT_BYTES: usize = 4096;

/// The phase of a connection; shared by its stream, its service and its timer.
#[derive(Debug)]
pub(crate) struct Activity {
    state: Mutex<State>,
    limits: Limits,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// The bytes received since the head began (HTTP/1 only), at most `head_bytes_max`.
    head: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Head { since: Instant },
    Busy { requests: usize },
    Idle { since: Instant },
}

/// What the timer of a connection finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    /// Nothing is late; look again then.
    At(Instant),
    /// A head was not complete in time.
    HeadLate,
    /// There was no request for too long.
    IdleLate,
}

/// A request under way; its drop says that the answer is written or that nobody waits for it.
#[derive(Debug)]
pub(crate) struct Request(Arc<Activity>);

impl Activity {
    /// A new HTTP/1 connection, whose first head counts from now.
    pub(crate) fn awaiting_head(limits: Limits) -> Arc<Self> {
        Arc::new(Self::new(limits, Phase::Head { since: Instant::now() }))
    }

    /// A new HTTP/2 connection, whose client may take its time with the first request.
    pub(crate) fn idle(limits: Limits) -> Arc<Self> {
        Arc::new(Self::new(limits, Phase::Idle { since: Instant::now() }))
    }

    const fn new(limits: Limits, phase: Phase) -> Self {
        Self { state: Mutex::new(State { phase, head: Vec::new() }), limits }
    }

    /// Notes bytes of an HTTP/1 connection.
    pub(crate) fn received(&self, bytes: &[u8]) {
        let mut state = self.lock();
        match state.phase {
            Phase::Busy { .. } => return,
            Phase::Idle { .. } => {
                state.phase = Phase::Head { since: Instant::now() };
                state.head.clear();
            }
            Phase::Head { .. } => {}
        }
        let room = self.limits.head_bytes_max.saturating_sub(state.head.len());
        state.head.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// A head is complete and its request under way.
    pub(crate) fn begin(self: &Arc<Self>) -> Request {
        let mut state = self.lock();
        let requests = match state.phase {
            Phase::Busy { requests } => requests + 1,
            Phase::Head { .. } | Phase::Idle { .. } => 1,
        };
        state.phase = Phase::Busy { requests };
        Request(Arc::clone(self))
    }

    /// Whether the head of the request that began last has a `Content-Length`, as received: hyper drops it where a
    /// `Transfer-Encoding` stands beside it. Of a pipelined request the head is not known; hyper then closes after it.
    pub(crate) fn head_has_content_length(&self) -> bool {
        has_content_length(&self.lock().head)
    }

    fn end(&self) {
        let mut state = self.lock();
        state.phase = match state.phase {
            Phase::Busy { requests } if requests > 1 => Phase::Busy { requests: requests - 1 },
            Phase::Busy { .. } | Phase::Head { .. } | Phase::Idle { .. } => Phase::Idle { since: Instant::now() },
        };
        if state.head.capacity() > HEAD_KEPT_BYTES {
            drop(mem::take(&mut state.head));
        } else {
            state.head.clear();
        }
    }

    /// What is late now, or when to look again. A head may begin right after a look, so the next is never further away
    /// than a head may take.
    pub(crate) fn due(&self, now: Instant) -> Due {
        let (Limits { head_timeout, idle_timeout, .. }, phase) = (self.limits, self.lock().phase);
        match phase {
            Phase::Head { since } if now >= since + head_timeout => Due::HeadLate,
            Phase::Head { since } => Due::At(since + head_timeout),
            Phase::Idle { since } if now >= since + idle_timeout => Due::IdleLate,
            Phase::Idle { since } => Due::At((since + idle_timeout).min(now + head_timeout)),
            Phase::Busy { .. } => Due::At(now + head_timeout),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.0.end();
    }
}

fn has_content_length(head: &[u8]) -> bool {
    const NAME: &[u8] = b"content-length";
    head.split(|byte| *byte == b'\n')
        .skip_while(|line| line.is_empty() || *line == b"\r")
        .take_while(|line| !line.is_empty() && *line != b"\r")
        .filter_map(|line| line.split_at_checked(NAME.len()))
        .any(|(name, rest)| name.eq_ignore_ascii_case(NAME) && rest.starts_with(b":"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn finds_a_length_in_the_head_and_only_there() {
        for (head, found) in [
            ("POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", true),
            ("\r\nPOST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-LENGTH:5\r\n\r\n", true),
            ("POST / HTTP/1.1\nContent-Length: 5\n\n", true),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nContent-Length: 5\r\n", false),
            ("POST / HTTP/1.1\r\nX-Content-Length: 5\r\n\r\n", false),
            ("", false),
        ] {
            assert_eq!(has_content_length(head.as_bytes()), found, "{head:?}");
        }
    }

    #[test]
    fn each_phase_has_its_time() {
        let start = Instant::now();
        let check = |activity: &Activity, seconds, late: Option<Due>| {
            let due = activity.due(start + Duration::from_secs(seconds));
            assert!(late.map_or(matches!(due, Due::At(_)), |late| late == due), "after {seconds} s: {due:?}");
        };
        let activity = Activity::awaiting_head(Limits::default());
        check(&activity, 9, None);
        check(&activity, 11, Some(Due::HeadLate));
        let (first, second) = (activity.begin(), activity.begin());
        check(&activity, 1000, None);
        drop(first);
        check(&activity, 1000, None);
        drop(second);
        check(&activity, 74, None);
        check(&activity, 76, Some(Due::IdleLate));
        activity.received(b"P");
        check(&activity, 9, None);
        check(&activity, 11, Some(Due::HeadLate));
    }

    #[test]
    fn an_idle_connection_is_looked_at_before_a_head_can_be_late() {
        let activity = Activity::idle(Limits::default());
        let now = Instant::now();
        assert_eq!(activity.due(now), Due::At(now + Limits::default().head_timeout));
    }
}
