//! Mosquitto, from Debian's package `mosquitto`: MQTT 3.1.1 and 5.

use super::{
    Certificates, PASSWORD, USER,
    process::{Server, has_a_life, output},
};
use crate::free_port;
use rustix::process::geteuid;
use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    process::Command,
    time::Duration,
};

/// What is asked of a Mosquitto.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MosquittoOptions {
    /// Takes only the user [`USER`] with [`PASSWORD`].
    pub login: bool,
    /// Has a second listener with TLS.
    pub tls: bool,
    /// More lines of `mosquitto.conf`, which come last: `max_inflight_messages 1`.
    pub settings: String,
}

/// A Mosquitto of one's own, which keeps what it has when it is halted; killed and removed when dropped.
///
/// Killed (SIGKILL), it may lose what it acknowledged: it writes its file once a second.
#[derive(Debug)]
pub struct Mosquitto {
    server: Server,
    address: String,
    tls_address: Option<String>,
    url: String,
    certificates: Option<Certificates>,
}

impl Mosquitto {
    /// One without passwords.
    ///
    /// # Panics
    /// It does not come up; the end of its log is in the text.
    #[must_use]
    pub fn start() -> Self {
        Self::with(&MosquittoOptions::default())
    }

    /// One as asked.
    ///
    /// # Panics
    /// It does not come up; the end of its log is in the text.
    #[must_use]
    pub fn with(options: &MosquittoOptions) -> Self {
        Self::try_with(options).unwrap_or_else(|error| panic!("{error}"))
    }

    /// One as asked, or why there is none.
    ///
    /// # Errors
    /// The program is not there, or does not come up.
    pub fn try_with(options: &MosquittoOptions) -> io::Result<Self> {
        Self::prepare(options).and_then(|mut made| made.up().map(|()| made)).map_err(io::Error::other)
    }

    fn prepare(options: &MosquittoOptions) -> Result<Self, String> {
        let server = Server::new("mosquitto")?;
        let folder = server.path("");
        let address = format!("127.0.0.1:{}", free_port());
        let listener = |address: &str| format!("listener {}\n", address.rsplit(':').next().unwrap_or_default());
        let mut text = format!(
            "{} 127.0.0.1\npersistence true\npersistence_location {}/\nautosave_interval 1\nmax_queued_messages 0\nlog_dest stderr\n",
            listener(&address).trim_end(),
            folder.display()
        );
        if geteuid().is_root() {
            // Else it becomes the user `mosquitto`, who has no right in the folder.
            text.push_str("user root\n");
        }
        if options.login {
            let file = server.path("passwords");
            output(Command::new("mosquitto_passwd").args(["-b", "-c"]).arg(&file).args([USER, PASSWORD]))?;
            text.push_str(&format!("allow_anonymous false\npassword_file {}\n", file.display()));
        } else {
            text.push_str("allow_anonymous true\n");
        }
        let (mut tls_address, mut certificates) = (None, None);
        if options.tls {
            let (made, at) = (Certificates::make(&folder)?, format!("127.0.0.1:{}", free_port()));
            let (ca, server, key) = (made.ca.display(), made.server.display(), made.server_key.display());
            text.push_str(&format!(
                "{} 127.0.0.1\ncafile {ca}\ncertfile {server}\nkeyfile {key}\n",
                listener(&at).trim_end()
            ));
            (tls_address, certificates) = (Some(at), Some(made));
        }
        server.write("mosquitto.conf", &format!("{text}{}\n", options.settings))?;
        let url = format!("mqtt://{address}");
        Ok(Self { server, address, tls_address, url, certificates })
    }

    fn up(&mut self) -> Result<(), String> {
        // Debian puts it where only root looks.
        let mut command = Command::new("env");
        command
            .args(["PATH=/usr/sbin:/usr/local/sbin:/usr/bin:/bin", "mosquitto", "-c"])
            .arg(self.server.path("mosquitto.conf"));
        let address = self.address.clone();
        self.server.start(&command, || answers(&address).is_ok())
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `mqtt://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Host and port of the listener with TLS, and the certificates.
    ///
    /// # Panics
    /// It was started without TLS.
    #[must_use]
    pub fn tls(&self) -> (&str, &Certificates) {
        self.tls_address.as_deref().zip(self.certificates.as_ref()).expect("a server started with TLS")
    }
}

has_a_life!(Mosquitto);

/// Whether it answers a CONNECT of MQTT 3.1.1; which answer does not matter.
fn answers(address: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    // CONNECT, 12 bytes: protocol name and level 4, clean session, no keep-alive, no client id.
    stream.write_all(b"\x10\x0c\0\x04MQTT\x04\x02\0\0\0\0")?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    if answer.starts_with(&[0x20, 2]) { Ok(()) } else { Err(io::Error::other("no CONNACK")) }
}
