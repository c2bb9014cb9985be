//! Routing: which targets of a route a message is for, and what their formulas give.

use crate::{Formula, Rendered, Working};
use crossdock_expression::Program;
use crossdock_model::Fault;

/// When a target is addressed. A list has conditions on all of its targets or on none.
#[derive(Clone, Debug)]
pub enum When {
    /// Always: a recipient list.
    Always,
    /// If the condition holds.
    If(Program),
    /// If no condition held.
    Otherwise,
}

/// The rules of one target.
#[derive(Clone, Debug)]
pub struct TargetRules {
    /// When it is addressed.
    pub when: When,
    /// Its formulas in the order of their slots.
    pub formulas: Vec<Formula>,
}

/// The targets of a route, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Router {
    targets: Vec<TargetRules>,
}

/// What a message is to one target.
#[derive(Clone, PartialEq, Debug)]
pub enum Routed {
    /// It is not for this one.
    Not,
    /// It is, with what the formulas gave, by slot.
    To(Box<[Rendered]>),
    /// It is, but a formula failed: the message is dead for this target.
    Faulty(Fault),
}

impl Router {
    /// A router over these targets.
    #[must_use]
    pub const fn new(targets: Vec<TargetRules>) -> Self {
        Self { targets }
    }

    /// The targets, in the order of the file.
    #[must_use]
    pub fn targets(&self) -> &[TargetRules] {
        &self.targets
    }

    /// What the message is to each target, in the order of the file.
    ///
    /// # Errors
    /// The message's own fault, for all targets: it cannot be decoded or a condition failed (`expression`), or no
    /// target is addressed (`route.no_target`).
    pub fn route(&self, message: &mut Working) -> Result<Vec<Routed>, Fault> {
        let addressed = self.addressed(message)?;
        let pairs = self.targets.iter().zip(addressed);
        let routed = pairs.map(|(target, addressed)| match addressed {
            true => target.render(message),
            false => Routed::Not,
        });
        Ok(routed.collect())
    }

    /// Which targets the message is for, in the order of the file.
    ///
    /// # Errors
    /// As for [`Self::route`].
    pub fn addressed(&self, message: &mut Working) -> Result<Vec<bool>, Fault> {
        let mut addressed = Vec::with_capacity(self.targets.len());
        for (index, target) in self.targets.iter().enumerate() {
            addressed.push(match &target.when {
                When::Always => true,
                When::Otherwise => false,
                When::If(program) => {
                    message.condition(program).map_err(|fault| fault.in_step(format!("to[{index}] when")))?
                }
            });
        }
        if addressed.iter().all(|holds| !holds) {
            for (target, addressed) in self.targets.iter().zip(&mut addressed) {
                *addressed = matches!(target.when, When::Otherwise);
            }
        }
        if addressed.iter().any(|holds| *holds) {
            return Ok(addressed);
        }
        Err(Fault::rejected("route.no_target", "no target's `when` holds, and none is `otherwise`"))
    }
}

impl TargetRules {
    /// A target that is always addressed.
    #[must_use]
    pub const fn always(formulas: Vec<Formula>) -> Self {
        Self { when: When::Always, formulas }
    }

    /// What the formulas give.
    #[must_use]
    pub fn render(&self, message: &mut Working) -> Routed {
        let rendered: Result<_, _> = self.formulas.iter().map(|formula| formula.render(message)).collect();
        rendered.map_or_else(Routed::Faulty, Routed::To)
    }
}
