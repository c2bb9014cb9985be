//! The proxy with faults, between real sockets.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a helper of a test fails the test")]

use crossdock_testkit::{
    Direction::{ToClient, ToServer},
    Proxy, wait,
};
use std::{
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// A server that gives back what it gets and tells how much that was when the connection ends.
fn echo() -> (String, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let tell = tell.clone();
            thread::spawn(move || {
                let (mut got, mut piece) = (Vec::new(), [0; 4096]);
                while let Ok(read @ 1..) = stream.read(&mut piece) {
                    got.extend(&piece[..read]);
                    if stream.write_all(&piece[..read]).is_err() {
                        break;
                    }
                }
                tell.send(got)
            });
        }
    });
    (address, told)
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// What comes back for it.
fn ask(stream: &mut TcpStream, text: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(text)?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

/// Whether nothing comes for a while though the connection is open.
fn is_silent(stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(150))).unwrap();
    let kind = stream.peek(&mut [0]).map_err(|error| error.kind());
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    kind == Err(io::ErrorKind::WouldBlock)
}

#[test]
fn forwards_counts_and_ends_with_the_ends() {
    let (server, told) = echo();
    let proxy = Proxy::to(&server);
    let mut stream = connect(&proxy);
    let large = vec![7; 1 << 20];
    let mut writer = stream.try_clone().unwrap();
    let sent = large.clone();
    let writing = thread::spawn(move || writer.write_all(&sent));
    let mut back = vec![0; large.len()];
    stream.read_exact(&mut back).unwrap();
    writing.join().unwrap().unwrap();
    assert!(back == large);
    wait("both directions to be counted", || {
        ([ToServer, ToClient].iter().all(|way| proxy.passed(*way) == 1 << 20)).then_some(())
    });
    drop(stream);
    assert_eq!(told.recv_timeout(Duration::from_secs(10)).unwrap().len(), 1 << 20);
    assert_eq!(proxy.connections(), 1);
}

#[test]
fn cuts_now_and_takes_new_connections() {
    let (server, _) = echo();
    let proxy = Proxy::to(&server);
    let mut stream = connect(&proxy);
    assert_eq!(ask(&mut stream, b"one").unwrap(), b"one");
    proxy.cut();
    assert!(ask(&mut stream, b"two").is_err());
    assert_eq!(ask(&mut connect(&proxy), b"three").unwrap(), b"three");
}

#[test]
fn cuts_after_so_many_bytes_once() {
    let (server, told) = echo();
    let proxy = Proxy::to(&server);
    proxy.cut_after(ToServer, 5);
    assert!(ask(&mut connect(&proxy), b"12345678").is_err());
    assert_eq!(told.recv_timeout(Duration::from_secs(10)).unwrap(), b"12345");
    proxy.cut_after(ToClient, 3);
    let mut stream = connect(&proxy);
    stream.write_all(b"abcdef").unwrap();
    let mut got = Vec::new();
    // The end may come as a reset.
    let _end = stream.read_to_end(&mut got);
    assert_eq!(got, b"abc");
    assert_eq!(told.recv_timeout(Duration::from_secs(10)).unwrap(), b"abcdef");
    assert_eq!(ask(&mut connect(&proxy), b"whole").unwrap(), b"whole");
}

#[test]
fn an_answer_is_lost_between_send_and_confirm() {
    let (server, told) = echo();
    let proxy = Proxy::to(&server);
    let mut stream = connect(&proxy);
    proxy.stall(ToClient);
    stream.write_all(b"send").unwrap();
    wait("the request to pass", || (proxy.passed(ToServer) == 4).then_some(()));
    assert!(is_silent(&stream));
    proxy.cut();
    assert_eq!(told.recv_timeout(Duration::from_secs(10)).unwrap(), b"send");
    assert!(!is_silent(&stream));
    assert_eq!(proxy.passed(ToClient), 0);
    proxy.heal();
    assert_eq!(ask(&mut connect(&proxy), b"again").unwrap(), b"again");
}

#[test]
fn half_open_then_healed() {
    let (server, _) = echo();
    let proxy = Proxy::to(&server);
    proxy.half_open();
    let mut stream = connect(&proxy);
    stream.write_all(b"hello").unwrap();
    assert!(is_silent(&stream));
    assert_eq!(proxy.passed(ToServer), 0);
    proxy.heal();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hello");
}

#[test]
fn delays_and_throttles() {
    let (server, _) = echo();
    let proxy = Proxy::to(&server);
    let mut stream = connect(&proxy);
    proxy.delay(ToClient, Duration::from_millis(200));
    let start = Instant::now();
    assert_eq!(ask(&mut stream, b"slow").unwrap(), b"slow");
    assert!(start.elapsed() >= Duration::from_millis(200));
    proxy.heal();
    proxy.throttle(ToServer, 10_000);
    let start = Instant::now();
    // The piece that was being awaited may have its old size.
    assert_eq!(ask(&mut connect(&proxy), &[1; 4000]).unwrap(), [1; 4000]);
    assert!(start.elapsed() >= Duration::from_millis(300), "{:?}", start.elapsed());
}

#[test]
fn is_down_and_up_on_its_port_and_needs_no_server() {
    let (server, _) = echo();
    let mut proxy = Proxy::to(&server);
    let mut stream = connect(&proxy);
    assert_eq!(ask(&mut stream, b"one").unwrap(), b"one");
    proxy.down();
    assert!(ask(&mut stream, b"two").is_err());
    assert_eq!(TcpStream::connect(proxy.address()).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    proxy.up();
    assert_eq!(ask(&mut connect(&proxy), b"three").unwrap(), b"three");
    let nobody = Proxy::to(&format!("127.0.0.1:{}", crossdock_testkit::free_port()));
    assert!(ask(&mut connect(&nobody), b"four").is_err());
}

#[test]
fn a_kafka_broker_tells_the_place_of_the_proxy() {
    let (server, told) = echo();
    let proxy = Proxy::to_kafka(&server);
    let port = u32::from(server.rsplit_once(':').unwrap().1.parse::<u16>().unwrap());
    let answer = |port: u32| [b"\0\x09127.0.0.1".as_slice(), &port.to_be_bytes(), b"\0\0"].concat();
    let mut stream = connect(&proxy);
    assert_eq!(ask(&mut stream, &answer(port)).unwrap(), answer(u32::from(proxy.port())));
    assert_eq!(ask(&mut stream, &answer(port + 1)).unwrap(), answer(port + 1));
    drop(stream);
    let got = told.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(got, [answer(port), answer(port + 1)].concat(), "what the client says stays as it is");
}
