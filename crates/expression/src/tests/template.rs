//! Templates: what they render, what they refuse when they are compiled and when they run.

use crate::{Compiler, Escape, Metadata, TemplateOptions, Value};
use crossdock_model::{Envelope, MessageId, Timestamp};

const PLAIN: TemplateOptions = TemplateOptions { address: false, allow_dynamic: false, escape: Escape::None };
const ADDRESS: TemplateOptions = TemplateOptions { address: true, ..PLAIN };
const DYNAMIC: TemplateOptions = TemplateOptions { allow_dynamic: true, ..ADDRESS };
const PATH: TemplateOptions = TemplateOptions { escape: Escape::PathSegment, ..ADDRESS };

fn check(options: TemplateOptions, text: &str, expected: Result<&str, &str>) {
    let template = Compiler::new().template(text, options).unwrap();
    let payload = r#"{"id":"o-7","n":7,"f":1.5,"t":true,"list":[1],"o":{},"nil":null,"path":"a/b ä?#%","dots":"..","dot":".","empty":"","safe":"A-z_0.9~"}"#;
    let payload = Value::from_json(payload.as_bytes()).unwrap();
    let mut envelope = Envelope::new(MessageId::from_bytes([1; 16]), Timestamp(0), "");
    envelope.headers.push("region", "north");
    let got = template.render(Some(&payload), &mut Metadata::new(), &envelope);
    let got = got.map(|text| text.to_string()).map_err(|fault| fault.text.to_string());
    match expected {
        Ok(rendered) => assert_eq!(got.as_deref(), Ok(rendered), "{text}"),
        Err(part) => assert!(got.as_ref().is_err_and(|error| error.contains(part)), "{text}: {got:?}"),
    }
}

#[test]
fn renders() {
    for (text, expected) in [
        ("fixed", Ok("fixed")),
        ("", Ok("")),
        ("a/{{ .id }}/b", Ok("a/o-7/b")),
        ("x{{.n}}-{{.f}}-{{.t}}", Ok("x7-1.5-true")),
        ("x{{ %headers.region }}", Ok("xnorth")),
        ("x{{ %id }}", Ok("x01010101-0101-0101-0101-010101010101")),
        ("x{{ {\"a\": {\"b\": 1}}.a.b }}y", Ok("x1y")),
        ("x{{ \"}}\" }}y", Ok("x}}y")),
        ("x{{ s'}}' }}{{ s'{{' }}y", Ok("x}}{{y")),
        ("x}}y{z}", Ok("x}}y{z}")),
        ("x{{ .nil || \"none\" }}", Ok("xnone")),
        ("x{{ .nil }}", Err("`.nil` gave null")),
        ("x{{ .missing }}", Err("`.missing` gave null")),
        ("x{{ .list }}", Err("an array")),
        ("x{{ .o }}", Err("an object")),
        ("x{{ upcase!(.n) }}", Err("`upcase!(.n)` at line 1")),
    ] {
        check(PLAIN, text, expected);
    }
}

#[test]
fn path_segments_are_escaped() {
    for (text, expected) in [
        ("/orders/{{ .path }}", Ok("/orders/a%2Fb%20%C3%A4%3F%23%25")),
        ("/orders/{{ .safe }}", Ok("/orders/A-z_0.9~")),
        ("/a b/{{ .n }}", Ok("/a b/7")),
        ("/orders/{{ .dots }}", Err("cannot be a segment")),
        ("/orders/{{ .dot }}", Err("cannot be a segment")),
        ("/orders/{{ .empty }}", Err("cannot be a segment")),
    ] {
        check(PATH, text, expected);
    }
}

#[test]
fn addresses_start_with_a_literal() {
    let compiler = Compiler::new();
    for (options, text, dynamic) in [
        (ADDRESS, "orders/{{ .id }}", false),
        (ADDRESS, "orders", false),
        (DYNAMIC, "{{ .id }}/x", true),
        (PLAIN, "{{ .id }}", true),
    ] {
        assert_eq!(compiler.template(text, options).unwrap().starts_with_value(), dynamic, "{text}");
    }
    let errors = compiler.template("{{ .id }}/x", ADDRESS).unwrap_err();
    assert_eq!(errors[0].code, "template.dynamic_address");
}

#[test]
fn refused_when_compiled() {
    let compiler = Compiler::new();
    for (text, code, place) in [
        ("a{{ .id", "template.syntax", "{{ .id"),
        ("a{{ \"}}", "template.syntax", "{{ \"}}"),
        ("a{{ }}", "template.syntax", "{{ }}"),
        ("a/{{ upcse(.id) }}/{{ .b }}", "expression.unknown_function", "upcse"),
        ("ä/{{ .id + 1 }}", "expression.fallible", ".id + 1"),
        ("a{{ .b = 1 }}", "expression.read_only", ".b"),
        ("a{{ [1] }}", "expression.type", " [1] "),
        ("a{{ {} }}", "expression.type", " {} "),
        ("a{{ null }}", "expression.type", " null"),
    ] {
        let errors = compiler.template(text, PLAIN).unwrap_err();
        let found: Vec<_> = errors.iter().map(|error| (error.code, &text[error.range.clone()])).collect();
        assert_eq!(found, [(code, place)], "{text}");
    }
    // Every hole is looked at.
    assert_eq!(compiler.template("a{{ upcse(.a) }}{{ .b + 1 }}", PLAIN).unwrap_err().len(), 2);
}

#[test]
fn without_holes_nothing_is_done() {
    let template = Compiler::new().template("plain/text", PLAIN).unwrap();
    assert_eq!(template.fixed().map(|text| &**text), Some("plain/text"));
    assert!(!template.needs_payload());
}
