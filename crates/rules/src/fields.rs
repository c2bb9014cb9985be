//! The tables of the steps: what each may hold in routes.yaml.

use crate::cloudevent::CLOUDEVENT;
use crossdock_settings::{Field, Kind, Returns};

const JSON_SCHEMA: Field =
    Field::optional("json_schema", Kind::Path, "JSON Schema the value must be valid against, a file");
const XSD: Field = Field::optional("xsd", Kind::Path, "XML Schema the bytes must be valid against, a file");

const VALIDATE: Field =
    Field::optional("validate", Kind::Group(&[JSON_SCHEMA, XSD]), "reject what is not valid against a schema");
const FILTER: Field = Field::optional(
    "filter",
    Kind::Expression(Returns::Condition),
    "let through only the messages for which this holds",
);
const TRANSFORM: Field =
    Field::optional("transform", Kind::Expression(Returns::Changes), "change the payload and the metadata");

const TYPES: Kind = Kind::Choice(&["string", "infer"]);
const XML_DECODE: &[Field] = &[
    Field::optional(
        "force_array",
        Kind::List(&Kind::Text),
        "names of elements that are arrays even where they come once",
    ),
    Field::default(
        "types",
        TYPES,
        "string",
        "what leaves are, attributes among them: strings, or numbers and booleans where they look so",
    ),
];
const NONE: &[Field] = &[];
const DECODERS: &[Field] = &[
    Field::optional("json", Kind::Group(NONE), "take the payload as JSON, whatever its content type"),
    Field::optional("xml", Kind::Group(XML_DECODE), "take the payload as XML, whatever its content type"),
    Field::optional("text", Kind::Group(NONE), "take the payload as one UTF-8 string, whatever its content type"),
    Field::optional("csv", Kind::Any, "not built in yet"),
    Field::optional(
        "cloudevent",
        Kind::Group(NONE),
        "take the message as a CloudEvent: its data becomes the payload, its attributes headers `ce_NAME`",
    ),
];
const DECODE: Field = Field::optional("decode", Kind::Variant(DECODERS), "how the payload becomes the value `.`");

const CONTENT_TYPE: Field =
    Field::optional("content_type", Kind::Text, "content type that leaves, in place of the format's own");
const XML_ENCODE: &[Field] = &[
    Field::optional("root", Kind::Text, "name of the root element, where the value has more than one key"),
    CONTENT_TYPE,
];
const ENCODERS: &[Field] = &[
    Field::optional("json", Kind::Group(&[CONTENT_TYPE]), "leave as JSON"),
    Field::optional("xml", Kind::Group(XML_ENCODE), "leave as XML"),
    Field::optional(
        "text",
        Kind::Group(&[CONTENT_TYPE]),
        "leave as text; the value must be a string, number or boolean",
    ),
    Field::optional("csv", Kind::Any, "not built in yet"),
    Field::optional("cloudevent", Kind::Group(CLOUDEVENT), "leave as a CloudEvent in one JSON object"),
];
const ENCODE: Field =
    Field::optional("encode", Kind::Variant(ENCODERS), "fix the bytes and the content type that leave");

const EXPIRE: Field = Field::optional(
    "expire",
    Kind::Group(&[Field::required("after", Kind::Duration, "how long after its receipt a message is of use")]),
    "give up messages that are too old",
);
const DELAY: Field =
    Field::optional("delay", Kind::Duration, "how long after its receipt a message goes on, at the earliest");
const DEDUPE: Field = Field::optional(
    "dedupe",
    Kind::Group(&[
        Field::required("key", Kind::Expression(Returns::Value), "what makes two messages the same"),
        Field::required("window", Kind::Duration, "how long a key is remembered"),
        Field::default(
            "max_keys",
            Kind::Integer { min: 1, max: 100_000_000 },
            "1000000",
            "how many keys are remembered",
        ),
    ]),
    "drop a message whose key came before",
);
const SPLIT: Field = Field::optional("split", Kind::Any, "not built in yet");
const ENRICH: Field = Field::optional("enrich", Kind::Any, "not built in yet");
const THROTTLE: Field = Field::optional("throttle", Kind::Any, "not built in yet");

/// What an item of `accept` is: one of these by its name.
pub const ACCEPT_STEPS: Kind = Kind::Variant(&[DECODE, VALIDATE, FILTER, DEDUPE, EXPIRE, THROTTLE]);

/// What an item of `steps` is: one of these by its name.
pub const STEPS: Kind =
    Kind::Variant(&[DECODE, ENCODE, VALIDATE, FILTER, TRANSFORM, SPLIT, ENRICH, DEDUPE, THROTTLE, DELAY, EXPIRE]);
