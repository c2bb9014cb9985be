//! `accept`, `steps`, and the formulas of sources and targets: compiled through `rules`.

use crate::context::Context;
use crossdock_connector::{Evaluated, Formulas};
use crossdock_expression::View;
use crossdock_model::{Envelope, Fault};
use crossdock_rules::{Decode, Environment, Formula, Pipeline, Stage, Working, compile_formula, compile_program};
use crossdock_settings::{self as settings, Placed, Setting, Settings, Slot};
use std::sync::Arc;

/// Compiles a list of steps; none where one is wrong.
pub(crate) fn pipeline(
    stage: Stage,
    items: &[Placed<Setting>],
    inherited: Option<Decode>,
    context: &mut Context<'_>,
) -> Option<Pipeline> {
    let mut environment = Environment { compiler: &context.compiler, files: &mut context.files };
    Pipeline::compile(stage, items, inherited, &mut environment, &mut context.found)
}

/// Compiles an expression of a section; the outer none where it is wrong, the inner where there is none.
pub(crate) fn program(
    settings: &Settings,
    name: &str,
    context: &mut Context<'_>,
) -> Option<Option<crossdock_expression::Program>> {
    match settings.formula(name) {
        None => Some(None),
        Some(formula) => compile_program(formula, &context.compiler, &mut context.found).map(Some),
    }
}

/// Compiles all templates and expressions of a section, in the order of their slots; none where one is wrong.
pub(crate) fn formulas(settings: &Settings, allow_dynamic: bool, context: &mut Context<'_>) -> Option<Vec<Formula>> {
    let mut raw = Vec::new();
    gather(settings, &mut raw);
    raw.sort_by_key(|formula| formula.slot);
    let compiled: Vec<_> = raw
        .into_iter()
        .map(|formula| compile_formula(formula, allow_dynamic, &context.compiler, &mut context.found))
        .collect();
    compiled.into_iter().collect()
}

fn gather<'s>(settings: &'s Settings, into: &mut Vec<&'s settings::Formula>) {
    for (_, value) in settings.iter() {
        gather_setting(&value.value, into);
    }
}

fn gather_setting<'s>(setting: &'s Setting, into: &mut Vec<&'s settings::Formula>) {
    match setting {
        Setting::Formula(formula) => into.push(formula),
        Setting::List(items) => items.iter().for_each(|item| gather_setting(&item.value, into)),
        Setting::Map(items) => items.iter().for_each(|(_, item)| gather_setting(&item.value, into)),
        Setting::Group(group) => gather(group, into),
        Setting::Variant { value, .. } => gather_setting(&value.value, into),
        Setting::Boolean(_)
        | Setting::Integer(_)
        | Setting::Number(_)
        | Setting::Text(_)
        | Setting::Secret { .. }
        | Setting::Duration(_)
        | Setting::Size(_)
        | Setting::Rate(_)
        | Setting::Path(_)
        | Setting::Any(_) => {}
    }
}

/// What evaluates a source's formulas; none where one is wrong.
pub(crate) fn source_formulas(settings: &Settings, context: &mut Context<'_>) -> Option<Formulas> {
    let compiled = formulas(settings, false, context)?;
    if compiled.is_empty() {
        return Some(Formulas::none());
    }
    let scrubber = context.scrubber.clone();
    let evaluate = move |slot, envelope: &_| evaluate(&compiled, slot, envelope).map_err(|fault| scrubber.fault(fault));
    Some(Formulas::new(evaluate))
}

fn evaluate(formulas: &[Formula], slot: Slot, envelope: &Envelope) -> Result<Evaluated, Fault> {
    let mut message = Working::new(Arc::new(envelope.clone()));
    let program = match formulas.get(usize::from(slot.0)) {
        None => return Formulas::none().evaluate(slot, envelope),
        Some(Formula::Template(template)) => {
            return message.render(template).map(|text| Evaluated::Text(text.into_bytes()));
        }
        Some(Formula::Expression(program)) => program,
    };
    let value = message.value(program)?;
    match value.as_ref().view() {
        View::Text(text) => Ok(Evaluated::Text(text.into_owned().into())),
        View::Bytes(bytes) => Ok(Evaluated::Text(bytes.clone())),
        View::Null | View::Boolean(_) | View::Integer(_) | View::Float(_) | View::Array(_) | View::Object(_) => {
            let json = value.to_json().map_err(|error| Fault::rejected("expression", error.to_string()))?;
            Ok(Evaluated::Json(json.into()))
        }
    }
}
