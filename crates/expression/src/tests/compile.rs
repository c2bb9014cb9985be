//! What is refused when the configuration is checked: code, place and how to mend it.

use crate::{Compiler, Use};

/// The code, the part of the text that is pointed at, and a part of the hint.
type Expected = (&'static str, &'static str, &'static str);

/// What is expected of each error in order.
fn check(compiler: &Compiler, usage: Use, text: &str, expected: &[Expected]) {
    let errors = compiler.compile(text, usage).err().unwrap_or_default();
    let found: Vec<_> = errors.iter().map(|error| (error.code, &text[error.range.clone()])).collect();
    let wanted: Vec<_> = expected.iter().map(|(code, place, _)| (*code, *place)).collect();
    assert_eq!(found, wanted, "{text:?}: {errors:#?}");
    for (error, (_, _, hint)) in errors.iter().zip(expected) {
        let given = error.hint.as_deref().unwrap_or_default();
        assert!(given.contains(hint), "{text:?}: no `{hint}` in `{given}`");
        assert!(!error.message.is_empty() && !error.message.ends_with('.'), "{text:?}: {}", error.message);
    }
}

#[test]
fn conditions_that_are_refused() {
    let compiler = Compiler::new();
    let cases: &[(&str, &[Expected])] = &[
        (".total > 0", &[("expression.fallible", ".total > 0", "`to_float!(.total) > 0`")]),
        ("to_float(.total) > 0", &[("expression.fallible", "to_float(.total)", "`to_float!(.total)`")]),
        (
            ".at < t'2026-01-01T00:00:00Z'",
            &[("expression.fallible", ".at < t'2026-01-01T00:00:00Z'", "timestamp!(.at)")],
        ),
        ("\"x\" + .b == .a", &[("expression.fallible", "\"x\" + .b", "\"x\" + string!(.b)")]),
        ("(.a + 1) * 2 == 4", &[("expression.fallible", ".a + 1", "to_float!(.a) + 1")]),
        ("upcse(.a) == \"B\"", &[("expression.unknown_function", "upcse", "did you mean `upcase`?")]),
        ("contains(.a, \"b\")", &[("expression.type", ".a", "`string!(.a)`")]),
        ("length(.a) == 1", &[("expression.type", ".a", "`array!(.a)`")]),
        ("!.a", &[("expression.type", ".a", "bool!(.a)")]),
        (".flag", &[("expression.condition", ".flag", ".flag == true")]),
        ("", &[("expression.condition", "", "comparison")]),
        ("\"text\"", &[("expression.condition", "\"text\"", "== true")]),
        (".a = 1", &[("expression.read_only", ".a", "write `==`")]),
        ("del(.a) == 1", &[("expression.read_only", "del(.a)", "transform")]),
        ("total == 3", &[("expression.unknown_variable", "total", "`.total`")]),
        ("%headers.x-unit-of == 3", &[("expression.unknown_variable", "unit", "`.\"x-unit-of\"`")]),
        ("1.5-total == 3", &[("expression.unknown_variable", "total", "the payload is `.total`")]),
        ("exists(.a) && 2 - total == 3", &[("expression.unknown_variable", "total", "`.total`")]),
        (".a == ", &[("expression.syntax", "", "")]),
        (".a == \"b", &[("expression.syntax", "\"", "")]),
        ("match!(.a, r'(?=x)')", &[("expression.regex", "r'(?=x)'", "look-around")]),
        ("%headers.x > 1", &[("expression.fallible", "%headers.x > 1", "to_float!(%headers.x) > 1")]),
        ("%header.x == 1", &[("expression.unknown_metadata", "%header", "`%headers`")]),
        ("\"%foo\" == %foo", &[("expression.unknown_metadata", "%foo", "%headers.foo")]),
        ("now() > t'2026-01-01T00:00:00Z'", &[("expression.unknown_function", "now", "%time")]),
        ("uuid_v4() == \"x\"", &[("expression.unknown_function", "uuid_v4", "%id")]),
        ("random_bool()", &[("expression.unknown_function", "random_bool", "same result")]),
        ("get_env_var!(\"HOME\") == \"x\"", &[("expression.unknown_function", "get_env_var", "${env:NAME}")]),
    ];
    for (text, expected) in cases {
        check(&compiler, Use::Condition, text, expected);
    }
}

#[test]
fn transforms_that_are_refused() {
    let compiler = Compiler::new();
    let cases: &[(&str, &[Expected])] = &[
        (".x = 1\n.a = upcase(.b)\n", &[("expression.fallible", "upcase(.b)", "`upcase!(.b)`")]),
        (
            ".a = x + 1\n.b = upcse(.c)\n.d = .e * 2",
            &[
                ("expression.unknown_variable", "x", "`.x`"),
                ("expression.unknown_function", "upcse", "upcase"),
                ("expression.fallible", ".e * 2", "to_float!(.e) * 2"),
            ],
        ),
        ("%id = \"3\"", &[("expression.read_only", "%id", "%key, %headers")]),
        ("%origin.protocol = \"x\"", &[("expression.read_only", "%origin.protocol", "%priority")]),
        ("del(%time)", &[("expression.read_only", "del(%time)", "%key")]),
        ("% = {}", &[("expression.read_only", "%", "%key")]),
        ("%foo = 1", &[("expression.unknown_metadata", "%foo", "%headers.foo")]),
        ("%priority = \"high\"", &[("expression.type", "%priority", "0 to 255")]),
        ("%headers = \"x\"", &[("expression.type", "%headers", "an object")]),
        ("for_each(.a) -> |_i, v| { .b = v }", &[("expression.type", "for_each(.a) -> |_i, v| { .b = v }", "array!(")]),
        ("log(\"x\")", &[("expression.unknown_function", "log", "no effect")]),
        (".a = parse_grok!(.a, \"%{GREEDYDATA}\")", &[("expression.unknown_function", "parse_grok", "r'…'")]),
    ];
    for (text, expected) in cases {
        check(&compiler, Use::Transform, text, expected);
    }
}

#[test]
fn what_is_allowed() {
    let compiler = Compiler::new();
    for (usage, text) in [
        (Use::Condition, "to_float!(.total) > 0"),
        (Use::Condition, ".ship_to.country == \"DE\" && exists(.a)"),
        (Use::Condition, ".total != 13"),
        (Use::Condition, "(to_int(.a) ?? 0) > 3"),
        (Use::Condition, "%key == \"a\" || starts_with(%id, \"0\") || %origin.protocol == \"http\""),
        (Use::Condition, "string!(%headers.\"x-unit\") == \"C\" && %origin.query.dry == \"1\""),
        (Use::Condition, "(%priority ?? 0) == 0 || true"),
        (Use::Value, ".customer.id"),
        (Use::Value, "{ \"n\": .sequence }"),
        (Use::Transform, ".name = upcase(string!(.customer.name))\ndel(.customer)\n"),
        (Use::Transform, "%headers.region = .ship_to.country\n%headers.\"x-y\" = 1\ndel(%headers.z)"),
        (Use::Transform, "%key = .id\n%priority = 3\n%expires_at = %time\n%content_type = null"),
        (Use::Transform, "if .a == 1 { abort \"one\" }"),
        (Use::Transform, ".a, err = parse_json(string!(.b))\nif err != null { .a = {} }"),
        (Use::Transform, "# nothing\n"),
    ] {
        let errors = compiler.compile(text, usage).err();
        // A fallback for what cannot fail is refused by the language; that case shows it.
        let expected = if text.contains("%priority ??") { Some("expression.cannot_fail") } else { None };
        assert_eq!(errors.as_ref().map(|errors| errors[0].code), expected, "{text:?}: {errors:?}");
    }
}

#[test]
fn warnings_tell_what_does_nothing() {
    let compiler = Compiler::new();
    for (text, code) in [
        (".a == 1", "expression.unused"),
        ("x = 1\n.a = 2", "expression.unused"),
        (".a = upcase!(string!(.b))", "expression.cannot_fail"),
    ] {
        let program = compiler.compile(text, Use::Transform).unwrap();
        let codes: Vec<_> = program.warnings().iter().map(|warning| warning.code).collect();
        assert_eq!(codes, [code], "{text:?}: {:?}", program.warnings());
    }
}
