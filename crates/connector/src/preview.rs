//! What would be sent, told to people and not sent (`crossdock try`).

use crate::{Description, Outgoing, RenderedValue, Setting, SinkConfig};
use crossdock_model::Text;

/// What a sink would send for a message.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Preview {
    /// The act in the protocol's own words: `PUT https://erp.example/api/orders/7`, `publish to plant/3/temp`.
    pub act: Text,
    /// The headers or properties that go with the payload, in order, without secrets.
    pub headers: Vec<(Text, Text)>,
    /// The fields of the envelope that the protocol cannot carry.
    pub lost: Vec<Text>,
}

impl Preview {
    /// What can be told of any protocol: the connection, and what the settings of the address hold or give.
    #[must_use]
    pub fn of(description: &Description, config: &SinkConfig, outgoing: &Outgoing) -> Self {
        let mut words = vec![description.name.to_owned()];
        words.extend(config.connection.as_ref().map(|connection| connection.name.to_string()));
        for name in description.address {
            if let Some(placed) = config.settings.get(name) {
                words.extend(shown(&placed.value, outgoing).map(|text| format!("{name} {text}")));
            }
        }
        let content_type = outgoing.envelope.properties.content_type.clone();
        let headers = content_type.map(|value| (Text::from_static("content-type"), value)).into_iter().collect();
        Self { act: Text::from(words.join(" ")), headers, lost: Vec::new() }
    }
}

/// A setting in a line; what has no such form is left out.
fn shown(setting: &Setting, outgoing: &Outgoing) -> Option<String> {
    match setting {
        Setting::Boolean(value) => Some(value.to_string()),
        Setting::Integer(value) => Some(value.to_string()),
        Setting::Number(value) => Some(value.to_string()),
        Setting::Text(text) => Some(text.to_string()),
        Setting::Secret { shown, .. } => Some(shown.to_string()),
        Setting::Path(path) => Some(path.display().to_string()),
        Setting::Formula(formula) => match outgoing.rendered.get(formula.slot)? {
            RenderedValue::Null => None,
            RenderedValue::Text(text) => Some(text.to_string()),
            RenderedValue::Bytes(bytes) => Some(format!("{} bytes", bytes.len())),
        },
        Setting::Duration(_)
        | Setting::Size(_)
        | Setting::Rate(_)
        | Setting::List(_)
        | Setting::Map(_)
        | Setting::Group(_)
        | Setting::Variant { .. }
        | Setting::Any(_) => None,
    }
}
