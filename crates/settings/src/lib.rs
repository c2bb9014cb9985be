//! What a section of `routes.yaml` may hold, told once: a table of [`Field`]s from which parsing, defaults, places of
//! errors, masking, the JSON Schema and the reference all come.
//!
//! The way of a section: text → [`Node`] (a tree in which every part knows its place, made by `config`) → [`Reader`]
//! with the table → [`Settings`], in which every value has its type, or every [`Diagnostic`] at once. A connector and a step
//! see `Settings` only. Nothing here reads a file or the environment.

mod diagnostic;
mod field;
mod node;
mod read;
mod settings;
mod suggest;
mod units;
mod url;

pub use diagnostic::{Diagnostic, Diagnostics, Place, Severity};
pub use field::{Field, Kind, Presence, Returns, TemplateUse};
pub use node::{Entry, Layout, Node, NodeKind, Position, Scalar, Span};
pub use read::Reader;
pub use settings::{Formula, FormulaKind, Placed, Setting, Settings, Slot};
pub use suggest::suggest;
pub use units::{Rate, UnitError, parse_duration, parse_rate, parse_size};
