//! From the items of `accept` and `steps` to a compiled list.

use crate::{
    Decode, Environment, EventDefaults, Format, JsonSchema, Pipeline, Stage, XmlDecode, XmlEncode, compile_program,
    pipeline::{Action, Step},
    xml::is_name,
};
use crossdock_expression::Program;
use crossdock_model::Text;
use crossdock_settings::{Diagnostic, Diagnostics, Placed, Setting, Settings, Span};
use std::time::Duration;

/// The body of [`Pipeline::compile`].
pub fn compile(
    stage: Stage,
    items: &[Placed<Setting>],
    inherited: Option<Decode>,
    environment: &mut Environment<'_>,
    found: &mut Diagnostics,
) -> Option<Pipeline> {
    let mut own = Diagnostics::new();
    let pipeline = Pipeline { inherited, ..Pipeline::empty(stage) };
    let mut list = List { pipeline, environment, found: &mut own, unseen: Vec::new() };
    for (index, item) in items.iter().enumerate() {
        let Setting::Variant { name, value } = &item.value else { continue };
        if let Some(action) = list.action(name, value) {
            let stage = match stage {
                Stage::Accept => "accept",
                Stage::Steps => "steps",
            };
            list.check_order(&action, value.span);
            let label = Text::from(format!("{stage}[{index}] {name}"));
            list.pipeline.steps.push(Step { label, action });
        }
    }
    let List { pipeline, unseen, .. } = list;
    unseen.into_iter().for_each(|change| own.push(change));
    let pipeline = pipeline.complete();
    let complete = pipeline.steps.len() == items.len() && !own.has_errors();
    found.append(own);
    complete.then_some(pipeline)
}

struct List<'a, 'b> {
    pipeline: Pipeline,
    environment: &'a mut Environment<'b>,
    found: &'a mut Diagnostics,
    /// Changes that do not leave, unless an `encode` comes behind them.
    unseen: Vec<Diagnostic>,
}

impl List<'_, '_> {
    fn action(&mut self, name: &str, value: &Placed<Setting>) -> Option<Action> {
        match (name, &value.value) {
            ("filter", Setting::Formula(_)) => self.program(&value.value).map(Action::Filter),
            ("transform", Setting::Formula(_)) => self.program(&value.value).map(Action::Transform),
            ("validate", Setting::Group(group)) => self.validate(group),
            ("decode", Setting::Variant { name, value }) => self.decode(name, value).map(Action::Decode),
            ("encode", Setting::Variant { name, value }) => self.encode(name, value),
            ("dedupe", Setting::Group(group)) => self.dedupe(group),
            ("delay", Setting::Duration(delay)) => {
                let before = self.pipeline.delay.replace(*delay);
                self.once(before, "delay", value.span)
            }
            ("expire", Setting::Group(group)) => {
                let before = self.pipeline.expire_after.replace(group.duration("after")?);
                self.once(before, "expire", value.span)
            }
            _ => self.unsupported(name, value.span),
        }
    }

    fn program(&mut self, setting: &Setting) -> Option<Program> {
        compile_program(setting.as_formula()?, self.environment.compiler, self.found)
    }

    fn validate(&mut self, group: &Settings) -> Option<Action> {
        let (json_schema, xsd) = (group.path("json_schema"), group.path("xsd"));
        match (json_schema, xsd) {
            (Some(path), None) => {
                let span = group.span_of("json_schema");
                let schema = JsonSchema::compile(path, span, self.environment.files, self.found)?;
                Some(Action::Validate(Box::new(schema)))
            }
            (None, Some(_)) => self.unsupported("validate: xsd", group.span_of("xsd")),
            (Some(_), Some(_)) | (None, None) => {
                let message = "`validate` takes one schema";
                let hint = "write `validate: { json_schema: FILE }`";
                self.found.push(Diagnostic::error("step.validate", group.span, message).hint(hint));
                None
            }
        }
    }

    fn decode(&mut self, name: &str, value: &Placed<Setting>) -> Option<Decode> {
        match (name, &value.value) {
            ("json", Setting::Group(_)) => Some(Decode::Json),
            ("text", Setting::Group(_)) => Some(Decode::Text),
            ("xml", Setting::Group(group)) => {
                let names = group.list("force_array").iter();
                let names = names.filter_map(|name| Some((name.value.as_text()?.clone(), name.span)));
                let force_array = names.filter_map(|(name, span)| self.xml_name(name, span)).collect();
                let infer_types = group.text("types").is_some_and(|types| &**types == "infer");
                Some(Decode::Xml(XmlDecode { force_array, infer_types }))
            }
            ("cloudevent", Setting::Group(_)) => Some(Decode::CloudEvent),
            _ => self.unsupported(&format!("decode: {name}"), value.span),
        }
    }

    fn encode(&mut self, name: &str, value: &Placed<Setting>) -> Option<Action> {
        let (format, group) = match (name, &value.value) {
            ("json", Setting::Group(group)) => (Format::Json, group),
            ("xml", Setting::Group(group)) => (Format::Xml, group),
            ("text", Setting::Group(group)) => (Format::Text, group),
            ("cloudevent", Setting::Group(group)) => return Some(Action::EncodeEvent(EventDefaults::of(group))),
            _ => return self.unsupported(&format!("encode: {name}"), value.span),
        };
        let root = match group.text("root") {
            Some(root) => Some(self.xml_name(root.clone(), group.span_of("root"))?),
            None => None,
        };
        let content_type = match group.text("content_type") {
            Some(text) if text.contains('/') && !text.chars().any(char::is_control) => text.clone(),
            Some(text) => {
                let message = format!("`{text}` is no content type");
                let hint = format!("write one such as `{}`", format.content_type());
                self.found.push(group.error("content_type", "value.type", message).hint(hint));
                return None;
            }
            None => Text::from_static(format.content_type()),
        };
        Some(Action::Encode { format, options: XmlEncode { root }, content_type })
    }

    fn dedupe(&mut self, group: &Settings) -> Option<Action> {
        let key = self.program(&group.get("key")?.value)?;
        let keys_max = group.integer("max_keys").and_then(|keys| u64::try_from(keys).ok())?;
        Some(Action::Dedupe { key, window: group.duration("window")?, keys_max })
    }

    fn once(&mut self, before: Option<Duration>, name: &str, span: Span) -> Option<Action> {
        if before.is_none() {
            return Some(Action::Condition);
        }
        let message = format!("`{name}` comes twice");
        self.found
            .push(Diagnostic::error("step.order", span, message).hint("both count from receipt: keep one of them"));
        None
    }

    fn xml_name(&mut self, name: Text, span: Span) -> Option<Text> {
        if is_name(&name) {
            return Some(name);
        }
        let message = format!("`{name}` is no name that XML allows");
        self.found
            .push(Diagnostic::error("value.type", span, message).hint("write the element's name as in the document"));
        None
    }

    fn unsupported<T>(&mut self, name: &str, span: Span) -> Option<T> {
        let message = format!("`{name}` is not built in yet");
        let hint = "this version has decode and encode (json, xml, text, cloudevent), validate (json_schema), filter, transform, \
                    dedupe, delay and expire";
        self.found.push(Diagnostic::error("step.unsupported", span, message).hint(hint));
        None
    }

    /// Steps whose place makes them do nothing.
    fn check_order(&mut self, action: &Action, span: Span) {
        let before = &self.pipeline.steps;
        match action {
            Action::Decode(_) => {
                if let Some(step) = before.iter().find(|step| step.action.needs_payload()) {
                    let message = format!("`decode` comes too late: `{}` has decoded the payload before", step.label);
                    let hint = "put `decode` before the first step that needs the value";
                    self.found.push(Diagnostic::error("step.order", span, message).hint(hint));
                }
            }
            Action::Transform(program) if program.assigns_payload() => {
                if let Some(step) = before.iter().find(|step| step.action.fixes_bytes()) {
                    let message = format!("what this changes does not leave: `{}` has fixed the bytes", step.label);
                    let hint = "put `encode` behind it, unless only templates are to see the change";
                    self.unseen.push(Diagnostic::warning("step.order", span, message).hint(hint));
                }
            }
            Action::Encode { .. } | Action::EncodeEvent(_) => self.unseen.clear(),
            Action::Transform(_)
            | Action::Filter(_)
            | Action::Validate(_)
            | Action::Dedupe { .. }
            | Action::Condition => {}
        }
    }
}

impl Action {
    /// Whether the step decodes the payload.
    pub fn needs_payload(&self) -> bool {
        match self {
            Self::Decode(_) | Self::Encode { .. } | Self::Validate(_) => true,
            Self::Filter(program) | Self::Transform(program) | Self::Dedupe { key: program, .. } => {
                program.needs_payload()
            }
            // The bytes are wrapped, whatever they are.
            Self::EncodeEvent(_) | Self::Condition => false,
        }
    }

    /// Whether the step fixes the bytes that leave.
    const fn fixes_bytes(&self) -> bool {
        match self {
            Self::Encode { .. } | Self::EncodeEvent(_) => true,
            Self::Decode(_)
            | Self::Filter(_)
            | Self::Transform(_)
            | Self::Validate(_)
            | Self::Dedupe { .. }
            | Self::Condition => false,
        }
    }
}
