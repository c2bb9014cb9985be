//! TLS towards a peer by the section that all connections share ([`crate::TLS_CLIENT`]): whom to trust, and what to show.

mod named;

use crate::{Diagnostics, Settings};
use named::NamedVerifier;
use rustls::{
    CertificateError, ClientConfig, InvalidMessage, OtherError, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{io, path::Path, sync::Arc};

/// TLS by a connection's section `tls`; none where the system's authorities are trusted and no certificate is shown.
/// The files it names are read, so that a wrong one is found by `check`.
/// The peer is offered `protocols` (ALPN, RFC 7301).
///
/// # Errors
/// A file that is missing or holds something else, a certificate without its key: at their places, with this code.
pub fn from_settings(
    settings: &Settings,
    folder: &Path,
    code: &'static str,
    protocols: &[&[u8]],
) -> Result<Option<Arc<ClientConfig>>, Diagnostics> {
    let Some(section) = settings.group("tls") else { return Ok(None) };
    let path = |name| section.path(name).map(|path| folder.join(path));
    let wrong = |name, message: String| Diagnostics::from(section.error(name, code, message));
    let identity = match (path("certificate"), path("key")) {
        (None, None) => None,
        (Some(certificate), Some(key)) => {
            let chain = certificates(&certificate).map_err(|message| wrong("certificate", message))?;
            let no_key = |error| wrong("key", format!("no private key in {}: {error}", key.display()));
            Some((chain, PrivateKeyDer::from_pem_file(&key).map_err(no_key)?))
        }
        (Some(_), None) => return Err(wrong("certificate", "a certificate is of no use without its `key`".into())),
        (None, Some(_)) => return Err(wrong("key", "a key is of no use without its `certificate`".into())),
    };
    let (roots, named) = match path("ca") {
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            let named = certificates(&ca).map_err(|message| wrong("ca", message))?;
            for certificate in &named {
                let added = roots.add(certificate.clone());
                added.map_err(|error| wrong("ca", format!("{}: {error}", ca.display())))?;
            }
            (roots, named)
        }
        None if identity.is_none() => return Ok(None),
        None => (system_roots().map_err(|message| wrong("ca", message))?, Vec::new()),
    };
    config(roots, named, identity, protocols).map(Some).map_err(|message| wrong("certificate", message))
}

/// TLS that trusts the system's authorities. Reads their files.
///
/// # Errors
/// The system has none; a fragment that says how to mend it.
pub fn system(protocols: &[&[u8]]) -> Result<Arc<ClientConfig>, String> {
    config(system_roots()?, Vec::new(), None, protocols)
}

/// Why there is no TLS with a peer: what the library says, in words and with a way out where it has none.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref());
    let words = match cause {
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "nobody who is trusted here has signed its certificate: name who has as `tls.ca`"
        }
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(cause))))
            if matches!(cause.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity)) =>
        {
            "its certificate is its own authority's: name that as `tls.ca`, or give the server one that is not"
        }
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => "what answers there speaks no TLS",
        Some(_) | None => return error.to_string(),
    };
    words.to_owned()
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn config(
    roots: RootCertStore,
    named: Vec<CertificateDer<'static>>,
    identity: Option<Identity>,
    protocols: &[&[u8]],
) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = NamedVerifier::new(roots, named, Arc::clone(&provider))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| format!("certificate and key do not belong together: {error}"))?,
    };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(Arc::new(config))
}

fn system_roots() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(
            "this system has no certificate authorities: install ca-certificates, or name a file as tls.ca".into()
        );
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unusable = |why: String| format!("no certificates in {}: {why}", path.display());
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(error.to_string()))?;
    if found.is_empty() { Err(unusable("it holds no `BEGIN CERTIFICATE`".into())) } else { Ok(found) }
}
