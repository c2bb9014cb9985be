//! Connections over real sockets: framing, limits, drain, HTTP/2, TLS.

use bytes::Bytes;
use crossdock_listener::{Bound, Limits, Peer, Server, Tls};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{
    convert::Infallible,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    time::timeout,
};

const SOON: Duration = Duration::from_secs(10);

/// Answers with the body it got; `/wait` only after a permit, `/early` without reading.
async fn echo(gate: Arc<Semaphore>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    if head.uri.path() == "/early" {
        return Ok(Response::builder().status(413).header("connection", "close").body(Full::from("no")).unwrap());
    }
    if head.uri.path() == "/wait" {
        gate.acquire().await.unwrap().forget();
    }
    Ok(match body.collect().await {
        Ok(body) => Response::new(Full::new(body.to_bytes())),
        Err(_) => Response::builder().status(400).body(Full::default()).unwrap(),
    })
}

fn serve(limits: Limits, tls: Option<Tls>) -> (Server, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let shared = Arc::clone(&gate);
    let bound = Bound::bind("127.0.0.1:0", limits).unwrap();
    let server = bound.serve(tls, move |_: &Peer| {
        let gate = Arc::clone(&shared);
        service_fn(move |request| echo(Arc::clone(&gate), request))
    });
    (server, gate)
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.address()).await.unwrap()
}

/// All that comes until the peer closes; he must do so soon.
async fn rest(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    timeout(SOON, stream.read_to_end(&mut all)).await.expect("the connection stays open").unwrap();
    String::from_utf8_lossy(&all).into_owned()
}

/// What comes until it ends with the given text.
async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut all = Vec::new();
    while !all.ends_with(end.as_bytes()) {
        let mut byte = [0];
        let read = timeout(SOON, stream.read_exact(&mut byte)).await;
        read.unwrap_or_else(|_| panic!("waited for {end:?}, have {:?}", String::from_utf8_lossy(&all))).unwrap();
        all.push(byte[0]);
    }
    String::from_utf8(all).unwrap()
}

/// What a request that is sent in one piece is answered, if the connection is closed after it.
async fn check_cut(server: &Server, request: &str, status: &str) {
    let mut stream = connect(server).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request:?} was answered {answer:?}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{request:?} was answered twice: {answer:?}");
}

#[tokio::test]
async fn a_transfer_coding_that_nobody_undoes_is_refused_whoever_serves() {
    let (server, _) = serve(Limits::default(), None);
    for codings in ["gzip, chunked", "gzip\r\nTransfer-Encoding: chunked"] {
        let head = format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: {codings}\r\n\r\n");
        check_cut(&server, &format!("{head}5\r\nhello\r\n0\r\n\r\n"), "501").await;
    }
}

#[tokio::test]
async fn what_can_be_framed_in_two_ways_is_refused_and_cut() {
    let (server, _) = serve(Limits::default(), None);
    let chunks = "5\r\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
    for head in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "transfer-encoding: chunked\r\nX-A: b\r\ncontent-length:4",
        "Content-Length: 4\r\nTransfer-Encoding: gzip, chunked",
        "Content-Length: 4\r\nContent-Length: 5",
        "Content-Length: 4, 5",
        "Content-Length: +4",
        "Content-Length: 4 4",
        "Content-Length: 99999999999999999999",
        "Content-Length : 4",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "X-A: a\rb",
        "X-A: a\r\r\nX-B: b",
        "X-A: a\0b",
        "\rX-A: a",
        "X A: a",
        ": a",
    ] {
        check_cut(&server, &format!("POST / HTTP/1.1\r\nHost: h\r\n{head}\r\n\r\n{chunks}"), "400").await;
    }
    for head in ["POST / HTTP/1.1\rHost: h\r\n\r\n", "POST\r/ HTTP/1.1\r\nHost: h\r\n\r\n", "POST /\n HTTP/1.1\r\n\r\n"]
    {
        check_cut(&server, head, "400").await;
    }
    for chunks in ["5\rhello\r\n0\r\n\r\n", "5;a\rb\r\nhello\r\n0\r\n\r\n", "zz\r\n", "5\r\nhelloX\r\n", "-1\r\n"] {
        let head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        check_cut(&server, &format!("{head}{chunks}"), "400").await;
    }
}

#[tokio::test]
async fn heads_beyond_the_limits_are_refused() {
    let (server, _) = serve(Limits::default(), None);
    let many: String = (0..100_000).map(|n| format!("x-{n}: 1\r\n")).collect();
    check_cut(&server, &format!("GET / HTTP/1.1\r\nHost: h\r\n{many}\r\n"), "431").await;
    check_cut(&server, &format!("GET / HTTP/1.1\r\nHost: h\r\nX-A: {}\r\n\r\n", "a".repeat(100_000)), "431").await;
    check_cut(&server, &format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(300_000)), "4").await;
    check_cut(&server, "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03 a TLS hello\r\n\r\n", "400").await;
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_order() {
    let (server, _) = serve(Limits::default(), None);
    let mut stream = connect(&server).await;
    let one = |n| format!("POST /{n} HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n{n}");
    stream.write_all(format!("{}{}", one(1), one(2)).as_bytes()).await.unwrap();
    assert!(until(&mut stream, "\r\n\r\n1").await.starts_with("HTTP/1.1 200"));
    assert!(until(&mut stream, "\r\n\r\n2").await.starts_with("HTTP/1.1 200"));
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n3\r\n0\r\n\r\n")
        .await
        .unwrap();
    assert!(until(&mut stream, "\r\n\r\n3").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_head_that_does_not_come_is_answered_408() {
    let limits = Limits { head_timeout: Duration::from_millis(300), ..Limits::default() };
    let (server, _) = serve(limits, None);
    for start in ["GET / HTTP/1.1\r\nHost: h\r\nX-A: ", "P", "PRI * HT", ""] {
        let (mut stream, begun) = (connect(&server).await, Instant::now());
        stream.write_all(start.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(begun.elapsed() >= Duration::from_millis(280), "{start:?} was cut early");
        assert!(answer.starts_with("HTTP/1.1 408"), "{start:?} was answered {answer:?}");
    }
    // Bytes that trickle do not buy time.
    let (mut stream, begun) = (connect(&server).await, Instant::now());
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let (mut reading, mut writing) = stream.split();
    let trickle = async {
        while writing.write_all(b"x: y\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let mut answer = [0; 12];
    let read = async { timeout(SOON, reading.read_exact(&mut answer)).await.unwrap().unwrap() };
    tokio::select! { _ = read => {}, () = trickle => panic!("closed without an answer") }
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_word() {
    let limits = Limits {
        head_timeout: Duration::from_millis(100),
        idle_timeout: Duration::from_millis(600),
        ..Limits::default()
    };
    let (server, _) = serve(limits, None);
    let mut stream = connect(&server).await;
    for n in ["1", "2"] {
        stream
            .write_all(format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n{n}").as_bytes())
            .await
            .unwrap();
        until(&mut stream, &format!("\r\n\r\n{n}")).await;
        // Longer than a head may take: a connection without a request is no late head.
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let idle = Instant::now();
    assert_eq!(rest(&mut stream).await, "");
    assert!(idle.elapsed() >= Duration::from_millis(200));
    // A request that takes long is not idle.
    let (server, gate) = serve(Limits { idle_timeout: Duration::from_millis(200), ..limits }, None);
    let mut stream = connect(&server).await;
    stream.write_all(b"GET /wait HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    assert!(timeout(Duration::from_millis(700), stream.read_u8()).await.is_err(), "cut while it was served");
    gate.add_permits(1);
    assert!(until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn an_early_answer_arrives_although_the_body_still_comes() {
    let (server, _) = serve(Limits::default(), None);
    for _ in 0..20 {
        let mut stream = connect(&server).await;
        stream.write_all(b"POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 4000000\r\n\r\n").await.unwrap();
        stream.write_all(&vec![b'x'; 4_000_000]).await.expect("the connection was reset while sending");
        assert!(rest(&mut stream).await.starts_with("HTTP/1.1 413"));
    }
}

#[tokio::test]
async fn expect_continue_is_answered_when_the_body_is_wanted() {
    let (server, _) = serve(Limits::default(), None);
    let mut stream = connect(&server).await;
    stream.write_all(b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n").await.unwrap();
    assert_eq!(until(&mut stream, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"a").await.unwrap();
    assert!(until(&mut stream, "\r\n\r\na").await.starts_with("HTTP/1.1 200"));
    let mut stream = connect(&server).await;
    stream
        .write_all(b"POST /early HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
        .await
        .unwrap();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn no_more_connections_than_allowed() {
    let (server, _) = serve(Limits { connections_max: 1, ..Limits::default() }, None);
    let mut first = connect(&server).await;
    first.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    until(&mut first, "\r\n\r\n").await;
    let mut second = connect(&server).await;
    second.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(timeout(Duration::from_millis(300), second.read_u8()).await.is_err(), "a second connection was served");
    drop(first);
    assert!(rest(&mut second).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_stop_lets_requests_under_way_end_and_cuts_at_its_deadline() {
    let (server, gate) = serve(Limits::default(), None);
    let server = Arc::new(server);
    let (mut idle, mut busy, mut stuck) = (connect(&server).await, connect(&server).await, connect(&server).await);
    idle.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    until(&mut idle, "\r\n\r\n").await;
    for stream in [&mut busy, &mut stuck] {
        stream.write_all(b"GET /wait HTTP/1.1\r\nHost: h\r\nExpect: x\r\n\r\n").await.unwrap();
    }
    let begun = Instant::now();
    let stopping = tokio::spawn({
        let server = Arc::clone(&server);
        async move { server.stop(Instant::now() + Duration::from_secs(2)).await }
    });
    assert_eq!(rest(&mut idle).await, "", "an idle connection is closed at once");
    gate.add_permits(1);
    let (answered, cut) = tokio::join!(rest(&mut busy), rest(&mut stuck));
    let mut answers = [answered, cut];
    answers.sort();
    assert!(answers[0].is_empty() && answers[1].starts_with("HTTP/1.1 200"), "{answers:?}");
    stopping.await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(4));
    assert!(TcpStream::connect(server.address()).await.is_err(), "it still accepts");
}

#[tokio::test]
async fn http2_is_spoken_with_prior_knowledge() {
    let (server, _) = serve(Limits::default(), None);
    let stream = connect(&server).await;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let driver = tokio::spawn(connection);
    let requests = (0..50).map(|n| {
        let request = Request::post("http://h/").body(Full::<Bytes>::from(n.to_string())).unwrap();
        sender.send_request(request)
    });
    let answers: Vec<_> = requests.collect();
    for (n, answer) in answers.into_iter().enumerate() {
        let body = answer.await.unwrap().into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, n.to_string());
    }
    server.stop(Instant::now() + SOON).await;
    drop(sender);
    assert!(timeout(SOON, driver).await.is_ok());
}

#[tokio::test]
async fn an_address_that_cannot_be_had_is_told_with_a_way_out() {
    let (server, _) = serve(Limits::default(), None);
    let taken = server.address().to_string();
    for (address, part) in [
        (taken.as_str(), "another port"),
        ("203.0.113.7:8080", "127.0.0.1"),
        ("8080", "127.0.0.1:8080"),
        ("127.0.0.1", "127.0.0.1:8080"),
        ("127.0.0.1:99999", "127.0.0.1:8080"),
    ] {
        let error = Bound::bind(address, Limits::default()).unwrap_err();
        assert!(error.to_string().contains(address) && error.hint.contains(part), "{error} ({})", error.hint);
    }
}

/// A certificate for `localhost` and its key, as files.
fn identity(folder: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (certificate, key)
}

#[tokio::test]
async fn tls_is_served_and_a_peer_without_it_is_left() {
    use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = identity(folder.path());
    let limits = Limits { head_timeout: Duration::from_millis(300), ..Limits::default() };
    let (server, _) = serve(limits, Some(Tls::load(&certificate, &key, None).unwrap()));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&certificate).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
    let connector = tokio_rustls::TlsConnector::from(config);
    let mut stream =
        connector.connect(ServerName::try_from("localhost").unwrap(), connect(&server).await).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi").await.unwrap();
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hi"), "{answer}");
    let mut plain = connect(&server).await;
    plain.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(SOON, plain.read_to_end(&mut answer)).await.expect("a plain connection stays open");
    assert!(!answer.starts_with(b"HTTP/"), "HTTP without TLS on a TLS port");
    let mut silent = connect(&server).await;
    assert_eq!(rest(&mut silent).await, "");
}

#[test]
fn certificates_that_cannot_be_used_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = identity(folder.path());
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    let (_, other_key) = identity(&other);
    let missing = folder.path().join("none.pem");
    for (certificate, key, client_ca, part) in [
        (&missing, &key, None, "none.pem"),
        (&certificate, &missing, None, "none.pem"),
        (&key, &key, None, "no certificates in"),
        (&certificate, &certificate, None, "no private key in"),
        (&certificate, &other_key, None, "private key"),
        (&certificate, &key, Some(missing.as_path()), "none.pem"),
    ] {
        let error = Tls::load(certificate, key, client_ca).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    assert!(Tls::load(&certificate, &key, Some(&certificate)).is_ok());
}
