//! Starting a gateway: declare, make, bind, run.

mod build;
mod declare;
mod names;

pub(crate) use build::build;
pub(crate) use declare::{Declared, declare};
pub(crate) use names::{MovedTarget, gate_name, is_gate, queue_group, subscription_name};
