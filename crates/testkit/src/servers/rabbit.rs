//! RabbitMQ, from Debian's package `rabbitmq-server`: AMQP 0-9-1.
//!
//! The package's own service is not used. Erlang's name server (`epmd`) is one of our own, too, started before RabbitMQ in the
//! same session: else Erlang starts one as a daemon that stays behind.

use super::{
    Certificates, PASSWORD, USER,
    process::{Server, has_a_life, output},
};
use crate::free_port;
use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    process::Command,
    time::Duration,
};

/// Where Debian has its programs; those in the path ask to be root.
const PROGRAMS: &str = "/usr/lib/rabbitmq/bin";

/// Waits for the name server, then becomes RabbitMQ.
const START: &str = "epmd -port \"$ERL_EPMD_PORT\" -address 127.0.0.1 & \
                     until epmd -names >/dev/null 2>&1; do sleep 0.05; done; exec \"$0\"";

/// What is asked of a RabbitMQ.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RabbitOptions {
    /// Has a second listener with TLS, which takes also the client's certificate instead of a password (EXTERNAL; its user
    /// is [`USER`]).
    pub tls: bool,
    /// More lines of `rabbitmq.conf`: `vm_memory_high_watermark.absolute = 50MB`.
    pub settings: String,
}

/// A RabbitMQ of one's own; killed and removed when dropped. It knows the users `guest` (password `guest`) and, with TLS,
/// [`USER`] ([`PASSWORD`]).
#[derive(Debug)]
pub struct Rabbit {
    server: Server,
    address: String,
    tls_address: Option<String>,
    url: String,
    certificates: Option<Certificates>,
    name_server_port: u16,
    distribution_port: u16,
}

impl Rabbit {
    /// One without TLS.
    ///
    /// # Panics
    /// It does not come up; the end of its log is in the text.
    #[must_use]
    pub fn start() -> Self {
        Self::with(&RabbitOptions::default())
    }

    /// One as asked.
    ///
    /// # Panics
    /// It does not come up; the end of its log is in the text.
    #[must_use]
    pub fn with(options: &RabbitOptions) -> Self {
        Self::try_with(options).unwrap_or_else(|error| panic!("{error}"))
    }

    /// One as asked, or why there is none.
    ///
    /// # Errors
    /// The program is not there, or does not come up.
    pub fn try_with(options: &RabbitOptions) -> io::Result<Self> {
        Self::prepare(options).and_then(|mut made| made.up_first(options).map(|()| made)).map_err(io::Error::other)
    }

    fn prepare(options: &RabbitOptions) -> Result<Self, String> {
        let server = Server::new("rabbitmq")?;
        let address = format!("127.0.0.1:{}", free_port());
        let mut text = format!("listeners.tcp.1 = {address}\nloopback_users = none\n");
        let (mut tls_address, mut certificates, mut plugins) = (None, None, "[].");
        if options.tls {
            let (made, at) = (Certificates::make(&server.path(""))?, format!("127.0.0.1:{}", free_port()));
            let (ca, certificate, key) = (made.ca.display(), made.server.display(), made.server_key.display());
            text.push_str(&format!(
                "listeners.ssl.1 = {at}\nssl_options.cacertfile = {ca}\nssl_options.certfile = {certificate}\nssl_options.keyfile = \
                 {key}\nssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = false\nauth_mechanisms.1 = \
                 PLAIN\nauth_mechanisms.2 = EXTERNAL\nssl_cert_login_from = common_name\n"
            ));
            (tls_address, certificates, plugins) = (Some(at), Some(made), "[rabbitmq_auth_mechanism_ssl].");
        }
        server.write("plugins", plugins)?;
        server.write("rabbitmq.conf", &format!("{text}{}\n", options.settings))?;
        let url = format!("amqp://guest:guest@{address}/%2f");
        let (name_server_port, distribution_port) = (free_port(), free_port());
        Ok(Self { server, address, tls_address, url, certificates, name_server_port, distribution_port })
    }

    fn up_first(&mut self, options: &RabbitOptions) -> Result<(), String> {
        self.up()?;
        if options.tls {
            self.try_control(&["add_user", USER, PASSWORD])?;
            self.try_control(&["set_permissions", USER, ".*", ".*", ".*"])?;
        }
        Ok(())
    }

    fn up(&mut self) -> Result<(), String> {
        let mut command = Command::new("sh");
        command.args(["-c", START]).arg(format!("{PROGRAMS}/rabbitmq-server"));
        self.environment(&mut command);
        let address = self.address.clone();
        self.server.start(&command, || answers(&address).is_ok())
    }

    fn environment(&self, command: &mut Command) {
        let folder = |name: &str| self.server.path(name).into_os_string();
        command
            .env("HOME", folder(""))
            // Of a tool that is cut short, too, which runs in the folder of the test.
            .env("ERL_CRASH_DUMP", folder("erl_crash.dump"))
            .env("RABBITMQ_NODENAME", "crossdock@localhost")
            .env("RABBITMQ_CONFIG_FILE", folder("rabbitmq"))
            .env("RABBITMQ_CONF_ENV_FILE", folder("rabbitmq-env.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", folder("advanced.config"))
            .env("RABBITMQ_MNESIA_BASE", folder("mnesia"))
            .env("RABBITMQ_LOG_BASE", folder("logs"))
            // To stdout, which is the log that an error shows.
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder("plugins"))
            .env("RABBITMQ_DIST_PORT", self.distribution_port.to_string())
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", self.name_server_port.to_string());
    }

    /// `amqp://guest:guest@127.0.0.1:PORT/%2f`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Host and port of the listener with TLS, and the certificates.
    ///
    /// # Panics
    /// It was started without TLS.
    #[must_use]
    pub fn tls(&self) -> (&str, &Certificates) {
        self.tls_address.as_deref().zip(self.certificates.as_ref()).expect("a server started with TLS")
    }

    /// Runs `rabbitmqctl` and gives what it said: `["set_vm_memory_high_watermark", "0.0000001"]` blocks who publishes.
    /// It takes a second or two.
    ///
    /// # Panics
    /// It fails.
    pub fn control(&self, arguments: &[&str]) -> String {
        self.try_control(arguments).unwrap_or_else(|error| panic!("{error}"))
    }

    fn try_control(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(format!("{PROGRAMS}/rabbitmqctl"));
        self.environment(&mut command);
        let said = output(command.args(["-q", "-n", "crossdock@localhost"]).args(arguments))?;
        Ok(String::from_utf8_lossy(&said).into_owned())
    }
}

has_a_life!(Rabbit);

/// Whether it answers the protocol header with `connection.start`.
fn answers(address: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(b"AMQP\0\0\x09\x01")?;
    let mut frame = [0; 11];
    stream.read_exact(&mut frame)?;
    // A method frame (1) of channel 0, its size, class 10, method 10.
    if frame.starts_with(&[1, 0, 0]) && frame.ends_with(&[0, 10, 0, 10]) {
        Ok(())
    } else {
        Err(io::Error::other("no connection.start"))
    }
}
