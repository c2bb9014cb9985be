//! From a file to a validator: reads what a schema refers to, and tells what is wrong at its place.

use super::{JsonSchema, json_place};
use crate::{Files, SourceFile};
use crossdock_model::uri;
use crossdock_settings::{Diagnostic, Diagnostics, Place, Position, Span};
use jsonschema::{
    Draft, PatternOptions, Retrieve, Uri, ValidationError, Validator, error::ValidationErrorKind, json::Json,
};
use percent_encoding::{AsciiSet, percent_decode_str, utf8_percent_encode};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Most files that one schema may lead to.
const FILES_MAX: usize = 256;

/// Most findings that are told of one file.
const FINDINGS_MAX: usize = 32;

const PATH: &AsciiSet = &uri::SEGMENT.remove(b'/');

pub fn compile(path: &Path, span: Span, files: &mut dyn Files, found: &mut Diagnostics) -> Option<JsonSchema> {
    let file = match files.read(path) {
        Ok(file) => file,
        Err(error) => {
            let message = format!("the schema {} cannot be read: {error}", path.display());
            found.push(Diagnostic::error("schema.file", span, message).hint("paths start at the folder of this file"));
            return None;
        }
    };
    let root = Document::parse(file, found)?;
    let mut library = Library { root: uri_of(&root.file.path), documents: BTreeMap::new(), folders: Vec::new() };
    library.note_folder(&root);
    library.documents.insert(library.root.clone(), root);
    let validator = library.build(files, found)?;
    Some(JsonSchema { validator, glance: library.build(files, found)? })
}

/// A schema file, parsed.
struct Document {
    file: SourceFile,
    schema: Value,
}

/// All files of a schema by their URI.
struct Library {
    root: String,
    documents: BTreeMap<String, Document>,
    /// What an `$id` says its folder is called, and where that folder is: so that files which refer to each other by
    /// their published names are found side by side.
    folders: Vec<(String, PathBuf)>,
}

/// Gives the validator what was read so far, and notes what it asks for beyond.
struct Shelf {
    schemas: BTreeMap<String, Value>,
    missing: Arc<Mutex<Vec<String>>>,
}

impl Retrieve for Shelf {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn Error + Send + Sync>> {
        if let Some(schema) = self.schemas.get(uri.as_str()) {
            return Ok(schema.clone());
        }
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).push(uri.as_str().to_owned());
        Err("it was not read yet".into())
    }
}

impl Document {
    /// Parses a file and checks it against the rules for schemas.
    fn parse(file: SourceFile, found: &mut Diagnostics) -> Option<Self> {
        let schema = match serde_json::from_str(&file.text) {
            Ok(schema) => schema,
            Err(error) => {
                let line = u32::try_from(error.line()).unwrap_or(u32::MAX);
                let column = u32::try_from(error.column()).unwrap_or(u32::MAX);
                let position = Position { line, column };
                let place = Place { file: Some(file.shown), span: Span { start: position, end: position } };
                let text = error.to_string();
                let what = text.split(" at line ").next().unwrap_or_default();
                found.push(Diagnostic::error("schema.syntax", place, format!("the schema is no JSON: {what}")));
                return None;
            }
        };
        let document = Self { file, schema };
        document.check(found).then_some(document)
    }

    /// Whether it is a schema.
    fn check(&self, found: &mut Diagnostics) -> bool {
        if Draft::default().detect(&self.schema) == Draft::Unknown {
            let hint = "drafts 4, 6, 7, 2019-09 and 2020-12 are known; without `$schema` it is 2020-12";
            found.push(self.finding("/$schema", "schema.draft", "`$schema` names no draft that is known").hint(hint));
            return false;
        }
        let Ok(validator) = jsonschema::meta::validator_for(&self.schema) else { return true };
        let mut told = BTreeSet::new();
        for error in validator.iter_errors(&self.schema) {
            let (pointer, message) = (error.instance_path().as_str(), format!("this is no valid schema: {error}"));
            // The parts of a meta-schema say the same thing several times.
            if told.len() < FINDINGS_MAX && told.insert((pointer.to_owned(), message.clone())) {
                found.push(self.finding(pointer, "schema.invalid", message));
            }
        }
        told.is_empty()
    }

    fn finding(&self, pointer: &str, code: &'static str, message: impl Into<String>) -> Diagnostic {
        let span = json_place::of_pointer(&self.file.text, pointer);
        Diagnostic::error(code, Place { file: Some(Arc::clone(&self.file.shown)), span }, message)
    }

    /// The pointer of the `$ref` that most likely leads to a URI.
    fn pointer_to(&self, uri: &str) -> String {
        let bare = uri.split('#').next().unwrap_or(uri);
        references(&self.schema)
            .into_iter()
            .find(|(_, target)| {
                let target = target.split('#').next().unwrap_or_default().trim_start_matches("./");
                let target = target.rsplit("../").next().unwrap_or_default();
                !target.is_empty() && bare.ends_with(target)
            })
            .map_or_else(String::new, |(pointer, _)| pointer)
    }
}

/// Every `$ref` and `$dynamicRef` of a schema with its pointer.
fn references(schema: &Value) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), schema)];
    while let Some((pointer, value)) = open.pop() {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                    match value.as_str() {
                        Some(target) if name == "$ref" || name == "$dynamicRef" => found.push((pointer, target)),
                        _ => open.push((pointer, value)),
                    }
                }
            }
            Value::Array(items) => {
                open.extend(items.iter().enumerate().map(|(index, item)| (format!("{pointer}/{index}"), item)));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    found
}

impl Library {
    /// Builds a validator of a representation, reading what it asks for until it has all.
    fn build<J: Json>(&mut self, files: &mut dyn Files, found: &mut Diagnostics) -> Option<Validator<J>> {
        loop {
            let missing = Arc::new(Mutex::new(Vec::new()));
            let schemas = self.documents.iter().map(|(uri, document)| (uri.clone(), document.schema.clone())).collect();
            let shelf = Shelf { schemas, missing: Arc::clone(&missing) };
            let options = jsonschema::options_for::<J>()
                .with_base_uri(self.root.clone())
                .with_retriever(shelf)
                .with_pattern_options(PatternOptions::regex())
                .should_validate_formats(true);
            let root = self.documents.get(&self.root)?;
            let error = match options.build(&root.schema) {
                Ok(validator) => return Some(validator),
                Err(error) => error,
            };
            let asked = std::mem::take(&mut *missing.lock().unwrap_or_else(PoisonError::into_inner));
            if asked.is_empty() {
                found.push(explain(root, &error));
                return None;
            }
            for uri in asked {
                self.read(&uri, files, found)?;
            }
        }
    }

    /// Reads the file that a reference leads to.
    fn read(&mut self, uri: &str, files: &mut dyn Files, found: &mut Diagnostics) -> Option<()> {
        let Some(path) = self.path_of(uri) else {
            let hint = "nothing is read from the network: put the file beside the schema and refer to it by its path";
            found.push(self.unreachable(uri, format!("`{uri}` is not in the configuration's folder")).hint(hint));
            return None;
        };
        if self.documents.len() >= FILES_MAX {
            found.push(self.unreachable(uri, format!("the schema leads to more than {FILES_MAX} files")));
            return None;
        }
        match files.read(&path) {
            Ok(file) => {
                let document = Document::parse(file, found)?;
                self.note_folder(&document);
                self.documents.insert(uri.to_owned(), document);
                Some(())
            }
            Err(error) => {
                let message = format!("`$ref` leads to {}, which cannot be read: {error}", path.display());
                found.push(self.unreachable(uri, message));
                None
            }
        }
    }

    /// A finding at the reference that leads to a URI, in whichever file it stands.
    fn unreachable(&self, uri: &str, message: String) -> Diagnostic {
        let documents = self.documents.values().map(|document| (document, document.pointer_to(uri)));
        let nearest = documents.max_by_key(|(_, pointer)| !pointer.is_empty());
        match nearest {
            Some((document, pointer)) => document.finding(&pointer, "schema.reference", message),
            None => Diagnostic::error("schema.reference", Place::default(), message),
        }
    }

    fn note_folder(&mut self, document: &Document) {
        let id = document.schema.get("$id").or_else(|| document.schema.get("id")).and_then(Value::as_str);
        if let (Some((folder, _)), Some(parent)) = (id.and_then(|id| id.rsplit_once('/')), document.file.path.parent())
        {
            self.folders.push((format!("{folder}/"), parent.to_path_buf()));
        }
    }

    fn path_of(&self, uri: &str) -> Option<PathBuf> {
        let uri = uri.split('#').next().unwrap_or(uri);
        if let Some(path) = uri.strip_prefix("file://") {
            return Some(PathBuf::from(percent_decode_str(path).decode_utf8().ok()?.as_ref()));
        }
        let inside = self.folders.iter().filter_map(|(folder, path)| Some((uri.strip_prefix(folder.as_str())?, path)));
        let (rest, folder) = inside.min_by_key(|(rest, _)| rest.len())?;
        Some(folder.join(percent_decode_str(rest).decode_utf8().ok()?.as_ref()))
    }
}

fn uri_of(path: &Path) -> String {
    format!("file://{}", utf8_percent_encode(&path.to_string_lossy(), PATH))
}

/// What a schema that cannot be built is told.
fn explain(root: &Document, error: &ValidationError<'_>) -> Diagnostic {
    let pointer = error.instance_path().as_str();
    let pointer = if pointer.is_empty() { error.schema_path().as_str() } else { pointer };
    if let ValidationErrorKind::Referencing(reference) = error.kind() {
        let text = reference.to_string();
        let at = references(&root.schema).into_iter().find(|(_, target)| {
            let fragment = target.split_once('#').map_or(*target, |(_, fragment)| fragment);
            !fragment.is_empty() && text.contains(fragment)
        });
        let at = at.map_or_else(|| pointer.to_owned(), |(pointer, _)| pointer);
        return root.finding(&at, "schema.reference", format!("a `$ref` leads nowhere: {text}"));
    }
    if error.kind().keyword() == "format" && error.instance().is_string() {
        return root
            .finding(pointer, "schema.pattern", format!("this is no pattern that can be used: {error}"))
            .hint("patterns are those of Rust's regex, without look-around and back references");
    }
    root.finding(pointer, "schema.invalid", format!("this is no valid schema: {error}"))
}
