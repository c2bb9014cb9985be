//! The real binary as `crossdock_testkit` has it, in the words of these tests.

use crossdock_testkit::{Client, Gateway, Response};
use std::{io, path::Path, time::Duration};

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(30);

const BINARY: &str = env!("CARGO_BIN_EXE_crossdock");

/// A folder with a `routes.yaml` of these routes, connections and channels, in which nothing runs yet.
pub fn prepared(routes: &str) -> Gateway {
    Gateway::new(BINARY, routes)
}

/// The same with an `admin` section of one's own.
pub fn prepared_with(admin: &str, routes: &str) -> Gateway {
    let gateway = prepared(routes);
    let http = gateway.http;
    let head = format!("version: 1\ngateway:\n  data_dir: ./data\n  http: {{ listen: \"127.0.0.1:{http}\" }}\n");
    let admin = admin.replace("ADMIN", &format!("127.0.0.1:{}", gateway.admin));
    gateway.write("routes.yaml", &format!("{head}  admin: {admin}\n{routes}"));
    gateway
}

/// A gateway that runs.
pub fn started(routes: &str) -> Gateway {
    let mut gateway = prepared(routes);
    gateway.start();
    gateway
}

/// Runs a command in a folder that need not be a gateway's.
pub fn run_in(folder: &Path, arguments: &[&str]) -> crossdock_testkit::Ended {
    crossdock_testkit::run_in(Path::new(BINARY), folder, arguments, "")
}

/// A request over a connection of its own, which is answered.
pub fn request(port: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
    crossdock_testkit::request(port, method, path, headers, body).unwrap()
}

/// Posts to a route.
pub fn post(gateway: &Gateway, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
    request(gateway.http, "POST", path, headers, body)
}

/// What the admin API answers.
pub fn api(gateway: &Gateway, method: &str, path: &str, body: &str) -> Response {
    gateway.api(method, path, body).unwrap()
}

/// A connection over which bytes can be sent as they are.
pub fn connect(port: u16) -> io::Result<Client> {
    Client::new(port, PATIENCE)
}

/// How many messages of a route ended so.
pub fn counted(gateway: &Gateway, route: &str, outcome: &str) -> u64 {
    gateway.metrics().unwrap().messages(outcome, Some(route))
}

/// Waits for a condition; the text says what never came.
pub fn wait(what: &str, mut condition: impl FnMut() -> bool) {
    crossdock_testkit::wait_for(PATIENCE, what, || condition().then_some(()));
}
