//! A gateway's surroundings for tests: protocols with tables of their own, variables, and the folder `tests/files`.

use crossdock_config::{ConfigFile, Environment, Loaded, Protocol, load};
use crossdock_connector::{
    ConnectionConfig, Connector, Description, Diagnostics, Field, GatewayConfig, Kind, OnRefused, Sink, SinkConfig,
    Source, SourceConfig, StartError, TLS_CLIENT, async_trait,
};
use crossdock_model::Fault;
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

const AUTH: &[Field] = &[
    Field::optional("bearer", Kind::Secret, "a token"),
    Field::optional(
        "basic",
        Kind::Group(&[
            Field::required("user", Kind::Secret, "the name"),
            Field::required("password", Kind::Secret, "the password"),
        ]),
        "a name and a password",
    ),
];

/// A protocol whose senders hear the answer, with connections and an address that is a path.
pub static HTTP: Description = Description {
    name: "http",
    about: "requests",
    connection: Some(&[
        Field::required("base_url", Kind::Url, "where"),
        Field::default("timeout", Kind::Duration, "10s", "how long"),
        Field::optional("auth", Kind::Variant(AUTH), "credentials"),
        Field::optional("headers", Kind::Map(&Kind::Text), "headers"),
        Field::optional("tls", Kind::Group(TLS_CLIENT), "whom to trust"),
    ]),
    source: Some(&[
        Field::required("path", Kind::Text, "the path"),
        Field::default("method", Kind::Choice(&["POST", "PUT", "GET"]), "POST", "the method"),
        Field::default("max_body", Kind::Size, "1MiB", "most bytes"),
        Field::optional("auth", Kind::Variant(AUTH), "credentials"),
    ]),
    target: Some(&[
        Field::required("connection", Kind::Connection("http"), "the service"),
        Field::default("path", Kind::URL_PATH, "", "appended"),
        Field::default("method", Kind::Choice(&["POST", "PUT", "GET"]), "POST", "the method"),
        Field::optional("headers", Kind::Map(&Kind::TEMPLATE), "headers"),
        Field::optional("status", Kind::Map(&Kind::Choice(&["rejected", "failed"])), "what an answer means"),
    ]),
    address: &["path"],
    on_refused: OnRefused::Tell,
};

/// A protocol whose senders hear nothing, with a two-part address and a key.
pub static AMQP: Description = Description {
    name: "amqp",
    about: "a broker",
    connection: Some(&[Field::required("url", Kind::Url, "where")]),
    source: Some(&[
        Field::required("connection", Kind::Connection("amqp"), "the broker"),
        Field::required("queue", Kind::Text, "the queue"),
    ]),
    target: Some(&[
        Field::required("connection", Kind::Connection("amqp"), "the broker"),
        Field::default("exchange", Kind::ADDRESS, "", "the exchange"),
        Field::required("routing_key", Kind::ADDRESS, "the key"),
        Field::optional("key", Kind::Expression(crossdock_connector::Returns::Value), "the partition's key"),
    ]),
    address: &["exchange", "routing_key"],
    on_refused: OnRefused::DeadLetter,
};

/// A source that makes messages from an expression; no target.
pub static GENERATE: Description = Description {
    name: "generate",
    about: "makes messages",
    connection: None,
    source: Some(&[
        Field::required("payload", Kind::Expression(crossdock_connector::Returns::Value), "the value"),
        Field::optional("rate", Kind::Rate, "how many"),
    ]),
    target: None,
    address: &[],
    on_refused: OnRefused::Drop,
};

struct Fixed(&'static Description);

struct Nothing;

#[async_trait]
impl Source for Nothing {
    async fn open(
        &mut self,
    ) -> Result<
        (Box<dyn crossdock_connector::Receiver>, Box<dyn crossdock_connector::Settler>),
        crossdock_connector::SourceError,
    > {
        Err(crossdock_connector::SourceError::new(
            crossdock_connector::SourceErrorKind::Missing,
            "a test opens nothing",
        ))
    }
}

#[async_trait]
impl Sink for Nothing {
    async fn open(
        &mut self,
        _: crossdock_connector::Completions,
    ) -> Result<Box<dyn crossdock_connector::Sender>, Fault> {
        Err(Fault::rejected("test", "a test opens nothing"))
    }
}

#[async_trait]
impl Connector for Fixed {
    fn description(&self) -> &'static Description {
        self.0
    }

    fn source(&self, config: &SourceConfig) -> Result<Box<dyn Source>, Diagnostics> {
        match config.settings.text("path").filter(|path| !path.starts_with('/')) {
            Some(_) => Err(config.settings.error("path", "http.path", "a path begins with `/`").into()),
            None => Ok(Box::new(Nothing)),
        }
    }

    fn sink(&self, _: &SinkConfig) -> Result<Box<dyn Sink>, Diagnostics> {
        Ok(Box::new(Nothing))
    }

    fn check(&self, sources: &[SourceConfig]) -> Diagnostics {
        let mut found = Diagnostics::new();
        for (index, source) in sources.iter().enumerate() {
            let address = |source: &SourceConfig| {
                (source.settings.text("path").cloned(), source.settings.text("method").cloned())
            };
            if address(source).0.is_some()
                && sources.iter().take(index).any(|earlier| address(earlier) == address(source))
            {
                let path = source.settings.text("path").cloned().unwrap_or_default();
                found.push(source.settings.error(
                    "path",
                    "http.path_taken",
                    format!("another route has the path {path}"),
                ));
            }
        }
        found
    }

    async fn probe(&self, _: &ConnectionConfig) -> Result<(), Fault> {
        Ok(())
    }

    async fn start(&self) -> Result<(), StartError> {
        Ok(())
    }

    async fn stop(&self, _: Instant) {}
}

/// The protocols of the tests.
pub const PROTOCOLS: &[Protocol] = &[
    Protocol { description: &HTTP, make: |_: &GatewayConfig| Arc::new(Fixed(&HTTP)) },
    Protocol { description: &AMQP, make: |_: &GatewayConfig| Arc::new(Fixed(&AMQP)) },
    Protocol { description: &GENERATE, make: |_: &GatewayConfig| Arc::new(Fixed(&GENERATE)) },
];

/// Reads the test's files and a few variables.
pub struct Surroundings;

impl Environment for Surroundings {
    fn variable(&self, name: &str) -> Option<String> {
        let known = [("SECRET", "s3cret-value"), ("ATTEMPTS", "3"), ("WORD", "not-a-number"), ("EMPTY", "")];
        known.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }
}

/// Where the tests' files are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files")
}

/// Loads a text as `routes.yaml` of that folder.
pub fn load_text(text: impl AsRef<[u8]>) -> Loaded {
    let folder = folder();
    let file = ConfigFile { name: "routes.yaml", folder: &folder, bytes: text.as_ref() };
    load(&file, &Surroundings, PROTOCOLS)
}

/// The files of a folder of fixtures, in the order of their names.
pub fn fixtures(kind: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(kind);
    let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "yaml")).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths.into_iter().map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap())).collect()
}

/// A fixture without findings.
pub fn valid(name: &str) -> String {
    fixtures("valid").into_iter().find(|(path, _)| path.file_stem().is_some_and(|stem| stem == name)).unwrap().1
}
