//! The templates and expressions of a section: compiled with places in the configuration, and what they give.

use crate::{Working, compile::report};
use bytes::Bytes;
use crossdock_expression::{Compiler, Escape, Program, Template, TemplateOptions, Use, View};
use crossdock_model::{Fault, Text};
use crossdock_settings::{self as settings, Diagnostic, Diagnostics, FormulaKind, Returns, Severity};

/// A compiled template or expression.
#[derive(Clone, Debug)]
pub enum Formula {
    /// A text with holes.
    Template(Template),
    /// An expression.
    Expression(Program),
}

/// What a formula gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rendered {
    /// Nothing: an expression gave null.
    Null,
    /// A text: a template's, or an expression's string, or its other value as JSON.
    Text(Text),
    /// Bytes: an expression's string that is no UTF-8.
    Bytes(Bytes),
}

/// Compiles a formula of a section; none where it is wrong, and then findings say so. `allow_dynamic` lifts the rule
/// that an address starts with a literal, with a warning where that is used.
pub fn compile_formula(
    formula: &settings::Formula,
    allow_dynamic: bool,
    compiler: &Compiler,
    found: &mut Diagnostics,
) -> Option<Formula> {
    let usage = match formula.kind {
        FormulaKind::Expression(_) => return compile_program(formula, compiler, found).map(Formula::Expression),
        FormulaKind::Template(usage) => usage,
    };
    let escape = if usage.path_segment { Escape::PathSegment } else { Escape::None };
    let options = TemplateOptions { address: usage.address, allow_dynamic, escape };
    match compiler.template(&formula.text, options) {
        Ok(template) => {
            if usage.address && template.starts_with_value() {
                let place = formula.layout.span(&formula.text, 0..formula.text.len());
                let message = "content can choose any destination here";
                let hint = "start the address with a literal and remove `allow_dynamic`, if that is not meant";
                found.push(Diagnostic::warning("template.dynamic_address", place, message).hint(hint));
            }
            Some(Formula::Template(template))
        }
        Err(errors) => {
            report(formula, &errors, Severity::Error, found);
            None
        }
    }
}

/// Compiles an expression of a section (`order_by`, `circuit`, `when`); none where it is wrong.
pub fn compile_program(formula: &settings::Formula, compiler: &Compiler, found: &mut Diagnostics) -> Option<Program> {
    let usage = match formula.kind {
        FormulaKind::Expression(Returns::Condition) => Use::Condition,
        FormulaKind::Expression(Returns::Changes) => Use::Transform,
        FormulaKind::Expression(Returns::Value) | FormulaKind::Template(_) => Use::Value,
    };
    match compiler.compile(&formula.text, usage) {
        Ok(program) => {
            report(formula, program.warnings(), Severity::Warning, found);
            Some(program)
        }
        Err(errors) => {
            report(formula, &errors, Severity::Error, found);
            None
        }
    }
}

impl Formula {
    /// Whether it reads the payload.
    #[must_use]
    pub fn needs_payload(&self) -> bool {
        match self {
            Self::Template(template) => template.needs_payload(),
            Self::Expression(program) => program.needs_payload(),
        }
    }

    /// What it gives for a message.
    ///
    /// # Errors
    /// The message cannot be decoded, or the formula failed.
    pub fn render(&self, message: &mut Working) -> Result<Rendered, Fault> {
        let program = match self {
            Self::Template(template) => return message.render(template).map(Rendered::Text),
            Self::Expression(program) => program,
        };
        let value = message.value(program)?;
        match value.as_ref().view() {
            View::Null => Ok(Rendered::Null),
            View::Text(text) => Ok(Rendered::Text(Text::from(text.into_owned()))),
            View::Bytes(bytes) => Ok(Rendered::Bytes(bytes.clone())),
            View::Boolean(_) | View::Integer(_) | View::Float(_) | View::Array(_) | View::Object(_) => {
                let json = value.to_json().map_err(|error| Fault::rejected("expression", error.to_string()))?;
                Ok(Rendered::Text(Text::from(String::from_utf8_lossy(&json).into_owned())))
            }
        }
    }
}
