//! What reading a section needs: the protocols, the outside, the compiler, and where findings go.

use crate::{Environment, Protocol, Scrubber, files, mask::Masks};
use crossdock_expression::Compiler;
use crossdock_settings::{Diagnostic, Diagnostics, Entry, Field, Node, NodeKind, Settings, Span, suggest};
use std::path::Path;

/// Carried through all sections of one file.
pub(crate) struct Context<'a> {
    pub folder: &'a Path,
    pub environment: &'a dyn Environment,
    pub protocols: &'a [Protocol],
    pub compiler: Compiler,
    pub masks: Masks,
    /// Of what was substituted, which is known before any section is read.
    pub scrubber: Scrubber,
    pub files: files::Reader<'a>,
    pub found: Diagnostics,
}

impl<'a> Context<'a> {
    pub(crate) fn new(folder: &'a Path, environment: &'a dyn Environment, protocols: &'a [Protocol]) -> Self {
        Self {
            folder,
            environment,
            protocols,
            compiler: Compiler::new(),
            masks: Masks::new(protocols),
            scrubber: Scrubber::default(),
            files: files::Reader::new(folder, environment),
            found: Diagnostics::new(),
        }
    }

    /// Adds an error without a hint.
    pub(crate) fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.found.push(Diagnostic::error(code, span, message));
    }

    /// Adds an error with a hint.
    pub(crate) fn error_hint(
        &mut self,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.found.push(Diagnostic::error(code, span, message).hint(hint));
    }

    /// How many errors there are up to now; the same number later means that nothing went wrong between.
    pub(crate) fn error_count(&self) -> usize {
        self.found.error_count()
    }

    /// Reads a map by its table.
    pub(crate) fn group(&mut self, node: &Node, fields: &'static [Field]) -> Settings {
        let mut reader = crossdock_settings::Reader::new();
        let settings = reader.group(node, fields);
        self.found.append(reader.finish());
        settings
    }

    /// The entries of a map of named things; what is no map, or a name that is none, is a finding. A section that is
    /// there but empty has no entries.
    pub(crate) fn named<'n>(&mut self, node: Option<&'n Node>, what: &str) -> Vec<&'n Entry> {
        let entries = match node.map(|node| (&node.kind, node)) {
            None | Some((NodeKind::Null, _)) => return Vec::new(),
            Some((NodeKind::Mapping(entries), _)) => entries,
            Some((NodeKind::Scalar(_) | NodeKind::Sequence(_), node)) => {
                let message = format!("expected a map with a {what} under each name, found {}", node.describe());
                self.error("value.type", node.span, message);
                return Vec::new();
            }
        };
        entries.iter().filter(|entry| self.name(&entry.key, entry.key_span, what)).collect()
    }

    /// Whether a text can name something: it stands in URLs, metrics and names of subscriptions.
    pub(crate) fn name(&mut self, name: &str, span: Span, what: &str) -> bool {
        let fine = !name.is_empty()
            && name.chars().count() <= NAME_CHARACTERS_MAX
            && name.chars().all(|sign| sign.is_alphanumeric() || matches!(sign, '.' | '_' | '-'))
            && !name.starts_with('.');
        if !fine {
            self.error_hint(
                "name.invalid",
                span,
                format!("`{name}` cannot name a {what}"),
                format!("a name has letters, digits, `.`, `_` and `-`, at most {NAME_CHARACTERS_MAX} of them"),
            );
        }
        fine
    }
}

/// Longest name of a route, connection, channel or subscription.
const NAME_CHARACTERS_MAX: usize = 128;

/// "Did you mean", else what there is.
pub(crate) fn near(name: &str, known: &[&str], none: &str) -> String {
    match (suggest(name, known.iter().copied()), known) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, []) => none.to_owned(),
        (None, known) => {
            format!("there are {}", known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
        }
    }
}
