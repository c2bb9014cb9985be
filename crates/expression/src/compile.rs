//! Compiling a text, or saying everything that is wrong with it.

use crate::{
    Program, bounds, diagnose,
    functions::admitted,
    metadata::{Field, FieldSet},
};
use crossdock_model::Text;
use std::{collections::BTreeMap, ops::Range};
use vrl::{
    compiler::{CompileConfig, Function, TypeDef, compile_with_external, state::ExternalEnv},
    path::{OwnedTargetPath, OwnedValuePath, PathPrefix},
    value::Kind,
};

/// What an expression is used for, which decides what it may give and change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Use {
    /// It gives true or false and changes nothing (`filter`, `when`).
    Condition,
    /// It gives a value and changes nothing (`order_by`, `key`, a template's hole).
    Value,
    /// It changes the payload and the writable metadata; what it gives is ignored (`transform`).
    Transform,
}

/// One thing that is wrong with a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CompileError {
    /// Stable name: `expression.syntax`, `expression.fallible`, `expression.type`, ….
    pub code: &'static str,
    /// What is wrong; a lowercase fragment.
    pub message: String,
    /// Where: bytes of the text.
    pub range: Range<usize>,
    /// How to mend it.
    pub hint: Option<String>,
}

/// Compiles texts; holds the list of functions, so make one for a configuration and drop it afterwards.
#[derive(Debug)]
pub struct Compiler {
    functions: Vec<Box<dyn Function>>,
}

impl Default for Compiler {
    fn default() -> Self {
        Self { functions: admitted() }
    }
}

impl Compiler {
    /// A compiler with all functions of the language.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Compiles an expression.
    ///
    /// # Errors
    /// Everything that is wrong with it; of syntax errors the first one of each line.
    pub fn compile(&self, text: &str, usage: Use) -> Result<Program, Vec<CompileError>> {
        if let Some(error) = bounds::check(text) {
            return Err(vec![error]);
        }
        let compiled = compile_with_external(text, &self.functions, &environment(), permissions(usage));
        let compiled = compiled.map_err(|list| diagnose::all(text, list, usage, &self.names()))?;
        let mut errors = diagnose::unknown_metadata(text, compiled.program.info());
        let result = compiled.program.final_type_info();
        errors.extend(diagnose::result(text, usage, &result.result));
        if usage == Use::Transform {
            errors.extend(wrong_assignments(text, &compiled.program, result.state.external.metadata_kind()));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut warnings = diagnose::all(text, compiled.warnings, usage, &self.names());
        if usage == Use::Transform && changes_nothing(text, &compiled.program) {
            warnings.push(diagnose::changes_nothing(text));
        }
        Ok(Program::new(Text::from(text), compiled.program, warnings))
    }

    /// What an expression gives, if it compiles; for checks of a use narrower than [`Use`].
    pub(crate) fn result_of(program: &vrl::compiler::Program) -> TypeDef {
        program.final_type_info().result
    }

    fn names(&self) -> Vec<&'static str> {
        self.functions.iter().map(|function| function.identifier()).collect()
    }
}

/// What is known of `.` and `%` before a program runs.
fn environment() -> ExternalEnv {
    let fields: BTreeMap<_, _> = Field::ALL.iter().map(|field| (field.name().into(), field.kind())).collect();
    ExternalEnv::new_with_kind(Kind::json(), Kind::object(fields))
}

fn permissions(usage: Use) -> CompileConfig {
    let mut config = CompileConfig::default();
    match usage {
        Use::Condition | Use::Value => config.set_read_only(),
        Use::Transform => {
            for field in Field::ALL.into_iter().filter(|field| !field.is_writable()) {
                config.set_read_only_path(metadata_path(field), true);
            }
        }
    }
    config
}

/// Whether a transform is certain to leave every message as it is and to let it pass.
fn changes_nothing(text: &str, program: &vrl::compiler::Program) -> bool {
    let info = program.info();
    info.target_assignments.is_empty() && !info.abortable && !info.fallible && !text.contains("del(")
}

fn metadata_path(field: Field) -> OwnedTargetPath {
    OwnedTargetPath { prefix: PathPrefix::Metadata, path: OwnedValuePath::single_field(field.name()) }
}

/// Fields that end up as what they cannot hold, whatever happens.
fn wrong_assignments<'a>(
    text: &'a str,
    program: &'a vrl::compiler::Program,
    metadata: &'a Kind,
) -> impl Iterator<Item = CompileError> + 'a {
    let assigned = program.info().target_assignments.iter().filter(|path| path.prefix == PathPrefix::Metadata);
    let assigned = assigned.fold(FieldSet::default(), |set, path| set.union(FieldSet::of_path(path)));
    let wrong = Field::ALL.into_iter().filter(move |field| assigned.contains(*field)).filter(|field| {
        let kind = metadata.at_path(&OwnedValuePath::single_field(field.name()));
        !kind.intersects(&field.accepts())
    });
    wrong.map(|field| diagnose::wrong_assignment(text, field))
}
