//! Where the gateway is that an operating command talks to, and who we are.

use super::{
    client::Client,
    exit::{Exit, Failure},
    file,
};
use clap::Args;
use crossdock_config::Plan;
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where the admin API is when there is no file to say so.
const DEFAULT_URL: &str = "http://127.0.0.1:8090";

/// Options of every operating command.
#[derive(Clone, Debug, Default, Args)]
pub struct Connection {
    /// Where the gateway's admin API is [gateway.admin.listen of the configuration]
    #[arg(long, value_name = "URL", global = true)]
    admin: Option<String>,

    /// A file that holds the admin token [gateway.admin.token, or admin.token in the data folder]
    #[arg(long, value_name = "FILE", global = true)]
    token_file: Option<PathBuf>,
}

/// The token, or why there is none; whether one is needed, the gateway says.
pub type Token = Result<String, String>;

impl Connection {
    /// A client of the gateway that is meant.
    ///
    /// # Errors
    /// The configuration that should tell where it is has errors, or the URL is none.
    pub fn client(&self, config: Option<PathBuf>) -> Result<Client, Failure> {
        let plan = self.plan(config)?;
        let url = match (&self.admin, &plan) {
            (Some(url), _) => url.trim_end_matches('/').to_owned(),
            (None, Some(plan)) => url(plan),
            (None, None) => DEFAULT_URL.to_owned(),
        };
        let authority = plan.as_ref().and_then(|plan| plan.gateway().admin.tls.as_ref()).map(|tls| &*tls.certificate);
        Client::new(&url, self.token(plan.as_deref()), authority)
    }

    /// The configuration, as far as it is needed: with both options given it is not read, and a default one need not be
    /// there.
    fn plan(&self, config: Option<PathBuf>) -> Result<Option<Arc<Plan>>, Failure> {
        match config {
            Some(path) => file::plan(&path).map(Some),
            None if self.admin.is_some() && self.token_file.is_some() => Ok(None),
            None if !Path::new(file::DEFAULT).exists() => Ok(None),
            // A gateway that was named need not be that of the file here, so its errors are not in the way.
            None if self.admin.is_some() => Ok(file::plan(Path::new(file::DEFAULT)).ok()),
            None => file::plan(Path::new(file::DEFAULT)).map(Some),
        }
    }

    fn token(&self, plan: Option<&Plan>) -> Token {
        let path = match (&self.token_file, plan.map(Plan::gateway)) {
            (Some(path), _) => path.clone(),
            (None, Some(gateway)) => match &gateway.admin.token {
                Some(token) => return Ok(token.reveal().to_owned()),
                None => gateway.data_dir.join(crossdock_admin::TOKEN_FILE),
            },
            (None, None) => return Err("name a file that holds the token with `--token-file`".into()),
        };
        let (text, path) = (fs::read_to_string(&path), path.display());
        let text = text.map_err(|error| {
            format!("the token file `{path}` cannot be read: {error}; name one with `--token-file`")
        })?;
        let token = text.trim();
        if !token.is_empty() && !token.contains(char::is_control) {
            return Ok(token.to_owned());
        }
        Err(format!("the token file `{path}` holds no token: one line is expected"))
    }
}

/// A listener on all addresses is reached over loopback.
fn url(plan: &Plan) -> String {
    let admin = &plan.gateway().admin;
    let ip = match admin.listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    let scheme = if admin.tls.is_some() { "https" } else { "http" };
    format!("{scheme}://{}", SocketAddr::new(ip, admin.listen.port()))
}

/// Why the token is missing, told when the gateway asks for it.
pub fn denied(token: &Token, detail: &str) -> Failure {
    match token {
        Ok(_) => Failure::new(Exit::Denied, detail),
        Err(why) => Failure::new(Exit::Denied, format!("the gateway asks for its token: {why}")),
    }
}
