//! The gateway as its operators see it: the admin API under `/api/v1`, the probes and the metrics.
//!
//! Invariants
//! - **Guarded.** No answer to a foreign `Host`; none but probes and metrics without the token; nothing beyond loopback
//!   without TLS unless somebody wrote `insecure: true`.
//! - **A boundary.** What goes over the wire are the types of [`shape`]; no type of the engine or the store is
//!   serialised. An error is a [`Problem`].
//! - **Thin.** Handlers ask the engine and turn its answer into shapes; nothing is decided here.

mod audit;
mod convert;
mod extract;
mod given;
mod guard;
mod handlers;
mod problem;
mod server;
pub mod shape;
mod token;

pub use audit::{AUDIT_FILE, Audit, AuditError};
pub use convert::trial;
pub use given::base64;
pub use guard::Token;
pub use problem::{PROBLEM_TYPE, Problem, ProblemBody};
pub use server::{Admin, BindError};
pub use token::{TOKEN_FILE, TokenError, read_or_make};
