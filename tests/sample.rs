//! What users are given to copy: the sample routes.yaml, as it stands and with what it shows of other protocols taken in, and
//! the routes of docs/brokers.md.

use crossdock_testkit::run_in;
use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn check(folder: &Path, text: &str) {
    assert!(fs::write(folder.join("routes.yaml"), text).is_ok());
    let check = run_in(Path::new(env!("CARGO_BIN_EXE_crossdock")), folder, &["check"], "");
    assert_eq!((check.status, check.stderr.as_str()), (0, "routes.yaml: fine\n"), "{text}");
}

#[test]
fn the_sample_is_fine_with_and_without_its_examples() {
    let sample = fs::read_to_string(root().join("routes.yaml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("schemas")).unwrap();
    fs::copy(root().join("schemas/order.schema.json"), folder.path().join("schemas/order.schema.json")).unwrap();
    check(folder.path(), &sample);
    let uncommented: String = sample.lines().map(|line| line.replacen("#: ", "", 1) + "\n").collect();
    assert_ne!(uncommented, sample);
    check(folder.path(), &uncommented);
}

#[test]
fn the_routes_to_try_servers_with_are_fine() {
    let text = fs::read_to_string(root().join("docs/brokers.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let blocks: Vec<_> = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 3);
    for block in blocks {
        check(folder.path(), block);
    }
}
