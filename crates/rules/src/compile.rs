//! What compiling needs from outside: the compiler of expressions, and the files that steps name.

use crossdock_expression::{CompileError, Compiler};
use crossdock_settings::{Diagnostic, Diagnostics, Formula, Severity};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What compiling needs from outside.
pub struct Environment<'a> {
    /// Compiles expressions; one for the whole configuration.
    pub compiler: &'a Compiler,
    /// Reads the files that steps name.
    pub files: &'a mut dyn Files,
}

impl fmt::Debug for Environment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

/// Reads the files that steps name: schemas, and what they refer to.
pub trait Files {
    /// Reads a file. A path as written in routes.yaml starts at its folder; one that a schema refers to is absolute, a
    /// [`SourceFile::path`] with the reference applied.
    ///
    /// # Errors
    /// Why it cannot be read, as a lowercase fragment.
    fn read(&mut self, path: &Path) -> Result<SourceFile, String>;
}

/// A file that was read.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Its absolute path.
    pub path: PathBuf,
    /// Its name for messages.
    pub shown: Arc<str>,
    /// What is in it.
    pub text: String,
}

/// Adds what is wrong with a formula, at its places in the configuration.
pub(crate) fn report(formula: &Formula, errors: &[CompileError], severity: Severity, found: &mut Diagnostics) {
    for error in errors {
        found.push(Diagnostic {
            severity,
            code: error.code,
            message: error.message.clone(),
            place: formula.layout.span(&formula.text, error.range.clone()).into(),
            hint: error.hint.clone(),
        });
    }
}
