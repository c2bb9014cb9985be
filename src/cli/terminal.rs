//! Writing for people and for programs: data to stdout, everything else to stderr, colour only where it is welcome.

use super::exit::Failure;
use std::io::{self, IsTerminal as _, Write as _};

/// How a piece of text stands out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    /// Names and headings.
    Strong,
    /// What matters less.
    Faint,
    /// It went well.
    Good,
    /// It needs a look.
    Warning,
    /// It went wrong.
    Bad,
}

/// Whether colour is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Paint {
    colour: bool,
}

impl Paint {
    /// For stdout: colour on a terminal, unless `NO_COLOR` is set (no-color.org).
    pub fn stdout() -> Self {
        Self { colour: io::stdout().is_terminal() && welcome() }
    }

    /// The same for stderr.
    pub fn stderr() -> Self {
        Self { colour: io::stderr().is_terminal() && welcome() }
    }

    /// No colour, whatever the terminal is.
    #[cfg(test)]
    pub const fn plain() -> Self {
        Self { colour: false }
    }

    /// Whether colour is used.
    pub const fn is_colourful(self) -> bool {
        self.colour
    }

    /// The text in its tone.
    pub fn text(self, tone: Tone, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Strong => "1",
            Tone::Faint => "2",
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Bad => "31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// A line that came from outside, without what could move the cursor or colour the terminal.
pub fn disarm(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

fn welcome() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

/// Writes data to stdout.
///
/// # Errors
/// It cannot be written; a reader that has gone away (`| head`) is no error.
pub fn data(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::other(format!("cannot write to standard output: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes JSON to stdout, for programs.
///
/// # Errors
/// As [`data`].
pub fn json(value: &serde_json::Value) -> Result<(), Failure> {
    data(&format!("{value:#}\n"))
}

/// Writes a line for people to stderr. If even that fails, there is nobody to tell.
pub fn note(text: &str) {
    let mut out = io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n"));
}

/// Asks on stderr and waits for `y` on stdin; anything else, and no answer, is no.
pub fn confirm(question: &str) -> bool {
    let mut err = io::stderr().lock();
    let _ = write!(err, "{question} [y/N] ").and_then(|()| err.flush());
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer).unwrap_or(0);
    if read == 0 {
        let _ = writeln!(err);
    }
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}
