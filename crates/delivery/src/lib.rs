//! Who is at fault when a delivery fails, and what is sent when: back-off, circuits, order lanes, crash suspects.
//!
//! Two things hold at once: an outage that ten messages met costs nobody an attempt, a smaller one at most one each, so
//! that none fills a dead-letter queue, however long; and a poison message never blocks for ever. A message is charged
//! an attempt only when its target is seen to work for another one that was started later; two exceptions are a message
//! that nobody else can speak for (`alone_limit`) and one that kills the process ([`judge`]).
//!
//! Pure and without I/O: time comes in as a [`Moment`](crossdock_model::Moment), answers come in as events, and what
//! is to be started ([`Start`]) or committed ([`Effect`]) comes out. The crate knows no clock, task, socket, file or
//! environment. A [`Scheduler`] is made per (route, target), a [`Link`] per connection:
//!
//! ```
//! use crossdock_delivery::{Effect, Entry, Link, Policy, Scheduler};
//! use crossdock_model::Moment;
//!
//! let (mut scheduler, mut link) = (Scheduler::new(Policy::default(), 1), Link::new());
//! let (mut starts, mut effects) = (Vec::new(), Vec::new());
//! scheduler.admit(Moment(0), Entry::fresh(7));
//! scheduler.poll(Moment(0), &mut link, &mut starts);
//! // … the caller sends starts[0], and the target confirms it …
//! scheduler.finished(Moment(12), &mut link, starts[0].offset, Ok(()), &mut effects);
//! assert_eq!(effects, [Effect::Delivered { offset: 7, tries: 1 }]);
//! ```
//!
//! The loop of a caller: admit while there is [`room`](Scheduler::room), poll, send what it says, hand over the answers,
//! commit the effects, and poll again after each of these, at [`wake_at`](Scheduler::wake_at), and when the
//! [`version`](Link::version) of the link changed. Whoever calls with a link compares its version before and after, and
//! wakes the other schedulers of the connection if it differs.
//!
//! # Where the rule leaves a choice
//!
//! - **Retries while up.** They alternate with fresh messages, but at most three are in flight at once; that doubles with
//!   each retry that passes, and is three again when one fails. So poison, which fails at every retry, can hold no circuit
//!   by itself. (Simulated at 64 in flight: without it, one message in a hundred poison drives the target from outage to
//!   outage, and as an outage charges nobody and makes all due at its end, the poison never dies.)
//! - **The limit** counts the sends since the circuit last came up; those that hang from before take only of
//!   `max_in_flight`, which holds over all circuits of the target.
//! - **A busy target** is left alone until the moment it named, even if a success that was on its way comes in meanwhile.
//! - **Reached again with a fault.** The circuit whose probe it was stays held (`Held(suspects)`) until a success or a
//!   rejection, the others of the connection come up. A reset or time-out of what was on its way shows nothing; that of the
//!   probe does: it got through. An `Unreachable` of a send that began before the link last worked is stale.
//! - **`Rejected` by the sink itself** ([`Answer::Nobody`](crossdock_model::Answer::Nobody)) tells nothing of the target.
//! - **Alone** means that no other lane has a message that was never tried: two poison heads do not keep each other alive.
//!   It counts from the first failed try, over restarts, and only with [`Order::BlockKey`].
//! - **Busy** counts as a try (it is noted, and its back-off grows), `Unreachable` does not. A message that was charged
//!   for the last time in flight and then meets either is dead of the failure it was charged for.
//! - **Probes** ignore a back-off, but no wait that the target asked for. Their interval runs from the end of one.
//! - **Many waiting messages** ([`Policy::held_max`]): beyond them one fresh message at a time is still taken, up to
//!   4,096, since only another one can end a backlog of poison.

mod calendar;
mod circuit;
mod crash;
mod effect;
mod entry;
mod hash;
mod lanes;
mod link;
mod member;
mod members;
mod pace;
mod policy;
mod queue;
mod random;
mod scheduler;
mod slot;
mod status;

pub use calendar::{failing_for, wait_left};
pub use crash::{Unclean, Verdict, judge};
pub use effect::{Effect, Start};
pub use entry::{Entry, Prior};
pub use link::Link;
pub use policy::{HELD_MAX, Order, Policy, RETRY_AFTER_MAX, Retry, VOICES_MAX};
pub use scheduler::Scheduler;
pub use status::{CircuitStatus, Counters, Hold, State, Status, Trouble};
