//! From the engine's views to the shapes of the wire, and back.

mod channel;
mod message;
mod operation;
mod route;
mod trial;

pub use channel::channel;
pub use message::{dead_group, dead_letter, delivery, message};
pub use operation::{filter, operation};
pub use route::{route, status};
pub use trial::trial;
