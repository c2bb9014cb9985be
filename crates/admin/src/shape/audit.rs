//! Who did what when.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Something that an operator did.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its number; later ones are larger.
    pub id: String,
    /// When it began.
    pub at: String,
    /// `pause`, `resume`, `redrive`, `delete`, `edit`, `publish`, `cancel` or `config`.
    pub action: String,
    /// What it was done to: a route, a channel, an operation, a dead letter, `dead-letters`, `routes.yaml`.
    pub subject: String,
    /// Who did it, as the client says (the header `Crossdock-Operator`); `admin` where it says nothing.
    pub who: String,
    /// The address it came from; none for what the gateway did by itself.
    pub remote: Option<String>,
    /// `done` (or going on in the background), `failed`, or `begun` where the process ended in between.
    pub outcome: String,
    /// Why it failed.
    pub text: Option<String>,
    /// More of it: filter, rate, the operation's id, how many were meant.
    pub details: Map<String, Value>,
}
