//! `gateway`.

use crate::{
    context::Context,
    files,
    plan::{Admin, Encryption, Gateway, Secret, StoreKey, StoreSettings, Sync, Tls},
    tables::{ADMIN, GATEWAY, STORE},
};
use crossdock_connector::HTTP_LISTENER;
use crossdock_settings::{Diagnostic, Field, Node, NodeKind, Setting, Settings, Span, parse_duration};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

/// Smallest and largest segment, bytes.
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = 64 << 10..=1 << 30;

/// Reads the section; wrong values are findings, and a default stands for them.
pub(crate) fn read(node: Option<&Node>, root: Span, context: &mut Context<'_>) -> Gateway {
    let empty = Node { span: root, kind: NodeKind::Null };
    let settings = context.group(node.unwrap_or(&empty), GATEWAY);
    let data_dir = settings.path("data_dir").map(|path| files::resolve(context.folder, path)).unwrap_or_default();
    let http = section(&settings, "http", HTTP_LISTENER, context);
    let admin = section(&settings, "admin", ADMIN, context);
    let store = section(&settings, "store", STORE, context);
    check_tls_files(&http, context);
    let http_listen = listen(&http, context);
    let admin = read_admin(&admin, context);
    if http_listen.is_some_and(|listen| listen == admin.listen && listen.port() != 0) {
        let message = format!("the admin API and the `http` sources both listen on {}", admin.listen);
        let written = [settings.group("admin"), settings.group("http")].into_iter().flatten().next();
        let place = written.map_or(root, |section| section.span_of("listen"));
        context.error_hint("gateway.listen", place, message, "give one of them another port");
    }
    let history = settings.group("history").and_then(|history| history.duration("age"));
    if history.is_some() {
        let message = "no history of settled messages is kept yet, so this has no effect";
        context.found.push(Diagnostic::warning("feature.later", settings.span_of("history"), message));
    }
    Gateway { data_dir, http, admin, store: read_store(&store, context), history }
}

/// A section that may be left out, with its defaults.
fn section(settings: &Settings, name: &str, fields: &'static [Field], context: &mut Context<'_>) -> Settings {
    match settings.group(name) {
        Some(group) => group.clone(),
        None => context.group(&Node { span: settings.span, kind: NodeKind::Null }, fields),
    }
}

fn listen(settings: &Settings, context: &mut Context<'_>) -> Option<SocketAddr> {
    let text = settings.text("listen")?;
    let address = match text.strip_prefix("localhost:") {
        Some(port) => port.parse().ok().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        None => text.parse().ok(),
    };
    if address.is_none() {
        let span = settings.span_of("listen");
        let message = match shown(settings, "listen") {
            Some(shown) => format!("`{shown}` is no address to listen on"),
            None => "this is no address to listen on".to_owned(),
        };
        let hint = "write an address and a port: `127.0.0.1:8080`, `[::1]:8080`, or `0.0.0.0:8080` for all interfaces";
        context.error_hint("value.type", span, message, hint);
    }
    address
}

/// A text as it may stand in a message.
fn shown<'s>(settings: &'s Settings, name: &str) -> Option<&'s str> {
    match settings.get(name).map(|placed| &placed.value) {
        Some(Setting::Text(text)) => Some(text),
        _ => None,
    }
}

fn read_admin(settings: &Settings, context: &mut Context<'_>) -> Admin {
    let listen = listen(settings, context).unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 8090)));
    check_tls_files(settings, context);
    let path = |tls: &Settings, name: &str| tls.path(name).map(|path| files::resolve(context.folder, path));
    let tls = settings.group("tls").and_then(|tls| {
        Some(Tls { certificate: path(tls, "certificate")?, key: path(tls, "key")?, client_ca: path(tls, "client_ca") })
    });
    let insecure = settings.flag("insecure");
    if !listen.ip().is_loopback() && settings.get("tls").is_none() && !insecure {
        context.error_hint(
            "admin.insecure",
            settings.span_of("listen"),
            format!("the admin API would listen on {listen}, beyond this machine, without TLS"),
            "give it `tls: { certificate, key }`, or say `insecure: true` if the network is trusted",
        );
    }
    let token = settings.text("token").cloned();
    if token.as_ref().is_some_and(|token| token.trim().is_empty()) {
        let hint = "leave `token` out, and the gateway makes one, or give it a text";
        context.error_hint("value.type", settings.span_of("token"), "the token is empty", hint);
    }
    let hosts = settings.list("hosts").iter().filter_map(|host| host.value.as_text().cloned()).collect();
    Admin { listen, hosts, tls, token: token.map(Secret), insecure }
}

fn read_store(settings: &Settings, context: &mut Context<'_>) -> StoreSettings {
    let sync = settings.text("sync").map_or(Sync::Always, |text| {
        let text = text.trim();
        let every = text.strip_prefix("every").map(str::trim);
        match (text, every.map(parse_duration)) {
            ("always", _) => Sync::Always,
            ("never", _) => Sync::Never,
            (_, Some(Ok(every))) if !every.is_zero() => Sync::Every(every),
            (_, Some(Err(wrong))) => {
                context.error_hint(
                    "value.type",
                    settings.span_of("sync"),
                    wrong.message,
                    "write for example `every 50ms`",
                );
                Sync::Always
            }
            (_, Some(Ok(_)) | None) => {
                let shown = shown(settings, "sync").map_or("this".to_owned(), |shown| format!("`{shown}`"));
                let message = format!("{shown} is not known here");
                context.error_hint(
                    "value.unknown",
                    settings.span_of("sync"),
                    message,
                    "write `always`, `every 50ms` or `never`",
                );
                Sync::Always
            }
        }
    });
    let segment_bytes = settings.size("segment").unwrap_or(32 << 20);
    if !SEGMENT_BYTES.contains(&segment_bytes) {
        let hint = "write a size from 64KiB to 1GiB; a message is at most half of it";
        context.error_hint("value.type", settings.span_of("segment"), "a segment of this size cannot be used", hint);
    }
    let encryption = settings.group("encryption").map(|section| read_encryption(section, context));
    StoreSettings { sync, segment_bytes, encryption }
}

fn read_encryption(settings: &Settings, context: &mut Context<'_>) -> Encryption {
    let file = settings.path("key_file");
    let key = file.and_then(|path| read_key(path, settings.span_of("key_file"), context));
    let mut previous = Vec::new();
    for item in settings.list("previous_key_files") {
        if let Setting::Path(path) = &item.value {
            previous.extend(read_key(path, item.span, context));
        }
    }
    if file.is_none() && settings.list("previous_key_files").is_empty() {
        let hint = "name the file of the key as `key_file`; `previous_key_files` alone reads what is encrypted, and writes plain";
        context.error_hint("store.key", settings.span, "no key is named", hint);
    }
    Encryption { key, previous }
}

/// A key, which is exactly its digits but for the end of a line.
fn read_key(path: &Path, span: Span, context: &mut Context<'_>) -> Option<StoreKey> {
    let file = files::resolve(context.folder, path);
    let bytes = read_file(&file, span, context)?;
    let shown = files::shown(context.folder, &file);
    if context.environment.is_readable_by_all(&file) {
        let message = format!("everybody on this machine may read the key in `{shown}`");
        context.found.push(Diagnostic::warning("store.key_mode", span, message).hint(format!("`chmod 600 {shown}`")));
    }
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let digits = line.strip_suffix(b"\r").unwrap_or(line);
    let text =
        std::str::from_utf8(digits).ok().filter(|_| digits.len() == 64 && digits.iter().all(u8::is_ascii_hexdigit));
    let Some(text) = text else {
        let message = format!("the file `{shown}` does not hold a key");
        context.error_hint("store.key", span, message, "a key is 64 hexadecimal digits: `openssl rand -hex 32`");
        return None;
    };
    Some(StoreKey { file, digits: Secret(text.into()) })
}

/// Says at once that a certificate or key is missing, instead of when the listener or connection is used.
pub(crate) fn check_tls_files(settings: &Settings, context: &mut Context<'_>) {
    let Some(tls) = settings.group("tls") else { return };
    for (_, value) in tls.iter() {
        if let Setting::Path(path) = &value.value {
            let path = files::resolve(context.folder, path);
            read_file(&path, value.span, context);
        }
    }
}

fn read_file(path: &Path, span: Span, context: &mut Context<'_>) -> Option<Vec<u8>> {
    match context.environment.read(path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            let shown = files::shown(context.folder, path);
            let message = format!("the file `{shown}` cannot be read: {}", files::why(&error));
            context.error_hint("file.missing", span, message, "relative paths start at the folder of this file");
            None
        }
    }
}
