//! A part of a list.

use serde::{Deserialize, Serialize};

/// A part of a list, and how to ask for the next one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Page<T> {
    /// What is in this part.
    pub items: Vec<T>,
    /// What to send as `cursor` for the next part; none where this is the last.
    pub next: Option<String>,
}
