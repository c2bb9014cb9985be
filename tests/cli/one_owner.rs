//! What only one process may have: a data folder, a port. The second one hears so, the first one is unharmed.

use crate::harness::{post, prepared, prepared_with, started};
use crossdock_testkit::free_port;

const ROUTES: &str =
    "channels: { q: { queue: {} } }\nroutes: { r: { from: { http: { path: /a } }, to: { queue: q } } }\n";

#[test]
fn a_data_folder_has_one_owner() {
    let gateway = started(ROUTES);
    let second = gateway.run(&["run"], "");
    assert_eq!(second.status, 2, "{}", second.stderr);
    assert!(second.stderr.contains("held by another process"), "{}", second.stderr);
    assert_eq!(post(&gateway, "/a", &[], b"{}").status, 202);
}

#[test]
fn a_port_has_one_owner() {
    let gateway = started(ROUTES);
    let (http, admin) = (gateway.http, gateway.admin);
    for taken in [http, admin] {
        let mut other = prepared(ROUTES);
        if taken == http {
            other.http = taken;
        } else {
            other.admin = taken;
        }
        other.write_routes("", ROUTES);
        let second = other.run(&["run"], "");
        assert_eq!(second.status, 2, "{}", second.stderr);
        assert!(second.stderr.contains(&format!("127.0.0.1:{taken}")), "{}", second.stderr);
        assert!(second.stderr.contains("choose another port"), "no way to mend it in {}", second.stderr);
        // What was not started left the folder as it should be: it can be started where there is room.
        other.http = free_port();
        other.admin = free_port();
        other.write_routes("", ROUTES);
        other.start();
    }
    assert_eq!(post(&gateway, "/a", &[], b"{}").status, 202);
}

#[test]
fn a_folder_that_cannot_be_used_is_told() {
    let folder = prepared(ROUTES);
    folder.write("data", "a file where the data folder should be");
    let ended = folder.run(&["run"], "");
    assert_eq!(ended.status, 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("data"), "{}", ended.stderr);
}

#[test]
fn clear_text_beyond_loopback_is_refused() {
    let folder = prepared_with("{ listen: \"0.0.0.0:0\" }", ROUTES);
    let ended = folder.run(&["run"], "");
    assert_eq!(ended.status, 2, "{}", ended.stderr);
    assert!(ended.stderr.contains("insecure"), "{}", ended.stderr);
}
