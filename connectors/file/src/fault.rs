//! What the system says of a file, as blame.md's classes.
//!
//! Before a byte is written the target is `Unreachable`: a folder that is not there, rights, a read-only file system. A
//! full disk or quota is `Busy`: it costs no attempt and pauses the target. What else fails while bytes are written is
//! `Failed`. A name that a message's value made impossible is the message's own: `Rejected`.

use crossdock_connector::{SourceError, SourceErrorKind};
use crossdock_model::{Answer, Fault, FaultClass};
use std::{
    io::{self, ErrorKind},
    path::Path,
};

/// How far the writing had come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Opening or making the file; `dynamic` if a message's value is in its name.
    Open {
        /// Whether a value of the message is in the name.
        dynamic: bool,
    },
    /// Writing, syncing, renaming.
    Write,
}

/// The fault of a failed operation on `path`.
pub fn fault(stage: Stage, path: &Path, error: &io::Error) -> Fault {
    let text = |what: &str| format!("{what} {}: {error}", path.display());
    if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
        return Fault::new(FaultClass::Busy, "file.full", text("no space left for")).answered_by(Answer::Application);
    }
    match stage {
        Stage::Open { dynamic: true } if is_about_the_name(error.kind()) => {
            Fault::rejected("file.path", text("the message's values make a name that cannot be"))
        }
        Stage::Open { .. } => {
            let denied = matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem);
            let code = if denied { "file.denied" } else { "file.open" };
            Fault::new(FaultClass::Unreachable, code, text("cannot open"))
        }
        Stage::Write => Fault::new(FaultClass::Failed, "file.write", text("cannot write")).answered_by(Answer::Nobody),
    }
}

fn is_about_the_name(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::InvalidFilename | ErrorKind::NotADirectory | ErrorKind::IsADirectory)
}

/// The error of a source whose operation on `path` failed.
pub fn source_error(what: &str, path: &Path, error: &io::Error) -> SourceError {
    let kind = if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) {
        SourceErrorKind::Denied
    } else if error.kind() == ErrorKind::NotFound {
        SourceErrorKind::Missing
    } else {
        SourceErrorKind::Connection
    };
    SourceError::new(kind, format!("cannot {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        let open = |dynamic| Stage::Open { dynamic };
        for (stage, kind, class, code) in [
            (open(false), ErrorKind::PermissionDenied, FaultClass::Unreachable, "file.denied"),
            (open(false), ErrorKind::NotADirectory, FaultClass::Unreachable, "file.open"),
            (open(true), ErrorKind::NotADirectory, FaultClass::Rejected, "file.path"),
            (open(true), ErrorKind::NotFound, FaultClass::Unreachable, "file.open"),
            (open(true), ErrorKind::StorageFull, FaultClass::Busy, "file.full"),
            (Stage::Write, ErrorKind::QuotaExceeded, FaultClass::Busy, "file.full"),
            (Stage::Write, ErrorKind::Other, FaultClass::Failed, "file.write"),
        ] {
            let found = fault(stage, Path::new("/x"), &io::Error::from(kind));
            assert_eq!((found.class, &*found.code), (class, code), "{stage:?} {kind:?}");
            assert!(found.text.contains("/x"));
        }
    }
}
