//! The sections of the file, one module each: tree → values of the plan.

pub(crate) mod channels;
pub(crate) mod choice;
pub(crate) mod connections;
pub(crate) mod gateway;
pub(crate) mod route;
pub(crate) mod source;
pub(crate) mod steps;
pub(crate) mod target;
