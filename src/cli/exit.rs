//! How the program ends: the exit statuses that scripts rely on, and why it did not go well.

use std::{fmt, process::ExitCode};

/// The exit statuses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Fine.
    Fine,
    /// Findings: a check with errors, a partial failure, a store that failed while running.
    Findings,
    /// Bad usage or configuration, or something this process needs is taken.
    Usage,
    /// The gateway cannot be reached.
    Unreachable,
    /// There is no such thing.
    NotFound,
    /// The present state does not allow it (the API's 409).
    Conflict,
    /// Not without the right token.
    Denied,
}

impl Exit {
    /// The status.
    const fn number(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Findings => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::NotFound => 4,
            Self::Conflict => 5,
            Self::Denied => 6,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    /// What is wrong and how to mend it; empty where it has been said already.
    pub text: String,
}

impl Failure {
    /// A failure that ends the program so.
    pub fn new(exit: Exit, text: impl fmt::Display) -> Self {
        Self { exit, text: text.to_string() }
    }

    /// Bad usage or configuration.
    pub fn usage(text: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, text)
    }

    /// Something went wrong that is neither usage nor the gateway's answer.
    pub fn other(text: impl fmt::Display) -> Self {
        Self::new(Exit::Findings, text)
    }
}

/// With its causes, outermost first.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::other(format!("{error:#}"))
    }
}

/// What a command ends with.
pub type Outcome = Result<Exit, Failure>;
