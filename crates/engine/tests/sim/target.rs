//! Targets with whims: what a send leads to, and when.

use super::dice::Dice;
use crossdock_model::{Answer, Fault, FaultClass};
use std::time::Duration;

/// How a target is at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mood {
    Up,
    /// 500 to everybody.
    Broken,
    /// No answer in time, though it may have taken the message.
    Silent,
    /// Nobody is there.
    Gone,
    /// 429 with Retry-After.
    Busy,
}

impl Mood {
    pub fn draw(dice: &mut Dice) -> Self {
        dice.one_of([Self::Up, Self::Up, Self::Up, Self::Broken, Self::Silent, Self::Gone, Self::Busy])
    }
}

/// What a target is like for as long as the schedule lasts.
#[derive(Clone, Debug)]
pub struct Nature {
    /// Of so many messages, one fails always; 0: none.
    pub poison_every: u64,
    /// Of so many messages, one is refused; 0: none.
    pub refuses_every: u64,
    /// How many sends of a hundred fail though it is up.
    pub fails_percent: u64,
}

impl Nature {
    pub fn draw(dice: &mut Dice) -> Self {
        let mut sometimes = |choices: [u64; 3]| if dice.chance(30) { dice.one_of(choices) } else { 0 };
        Self {
            poison_every: sometimes([5, 11, 17]),
            refuses_every: sometimes([7, 13, 29]),
            fails_percent: sometimes([2, 10, 30]),
        }
    }

    /// One that takes every message while it is up.
    pub const fn kind() -> Self {
        Self { poison_every: 0, refuses_every: 0, fails_percent: 0 }
    }

    /// Whether it takes every message sooner or later, without charging anybody.
    pub const fn is_kind(&self) -> bool {
        self.poison_every == 0 && self.refuses_every == 0 && self.fails_percent == 0
    }
}

/// What a send leads to.
pub struct Reply {
    pub after_millis: u64,
    pub result: Result<(), Fault>,
    /// Whether the target has the message now, whatever it said.
    pub taken: bool,
}

/// Of one in so many.
fn is_one(n: u64, every: u64) -> bool {
    every > 0 && n % every == every - 1
}

/// Sends a message.
pub fn send(nature: &Nature, mood: Mood, n: u64, dice: &mut Dice) -> Reply {
    let failed = |after_millis, fault, taken| Reply { after_millis, result: Err(fault), taken };
    let broken = || Fault::new(FaultClass::Failed, "http.500", "it is broken").answered_by(Answer::Application);
    match mood {
        Mood::Up if is_one(n, nature.refuses_every) => failed(3, Fault::rejected("http.400", "it is wrong"), false),
        Mood::Up if is_one(n, nature.poison_every) || dice.chance(nature.fails_percent) => failed(4, broken(), false),
        Mood::Up => Reply { after_millis: 1 + dice.below(20), result: Ok(()), taken: true },
        Mood::Broken => failed(4, broken(), false),
        Mood::Silent => {
            let fault = Fault::new(FaultClass::Failed, "http.timeout", "no answer in time");
            failed(2000, fault.answered_by(Answer::Nobody), dice.chance(50))
        }
        Mood::Gone => failed(1, Fault::new(FaultClass::Unreachable, "http.connect", "refused"), false),
        Mood::Busy => {
            let wait = Some(Duration::from_secs(1 + dice.below(5)));
            failed(2, Fault::new(FaultClass::Busy, "http.429", "later").retry_after(wait), false)
        }
    }
}
