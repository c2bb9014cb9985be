//! The real program in a folder of its own: started, asked, stopped, killed.

use crate::{Ended, Metrics, Response, command::program, free_port, request, run_in, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// How long the program may take until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A gateway: `crossdock run` in a temporary folder, on ports of its own.
#[derive(Debug)]
pub struct Gateway {
    binary: PathBuf,
    folder: TempDir,
    /// The port of its `http` sources.
    pub http: u16,
    /// The port of its admin API.
    pub admin: u16,
    environment: Vec<(String, String)>,
    process: Option<Child>,
}

/// How the program ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stopped {
    /// With this exit status.
    Status(i32),
    /// By a signal.
    Signal,
}

impl Gateway {
    /// A folder with a `routes.yaml` that holds `gateway` with ports and data folder, and then `routes` (everything but
    /// `version` and `gateway`). `binary` is `env!("CARGO_BIN_EXE_crossdock")`. Nothing runs yet.
    ///
    /// # Panics
    /// The folder cannot be made.
    #[must_use]
    pub fn new(binary: &str, routes: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("crossdock-test-").tempdir().expect("a temporary folder");
        let (http, admin) = (free_port(), free_port());
        let gateway = Self { binary: binary.into(), folder, http, admin, environment: Vec::new(), process: None };
        gateway.write_routes("", routes);
        gateway
    }

    /// Sets a variable of its environment, for the next start.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Writes `routes.yaml` anew; `more` goes into `gateway`, indented by two.
    pub fn write_routes(&self, more: &str, routes: &str) {
        let (http, admin) = (self.http, self.admin);
        let head = format!(
            "version: 1\ngateway:\n  data_dir: ./data\n  http: {{ listen: \"127.0.0.1:{http}\" }}\n  admin: {{ listen: \
             \"127.0.0.1:{admin}\" }}\n{more}"
        );
        self.write("routes.yaml", &format!("{head}{routes}"));
    }

    /// Writes a file into its folder, and the folders it is in.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder above")).expect("the file's folder");
        fs::write(&path, text).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    }

    /// A path in its folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command of the program in its folder, with something on stdin; see [`run_in`].
    #[must_use]
    pub fn run(&self, arguments: &[&str], stdin: &str) -> Ended {
        run_in(&self.binary, self.folder.path(), arguments, stdin)
    }

    /// Runs an operating command, which is told where the gateway is and who we are.
    #[must_use]
    pub fn operate(&self, arguments: &[&str], stdin: &str) -> Ended {
        let admin = format!("http://127.0.0.1:{}", self.admin);
        self.run(&[arguments, &["--admin", &admin, "--token-file", "data/admin.token"]].concat(), stdin)
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// It ends, or is not ready in time; its log is in the text.
    pub fn start(&mut self) {
        self.spawn();
        wait_for(READY_WITHIN, "the gateway to be ready", || {
            if let Some(status) = self.process.as_mut().and_then(|process| process.try_wait().ok().flatten()) {
                panic!("the gateway ended with {status}:\n{}", self.log_tail());
            }
            let answer = request(self.admin, "GET", "/readyz", &[], b"").ok()?;
            (answer.status == 200).then_some(())
        });
    }

    /// Starts it and waits for nothing.
    ///
    /// # Panics
    /// It cannot be started, or runs already.
    pub fn spawn(&mut self) {
        assert!(self.process.is_none(), "the gateway runs already");
        let open = || OpenOptions::new().create(true).append(true).open(self.path("log"));
        let (out, err) = (open().expect("the log"), open().expect("the log"));
        let mut command = program(&self.binary, self.folder.path());
        command.args(["run", "routes.yaml"]).envs(self.environment.iter().cloned());
        let started = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        self.process = Some(started.unwrap_or_else(|error| panic!("cannot run {}: {error}", self.binary.display())));
    }

    /// The number of its process.
    ///
    /// # Panics
    /// It does not run.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.as_ref().expect("a running gateway").id()
    }

    /// Kills it (SIGKILL), as a power failure would as far as the process goes.
    ///
    /// # Panics
    /// It does not run, or ended by itself before; its log is in the text.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("a running gateway");
        if let Ok(Some(status)) = process.try_wait() {
            panic!("the gateway ended by itself with {status}:\n{}", self.log_tail());
        }
        process.kill().expect("the process to be killed");
        process.wait().expect("the process to end");
    }

    /// Asks it to end (SIGTERM) and waits for it.
    ///
    /// # Panics
    /// It does not run, or does not end in time.
    #[must_use]
    pub fn terminate(&mut self, within: Duration) -> Stopped {
        self.stop_by(Signal::TERM, within)
    }

    /// Has its terminal close (SIGHUP), and waits for it to end.
    ///
    /// # Panics
    /// As of [`Self::terminate`].
    #[must_use]
    pub fn hang_up(&mut self, within: Duration) -> Stopped {
        self.stop_by(Signal::HUP, within)
    }

    fn stop_by(&mut self, signal: Signal, within: Duration) -> Stopped {
        let id = i32::try_from(self.process_id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(id, signal).expect("the signal to be sent");
        self.wait_until_ended(within)
    }

    /// Waits until it has ended, by itself or because it was told to.
    ///
    /// # Panics
    /// It does not run, or does not end in time.
    #[must_use]
    pub fn wait_until_ended(&mut self, within: Duration) -> Stopped {
        let mut process = self.process.take().expect("a running gateway");
        let status = wait_for(within, "the gateway to end", || process.try_wait().expect("its status"));
        status.code().map_or(Stopped::Signal, Stopped::Status)
    }

    /// All that it logged.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("log")).unwrap_or_default()).into_owned()
    }

    /// The last lines it logged.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(30)..).unwrap_or_default().join("\n")
    }

    /// Posts JSON to a path of its `http` sources.
    ///
    /// # Errors
    /// It does not listen, or the connection broke.
    pub fn post(&self, path: &str, body: &str) -> io::Result<Response> {
        request(self.http, "POST", path, &[("content-type", "application/json")], body.as_bytes())
    }

    /// The token that it drew.
    ///
    /// # Errors
    /// There is none, or not yet.
    pub fn token(&self) -> io::Result<String> {
        Ok(fs::read_to_string(self.path("data/admin.token"))?.trim().to_owned())
    }

    /// A request to the admin API, with its token; `path` follows `/api/v1`.
    ///
    /// # Errors
    /// It does not listen, or the connection broke, or there is no token yet.
    pub fn api(&self, method: &str, path: &str, body: &str) -> io::Result<Response> {
        let bearer = format!("Bearer {}", self.token()?);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        request(self.admin, method, &format!("/api/v1{path}"), &headers, body.as_bytes())
    }

    /// All items of a list of the admin API, page by page.
    ///
    /// # Panics
    /// An answer is not 200, or has no `items`.
    #[must_use]
    pub fn list(&self, path: &str) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let answer = self.api("GET", &format!("{path}?limit=1000{cursor}"), "").expect("the admin API");
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            let page = answer.json();
            items.extend(page.get("items").and_then(Value::as_array).expect("a list has items").iter().cloned());
            match page.get("next").and_then(Value::as_str) {
                None => return items,
                Some(next) => cursor = format!("&cursor={next}"),
            }
        }
    }

    /// Its metrics.
    ///
    /// # Errors
    /// It does not listen.
    pub fn metrics(&self) -> io::Result<Metrics> {
        Ok(Metrics::parse(&request(self.admin, "GET", "/metrics", &[], b"")?.text()))
    }

    /// Waits until it has nothing stored any more: all is delivered, filtered, dead or expired, and no counted message is
    /// unaccounted for. Dead letters that stand in a queue nobody reads are stored there and do not count.
    ///
    /// # Panics
    /// It does not come to rest in time.
    pub fn wait_until_drained(&self, route: &str, within: Duration) {
        let name = format!("route {route} to have nothing stored");
        wait_for(within, &name, || {
            let answer = self.api("GET", &format!("/routes/{route}"), "").ok()?;
            let stored = answer.json().pointer("/counts/stored").and_then(Value::as_u64)?;
            (stored == 0).then_some(())
        });
    }

    /// The account of every route is right: the metric is 0, and received is the sum of where messages are.
    ///
    /// # Panics
    /// It is not, at rest.
    pub fn assert_account(&self) {
        wait_for(Duration::from_secs(10), "crossdock_unaccounted_messages to be 0", || {
            let unaccounted = self.metrics().ok()?.sum("crossdock_unaccounted_messages", &[]);
            (unaccounted == Some(0.0)).then_some(())
        });
        for route in self.list("/routes") {
            let count = |name: &str| {
                let count = route.pointer(&format!("/counts/{name}")).and_then(Value::as_u64);
                count.unwrap_or_else(|| panic!("no counts.{name} in {route}"))
            };
            let ends = ["delivered", "filtered", "refused", "dead", "expired", "stored"];
            assert_eq!(count("received"), ends.into_iter().map(count).sum::<u64>(), "{route}");
        }
    }

    /// Its resident set in bytes.
    ///
    /// # Panics
    /// It does not run.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(Path::new("/proc").join(self.process_id().to_string()).join("status"));
        let status = status.expect("the status of a running process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a resident set");
        1024 * line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kB")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself; the test has told of what matters before.
            let _ended = process.kill().and_then(|()| process.wait());
        }
    }
}
