//! Where a target may write: the folder that the literal start of its `path` names, and nowhere else.
//!
//! ```text
//!  path: ../out/day-{{ .day }}/{{ .id }}.json
//!        └─┬──┘ └─┬─┘
//!        folder   literal start of a name: what follows the folder may be a name or names below it,
//!                 never `.`, `..`, empty or absolute, because a message's value may have written it
//! ```

use crate::media;
use crossdock_connector::{Diagnostics, SinkConfig, Slot};
use crossdock_model::{Envelope, Fault};
use std::path::{Component, Path, PathBuf};

/// Longest name that Linux file systems take, less what a temporary name adds.
const NAME_BYTES_MAX: usize = 230;

/// A target's `path`, ready to name the file of a message.
#[derive(Clone, PartialEq, Debug)]
pub struct Place {
    /// The folder that nothing leads out of.
    pub folder: PathBuf,
    name: Name,
}

#[derive(Clone, PartialEq, Debug)]
enum Name {
    /// One file for all messages.
    Fixed(PathBuf),
    /// The name is the message's id and an extension for its content type.
    ById,
    /// The rest of the rendered text behind the `prefix`, which is what the literal start says of the folder.
    Rendered { slot: Slot, prefix: String },
    /// As `Rendered`, and it names a folder in which the name is the message's id.
    RenderedFolder { slot: Slot, prefix: String },
}

/// What `mode` asks of the name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// A message is a line.
    Append,
    /// A message is a file.
    Create,
}

impl Place {
    /// The place that a target's settings name.
    ///
    /// # Errors
    /// A path that names no file in the mode.
    pub fn new(config: &SinkConfig, mode: Mode) -> Result<Self, Diagnostics> {
        let formula = config.settings.formula("path").ok_or_else(|| config.settings.missing("path"))?;
        let wrong = |message: String, hint: &str| {
            Diagnostics::from(config.settings.error("path", "file.path", message).hint(hint))
        };
        let text: &str = &formula.text;
        let literal = text.split("{{").next().unwrap_or(text);
        let prefix = literal.get(..literal.rfind('/').map_or(0, |at| at + 1)).unwrap_or_default();
        let folder = config.folder.join(prefix);
        if literal.len() < text.len() {
            let (slot, prefix) = (formula.slot, prefix.to_owned());
            let name = match (mode, text.ends_with('/')) {
                (Mode::Append, true) => {
                    return Err(wrong(format!("`{text}` names a folder"), "add the name of the file to append to"));
                }
                (Mode::Create, true) => Name::RenderedFolder { slot, prefix },
                (Mode::Append | Mode::Create, false) => Name::Rendered { slot, prefix },
            };
            return Ok(Self { folder, name });
        }
        let last = Path::new(text).file_name().map(Path::new);
        match mode {
            Mode::Append if text.ends_with('/') || last.is_none() => {
                Err(wrong(format!("`{text}` names a folder"), "add the name of the file to append to"))
            }
            Mode::Append => Ok(Self { folder, name: Name::Fixed(config.folder.join(text)) }),
            Mode::Create if !text.ends_with('/') && last.is_some_and(|name| name.extension().is_some()) => {
                let hint = "end it with `/` if it is a folder, or put `{{ %id }}` into the name";
                Err(wrong(format!("with `create` each message is a file, and `{text}` is one name for all"), hint))
            }
            Mode::Create => Ok(Self { folder: config.folder.join(text), name: Name::ById }),
        }
    }

    /// Whether a message's values have a say in the name, so that a name the system refuses is the message's fault.
    pub const fn is_dynamic(&self) -> bool {
        match self.name {
            Name::Fixed(_) | Name::ById => false,
            Name::Rendered { .. } | Name::RenderedFolder { .. } => true,
        }
    }

    /// The file of a message. `rendered` gives the text of a slot.
    ///
    /// # Errors
    /// A name that leads out of the folder or is none: `Rejected`, code `file.path`.
    pub fn file<'a>(&self, envelope: &Envelope, rendered: impl FnOnce(Slot) -> &'a str) -> Result<PathBuf, Fault> {
        match &self.name {
            Name::Fixed(path) => Ok(path.clone()),
            Name::ById => Ok(self.folder.join(name_by_id(envelope))),
            Name::Rendered { slot, prefix } => self.below(rendered(*slot), prefix),
            Name::RenderedFolder { slot, prefix } => {
                let folder = rendered(*slot);
                Ok(self.below(folder.strip_suffix('/').unwrap_or(folder), prefix)?.join(name_by_id(envelope)))
            }
        }
    }

    fn below(&self, text: &str, prefix: &str) -> Result<PathBuf, Fault> {
        let refuse = |why: &str| Err(Fault::rejected("file.path", format!("`{text}` is no file to write: {why}")));
        let Some(rest) = text.strip_prefix(prefix) else {
            return refuse("it does not begin as the target's path does");
        };
        if rest.is_empty() || rest.ends_with('/') {
            return refuse("the name is empty");
        }
        if rest.contains('\0') {
            return refuse("it holds a zero byte");
        }
        let names_only = Path::new(rest).components().all(|part| matches!(part, Component::Normal(_)));
        // `components` hides an inner `.` and `//`, so the text is looked at too.
        if !names_only || rest.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return refuse("a value may not be empty, `.` or `..`, nor lead out of the folder");
        }
        if rest.split('/').any(|part| part.len() > NAME_BYTES_MAX) {
            return refuse("a name in it is too long");
        }
        Ok(self.folder.join(rest))
    }
}

fn name_by_id(envelope: &Envelope) -> String {
    let content_type = envelope.properties.content_type.as_deref().unwrap_or_default();
    format!("{}{}", envelope.id, media::extension(content_type).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::tests::sink_config;
    use crossdock_model::{MessageId, Text, Timestamp};

    #[track_caller]
    fn check(path: &str, mode: Mode, rendered: &str, expected: Result<&str, &str>) {
        let config = sink_config(Path::new("/base"), path, "append");
        let place = Place::new(&config, mode).unwrap();
        let mut envelope = Envelope::new(MessageId::from_bytes([7; 16]), Timestamp(0), "x");
        envelope.properties.content_type = Some(Text::from_static("application/json"));
        let file = place.file(&envelope, |_| rendered).map_err(|fault| fault.text.to_string());
        match expected {
            Ok(path) => assert_eq!(file, Ok(PathBuf::from(path))),
            Err(part) => assert!(file.as_ref().is_err_and(|text| text.contains(part)), "{file:?}"),
        }
    }

    #[test]
    fn a_value_stays_below_the_folder() {
        let path = "out/day-{{ .day }}.log";
        check(path, Mode::Append, "out/day-1.log", Ok("/base/out/day-1.log"));
        check(path, Mode::Append, "out/day-1/x.log", Ok("/base/out/day-1/x.log"));
        for wrong in ["out/day-/../../x.log", "out/../x", "out/day-/./x", "out/day-//x", "out/", "out/day-/", "x", ""] {
            check(path, Mode::Append, wrong, Err("is no file to write"));
        }
        check(path, Mode::Append, "out/day-\0.log", Err("zero byte"));
        check(path, Mode::Append, &format!("out/day-{}", "x".repeat(300)), Err("too long"));
        check("../out/{{ .a }}", Mode::Append, "../out/a", Ok("/base/../out/a"));
        check("/abs/{{ .a }}", Mode::Create, "/abs/a", Ok("/abs/a"));
        check("/abs/{{ .a }}", Mode::Create, "/abs//etc/passwd", Err("is no file to write"));
    }

    #[test]
    fn names_by_id_where_the_path_is_a_folder() {
        let id = "07070707-0707-0707-0707-070707070707";
        check("out/", Mode::Create, "", Ok(&format!("/base/out/{id}.json")));
        check("out", Mode::Create, "", Ok(&format!("/base/out/{id}.json")));
        check("out/{{ .a }}/", Mode::Create, "out/a/", Ok(&format!("/base/out/a/{id}.json")));
        check("out.log", Mode::Append, "", Ok("/base/out.log"));
    }

    #[test]
    fn a_path_that_names_no_file_is_told() {
        for (path, mode) in [("out/", Mode::Append), ("out/{{ .a }}/", Mode::Append), ("out/a.json", Mode::Create)] {
            let found = Place::new(&sink_config(Path::new("/base"), path, "append"), mode).unwrap_err();
            assert!(found.iter().all(|d| d.code == "file.path" && d.hint.is_some()), "{path}: {found:?}");
        }
    }
}
