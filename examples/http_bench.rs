//! HTTP in, durable, checked against a schema, to a queue: requests of 1 KiB from 32 connections that are kept open, beside
//! a bare hyper server that reads the body and answers. `cargo xtask bench http` builds and runs it.
//!
//! The load comes from this process, the servers are processes of their own, so that their processor time is theirs alone. On
//! few cores the load takes its share: the ratio to the bare server is what means something elsewhere.

#![expect(clippy::print_stdout, reason = "a bench says its figures")]

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use crossdock_testkit::{Gateway, free_port, pause, wait};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    fs,
    path::PathBuf,
    process::{Child, Command},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

const CONNECTIONS: usize = 32;
const BODY_BYTES: usize = 1024;
const WARM_UP: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(10);

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

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("echo"), Some(port)) => runtime(true)?.block_on(echo(port.parse()?)),
        _ => bench(),
    }
}

fn runtime(many: bool) -> Result<tokio::runtime::Runtime> {
    let mut builder =
        if many { tokio::runtime::Builder::new_multi_thread() } else { tokio::runtime::Builder::new_current_thread() };
    Ok(builder.enable_all().build()?)
}

fn bench() -> Result<()> {
    let here = std::env::current_exe()?;
    let binary = here.parent().and_then(|folder| folder.parent()).map(|folder| folder.join("crossdock"));
    let binary =
        binary.filter(|binary| binary.is_file()).context("build the program first: `cargo build --release`")?;
    println!(
        "{:<24} {:>10} {:>14} {:>9} {:>9} {:>9}",
        "", "requests/s", "µs CPU/request", "p50 ms", "p99 ms", "max ms"
    );
    let port = free_port();
    let echo = Stopped(Command::new(&here).args(["echo", &port.to_string()]).spawn()?);
    wait("the bare server", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    report("bare hyper", measure(port, echo.0.id(), "200")?);
    drop(echo);

    let mut gateway = Gateway::new(&binary.to_string_lossy(), ROUTES);
    gateway.write("order.schema.json", SCHEMA);
    let start = Instant::now();
    gateway.start();
    let ready = start.elapsed();
    pause(Duration::from_secs(1));
    let idle_bytes = gateway.resident_bytes();
    report("crossdock, synced", measure(gateway.http, gateway.process_id(), "202")?);
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "ready after {:.0} ms; resident {:.1} MiB idle, {:.1} MiB after the load; program {:.1} MiB",
        ready.as_secs_f64() * 1000.0,
        mebibytes(idle_bytes),
        mebibytes(gateway.resident_bytes()),
        mebibytes(fs::metadata(&binary)?.len()),
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
    requests: usize,
    seconds: f64,
    cpu_seconds: f64,
    /// Of each request, sorted.
    latencies: Vec<Duration>,
}

fn report(name: &str, figures: Figures) {
    let percentile = |percent: usize| {
        let at = (figures.latencies.len().saturating_sub(1)) * percent / 100;
        figures.latencies.get(at).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
    };
    println!(
        "{name:<24} {:>10.0} {:>14.1} {:>9.2} {:>9.2} {:>9.2}",
        figures.requests as f64 / figures.seconds,
        figures.cpu_seconds * 1e6 / figures.requests as f64,
        percentile(50),
        percentile(99),
        percentile(100),
    );
}

fn measure(port: u16, process: u32, status: &'static str) -> Result<Figures> {
    runtime(false)?.block_on(async {
        load(port, status, WARM_UP).await?;
        let (before, start) = (cpu_seconds(process)?, Instant::now());
        let mut latencies = load(port, status, MEASURED).await?;
        let (cpu_seconds, seconds) = (cpu_seconds(process)? - before, start.elapsed().as_secs_f64());
        latencies.sort_unstable();
        Ok(Figures { requests: latencies.len(), seconds, cpu_seconds, latencies })
    })
}

/// All connections at work for so long; how long each request took.
async fn load(port: u16, status: &'static str, time: Duration) -> Result<Vec<Duration>> {
    let end = Instant::now() + time;
    let mut connections = tokio::task::JoinSet::new();
    for connection in 0..CONNECTIONS {
        connections.spawn(send_until(port, connection, status, end));
    }
    let mut all = Vec::new();
    while let Some(latencies) = connections.join_next().await {
        all.extend(latencies??);
    }
    Ok(all)
}

async fn send_until(port: u16, connection: usize, status: &str, end: Instant) -> Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let request = request(connection);
    let (mut latencies, mut answer) = (Vec::with_capacity(1 << 16), Vec::with_capacity(4096));
    while Instant::now() < end {
        let start = Instant::now();
        stream.write_all(&request).await?;
        answer.clear();
        while !is_whole(&answer) {
            if stream.read_buf(&mut answer).await? == 0 {
                bail!("the server closed the connection");
            }
        }
        latencies.push(start.elapsed());
        if answer.get(9..12) != Some(status.as_bytes()) {
            bail!("not {status}: {}", String::from_utf8_lossy(&answer));
        }
    }
    Ok(latencies)
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
    let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(answer.get(..head).unwrap_or_default()).to_ascii_lowercase();
    let length = text.split("content-length:").nth(1).and_then(|rest| rest.split("\r\n").next()?.trim().parse().ok());
    answer.len() >= head + 4 + length.unwrap_or(0)
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
    Ok(Response::new(Full::new(Bytes::from(format!("{{\"bytes\":{}}}", body.len())))))
}
