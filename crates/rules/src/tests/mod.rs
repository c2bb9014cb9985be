//! Steps and routing from outside.

mod accept;
mod compile;
mod random;
mod router;
mod run;
mod trace;
