//! The tables of the `file` connector, from which parsing, JSON Schema and reference come.

use crossdock_connector::{Description, Field, Kind, OnRefused, Presence};

/// What the connector says of itself.
pub static DESCRIPTION: Description = Description {
    name: "file",
    about: "reads the files of a folder, whole or by lines; appends lines to a file or writes a file a message",
    connection: None,
    source: Some(SOURCE),
    target: Some(TARGET),
    address: &["path"],
    on_refused: OnRefused::DeadLetter,
};

const SOURCE: &[Field] = &[
    Field::required("path", Kind::Path, "which files, as a glob: `inbox/*.json`, `logs/**/*.log`"),
    Field::default("mode", Kind::Choice(&["whole", "lines"]), "whole", "whether a file or a line of it is a message"),
    Field {
        name: "done",
        kind: Kind::Variant(DONE),
        presence: Presence::Default("delete"),
        about: "what happens to a file all of whose messages are stored",
    },
    Field::default("max_body", Kind::Size, "1MiB", "the largest file or line that is a message; larger ones stay"),
    Field::optional("content_type", Kind::Text, "the media type; without it the file's extension tells"),
    Field::default("poll", Kind::Duration, "1s", "how often to look for files"),
    Field::default("quiet", Kind::Duration, "1s", "how long a file must have stood still before it is taken"),
];

const DONE: &[Field] = &[
    Field::optional("delete", Kind::Group(&[]), "it is deleted"),
    Field::optional("move", Kind::Path, "it is moved to this folder, under another name if its own is taken there"),
    Field::optional("keep", Kind::Group(&[]), "it stays, and the gateway remembers that it was read"),
];

const TARGET: &[Field] = &[
    Field::required(
        "path",
        Kind::ADDRESS,
        "the file; with `create` a folder, or a file name with {{ expression }} in it; a value cannot lead out of the \
         folder that the literal start names",
    ),
    Field::default(
        "mode",
        Kind::Choice(&["append", "create"]),
        "append",
        "whether a message is a line of the file or a file of its own",
    ),
];
