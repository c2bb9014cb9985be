//! What a request costs the whole program: HTTP in, checked against a schema, durable, into a queue; requests of 1 KiB from
//! 32 connections that are kept open. Beside it, in the same run under the same load, a bare hyper server that reads the
//! body and answers.
//!
//! `cargo bench -p crossdock --bench http -- [--program PATH] [--seconds N] [--rounds N]`, where PATH is the program to
//! measure [the one that is built with it].
//!
//! Load and servers are processes of their own, and what is told of a server is its own processor time, from
//! `/proc/PID/stat`. The load is one thread over raw sockets; its share is told as well, for on few cores it takes from
//! the servers'. So processor time a request, and the ratio to the bare server, are what means something elsewhere.
//! What the connector costs alone, in and out, tells `connectors/http/benches/http_connector.rs`.

#![expect(clippy::print_stdout, reason = "a bench says its figures")]

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use crossdock_testkit::{Gateway, free_port, pause, wait};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, StatusCode, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use std::{
    fs,
    io::{ErrorKind, Read as _, Write as _},
    path::PathBuf,
    process::{self, Child, Command},
    time::{Duration, Instant},
};
use tokio::net::TcpListener;

/// As the program has it: the bare server is to differ by what it does not do.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const CONNECTIONS: usize = 32;
const BODY_BYTES: usize = 1024;
const WARM_UP: Duration = Duration::from_secs(1);
/// A server that answers nobody for so long has failed.
const SILENCE_MAX: Duration = Duration::from_secs(10);

const ROUTES: &str = "
channels: { orders: { queue: {} } }
routes:
  in:
    from: { http: { path: /orders, method: POST } }
    accept: [ { validate: { json_schema: order.schema.json } } ]
    to: { queue: orders }
";

const SCHEMA: &str = r#"{ "type": "object", "required": ["order_id", "total", "customer"], "properties": {
  "order_id": { "type": "string", "pattern": "^o-" }, "total": { "type": "number", "minimum": 0 },
  "customer": { "type": "object", "required": ["id"], "properties": { "id": { "type": "string" } } } } }"#;

/// What is measured, and for how long.
struct Options {
    program: PathBuf,
    measured: Duration,
    rounds: u32,
}

fn main() -> Result<()> {
    // Cargo adds `--bench` to what it is given.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.as_slice() {
        [role, port] if role == "echo" => {
            tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(echo(port.parse()?))
        }
        arguments => bench(&Options::read(arguments)?),
    }
}

impl Options {
    fn read(arguments: &[String]) -> Result<Self> {
        let built = env!("CARGO_BIN_EXE_crossdock").into();
        let mut options = Self { program: built, measured: Duration::from_secs(10), rounds: 2 };
        for pair in arguments.chunks(2) {
            match pair {
                [name, path] if name == "--program" => options.program = path.into(),
                [name, seconds] if name == "--seconds" => options.measured = Duration::from_secs(seconds.parse()?),
                [name, rounds] if name == "--rounds" => options.rounds = rounds.parse()?,
                other => bail!("what is {other:?}? There are --program PATH, --seconds N, --rounds N"),
            }
        }
        if !options.program.is_file() {
            bail!("there is no {}: `cargo build --release`, or name one with --program", options.program.display());
        }
        Ok(options)
    }
}

fn bench(options: &Options) -> Result<()> {
    let port = free_port();
    let echo = Stopped(Command::new(std::env::current_exe()?).args(["echo", &port.to_string()]).spawn()?);
    wait("the bare server", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    let mut gateway = Gateway::new(&options.program.to_string_lossy(), ROUTES);
    gateway.write("order.schema.json", SCHEMA);
    let start = Instant::now();
    gateway.start();
    let ready = start.elapsed();
    pause(Duration::from_secs(1));
    let idle_bytes = gateway.resident_bytes();

    println!(
        "{:<20} {:>10} {:>14} {:>8} {:>8} {:>8} {:>14}",
        "", "requests/s", "CPU µs/request", "p50 ms", "p99 ms", "max ms", "of load, µs"
    );
    let (mut bare, mut ours) = (0.0, 0.0);
    for _ in 0..options.rounds {
        let figures = measure(port, echo.0.id(), options.measured)?;
        bare += figures.report("bare hyper");
        let figures = measure(gateway.http, gateway.process_id(), options.measured)?;
        ours += figures.report("crossdock, synced");
    }
    println!("a request costs {:.1} times the bare server's processor time", ours / bare);
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "ready after {:.0} ms; resident {:.1} MiB idle, {:.1} MiB after the load; program {:.1} MiB",
        ready.as_secs_f64() * 1000.0,
        mebibytes(idle_bytes),
        mebibytes(gateway.resident_bytes()),
        mebibytes(fs::metadata(&options.program)?.len()),
    );
    Ok(())
}

/// A child that is killed when it is no longer needed.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// What was measured.
struct Figures {
    seconds: f64,
    server_cpu_seconds: f64,
    load_cpu_seconds: f64,
    /// Of each request, sorted.
    latencies: Vec<Duration>,
}

impl Figures {
    /// Prints them; gives the microseconds of the server's processor time a request.
    fn report(&self, name: &str) -> f64 {
        let count = self.latencies.len() as f64;
        let percentile = |percent: usize| {
            let at = (self.latencies.len().saturating_sub(1)) * percent / 100;
            self.latencies.get(at).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
        };
        let micros = self.server_cpu_seconds * 1e6 / count;
        println!(
            "{name:<20} {:>10.0} {micros:>14.1} {:>8.2} {:>8.2} {:>8.2} {:>14.1}",
            count / self.seconds,
            percentile(50),
            percentile(99),
            percentile(100),
            self.load_cpu_seconds * 1e6 / count,
        );
        micros
    }
}

fn measure(port: u16, server: u32, measured: Duration) -> Result<Figures> {
    load(port, WARM_UP)?;
    let (server_before, load_before, start) = (cpu_seconds(server)?, cpu_seconds(process::id())?, Instant::now());
    let mut latencies = load(port, measured)?;
    let seconds = start.elapsed().as_secs_f64();
    let server_cpu_seconds = cpu_seconds(server)? - server_before;
    let load_cpu_seconds = cpu_seconds(process::id())? - load_before;
    latencies.sort_unstable();
    Ok(Figures { seconds, server_cpu_seconds, load_cpu_seconds, latencies })
}

/// All connections at work for so long, each with one request under way; how long each request took.
fn load(port: u16, time: Duration) -> Result<Vec<Duration>> {
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(CONNECTIONS));
    let mut connections = (0..CONNECTIONS).map(|at| Connection::open(port, at)).collect::<Result<Vec<_>>>()?;
    let (mut latencies, mut open, end) = (Vec::with_capacity(1 << 20), CONNECTIONS, Instant::now() + time);
    for (at, connection) in connections.iter_mut().enumerate() {
        poll.registry().register(&mut connection.stream, Token(at), Interest::READABLE)?;
        connection.send(Instant::now())?;
    }
    while open > 0 {
        poll.poll(&mut events, Some(SILENCE_MAX))?;
        if events.is_empty() {
            bail!("no answer for {SILENCE_MAX:?}");
        }
        for event in &events {
            let Some(connection) = connections.get_mut(event.token().0) else { continue };
            if !connection.receive()? {
                continue;
            }
            let now = Instant::now();
            latencies.push(now - connection.sent);
            if now < end {
                connection.send(now)?;
            } else {
                open -= 1;
            }
        }
    }
    Ok(latencies)
}

/// A connection of the load.
struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
    sent: Instant,
}

impl Connection {
    fn open(port: u16, at: usize) -> Result<Self> {
        let stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let stream = TcpStream::from_std(stream);
        Ok(Self { stream, request: request(at), answer: Vec::with_capacity(4096), sent: Instant::now() })
    }

    /// The kernel takes a request at once: the one before is answered, so its buffer is empty.
    fn send(&mut self, now: Instant) -> Result<()> {
        self.sent = now;
        self.answer.clear();
        self.stream.write_all(&self.request).context("sending a request")
    }

    /// Reads what there is; whether the answer is whole.
    fn receive(&mut self) -> Result<bool> {
        let mut piece = [0; 4096];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => bail!("the server closed the connection"),
                Ok(read) => self.answer.extend_from_slice(piece.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error).context("reading an answer"),
            }
            if is_whole(&self.answer) {
                break;
            }
        }
        if !self.answer.starts_with(b"HTTP/1.1 202 ") {
            bail!("not 202: {}", String::from_utf8_lossy(&self.answer));
        }
        Ok(true)
    }
}

fn request(connection: usize) -> Vec<u8> {
    let start = format!(
        r#"{{"order_id":"o-{connection}","total":12.5,"customer":{{"id":"c-7","name":"Ada"}},"ship_to":{{"country":"DE"}},"note":""#
    );
    let filling = "x".repeat(BODY_BYTES - start.len() - 2);
    let body = format!("{start}{filling}\"}}");
    let length = body.len();
    format!("POST /orders HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

fn is_whole(answer: &[u8]) -> bool {
    const LENGTH: &[u8] = b"\ncontent-length: ";
    let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let field = answer.windows(LENGTH.len()).position(|window| window.eq_ignore_ascii_case(LENGTH));
    let digits = field.and_then(|at| answer.get(at + LENGTH.len()..)).unwrap_or_default();
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let length = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
    answer.len() >= head + 4 + length
}

/// User and system time that a process has used.
fn cpu_seconds(process: u32) -> Result<f64> {
    let stat = fs::read_to_string(PathBuf::from(format!("/proc/{process}/stat")))?;
    let (_, fields) = stat.rsplit_once(')').context("a process has a name")?;
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).map_while(|ticks| ticks.parse::<u64>().ok()).sum();
    // Linux counts processor time for programs in hundredths of a second on every machine (USER_HZ).
    Ok(ticks as f64 / 100.0)
}

/// The reference: reads the body, answers, and does nothing.
async fn echo(port: u16) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        connections.spawn(async move {
            let mut http = hyper::server::conn::http1::Builder::new();
            let served = http.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service_fn(answer));
            // A client that goes away ends the connection: that is how the bench ends.
            let _ended = served.await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> hyper::Result<Response<Full<Bytes>>> {
    let body = request.into_body().collect().await?.to_bytes();
    let mut answer = Response::new(Full::new(Bytes::from(format!("{{\"bytes\":{}}}", body.len()))));
    *answer.status_mut() = StatusCode::ACCEPTED;
    Ok(answer)
}
