//! `crossdock dead edit`: puts an edited copy of a dead letter where it failed.

use super::editor::{edited, keep};
use crate::cli::{
    client::Client,
    exit::{Exit, Failure, Outcome},
    terminal::{data, json, note},
};
use clap::Args;
use crossdock_admin::shape::{DeadLetter, EditRequest, Edited};
use serde_json::{Map, Value};
use std::{
    fs,
    io::{IsTerminal as _, Read as _},
    path::{Path, PathBuf},
};

/// Put an edited copy of a dead letter where it failed; the letter goes, and the copy names it.
///
/// Without a change among the options, the payload is opened in $VISUAL or $EDITOR.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The message's id
    id: String,

    /// A file with the copy's payload; `-` is stdin
    #[arg(long, value_name = "FILE")]
    payload: Option<PathBuf>,

    /// A user header of the copy, name=value, in place of all of the name; may be given several times
    #[arg(short = 'H', long = "header", value_name = "K=V")]
    headers: Vec<String>,

    /// A user header that the copy does not have; may be given several times
    #[arg(long = "remove-header", value_name = "K")]
    removed: Vec<String>,

    /// The copy's media type
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,

    /// At which target it failed, where the message died at several
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,

    /// Leave the original among the dead letters
    #[arg(long)]
    keep: bool,

    /// For programs: what POST /api/v1/dead-letters/{id}/edit answers
    #[arg(long)]
    json: bool,
}

/// Makes the copy and tells what became of it.
pub fn execute(client: &Client, arguments: &Arguments) -> Outcome {
    let mut request = request(arguments)?;
    let changes_nothing = request.content_type.is_none() && request.headers.is_empty();
    let mut draft = None;
    match &arguments.payload {
        Some(path) => set_payload(&mut request, read(path)?),
        None if changes_nothing => {
            if !std::io::stdin().is_terminal() {
                let text = "say what is other in the copy: --payload, --header, --remove-header or --content-type";
                return Err(Failure::usage(text));
            }
            let letter = client.get::<DeadLetter>(&["dead-letters", &arguments.id], &[])?.shape;
            let Some(text) = letter.payload else {
                return Err(Failure::usage("the payload is no text to edit: give another one with --payload FILE"));
            };
            match edited(&text)? {
                Some(changed) => {
                    set_payload(&mut request, changed.payload);
                    draft = Some(changed.draft);
                }
                None => {
                    note("nothing was changed, and nothing done");
                    return Ok(Exit::Fine);
                }
            }
        }
        None => {}
    }
    let answer = client.post::<Edited>(&["dead-letters", &arguments.id, "edit"], &request);
    if answer.is_err() {
        // What somebody typed is not lost because the gateway says no.
        draft.map(keep).transpose()?;
    }
    let answer = answer?;
    if arguments.json {
        json(&answer.json)?;
    } else {
        data(&format!("{}\n", told(&answer.shape)))?;
    }
    Ok(Exit::Fine)
}

fn told(edited: &Edited) -> String {
    match &edited.id {
        Some(id) => format!("{id} is the edited copy of {}, and on its way", edited.edited_from),
        None => format!("the edited copy of {} was let go at the door: a filter, or a dedupe", edited.edited_from),
    }
}

fn request(arguments: &Arguments) -> Result<EditRequest, Failure> {
    let mut headers = Map::new();
    for header in &arguments.headers {
        let (name, value) = header
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| Failure::usage(format!("`{header}` is no header; write -H name=value")))?;
        match headers.entry(name).or_insert_with(|| Value::Array(Vec::new())) {
            Value::Array(values) => values.push(Value::from(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {}
        }
    }
    for name in &arguments.removed {
        if headers.insert(name.clone(), Value::Null).is_some() {
            return Err(Failure::usage(format!("the header `{name}` is both set and removed")));
        }
    }
    let Arguments { content_type, target, keep, .. } = arguments;
    let (content_type, target) = (content_type.clone(), target.clone());
    Ok(EditRequest { headers, content_type, target, keep: *keep, ..EditRequest::default() })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    if path == Path::new("-") {
        let mut payload = Vec::new();
        let read = std::io::stdin().read_to_end(&mut payload);
        read.map_err(|error| Failure::usage(format!("cannot read the payload from standard input: {error}")))?;
        return Ok(payload);
    }
    fs::read(path).map_err(|error| Failure::usage(format!("cannot read the payload `{}`: {error}", path.display())))
}

fn set_payload(request: &mut EditRequest, payload: Vec<u8>) {
    match String::from_utf8(payload) {
        Ok(text) => request.payload = Some(text),
        Err(error) => request.payload_base64 = Some(crossdock_admin::base64(error.as_bytes())),
    }
}
