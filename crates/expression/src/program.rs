//! Running what was compiled.

use crate::{CompileError, Metadata, Value, ValueRef, metadata::FieldSet};
use crossdock_model::{Envelope, Fault, Text};
use std::{
    ops::{ControlFlow, Range},
    sync::Arc,
};
use vrl::{
    compiler::{
        ExpressionError, SecretTarget, Target, TimeZone,
        runtime::{Runtime, Terminate},
    },
    path::{OwnedSegment, OwnedTargetPath, PathPrefix},
    value::Value as Inner,
};

/// Most expressions that one run may evaluate, and as many more for each byte of the payload: loops in loops end after a
/// time that is linear in the payload.
const EVALUATIONS_MAX: u64 = 1_000_000;
const EVALUATIONS_PER_BYTE_MAX: u64 = 16;

/// A compiled expression. It can be run from many threads at once, and always gives the same for the same message; a
/// clone is the same program.
#[derive(Clone, Debug)]
pub struct Program(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    text: Text,
    inner: vrl::compiler::Program,
    fields: FieldSet,
    reads_payload: bool,
    warnings: Box<[CompileError]>,
}

impl Program {
    pub(crate) fn new(text: Text, inner: vrl::compiler::Program, warnings: Vec<CompileError>) -> Self {
        let info = inner.info();
        let touched = info.target_queries.iter().chain(&info.target_assignments);
        let (mut fields, mut reads_payload) = (FieldSet::default(), false);
        for path in touched {
            match path.prefix {
                PathPrefix::Event => reads_payload = true,
                PathPrefix::Metadata => fields = fields.union(FieldSet::of_path(path)),
            }
        }
        Self(Arc::new(Compiled { text, inner, fields, reads_payload, warnings: warnings.into() }))
    }

    /// The text it was compiled from.
    #[must_use]
    pub fn text(&self) -> &Text {
        &self.0.text
    }

    /// What is likely not as it was meant.
    #[must_use]
    pub fn warnings(&self) -> &[CompileError] {
        &self.0.warnings
    }

    /// Whether it reads or changes the payload; if not, the payload need not be decoded.
    #[must_use]
    pub fn needs_payload(&self) -> bool {
        self.0.reads_payload
    }

    /// Whether it may assign the payload.
    #[must_use]
    pub fn assigns_payload(&self) -> bool {
        self.0.inner.info().target_assignments.iter().any(|path| path.prefix == PathPrefix::Event)
    }

    pub(crate) fn inner(&self) -> &vrl::compiler::Program {
        &self.0.inner
    }

    /// Runs a condition. Without a payload `.` is null.
    ///
    /// # Errors
    /// Class `rejected`, code `expression`: it failed or aborted.
    pub fn condition(
        &self,
        payload: Option<&Value>,
        metadata: &mut Metadata,
        envelope: &Envelope,
    ) -> Result<bool, Fault> {
        let value = self.value(payload, metadata, envelope)?;
        if let Inner::Boolean(holds) = value.0 {
            return Ok(holds);
        }
        let found = value.as_ref().describe();
        Err(Fault::rejected("expression", format!("the condition gave {found}, which is no boolean")))
    }

    /// Runs an expression for its value. Without a payload `.` is null.
    ///
    /// # Errors
    /// Class `rejected`, code `expression`: it failed or aborted.
    pub fn value(&self, payload: Option<&Value>, metadata: &mut Metadata, envelope: &Envelope) -> Result<Value, Fault> {
        metadata.build(self.0.fields, envelope);
        let none = Inner::Null;
        let payload = payload.map_or(&none, |value| &value.0);
        self.run(&mut Reading { payload, metadata: &metadata.root }, envelope).map(Value)
    }

    /// Runs a transform over the payload and the metadata; says whether it assigned or deleted something of the payload.
    /// Where it fails, payload and metadata are left half changed: the message is to be dropped from its way then.
    ///
    /// # Errors
    /// Class `rejected`, code `expression`: it failed or aborted, or assigned a field of what is no object.
    pub fn transform(&self, payload: &mut Value, metadata: &mut Metadata, envelope: &Envelope) -> Result<bool, Fault> {
        metadata.build(self.0.fields, envelope);
        let mut target = Changing { payload: &mut payload.0, metadata, payload_changed: false, refused: None };
        let outcome = self.run(&mut target, envelope);
        match (outcome, target.refused) {
            (Err(fault), _) => Err(fault),
            (Ok(_), Some(refused)) => Err(Fault::rejected("expression", refused)),
            (Ok(_), None) => Ok(target.payload_changed),
        }
    }

    fn run(&self, target: &mut dyn Target, envelope: &Envelope) -> Result<Inner, Fault> {
        let mut left = EVALUATIONS_MAX + EVALUATIONS_PER_BYTE_MAX * envelope.bytes().len() as u64;
        let mut control = || match left.checked_sub(1) {
            Some(less) => {
                left = less;
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(()),
        };
        let utc = TimeZone::Named(chrono_tz::Tz::UTC);
        Runtime::default()
            .resolve_with_control(target, &self.0.inner, &utc, &mut control)
            .map_err(|end| Fault::rejected("expression", self.explain(end)))
    }

    fn explain(&self, end: Terminate) -> String {
        match end {
            Terminate::Interrupted => "the expression has too much to evaluate for a message of this size".to_owned(),
            Terminate::Error(error) => self.explain_error(&error),
            Terminate::Abort(error) => match self.aborted(&error) {
                Some(text) => text,
                None => self.explain_error(&error),
            },
        }
    }

    fn aborted(&self, error: &ExpressionError) -> Option<String> {
        let ExpressionError::Abort { span, message } = error else { return None };
        let place = self.place(span.start());
        Some(
            message
                .as_ref()
                .map_or_else(|| format!("aborted at {place}"), |text| format!("aborted at {place}: {text}")),
        )
    }

    /// `function call error for "string" at (0:12): …` becomes `` `string!(.a)` at line 1, column 1: … ``; of calls within
    /// calls the innermost one is named.
    fn explain_error(&self, error: &ExpressionError) -> String {
        let text = error.to_string();
        let (mut cause, mut innermost) = (text.as_str(), None);
        while let Some((span, rest)) = call_error(cause) {
            (innermost, cause) = (Some(span), rest);
        }
        let Some(span) = innermost else { return text };
        let place = self.place(span.start);
        let snippet = crate::diagnose::one_line(self.0.text.get(span).unwrap_or_default());
        format!("`{snippet}` at {place}: {cause}")
    }

    fn place(&self, offset: usize) -> String {
        let before = self.0.text.get(..offset).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        format!("line {line}, column {column}")
    }
}

/// The span and the cause of `function call error for "NAME" at (START:END): CAUSE`.
fn call_error(text: &str) -> Option<(Range<usize>, &str)> {
    let (_, rest) = text.strip_prefix("function call error for ")?.split_once(" at (")?;
    let (span, cause) = rest.split_once("): ")?;
    let (start, end) = span.split_once(':')?;
    Some((start.parse().ok()?..end.parse().ok()?, cause))
}

/// What a program sees that changes nothing; its text was checked to assign nothing.
#[derive(Debug)]
struct Reading<'a> {
    payload: &'a Inner,
    metadata: &'a Inner,
}

const READ_ONLY: &str = "this expression only reads";

impl Target for Reading<'_> {
    fn target_insert(&mut self, _path: &OwnedTargetPath, _value: Inner) -> Result<(), String> {
        Err(READ_ONLY.into())
    }

    fn target_get(&self, path: &OwnedTargetPath) -> Result<Option<&Inner>, String> {
        Ok(match path.prefix {
            PathPrefix::Event => self.payload.get(&path.path),
            PathPrefix::Metadata => self.metadata.get(&path.path),
        })
    }

    fn target_get_mut(&mut self, _path: &OwnedTargetPath) -> Result<Option<&mut Inner>, String> {
        Err(READ_ONLY.into())
    }

    fn target_remove(&mut self, _path: &OwnedTargetPath, _compact: bool) -> Result<Option<Inner>, String> {
        Err(READ_ONLY.into())
    }
}

/// What a transform sees. The library drops the errors of assignments, so they are kept here.
#[derive(Debug)]
struct Changing<'a> {
    payload: &'a mut Inner,
    metadata: &'a mut Metadata,
    payload_changed: bool,
    refused: Option<String>,
}

impl Changing<'_> {
    /// Why the payload has no such place to assign: the library would silently replace it by an object or array.
    fn refusal(&self, path: &OwnedTargetPath) -> Option<String> {
        let (expected, fits) = match path.path.segments.first()? {
            OwnedSegment::Field(_) => ("an object", matches!(self.payload, Inner::Object(_))),
            OwnedSegment::Index(_) => ("an array", matches!(self.payload, Inner::Array(_))),
        };
        let found = ValueRef(self.payload).describe();
        (!fits).then(|| format!("`{path}` cannot be assigned: the payload is {found}, not {expected}"))
    }
}

impl Target for Changing<'_> {
    fn target_insert(&mut self, path: &OwnedTargetPath, value: Inner) -> Result<(), String> {
        match path.prefix {
            PathPrefix::Event => {
                if let Some(refusal) = self.refusal(path) {
                    self.refused.get_or_insert(refusal);
                    return Err(READ_ONLY.into());
                }
                self.payload.insert(&path.path, value);
                self.payload_changed = true;
            }
            PathPrefix::Metadata => {
                self.metadata.root.insert(&path.path, value);
                self.metadata.written = self.metadata.written.union(FieldSet::of_path(path));
            }
        }
        Ok(())
    }

    fn target_get(&self, path: &OwnedTargetPath) -> Result<Option<&Inner>, String> {
        Ok(match path.prefix {
            PathPrefix::Event => self.payload.get(&path.path),
            PathPrefix::Metadata => self.metadata.root.get(&path.path),
        })
    }

    fn target_get_mut(&mut self, path: &OwnedTargetPath) -> Result<Option<&mut Inner>, String> {
        Ok(match path.prefix {
            PathPrefix::Event => {
                self.payload_changed = true;
                self.payload.get_mut(&path.path)
            }
            PathPrefix::Metadata => {
                self.metadata.written = self.metadata.written.union(FieldSet::of_path(path));
                self.metadata.root.get_mut(&path.path)
            }
        })
    }

    fn target_remove(&mut self, path: &OwnedTargetPath, compact: bool) -> Result<Option<Inner>, String> {
        let removed = match path.prefix {
            PathPrefix::Event => self.payload.remove(&path.path, compact),
            PathPrefix::Metadata => self.metadata.root.remove(&path.path, compact),
        };
        if removed.is_some() {
            match path.prefix {
                PathPrefix::Event => self.payload_changed = true,
                PathPrefix::Metadata => {
                    self.metadata.written = self.metadata.written.union(FieldSet::of_path(path));
                }
            }
        }
        Ok(removed)
    }
}

macro_rules! no_secrets {
    ($target:ident) => {
        /// There are no secrets in the language; its functions for them are not admitted.
        impl SecretTarget for $target<'_> {
            fn get_secret(&self, _key: &str) -> Option<&str> {
                None
            }

            fn insert_secret(&mut self, _key: &str, _value: &str) {}

            fn remove_secret(&mut self, _key: &str) {}
        }
    };
}

no_secrets!(Reading);
no_secrets!(Changing);
