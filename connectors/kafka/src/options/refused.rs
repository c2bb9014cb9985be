//! Options that would break a promise, or that a field of routes.yaml is for.

/// The reason why an option may not be set, and what to do instead; a value that asks for what is done anyway is fine.
pub(super) fn reason(name: &str, value: &str) -> Option<(&'static str, &'static str)> {
    REFUSED
        .iter()
        .find(|refused| refused.names.contains(&name) && !refused.harmless.contains(&value))
        .map(|refused| (refused.why, refused.hint))
}

struct Refused {
    names: &'static [&'static str],
    /// Values that may be set.
    harmless: &'static [&'static str],
    why: &'static str,
    hint: &'static str,
}

const fn refused(
    names: &'static [&'static str],
    harmless: &'static [&'static str],
    why: &'static str,
    hint: &'static str,
) -> Refused {
    Refused { names, harmless, why, hint }
}

const COMMITTED: &str = "an offset may be committed only when everything before it is settled";
const OURS: &str = "remove it: the gateway does this by itself";
const FIELD: &str = "a field of routes.yaml is for that";

const REFUSED: &[Refused] = &[
    refused(
        &[
            "enable.auto.commit",
            "auto.commit.enable",
            "enable.auto.offset.store",
            "offset.store.method",
            "offset.store.path",
        ],
        &[],
        COMMITTED,
        OURS,
    ),
    refused(&["auto.offset.reset"], &[], FIELD, "use `start` of the source"),
    refused(&["group.id"], &[], FIELD, "use `group` of the source"),
    refused(
        &["group.instance.id"],
        &[],
        "a source is a static member under a name that is its store's and its route's",
        OURS,
    ),
    refused(
        &["group.protocol"],
        &["classic"],
        "with it a static member that comes back after a crash is refused by librdkafka for ever",
        "remove it: the classic protocol resumes at once",
    ),
    refused(&["group.remote.assignor"], &[], "it belongs to group.protocol=consumer, which cannot be used here", OURS),
    refused(&["enable.partition.eof"], &["false"], "nobody looks at the ends of partitions", OURS),
    refused(
        &["acks", "request.required.acks"],
        &["all", "-1"],
        "a message would count as delivered that is lost with its broker",
        "remove it: all replicas in sync are waited for",
    ),
    refused(
        &["enable.idempotence"],
        &["true"],
        "a request that is repeated would write its messages twice, and out of order",
        "remove it: the producer is idempotent",
    ),
    refused(&["enable.gapless.guarantee"], &["false"], "one failed message would end the producer for all", OURS),
    refused(&["queuing.strategy"], &["fifo"], "it breaks the order of messages", OURS),
    refused(
        &["delivery.report.only.error"],
        &["false"],
        "success would never be heard of, and nothing counts as delivered before it is confirmed",
        OURS,
    ),
    refused(
        &["transactional.id", "transaction.timeout.ms"],
        &[],
        "there is no transaction here: messages are delivered one by one, at least once",
        OURS,
    ),
    refused(&["message.timeout.ms", "delivery.timeout.ms"], &[], FIELD, "use `timeout` of the target"),
    refused(&["compression.codec", "compression.type"], &[], FIELD, "use `compression` of the target"),
    refused(&["bootstrap.servers", "metadata.broker.list"], &[], FIELD, "use `brokers` of the connection"),
    refused(&["client.id"], &[], FIELD, "use `client_id` of the connection"),
    refused(
        &["sasl.username", "sasl.password", "sasl.mechanism", "sasl.mechanisms"],
        &[],
        FIELD,
        "use `auth` of the connection",
    ),
    refused(&["security.protocol"], &[], "it follows from `auth` and `tls` of the connection", "use `auth` and `tls`"),
    refused(
        &["ssl.ca.location", "ssl.certificate.location", "ssl.key.location"],
        &[],
        FIELD,
        "use `tls` of the connection",
    ),
    refused(
        &["enable.ssl.certificate.verification"],
        &["true"],
        "anybody on the way could pose as the broker",
        "name the authority of the broker's certificate in `tls.ca`",
    ),
    refused(
        &["ssl.endpoint.identification.algorithm"],
        &["https"],
        "whoever has any certificate of the authority could pose as the broker",
        "name the broker in `brokers` as its certificate does",
    ),
    refused(&["plugin.library.paths", "ssl.engine.location"], &[], "it loads code into the gateway", "remove it"),
    refused(&["test.mock.num.brokers"], &[], "nothing would reach a broker", "remove it"),
    refused(&["log.queue", "log_level", "enable.random.seed"], &[], "the gateway looks after logs and chance", OURS),
    refused(&["statistics.interval.ms"], &["0"], "nobody reads librdkafka's own statistics here", "use /metrics"),
];
