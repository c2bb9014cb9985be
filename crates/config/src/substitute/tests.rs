//! Values, masks, places and refusals.

use super::*;
use crate::yaml;
use std::{collections::HashMap, io, path::PathBuf};

struct Fixed {
    variables: HashMap<&'static str, &'static str>,
    files: HashMap<PathBuf, &'static [u8]>,
}

impl Environment for Fixed {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|value| (*value).to_owned())
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.get(path).map(|bytes| bytes.to_vec()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn run(file: &str) -> (Scalar, Vec<(&'static str, u32)>) {
    let environment = Fixed {
        variables: HashMap::from([("USER", "ada"), ("EMPTY", ""), ("LINES", "one\ntwo"), ("SHAPE", "a: {b")]),
        files: HashMap::from([
            (PathBuf::from("/etc/token"), &b"t0ken\r\n"[..]),
            (PathBuf::from("/folder/near"), &b"n\n"[..]),
            (PathBuf::from("/binary"), &b"\xff"[..]),
        ]),
    };
    let mut found = Diagnostics::new();
    let mut root = yaml::parse(file).root.expect("a tree");
    substitute(&mut root, Path::new("/folder"), &environment, &mut found);
    let scalar = root.entries().expect("a map")[0].value.scalar().expect("a scalar").clone();
    (scalar, found.iter().map(|d| (d.code, d.place.span.start.column)).collect())
}

fn check(value: &str, text: &str, masked: Option<&str>) {
    let (scalar, found) = run(&format!("a: \"{value}\"\n"));
    assert_eq!((scalar.text.as_str(), scalar.masked.as_deref()), (text, masked), "{value}");
    assert_eq!(found, [], "{value}");
}

fn refused(value: &str, code: &'static str, column: u32) {
    let (_, found) = run(&format!("a: \"{value}\"\n"));
    assert_eq!(found, [(code, column)], "{value}");
}

#[test]
fn values() {
    check("${env:USER}", "ada", Some("***"));
    check("x-${env:USER}-${env:NONE:-y}-z", "x-ada-y-z", Some("x-***-***-z"));
    check("${env:NONE:-}", "", Some("***"));
    check("${env:EMPTY:-d}", "d", Some("***"));
    check("${env:EMPTY}", "", Some("***"));
    check("${env:USER:-d}", "ada", Some("***"));
    check("${env:NONE:-a:-b}", "a:-b", Some("***"));
    check("${env:SHAPE}", "a: {b", Some("***"));
    check("${file:/etc/token}", "t0ken", Some("***"));
    check("${file:near}", "n", Some("***"));
    check("$${env:USER} and $5 and {$}", "${env:USER} and $5 and {$}", None);
    check("$${a} ${env:USER}", "${a} ada", Some("${a} ***"));
    check("r'^${2}$'", "r'^${2}$'", None);
}

#[test]
fn refusals() {
    refused("ab ${env:NONE}", "substitution.variable", 8);
    refused("${file:/none}", "substitution.file", 5);
    refused("${file:/binary}", "substitution.file", 5);
    refused("${file:}", "substitution.syntax", 5);
    refused("${env:}", "substitution.syntax", 5);
    refused("${env:A-B}", "substitution.syntax", 5);
    refused("${env:NONE:-${env:USER}}", "substitution.syntax", 5);
    refused("x ${env:USER", "substitution.syntax", 7);
    refused("${evn:USER}", "substitution.unknown", 5);
    refused("${USER}", "substitution.unknown", 5);
}

#[test]
fn keys_stay_as_they_are() {
    let mut root = yaml::parse("${env:USER}: 1\n").root.expect("a tree");
    let environment = Fixed { variables: HashMap::from([("USER", "ada")]), files: HashMap::new() };
    substitute(&mut root, Path::new("/"), &environment, &mut Diagnostics::new());
    assert_eq!(root.entries().expect("a map")[0].key, "${env:USER}");
}

#[test]
fn one_reference_is_read_as_if_written() {
    let (scalar, _) = run("a: \"${env:USER}\"\n");
    assert!(!scalar.quoted);
    let (scalar, _) = run("a: \"${env:USER} \"\n");
    assert!(scalar.quoted);
}

#[test]
fn places_behind_values() {
    let (scalar, _) = run("a: |\n  x ${env:LINES} y\n  z ${env:USER} END\n");
    assert_eq!(scalar.text, "x one\ntwo y\nz ada END\n");
    let place = |needle: &str| {
        let place = scalar.layout.position(&scalar.text, scalar.text.find(needle).expect("the needle"));
        (place.line, place.column)
    };
    assert_eq!(place("x"), (2, 3));
    assert_eq!(place("one"), (2, 5));
    assert_eq!(place("two"), (2, 5));
    assert_eq!(place("y"), (2, 18));
    assert_eq!(place("z"), (3, 3));
    assert_eq!(place("ada"), (3, 5));
    assert_eq!(place("END"), (3, 17));
}
