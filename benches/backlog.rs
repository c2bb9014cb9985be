//! What a backlog costs the whole program: messages of 512 bytes behind a partner that takes requests and answers none.
//!
//! `cargo bench -p crossdock --bench backlog -- [--program PATH] [--messages N] [--seconds N]`, where PATH is the program to
//! measure [the one that is built with it].
//!
//! First live: messages are made, stored and delivered at once, for so many seconds. Then the partner stalls until so many
//! messages stand in the queue: resident set above that of an idle gateway. The gateway is killed and starts again, with
//! nothing that makes messages. The partner answers again: how fast the backlog drains, as a share of live speed.

#![expect(clippy::print_stdout, reason = "a bench says its figures")]

use anyhow::{Result, bail};
use crossdock_testkit::{Gateway, pause, wait_for};
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

const PAYLOAD_BYTES: usize = 512;
/// Longer than any backlog takes to be written.
const PATIENCE: Duration = Duration::from_secs(1800);

struct Options {
    program: PathBuf,
    messages: u64,
    measured: Duration,
}

impl Options {
    fn read(arguments: &[String]) -> Result<Self> {
        let built = env!("CARGO_BIN_EXE_crossdock").into();
        let mut options = Self { program: built, messages: 10_000_000, measured: Duration::from_secs(15) };
        for pair in arguments.chunks(2) {
            match pair {
                [name, path] if name == "--program" => options.program = path.into(),
                [name, messages] if name == "--messages" => options.messages = messages.parse()?,
                [name, seconds] if name == "--seconds" => options.measured = Duration::from_secs(seconds.parse()?),
                other => bail!("what is {other:?}? There are --program PATH, --messages N, --seconds N"),
            }
        }
        Ok(options)
    }
}

fn main() -> Result<()> {
    // Cargo adds `--bench` to what it is given.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let options = Options::read(&arguments)?;
    let partner = Partner::start()?;
    let drain = format!(
        "connections: {{ erp: {{ http: {{ base_url: \"http://127.0.0.1:{}\" }} }} }}\n\
         channels: {{ q: {{ queue: {{}} }} }}\nroutes:\n  out: {{ from: {{ queue: q }}, to: {{ http: {{ connection: erp, path: /x }} }} }}\n",
        partner.port
    );
    let payload = "x".repeat(PAYLOAD_BYTES);
    let fill = format!("{drain}  in: {{ from: {{ generate: {{ payload: '\"{payload}\"' }} }}, to: {{ queue: q }} }}\n");

    let mut gateway = Gateway::new(&options.program.to_string_lossy(), &drain);
    gateway.start();
    pause(Duration::from_secs(2));
    let idle = gateway.resident_bytes();
    drop(gateway);

    let mut gateway = Gateway::new(&options.program.to_string_lossy(), &fill);
    gateway.start();
    let live = partner.speed(options.measured);
    partner.stall(true);
    let (began, before) = (Instant::now(), stored(&gateway));
    let mut most = 0;
    let reached = wait_for(PATIENCE, "the backlog", || {
        pause(Duration::from_millis(200));
        most = most.max(gateway.resident_bytes());
        Some(stored(&gateway)).filter(|count| *count >= options.messages)
    });
    let written = (reached - before) as f64 / began.elapsed().as_secs_f64();
    gateway.kill();
    gateway.write_routes("", &drain);
    let began = Instant::now();
    gateway.start();
    let ready = began.elapsed();
    let restarted = stored(&gateway);
    partner.stall(false);
    // Requests that were never answered are sent again after their time is up.
    let answered = partner.answered();
    wait_for(PATIENCE, "the first of the backlog", || (partner.answered() > answered + 1000).then_some(()));
    let drained = partner.speed(options.measured);

    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!("live        {live:>10.0} messages/s");
    println!("written     {written:>10.0} messages/s, while the partner answered nobody");
    println!("backlog     {reached:>10} messages; after the kill {restarted}");
    println!("resident    {:>10.1} MiB idle, {:.1} MiB at most with the backlog", mebibytes(idle), mebibytes(most));
    println!("ready       {:>10.0} ms after a kill", ready.as_secs_f64() * 1000.0);
    println!("drained     {drained:>10.0} messages/s, {:.2} of live", drained / live);
    Ok(())
}

/// Messages in the queue.
fn stored(gateway: &Gateway) -> u64 {
    let answer = gateway.api("GET", "/routes/out", "").ok();
    answer.and_then(|answer| answer.json().pointer("/counts/stored")?.as_u64()).unwrap_or(0)
}

/// Answers requests, or not. A thread for each connection.
struct Partner {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    stalled: Mutex<bool>,
    changed: Condvar,
    answered: AtomicU64,
}

impl Partner {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (port, shared) = (listener.local_addr()?.port(), Arc::<Shared>::default());
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&own);
                // A connection ends when the gateway closes it.
                thread::spawn(move || drop(serve(stream, &shared)));
            }
        });
        Ok(Self { port, shared })
    }

    fn stall(&self, stalled: bool) {
        *self.shared.stalled.lock().unwrap_or_else(PoisonError::into_inner) = stalled;
        self.shared.changed.notify_all();
    }

    fn answered(&self) -> u64 {
        self.shared.answered.load(Relaxed)
    }

    /// Requests it answers a second, over so long.
    fn speed(&self, time: Duration) -> f64 {
        // Until the first second is over sessions are opened.
        pause(Duration::from_secs(1));
        let (before, began) = (self.answered(), Instant::now());
        pause(time);
        (self.answered() - before) as f64 / began.elapsed().as_secs_f64()
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer, mut line) = (BufReader::new(stream.try_clone()?), stream, String::new());
    let mut body = Vec::new();
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().unwrap_or(0);
                }
                _ if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        let stalled = shared.stalled.lock().unwrap_or_else(PoisonError::into_inner);
        drop(shared.changed.wait_while(stalled, |stalled| *stalled));
        writer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
        shared.answered.fetch_add(1, Relaxed);
    }
}
