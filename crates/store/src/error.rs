//! What can go wrong beside a commit.

use crossdock_model::Text;
use std::io;

/// Why a store could not be opened; each says how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds it.
    #[error("the data folder is held by another process: stop it, or set another `data_dir`")]
    Held,
    /// A newer version wrote it.
    #[error("the store was written by a newer version ({what}): start that version, or set another `data_dir`")]
    Newer {
        /// What is not known here.
        what: Text,
    },
    /// It is encrypted under a key that is not the one, or none of those, that are given.
    #[error("the store cannot be read: {what}")]
    Key {
        /// Which key it needs, and where to name it.
        what: Text,
    },
    /// The folder may not be read or written.
    #[error("no permission for the data folder ({name}): give this user read and write access to it")]
    Permission {
        /// The file or folder.
        name: Text,
    },
    /// The volume has no room to begin.
    #[error("the volume of the data folder is full: free some space")]
    NoSpace,
    /// Its files cannot be made sense of.
    #[error("the store cannot be used: {what}")]
    Unusable {
        /// Why, and what to do.
        what: Text,
    },
    /// The system failed at something.
    #[error("{doing} failed: {source}; mend the volume, then start again")]
    Io {
        /// What was done.
        doing: Text,
        /// What the system said.
        source: io::Error,
    },
}

/// Why a message could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is settled by all, or was never there.
    #[error("there is no such message")]
    Gone,
    /// Its bytes on disk are not what was written; it is dead with code `store.damaged`.
    #[error("the message's bytes on disk are damaged; a copy is in `quarantine/`")]
    Damaged,
    /// Somebody else has claimed the subscription.
    #[error("the subscription was taken over")]
    Fenced,
    /// A cursor that none gave out.
    #[error("this is no cursor: leave it out to begin anew")]
    Cursor,
    /// The system failed.
    #[error("reading the log failed: {0}")]
    Io(#[from] io::Error),
}

/// Why a message's bytes are none: only after damage that its checksum did not show, or a bug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stored message cannot be decoded: {0}")]
pub struct DecodeError(pub &'static str);

/// Why something was not declared or amended.
#[derive(Debug, thiserror::Error)]
pub enum DeclareError {
    /// It contradicts what the store has.
    #[error("{0}")]
    Conflict(Text),
    /// It could not be made durable.
    #[error(transparent)]
    Commit(#[from] crate::CommitError),
}
