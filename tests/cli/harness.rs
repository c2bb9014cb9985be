//! The real binary in a folder of its own, and as much HTTP as a test needs.

use std::{
    collections::HashMap,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder with a `routes.yaml`, in which commands are run.
pub struct Folder {
    pub dir: TempDir,
    pub http: SocketAddr,
    pub admin: SocketAddr,
}

/// How a command ended.
pub struct Ended {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

/// A gateway that runs in a folder; killed when dropped.
pub struct Gateway {
    pub folder: Folder,
    child: Child,
}

/// An HTTP answer.
pub struct Answer {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub body: String,
}

impl Folder {
    /// A folder whose `routes.yaml` has the given routes, connections and channels behind a `gateway` section.
    pub fn new(routes: &str) -> Self {
        Self::with(routes, "")
    }

    /// The same with further lines of the `gateway` section, indented by two.
    pub fn with(routes: &str, gateway: &str) -> Self {
        let folder = Self { dir: tempfile::tempdir().unwrap(), http: free(), admin: free() };
        folder.write_routes(routes, gateway);
        folder
    }

    /// Writes another `routes.yaml`.
    pub fn write_routes(&self, routes: &str, gateway: &str) {
        let head = format!(
            "version: 1\ngateway:\n  data_dir: ./data\n  http: {{ listen: \"{}\" }}\n{}{gateway}",
            self.http,
            if gateway.contains("admin:") {
                String::new()
            } else {
                format!("  admin: {{ listen: \"{}\" }}\n", self.admin)
            },
        );
        self.write("routes.yaml", format!("{head}{routes}").as_bytes());
    }

    /// Writes a file.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.dir.path().join(name), bytes).unwrap();
    }

    /// Runs a command there to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, b"")
    }

    /// The same with something on stdin.
    pub fn run_with(&self, arguments: &[&str], stdin: &[u8]) -> Ended {
        run_in(self.dir.path(), arguments, stdin)
    }

    /// Starts the gateway and waits until it is ready.
    pub fn start(self) -> Gateway {
        let log = fs::File::create(self.dir.path().join("log")).unwrap();
        let child = command(self.dir.path()).arg("run").stderr(log).stdout(Stdio::null()).spawn().unwrap();
        let mut gateway = Gateway { folder: self, child };
        wait("the gateway to be ready", || {
            if let Some(status) = gateway.child.try_wait().unwrap() {
                panic!("ended with {status}: {}", gateway.log());
            }
            try_request(gateway.folder.admin, "GET", "/readyz", &[], b"").is_ok_and(|answer| answer.status == 200)
        });
        gateway
    }
}

impl Gateway {
    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.dir.path().join("log")).unwrap_or_default()
    }

    /// A request to the shared listener.
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        request(self.folder.http, "POST", path, headers, body)
    }

    /// A request to the admin API with its token.
    pub fn api(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let bearer = format!("Bearer {}", self.token());
        request(self.folder.admin, method, &format!("/api/v1{path}"), &[("authorization", &bearer)], body)
    }

    /// The token that it drew.
    pub fn token(&self) -> String {
        fs::read_to_string(self.folder.dir.path().join("data/admin.token")).unwrap().trim().to_owned()
    }

    /// An operating command: told where the gateway is and who we are.
    pub fn operate(&self, arguments: &[&str], stdin: &[u8]) -> Ended {
        let admin = format!("http://{}", self.folder.admin);
        let connection = ["--admin", &admin, "--token-file", "data/admin.token"];
        self.folder.run_with(&[arguments, &connection].concat(), stdin)
    }

    /// The sum of the series of a metric whose labels include the given text.
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        let text = request(self.folder.admin, "GET", "/metrics", &[], b"").body;
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        values.sum()
    }

    /// Whether every message is accounted for, now or soon.
    pub fn account(&self) {
        wait("the account to be right", || self.metric("crossdock_unaccounted_messages{", "") == 0.0);
    }

    /// Asks it to stop, and gives its exit status and its folder.
    pub fn stop(mut self) -> (i32, Folder) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        let code = status.code().unwrap_or(-1);
        let spare = Folder { dir: tempfile::tempdir().unwrap(), http: self.folder.http, admin: self.folder.admin };
        (code, std::mem::replace(&mut self.folder, spare))
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command in a folder to its end, or fails.
pub fn run_in(folder: &Path, arguments: &[&str], stdin: &[u8]) -> Ended {
    let mut child = command(folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its stdin closes it, which is no failure.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let pid = child.id();
    let (done, ended) = std::sync::mpsc::channel::<()>();
    let guard = std::thread::spawn(move || {
        if ended.recv_timeout(PATIENCE * 2).is_err() {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        }
    });
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let _ = done.send(());
    guard.join().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { status: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) }
}

/// Sends a request and reads its answer to the end.
pub fn request(to: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    try_request(to, method, path, headers, body).unwrap()
}

fn try_request(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Answer> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head += &format!("host: {to}\r\n");
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    let mut stream = connect(to)?;
    // A server that has refused may not read the rest.
    let _ = stream.write_all(&[head.as_bytes(), b"\r\n", body].concat());
    read_answer(&mut stream)
}

/// A connection on which reading and writing give up in the end.
pub fn connect(to: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Reads an answer until the connection is closed.
pub fn read_answer(stream: &mut TcpStream) -> std::io::Result<Answer> {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes)
        && bytes.is_empty()
    {
        return Err(error);
    }
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let headers = lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned()));
    Ok(Answer {
        status: status.ok_or(std::io::ErrorKind::InvalidData)?,
        headers: headers.collect(),
        body: body.to_owned(),
    })
}

/// Waits for a condition; the text says what never came.
pub fn wait(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    let (_keep, pause) = std::sync::mpsc::channel::<()>();
    while !condition() {
        assert!(Instant::now() < end, "waited {PATIENCE:?} for {what}");
        let _ = pause.recv_timeout(Duration::from_millis(20));
    }
}

/// An address that nobody had a moment ago.
pub fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossdock"));
    command.current_dir(folder).env("NO_COLOR", "1").env_remove("CROSSDOCK_LOG");
    command
}
