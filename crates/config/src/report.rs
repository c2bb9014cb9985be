//! Findings as people and programs see them.

use crossdock_settings::{Diagnostic, Diagnostics};
use std::sync::Arc;

/// Everything found in a configuration, sorted by place, with the texts it was found in.
#[derive(Clone, Debug)]
pub struct Report {
    pub(crate) file: Arc<str>,
    pub(crate) diagnostics: Diagnostics,
}

impl Report {
    /// Whether one of the findings is an error: then there is no plan.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics.has_errors()
    }

    /// Whether nothing was found, not even a warning.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// All findings, sorted by file and place.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.diagnostics.iter()
    }

    /// The file, as the user named it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// For people: place, severity, code and message, the source line with a caret, and the hint; with colour if asked.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let _ = colour;
        todo!()
    }

    /// For programs: `{"diagnostics":[{"severity","code","message","file","line","column","hint"}]}`.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        todo!()
    }
}
