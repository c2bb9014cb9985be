//! TLS on both sides, with certificates made here.

use crate::{
    common::{Door, SOON, gateway, sink, stored, until},
    partner::{Partner, status},
};
use crossdock_connector::{Completions, Connector, Outgoing, Rendered, Results, Ticket};
use crossdock_http::Http;
use crossdock_model::{Envelope, Fault, FaultClass, MessageId, Text, Timestamp};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Instant,
};
use tokio::{io::AsyncWriteExt as _, net::TcpListener};
use tokio_rustls::TlsAcceptor;

/// An authority, and what it signed, as files.
struct Pki {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Pki {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        std::fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { folder, issuer: Issuer::new(params, key) }
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Certificate and key for a name.
    fn identity(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let signed = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let path = |suffix| self.folder.path().join(format!("{name}.{suffix}.pem"));
        std::fs::write(path("cert"), signed.pem()).unwrap();
        std::fs::write(path("key"), key.serialize_pem()).unwrap();
        (path("cert"), path("key"))
    }

    /// What a server with an identity takes; from clients of this authority only, if `mutual`.
    fn acceptor(&self, name: &str, mutual: bool) -> TlsAcceptor {
        self.showing(self.identity(name), mutual)
    }

    /// Certificate and key of a server that is its own authority, as `openssl req -x509` makes them.
    fn of_its_own(&self, name: &str, until: i32) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_after = date_time_ymd(until, 1, 1);
        params.distinguished_name.push(DnType::CommonName, name);
        let path = |suffix| self.folder.path().join(format!("{name}.{suffix}.pem"));
        std::fs::write(path("cert"), params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(path("key"), key.serialize_pem()).unwrap();
        (path("cert"), path("key"))
    }

    fn showing(&self, (certificate, key): (PathBuf, PathBuf), mutual: bool) -> TlsAcceptor {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = if mutual {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(self.ca()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
        let config = builder.with_single_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap()).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Sends one message; the fault's class and code, if there is one.
async fn send(port: u16, host: &str, tls: serde_json::Value) -> Option<(FaultClass, Text)> {
    failure(port, host, tls).await.map(|fault| (fault.class, fault.code.clone()))
}

async fn failure(port: u16, host: &str, tls: serde_json::Value) -> Option<Fault> {
    let http = Http::new(&gateway(&json!({})));
    let connection = json!({ "base_url": format!("https://{host}:{port}"), "tls": tls, "timeout": "5s" });
    let mut sink = http.sink(&sink(&connection, &json!({}))).unwrap_or_else(|found| panic!("{found:?}"));
    let results: Arc<Mutex<Results>> = Arc::default();
    let posted = Arc::clone(&results);
    let done = Completions::new(move |batch| posted.lock().unwrap().extend(batch));
    let mut sender = sink.open(done).await.unwrap();
    let message = Outgoing {
        ticket: Ticket(1),
        envelope: Arc::new(Envelope::new(MessageId::from_bytes([1; 16]), Timestamp(0), "x")),
        rendered: Rendered::default(),
        idempotency_key: Text::from_static("k"),
        attempt: 1,
    };
    sender.submit(vec![message]).await.unwrap();
    until("a result", || !results.lock().unwrap().is_empty()).await;
    sender.close(Instant::now() + SOON).await;
    let (_, result) = results.lock().unwrap().remove(0);
    result.err()
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test]
async fn a_service_is_trusted_by_its_authority_and_name() {
    let (pki, other) = (Pki::new(), Pki::new());
    let partner = Partner::start_tls(Some(pki.acceptor("localhost", false)), |_, _| status(200, "", "")).await;
    let port = partner.address.port();
    assert_eq!(send(port, "localhost", json!({ "ca": path(&pki.ca()) })).await, None);
    let untrusted = Some((FaultClass::Unreachable, Text::from_static("http.tls")));
    assert_eq!(send(port, "localhost", json!({ "ca": path(&other.ca()) })).await, untrusted, "another authority");
    assert_eq!(send(port, "localhost", json!({})).await, untrusted, "the system's authorities");
    assert_eq!(send(port, "127.0.0.1", json!({ "ca": path(&pki.ca()) })).await, untrusted, "another name");
    assert_eq!(partner.seen().len(), 1);
}

#[tokio::test]
async fn a_service_that_is_its_own_authority_is_trusted_by_its_certificate() {
    let pki = Pki::new();
    let (own, other, old) = (pki.of_its_own("own", 4000), pki.of_its_own("other", 4000), pki.of_its_own("old", 2000));
    let serve = |identity: &(PathBuf, PathBuf)| {
        Partner::start_tls(Some(pki.showing(identity.clone(), false)), |_, _| status(200, "", ""))
    };
    let (partner, of_old) = (serve(&own).await, serve(&old).await);
    let (port, old_port) = (partner.address.port(), of_old.address.port());
    let ca = |identity: &(PathBuf, PathBuf)| json!({ "ca": path(&identity.0) });
    assert_eq!(send(port, "localhost", ca(&own)).await, None);
    for (port, host, ca, why) in [
        (port, "localhost", ca(&other), "its certificate is its own authority's: name that as `tls.ca`"),
        (port, "127.0.0.1", ca(&own), "not valid for"),
        (old_port, "localhost", ca(&old), "expired"),
    ] {
        let fault = failure(port, host, ca).await.unwrap();
        assert!(fault.code == "http.tls" && fault.text.contains(why), "{fault}");
    }
    let clear = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = clear.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = clear.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    });
    let fault = failure(port, "localhost", ca(&own)).await.unwrap();
    assert!(fault.text.contains("what answers there speaks no TLS"), "{fault}");
    let issued = Partner::start_tls(Some(pki.acceptor("localhost", false)), |_, _| status(200, "", "")).await;
    let fault = failure(issued.address.port(), "localhost", ca(&own)).await.unwrap();
    assert!(fault.text.contains("name who has as `tls.ca`"), "{fault}");
    assert_eq!((partner.seen().len(), of_old.seen().len(), issued.seen().len()), (1, 0, 0));
}

#[tokio::test]
async fn a_service_may_ask_for_a_certificate() {
    let pki = Pki::new();
    let partner = Partner::start_tls(Some(pki.acceptor("localhost", true)), |_, _| status(200, "", "")).await;
    let port = partner.address.port();
    let (certificate, key) = pki.identity("client");
    let tls = json!({ "ca": path(&pki.ca()), "certificate": path(&certificate), "key": path(&key) });
    assert_eq!(send(port, "localhost", tls).await, None);
    let refused = send(port, "localhost", json!({ "ca": path(&pki.ca()) })).await;
    assert!(refused.is_some(), "it was taken without a certificate");
    assert_eq!(partner.seen().len(), 1);
}

#[tokio::test]
async fn the_listener_speaks_tls_and_may_ask_for_a_certificate() {
    let pki = Pki::new();
    let (certificate, key) = pki.identity("localhost");
    let (own_certificate, own_key) = pki.identity("client");
    let mut listener = json!({ "tls": { "certificate": path(&certificate), "key": path(&key) } });
    for mutual in [false, true] {
        if mutual {
            listener["tls"]["client_ca"] = json!(path(&pki.ca()));
        }
        let door = Door::with_listener(&listener, json!({ "path": "/" }), |m| Some(stored(m.envelope.id))).await;
        let port = door.address.port();
        let anonymous = send(port, "localhost", json!({ "ca": path(&pki.ca()) })).await;
        assert_eq!(anonymous.is_some(), mutual);
        let known = json!({ "ca": path(&pki.ca()), "certificate": path(&own_certificate), "key": path(&own_key) });
        assert_eq!(send(port, "localhost", known).await, None);
    }
}
