//! `channels`: what is declared. Hidden queues and dead-letter queues join later.

use crate::{
    context::Context,
    plan::{Channel, ChannelKind, ChannelUse, QueueLimits, Retain, WhenFull},
    tables::CHANNEL,
};
use crossdock_model::Text;
use crossdock_settings::{Kind, Node, Placed, Reader, Setting, Settings, Span};

/// A declared channel.
pub(crate) struct Declared {
    pub channel: Channel,
    /// The dead-letter queue of `drop_oldest`, and where it is named.
    pub dead_letter: Option<Placed<Text>>,
    /// Where `expire` stands.
    pub expire: Option<Span>,
}

/// Reads the section. A channel whose values are wrong is there all the same, so that nobody calls its name unknown.
pub(crate) fn read(node: Option<&Node>, context: &mut Context<'_>) -> Vec<Declared> {
    let mut declared = Vec::new();
    for entry in context.named(node, "channel") {
        let mut reader = Reader::new();
        let setting = reader.value(&entry.value, &Kind::Variant(CHANNEL));
        context.found.append(reader.finish());
        let name = Text::from(entry.key.as_str());
        let (mut dead_letter, mut expire) = (None, None);
        let kind = match setting {
            Some(Setting::Variant { name: "topic", value }) => ChannelKind::Topic(retain(&value.value)),
            Some(Setting::Variant { value, .. }) => {
                let (limits, dropped, gives_up) = queue(&value, context);
                expire = gives_up;
                dead_letter = dropped;
                ChannelKind::Queue(limits)
            }
            _ => ChannelKind::Queue(QueueLimits::default()),
        };
        let channel = Channel { name, kind, purpose: ChannelUse::Declared };
        declared.push(Declared { channel, dead_letter, expire });
    }
    declared
}

/// A queue's limits; the dead-letter queue that it names, and where it says `expire`.
fn queue(value: &Placed<Setting>, context: &mut Context<'_>) -> (QueueLimits, Option<Placed<Text>>, Option<Span>) {
    let Setting::Group(settings) = &value.value else { return (QueueLimits::default(), None, None) };
    let dead_letter = dead_letter(settings);
    let drops = settings.text("when_full").is_some_and(|word| &**word == "drop_oldest");
    if let Some(named) = dead_letter.as_ref().filter(|_| !drops) {
        let hint = "add `when_full: drop_oldest`, or name the dead-letter queue of the route that reads the queue";
        let message = "`dead_letter` of a queue is for what `drop_oldest` drops";
        context.error_hint("channel.dead_letter", named.span, message, hint);
    }
    if drops && settings.size("max_bytes").is_none() && settings.integer("max_messages").is_none() {
        let message = "`when_full` has no effect on a queue without a limit";
        let hint = "add `max_bytes` or `max_messages`";
        context.found.push(
            crossdock_settings::Diagnostic::warning("channel.no_limit", settings.span_of("when_full"), message)
                .hint(hint),
        );
    }
    let when_full = if drops {
        WhenFull::DropOldest { dead_letter: dead_letter.as_ref().map(|named| named.value.clone()) }
    } else {
        WhenFull::Refuse
    };
    let limits = QueueLimits {
        bytes_max: settings.size("max_bytes"),
        messages_max: count(settings, "max_messages"),
        when_full,
        expire_after: settings.duration("expire"),
    };
    let expire = settings.get("expire").map(|placed| placed.span);
    (limits, dead_letter, expire)
}

fn retain(value: &Setting) -> Retain {
    let Setting::Group(topic) = value else { return Retain::default() };
    topic.group("retain").map_or_else(Retain::default, |retain| Retain {
        age: retain.duration("age"),
        bytes: retain.size("bytes"),
        messages: count(retain, "messages"),
    })
}

fn count(settings: &Settings, name: &str) -> Option<u64> {
    settings.integer(name).and_then(|number| u64::try_from(number).ok())
}

/// `dead_letter: { queue: NAME }`, and where the name stands.
pub(crate) fn dead_letter(settings: &Settings) -> Option<Placed<Text>> {
    let (_, value) = settings.variant("dead_letter")?;
    Some(Placed::new(value.value.as_text()?.clone(), value.span))
}
