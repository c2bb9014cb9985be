//! `options:`: what may be said to librdkafka, and what may not, with the reason.
//!
//! Everything else is passed on as it stands; names and values are asked of the library itself, without a connection, so
//! that `check` finds what is wrong.

mod names;
mod refused;

use crossdock_connector::{Diagnostic, Diagnostics, Placed, Setting, Settings, Span, suggest};
use crossdock_model::Text;
use names::{BOTH, CONSUMER, PRODUCER};
use rdkafka::{
    ClientConfig, config::RDKafkaLogLevel, consumer::BaseConsumer, error::KafkaError, producer::BaseProducer,
    types::RDKafkaConfRes,
};

/// Who the options are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    /// A source.
    Consumer,
    /// A target.
    Producer,
    /// A connection: both.
    Both,
}

/// Name and value, as librdkafka takes them.
pub(crate) type Options = Vec<(Text, Text)>;

/// Reads the key `options` of a section.
///
/// # Errors
/// Each option that is not known, has a value that librdkafka does not take, or is refused.
pub(crate) fn read(settings: &Settings, side: Side) -> Result<Options, Diagnostics> {
    let (mut found, mut options) = (Diagnostics::new(), Options::new());
    for (name, Placed { value, span }) in settings.map("options") {
        let Some(text) = value.as_text() else { continue };
        let shown = if matches!(value, Setting::Secret { .. }) { "the value here" } else { text };
        match examine(name, text, side) {
            Ok(()) => options.push((name.clone(), text.clone())),
            Err(wrong) => found.push(wrong.at(*span, name, shown)),
        }
    }
    if found.has_errors() { Err(found) } else { Ok(options) }
}

/// Has librdkafka make a client of all that is said to it, which tells what does not go together. The client knows no
/// broker, so that it connects to nobody, and is gone at once.
///
/// # Errors
/// What librdkafka says of it, at the key `options` of the section.
pub(crate) fn check_together(config: &ClientConfig, side: Side, section: &Settings) -> Result<(), Diagnostics> {
    let mut config = config.clone();
    // Of a client without brokers it warns.
    config.remove("bootstrap.servers").set_log_level(RDKafkaLogLevel::Emerg);
    let made = match side {
        Side::Consumer => config.create::<BaseConsumer>().map(drop),
        Side::Producer | Side::Both => config.create::<BaseProducer>().map(drop),
    };
    let Err(error) = made else { return Ok(()) };
    let why = if let KafkaError::ClientCreation(why) = error { why } else { error.to_string() };
    let message = format!("librdkafka takes no such set of options: {}", why.trim().trim_end_matches('.'));
    let hint =
        "these and the connection's `options` hold together: librdkafka's CONFIGURATION.md tells what each goes with";
    Err(section.error("options", "kafka.option", &message).hint(hint).into())
}

/// The options that a client of a side has a use for.
pub(crate) fn of_side(options: &Options, side: Side) -> impl Iterator<Item = &(Text, Text)> {
    let other = match side {
        Side::Consumer => PRODUCER,
        Side::Producer => CONSUMER,
        Side::Both => &[],
    };
    options.iter().filter(|(name, _)| !other.contains(&&**name))
}

enum Wrong {
    Refused { why: &'static str, hint: &'static str },
    Unknown { hint: Option<String> },
    OtherSide { whose: &'static str },
    Value { why: String },
}

fn examine(name: &str, value: &str, side: Side) -> Result<(), Wrong> {
    if let Some((why, hint)) = refused::reason(name, value) {
        return Err(Wrong::Refused { why, hint });
    }
    match side {
        Side::Consumer if PRODUCER.contains(&name) => {
            return Err(Wrong::OtherSide { whose: "a producer's, for a target" });
        }
        Side::Producer if CONSUMER.contains(&name) => {
            return Err(Wrong::OtherSide { whose: "a consumer's, for a source" });
        }
        Side::Consumer | Side::Producer | Side::Both => {}
    }
    match ClientConfig::new().set(name, value).create_native_config() {
        Ok(_) => Ok(()),
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => {
            let names = BOTH.iter().chain(CONSUMER).chain(PRODUCER).copied();
            Err(Wrong::Unknown { hint: suggest(name, names).map(|name| format!("did you mean `{name}`?")) })
        }
        Err(KafkaError::ClientConfig(_, why, ..)) => Err(Wrong::Value { why }),
        Err(error) => Err(Wrong::Value { why: error.to_string() }),
    }
}

impl Wrong {
    fn at(self, span: Span, name: &str, shown: &str) -> Diagnostic {
        let error = |message: String| Diagnostic::error("kafka.option", span, message);
        match self {
            Self::Refused { why, hint } => error(format!("`{name}` cannot be set to `{shown}`: {why}")).hint(hint),
            Self::Unknown { hint } => error(format!("librdkafka has no option `{name}`")).hint(
                hint.unwrap_or_else(|| "its CONFIGURATION.md lists them; remove this one, or mend its name".into()),
            ),
            Self::OtherSide { whose } => {
                error(format!("`{name}` is {whose}")).hint("move it there, or to the connection's `options`")
            }
            Self::Value { why } => {
                error(format!("`{shown}` is no value for `{name}`: {}", why.trim().trim_end_matches('.')))
                    .hint("librdkafka's CONFIGURATION.md tells what the option takes")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str, side: Side, wrong: Option<&str>) {
        let text = examine(name, value, side).err().map(|wrong| {
            let found = wrong.at(Span::default(), name, value);
            assert!(found.hint.is_some(), "{name}");
            format!("{} | {}", found.message, found.hint.unwrap_or_default())
        });
        match (text, wrong) {
            (None, None) => {}
            (Some(text), Some(wrong)) => assert!(text.contains(wrong), "{name}={value}: {text}"),
            (text, wrong) => panic!("{name}={value}: {text:?} instead of {wrong:?}"),
        }
    }

    #[test]
    fn options_are_known_fitting_and_harmless() {
        for (name, value, side, wrong) in [
            ("fetch.min.bytes", "1000", Side::Consumer, None),
            ("fetch.min.bytes", "1000", Side::Both, None),
            ("fetch.min.bytes", "1000", Side::Producer, Some("a consumer's")),
            ("fetch.min.bytes", "many", Side::Consumer, Some("`many` is no value")),
            ("fetch.min.byte", "1", Side::Consumer, Some("did you mean `fetch.min.bytes`?")),
            ("nonsense", "1", Side::Both, Some("librdkafka has no option")),
            ("linger.ms", "20", Side::Producer, None),
            ("linger.ms", "20", Side::Consumer, Some("a producer's")),
            ("enable.auto.commit", "true", Side::Consumer, Some("settled")),
            ("enable.auto.offset.store", "true", Side::Consumer, Some("settled")),
            ("auto.offset.reset", "latest", Side::Consumer, Some("`start`")),
            ("group.id", "g", Side::Consumer, Some("`group`")),
            ("group.instance.id", "x", Side::Consumer, Some("static member")),
            ("group.protocol", "consumer", Side::Consumer, Some("static")),
            ("group.protocol", "classic", Side::Consumer, None),
            ("acks", "all", Side::Producer, None),
            ("acks", "-1", Side::Producer, None),
            ("acks", "1", Side::Producer, Some("lost")),
            ("request.required.acks", "0", Side::Producer, Some("lost")),
            ("enable.idempotence", "false", Side::Both, Some("twice")),
            ("enable.idempotence", "true", Side::Both, None),
            ("queuing.strategy", "lifo", Side::Producer, Some("order")),
            ("delivery.report.only.error", "true", Side::Producer, Some("confirmed")),
            ("transactional.id", "t", Side::Producer, Some("transaction")),
            ("message.timeout.ms", "1", Side::Producer, Some("`timeout`")),
            ("bootstrap.servers", "b:1", Side::Both, Some("`brokers`")),
            ("sasl.password", "secret", Side::Both, Some("`auth`")),
            ("ssl.ca.location", "/x", Side::Both, Some("`tls`")),
            ("ssl.key.password", "secret", Side::Both, None),
            ("enable.ssl.certificate.verification", "false", Side::Both, Some("pose")),
            ("ssl.endpoint.identification.algorithm", "none", Side::Both, Some("pose")),
            ("ssl.endpoint.identification.algorithm", "https", Side::Both, None),
            ("ssl.engine.location", "/tmp/x.so", Side::Both, Some("code")),
            ("plugin.library.paths", "/tmp/x.so", Side::Both, Some("code")),
            ("error_cb", "x", Side::Both, Some("no value")),
        ] {
            check(name, value, side, wrong);
        }
    }

    #[test]
    fn every_listed_name_is_librdkafkas() {
        for name in BOTH.iter().chain(CONSUMER).chain(PRODUCER) {
            let known = !matches!(examine(name, "no such value", Side::Both), Err(Wrong::Unknown { .. }));
            assert!(known, "{name}");
        }
    }

    #[test]
    fn a_client_gets_what_it_has_a_use_for() {
        let options: Options = [("linger.ms", "1"), ("fetch.min.bytes", "2"), ("socket.keepalive.enable", "true")]
            .map(|(name, value)| (Text::from_static(name), Text::from_static(value)))
            .into();
        let names = |side| of_side(&options, side).map(|(name, _)| &**name).collect::<Vec<_>>().join(" ");
        assert_eq!(names(Side::Consumer), "fetch.min.bytes socket.keepalive.enable");
        assert_eq!(names(Side::Producer), "linger.ms socket.keepalive.enable");
    }
}
