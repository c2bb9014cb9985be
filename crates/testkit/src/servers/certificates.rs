//! Certificates for a server under test and a client of its: made by `openssl`, signed by an authority of their own.

use super::process::output;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Where the PEM files are. They last as long as the server that they were made for.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// The authority that signed the other two: what a client trusts.
    pub ca: PathBuf,
    /// The server's certificate, for `localhost` and `127.0.0.1`.
    pub server: PathBuf,
    /// The server's key (PKCS #8).
    pub server_key: PathBuf,
    /// A client's certificate, common name `crossdock`.
    pub client: PathBuf,
    /// The client's key (PKCS #8).
    pub client_key: PathBuf,
}

impl Certificates {
    /// Makes them in a folder.
    ///
    /// # Errors
    /// There is no `openssl`, or it fails.
    pub fn make(folder: &Path) -> Result<Self, String> {
        let path = |name: &str| folder.join(name);
        let made = Self {
            ca: path("ca.pem"),
            server: path("server.pem"),
            server_key: path("server.key"),
            client: path("client.pem"),
            client_key: path("client.key"),
        };
        let ca_key = path("ca.key");
        request(&made.ca, &ca_key, "/CN=crossdock test authority", "basicConstraints=critical,CA:TRUE", None)?;
        let signer = Some((made.ca.as_path(), ca_key.as_path()));
        let names = "subjectAltName=DNS:localhost,IP:127.0.0.1";
        request(&made.server, &made.server_key, "/CN=localhost", names, signer)?;
        request(&made.client, &made.client_key, "/CN=crossdock", "subjectAltName=DNS:crossdock", signer)?;
        Ok(made)
    }
}

fn request(
    to: &Path,
    key: &Path,
    subject: &str,
    extension: &str,
    signer: Option<(&Path, &Path)>,
) -> Result<(), String> {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "30"]);
    openssl.args(["-subj", subject, "-addext", extension, "-out"]).arg(to).arg("-keyout").arg(key);
    match signer {
        Some((ca, ca_key)) => {
            openssl.args(["-addext", "basicConstraints=CA:FALSE", "-CA"]).arg(ca).arg("-CAkey").arg(ca_key)
        }
        None => &mut openssl,
    };
    output(&mut openssl).map(drop)
}
