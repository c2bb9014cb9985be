//! A client of the admin API, which turns its answers into exit statuses.

use super::{
    connect::{Token, denied},
    exit::{Exit, Failure},
};
use crossdock_admin::{ProblemBody, shape::Page};
use reqwest::{Method, StatusCode, Url};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{error::Error as _, path::Path, time::Duration};
use tokio::runtime::Runtime;

/// How long a gateway may take to answer: looking through a large store takes a while.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long it may take to be reached.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Most items that the gateway gives at once.
const LIST_LIMIT: &str = "1000";

/// The header that says who asks, for the audit.
const OPERATOR: &str = "crossdock-operator";
/// The variables that say who that is.
const OPERATOR_VARIABLES: &[&str] = &["LOGNAME", "USER"];

/// Talks to one gateway; each call waits for its answer.
#[derive(Debug)]
pub struct Client {
    runtime: Runtime,
    http: reqwest::Client,
    base: Url,
    token: Token,
}

/// An answer: as it came, for `--json`, and as a shape.
#[derive(Debug)]
pub struct Answer<T> {
    /// As it came.
    pub json: Value,
    /// As a shape.
    pub shape: T,
}

impl Client {
    /// A client of the gateway at a URL; `authority` is a certificate that is trusted beside the system's.
    ///
    /// # Errors
    /// The URL or the certificate is none.
    pub fn new(url: &str, token: Token, authority: Option<&Path>) -> Result<Self, Failure> {
        let base: Url = url.parse().map_err(|error| Failure::usage(format!("`{url}` is no URL: {error}")))?;
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            return Err(Failure::usage(format!("`{url}` is no URL of a gateway; write it as http://127.0.0.1:8090")));
        }
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        if base.scheme() == "http" {
            // No certificate is looked at, so the system's need not be there.
            builder = builder.tls_certs_only([]);
        } else if let Some(path) = authority {
            builder = builder.tls_certs_merge(certificates(path)?);
        }
        let http = builder.build().map_err(|error| Failure::other(format!("cannot make an HTTP client: {error}")))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::other(format!("cannot start: {error}")))?;
        Ok(Self { runtime, http, base, token })
    }

    /// Asks for something under `/api/v1`.
    ///
    /// # Errors
    /// The gateway cannot be reached, or refuses.
    pub fn get<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Answer<T>, Failure> {
        self.call(Method::GET, path, query, None)
    }

    /// Asks for a whole list under `/api/v1`, part by part.
    ///
    /// # Errors
    /// As for [`Self::get`].
    pub fn list<T: DeserializeOwned>(&self, path: &[&str]) -> Result<Answer<Page<T>>, Failure> {
        let Answer { mut json, mut shape } = self.get::<Page<T>>(path, &[("limit", LIST_LIMIT)])?;
        while let Some(cursor) = shape.next.take() {
            let part = self.get::<Page<T>>(path, &[("limit", LIST_LIMIT), ("cursor", &cursor)])?;
            if let (Some(Value::Array(all)), Some(Value::Array(more))) = (json.get_mut("items"), part.json.get("items"))
            {
                all.extend_from_slice(more);
            }
            shape.items.extend(part.shape.items);
            shape.next = part.shape.next;
        }
        if let Some(next) = json.get_mut("next") {
            *next = Value::Null;
        }
        Ok(Answer { json, shape })
    }

    /// Asks for something to be done under `/api/v1`.
    ///
    /// # Errors
    /// The gateway cannot be reached, or refuses.
    pub fn post<T: DeserializeOwned>(&self, path: &[&str], body: &impl Serialize) -> Result<Answer<T>, Failure> {
        let body = serde_json::to_vec(body).map_err(|error| Failure::other(error.to_string()))?;
        self.call(Method::POST, path, &[], Some(body))
    }

    /// Waits, as between two looks at an operation.
    pub fn pause(&self, time: Duration) {
        // Made within the runtime: a timer needs its clock.
        self.runtime.block_on(async { tokio::time::sleep(time).await });
    }

    fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<Vec<u8>>,
    ) -> Result<Answer<T>, Failure> {
        let mut request = self.http.request(method, self.url(path, query));
        if let Ok(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(name) = OPERATOR_VARIABLES.iter().find_map(std::env::var_os).filter(|name| !name.is_empty()) {
            request = request.header(OPERATOR, name.as_encoded_bytes());
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let (status, bytes) = self
            .runtime
            .block_on(async {
                let response = request.send().await?;
                Ok((response.status(), response.bytes().await?))
            })
            .map_err(|error: reqwest::Error| self.unreachable(&error))?;
        if !status.is_success() {
            return Err(self.refused(status, &bytes));
        }
        let foreign = |error| Failure::other(format!("the answer of {} is not a gateway's: {error}", self.base));
        let json: Value = serde_json::from_slice(&bytes).map_err(foreign)?;
        let shape = serde_json::from_value(json.clone()).map_err(foreign)?;
        Ok(Answer { json, shape })
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut cause = error.source();
        let mut text = if error.is_timeout() { "no answer in time".to_owned() } else { error.to_string() };
        while let Some(inner) = cause {
            text = inner.to_string();
            cause = inner.source();
        }
        let base = self.base.as_str().trim_end_matches('/');
        let hint = "is it running, and is this where it listens (`--admin URL`)?";
        Failure::new(Exit::Unreachable, format!("cannot reach the gateway at {base}: {text}; {hint}"))
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> Failure {
        let problem: Option<ProblemBody> = serde_json::from_slice(body).ok();
        let text = problem.map_or_else(|| format!("the gateway answered {status}"), |problem| problem.detail);
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => denied(&self.token, &text),
            StatusCode::MISDIRECTED_REQUEST => Failure::new(Exit::Denied, text),
            StatusCode::NOT_FOUND => Failure::new(Exit::NotFound, text),
            StatusCode::CONFLICT => Failure::new(Exit::Conflict, text),
            StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Failure::usage(text),
            _ => Failure::other(text),
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<reqwest::Certificate>, Failure> {
    let unusable = |why: String| Failure::usage(format!("the certificate `{}` cannot be used: {why}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    reqwest::Certificate::from_pem_bundle(&bytes).map_err(|error| unusable(error.to_string()))
}
