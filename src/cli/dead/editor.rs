//! A payload in the editor that somebody has chosen.

use crate::cli::{
    exit::{Exit, Failure},
    terminal::note,
};
use std::{fs, io::Write as _, process::Command};
use tempfile::{Builder, NamedTempFile};

/// What somebody made of a payload.
pub struct Changed {
    /// The payload.
    pub payload: Vec<u8>,
    /// The file that holds it; it goes with this value.
    pub draft: NamedTempFile,
}

/// Opens a text in `$VISUAL` or `$EDITOR` and waits for its end; none if it is as it was.
///
/// # Errors
/// No editor is named, it cannot be run, or it says that it failed.
pub fn edited(text: &str) -> Result<Option<Changed>, Failure> {
    let named = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let editor = named("VISUAL").or_else(|| named("EDITOR"));
    let editor = editor.ok_or_else(|| Failure::usage("set $EDITOR, or give the payload with --payload FILE"))?;
    let failed = |error: std::io::Error| Failure::other(format!("cannot edit: {error}"));
    // Made for its owner alone: payloads are nobody else's.
    let mut draft = Builder::new().prefix("crossdock-").suffix(".txt").tempfile().map_err(failed)?;
    draft.write_all(text.as_bytes()).and_then(|()| draft.flush()).map_err(failed)?;
    // Through a shell, for editors with arguments (`code --wait`), as git does it.
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(draft.path());
    let status = command.status().map_err(failed)?;
    if !status.success() {
        return Err(Failure::other(format!("the editor `{editor}` ended with {status}; nothing was done")));
    }
    // Read by its name: editors replace the file.
    let payload = fs::read(draft.path()).map_err(failed)?;
    let is_same = payload == text.as_bytes() || payload.strip_suffix(b"\n") == Some(text.as_bytes());
    Ok((!is_same).then_some(Changed { payload, draft }))
}

/// Leaves a draft where it is, and says where.
///
/// # Errors
/// It cannot be left.
pub fn keep(draft: NamedTempFile) -> Result<(), Failure> {
    let (_, path) = draft.keep().map_err(|error| Failure::new(Exit::Findings, error))?;
    note(&format!("what you wrote is in {}", path.display()));
    Ok(())
}
