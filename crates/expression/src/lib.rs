//! The language of routes: VRL behind types of our own.
//!
//! `.` is the decoded payload, `%` the message's metadata. A text is compiled when the configuration is checked, with
//! every error at its place and how to mend it; what is compiled runs over a [`Value`] and [`Metadata`] and gives the
//! same result however often it is repeated: there is no clock, no chance, no network and no environment in the
//! language. Nothing outside this crate sees a type of the library that it stands on.
//!
//! What of a message is exact and what is not: whole numbers have 64 bits with a sign and all others are binary
//! fractions, so larger whole numbers and long decimals lose digits in a payload that is decoded and encoded again
//! (keep money as text); the keys of an object come out sorted.

mod bounds;
mod compile;
mod diagnose;
mod functions;
mod hint;
mod json;
mod metadata;
mod program;
mod template;
#[cfg(test)]
mod tests;
mod value;

pub use compile::{CompileError, Compiler, Use};
pub use json::{Glimpse, JsonError, Name, Outline, Place, PlaceItems, PlaceMembers};
pub use metadata::Metadata;
pub use program::Program;
pub use template::{Escape, Template, TemplateOptions};
pub use value::{ArrayRef, Items, Members, Object, ObjectRef, Value, ValueRef, View};
