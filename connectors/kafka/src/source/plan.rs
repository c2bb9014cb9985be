//! A source's settings, read: what to read, as whom, from where.

use crate::{
    client::Connection,
    options::{self, Options, Side},
    topic::{TOPIC_HINT, is_topic},
};
use crossdock_connector::{Diagnostic, Diagnostics, SourceConfig, StoreTag};
use crossdock_model::{Text, Timestamp};
use rdkafka::ClientConfig;

/// What a source reads.
#[derive(Clone)]
pub(super) struct Plan {
    /// The connection.
    pub connection: Connection,
    /// The route, for names of threads.
    pub route: Text,
    /// Topics, or one pattern that begins with `^`.
    pub topics: Vec<Text>,
    /// Whether `topics` is a pattern.
    pub is_pattern: bool,
    /// The consumer group.
    pub group: Text,
    /// Where a group without a committed offset begins.
    pub start: Start,
    member: String,
    options: Options,
}

/// Where a group without a committed offset begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Start {
    /// With the oldest message there is.
    Earliest,
    /// With what comes from now on.
    Latest,
    /// With the first message of this time or a later one.
    At(Timestamp),
}

impl Plan {
    /// Reads the settings.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn new(config: &SourceConfig, store: &StoreTag) -> Result<Self, Diagnostics> {
        let (settings, mut found) = (&config.settings, Diagnostics::new());
        let connection = found.take(config.connection().and_then(|it| Connection::new(it, &config.folder)));
        let topics: Vec<Text> =
            settings.list("topics").iter().filter_map(|placed| placed.value.as_text().cloned()).collect();
        for placed in settings.list("topics") {
            if placed.value.as_text().is_some_and(|topic| !is_topic(topic)) {
                let error = Diagnostic::error("kafka.topic", placed.span, "this is no name of a topic");
                found.push(error.hint(format!("{TOPIC_HINT}; for several by one expression use `pattern`")));
            }
        }
        if settings.text("group").is_some_and(|group| group.is_empty()) {
            let error = settings.error("group", "kafka.group", "an empty name is none of a group");
            found.push(error.hint("name it, or leave it out: then it is the route's name"));
        }
        let pattern = settings.text("pattern");
        match (topics.is_empty(), pattern) {
            (true, None) => found.push(
                settings
                    .error("topics", "kafka.topics", "it says of no topic that it is read")
                    .hint("add `topics: [NAME]` or `pattern: EXPRESSION`"),
            ),
            (false, Some(_)) => found.push(
                settings
                    .error("pattern", "kafka.topics", "`pattern` stands beside `topics`, and only one of them can")
                    .hint("remove one"),
            ),
            (true, Some(pattern)) => check_pattern(settings.error("pattern", "kafka.pattern", ""), pattern, &mut found),
            (false, None) => {}
        }
        let start = found.take(start(config)).unwrap_or(Start::Earliest);
        let options = found.take(options::read(settings, Side::Consumer)).unwrap_or_default();
        let Some(connection) = connection.filter(|_| !found.has_errors()) else { return Err(found) };
        let is_pattern = pattern.is_some();
        let topics = pattern.map_or(topics, |pattern| vec![anchored(pattern)]);
        let group = settings.text("group").unwrap_or(&config.route).clone();
        let route = config.route.clone();
        let member = format!("crossdock-{store}-{route}");
        let plan = Self { connection, route, topics, is_pattern, group, start, member, options };
        if plan.connection.has_options(Side::Consumer, &plan.options) {
            options::check_together(&plan.config(), Side::Consumer, settings)?;
        }
        Ok(plan)
    }

    /// The consumer's configuration.
    pub fn config(&self) -> ClientConfig {
        let own = [
            ("group.id", &*self.group),
            // Who comes back under its name gets its partitions back at once, also after a crash.
            ("group.instance.id", &*self.member),
            // Only what the ledger says is stored for committing; what is, is committed often, since what is settled and
            // not committed comes again after a crash.
            ("enable.auto.offset.store", "false"),
            ("enable.auto.commit", "true"),
            ("auto.commit.interval.ms", "500"),
            // Where a group begins is decided when partitions are assigned; this is for offsets that are gone.
            ("auto.offset.reset", "earliest"),
            // Memory: a full queue is asked again soon, so that a small one is enough.
            ("queued.max.messages.kbytes", "2048"),
            ("fetch.queue.backoff.ms", "5"),
            ("fetch.max.bytes", "2097152"),
            // What a partition adds to an answer; a larger message comes alone.
            ("max.partition.fetch.bytes", "262144"),
            ("topic.metadata.refresh.interval.ms", "10000"),
        ];
        self.connection.config(Side::Consumer, &own, &self.options)
    }
}

/// librdkafka takes what begins with `^` as an expression.
fn anchored(pattern: &str) -> Text {
    if pattern.starts_with('^') { Text::from(pattern) } else { Text::from(format!("^{pattern}")) }
}

/// Asks librdkafka's own expressions; one with a comma cannot be asked, for there it separates several.
fn check_pattern(at: Diagnostic, pattern: &str, found: &mut Diagnostics) {
    if pattern.is_empty() {
        found.push(Diagnostic { message: "the expression is empty".into(), ..at }.hint("`.*` reads all topics"));
    } else if !pattern.contains(',')
        && ClientConfig::new().set("topic.blacklist", &*anchored(pattern)).create_native_config().is_err()
    {
        let message = format!("`{pattern}` is no regular expression");
        found.push(
            Diagnostic { message, ..at }
                .hint("see that brackets are closed; `.` is any character, `.*` any number of them"),
        );
    }
}

fn start(config: &SourceConfig) -> Result<Start, Diagnostics> {
    match config.settings.text("start").map(|start| &**start) {
        None | Some("earliest") => Ok(Start::Earliest),
        Some("latest") => Ok(Start::Latest),
        Some(time) => match Timestamp::parse_rfc3339(time).filter(|time| time.millis() >= 0) {
            Some(time) => Ok(Start::At(time)),
            None => {
                let error = config.settings.error("start", "kafka.start", format!("`{time}` is not known here"));
                Err(error.hint("write earliest, latest, or a time such as 2026-01-31T12:00:00Z").into())
            }
        },
    }
}
