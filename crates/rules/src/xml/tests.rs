//! The convention by data, hostile documents, and round trips both ways.

use super::{XmlDecode, XmlEncode, decode, encode};
use crossdock_expression::{Object, Value};
use crossdock_model::{Text, VALUE_DEPTH_MAX};
use proptest::prelude::*;

fn options(force_array: &[&'static str], infer_types: bool) -> XmlDecode {
    XmlDecode { force_array: force_array.iter().copied().map(Text::from_static).collect(), infer_types }
}

fn check_decode(options: &XmlDecode, xml: &[u8], charset: Option<&str>, expected: Result<&str, &str>) {
    let got = decode(xml, options, charset).map(|(value, _)| value.as_ref().show().into_owned());
    let shown = String::from_utf8_lossy(xml);
    match expected {
        Ok(json) => assert_eq!(got.as_deref(), Ok(json), "{shown}"),
        Err(part) => assert!(got.as_ref().is_err_and(|e| e.to_string().contains(part)), "{shown:.200}: {got:?}"),
    }
}

#[test]
fn documents_become_values() {
    let plain = options(&[], false);
    for (xml, json) in [
        (
            r#"<?xml version="1.0"?><o:Order xmlns:o="urn:o" id="7"><Line n="1">a &amp; b</Line><Note><![CDATA[<x>]]></Note><Empty/></o:Order>"#,
            r##"{"o:Order":{"@id":"7","@xmlns:o":"urn:o","Empty":"","Line":{"#text":"a & b","@n":"1"},"Note":"<x>"}}"##,
        ),
        ("<a/>", r#"{"a":""}"#),
        ("<a></a>", r#"{"a":""}"#),
        ("<a> </a>", r#"{"a":" "}"#),
        ("<a b='1'/>", r#"{"a":{"@b":"1"}}"#),
        ("<a b='1'> </a>", r##"{"a":{"#text":" ","@b":"1"}}"##),
        ("<a><b/><b>x</b><c/><b><d/></b></a>", r#"{"a":{"b":["","x",{"d":""}],"c":""}}"#),
        ("<a>\n  <b>1</b>\n</a>", r#"{"a":{"b":"1"}}"#),
        ("<a>\n one <b/> two \n</a>", r##"{"a":{"#text":"one  two","b":""}}"##),
        ("<a>x&#65;&#x42;&lt;&gt;&quot;&apos;</a>", r#"{"a":"xAB<>\"'"}"#),
        ("<a>x<!-- c -->y<?p i?>z<![CDATA[&amp;]]></a>", r#"{"a":"xyz&amp;"}"#),
        ("<a b='x\ty\nz&#10;&amp;'/>", r#"{"a":{"@b":"x y z\n&"}}"#),
        ("<a>x\r\ny\rz&#13;</a>", r#"{"a":"x\ny\nz\r"}"#),
        ("<!-- before --><a/><!-- after -->\n", r#"{"a":""}"#),
        ("\u{feff}<a>ä</a>", r#"{"a":"ä"}"#),
        ("<a><n>007</n><t>true</t></a>", r#"{"a":{"n":"007","t":"true"}}"#),
        ("<_a.b-c·/>", r#"{"_a.b-c·":""}"#),
    ] {
        check_decode(&plain, xml.as_bytes(), None, Ok(json));
    }
}

#[test]
fn arrays_can_be_forced() {
    let forced = options(&["Line", "p:x"], false);
    for (xml, json) in [
        ("<a><Line n='1'/></a>", r#"{"a":{"Line":[{"@n":"1"}]}}"#),
        ("<a><Line/><Line/></a>", r#"{"a":{"Line":["",""]}}"#),
        ("<a><b><Line>1</Line></b><p:x/><x/></a>", r#"{"a":{"b":{"Line":["1"]},"p:x":[""],"x":""}}"#),
        ("<Line/>", r#"{"Line":""}"#),
    ] {
        check_decode(&forced, xml.as_bytes(), None, Ok(json));
    }
}

#[test]
fn types_can_be_inferred() {
    let infer = options(&[], true);
    for (text, json) in [
        ("7", "7"),
        (" -7 ", "-7"),
        ("1.50", "1.5"),
        ("1e3", "1000.0"),
        ("true", "true"),
        ("false", "false"),
        ("True", "\"True\""),
        ("null", "\"null\""),
        ("", "\"\""),
        ("007", "\"007\""),
        ("+1", "\"+1\""),
        (".5", "\".5\""),
        ("1.", "\"1.\""),
        ("NaN", "\"NaN\""),
        ("9223372036854775807", "9223372036854775807"),
        ("9223372036854775808", "\"9223372036854775808\""),
        ("0.1234567890123456789", "\"0.1234567890123456789\""),
        ("1e999", "\"1e999\""),
        ("2026-01-01", "\"2026-01-01\""),
    ] {
        let expected = format!(r#"{{"a":{json}}}"#);
        check_decode(&infer, format!("<a>{text}</a>").as_bytes(), None, Ok(&expected));
        let expected = format!(r#"{{"a":{{"@b":{json}}}}}"#);
        check_decode(&infer, format!("<a b='{text}'/>").as_bytes(), None, Ok(&expected));
    }
    let named = br#"<a xmlns="1" xmlns:n="2" n:c="3">4</a>"#;
    check_decode(&infer, named, None, Ok(r##"{"a":{"#text":4,"@n:c":3,"@xmlns":"1","@xmlns:n":"2"}}"##));
}

#[test]
fn encodings() {
    let plain = options(&[], false);
    let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe4</a>";
    check_decode(&plain, latin, None, Ok(r#"{"a":"ä"}"#));
    check_decode(&plain, b"<a>\xe4</a>", Some("windows-1252"), Ok(r#"{"a":"ä"}"#));
    check_decode(&plain, b"<a>\xe4</a>", None, Err("not UTF-8 from byte 3"));
    check_decode(&plain, b"<?xml version='1.0' encoding='klingon'?><a/>", None, Err("encoding is unknown"));
    let utf16: Vec<u8> = "\u{feff}<a>ä</a>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    check_decode(&plain, &utf16, None, Ok(r#"{"a":"ä"}"#));
    check_decode(&plain, b"\xff\xfe<\0a", None, Err("UTF-16"));
    check_decode(&plain, b"<?xml version=\"1.0\" encoding = \"utf-8\" ?><a/>", None, Ok(r#"{"a":""}"#));
}

#[test]
fn what_is_no_xml_is_refused() {
    let plain = options(&[], false);
    for (xml, part) in [
        ("", "no root element"),
        ("  \n", "no root element"),
        ("text", "outside of the root"),
        ("<a/>x", "outside of the root"),
        ("<a/>&amp;", "outside of the root"),
        ("<![CDATA[x]]><a/>", "outside of the root"),
        ("<a/><b/>", "more than one root"),
        ("<a><b></a>", "expected `</b>`"),
        ("<a>", "ends within `<a>`"),
        ("<a", "tag not closed"),
        ("</a>", "does not match"),
        ("<a b='1' b='2'/>", "comes twice"),
        ("<a b=1/>", "attribute"),
        ("<a b/>", "attribute"),
        ("<a b='<'/>", "`<` is not allowed"),
        ("<a b='&x;'/>", "unrecognized entity"),
        ("<1a/>", "name of an element"),
        ("<a !='1'/>", "name of an attribute"),
        ("<a>&x;</a>", "entity is used"),
        ("<a>& b</a>", "reference not closed"),
        ("<a>&#0;</a>", "0"),
        ("<a>&#1;</a>", "not allowed"),
        ("<a b='&#xFFFE;'/>", "not allowed"),
        ("<a>\u{1}</a>", "U+0001 at line 1, column 4"),
        ("<a>]]></a>", "`]]>` is not allowed"),
        ("<a><!-- a -- b --></a>", "--"),
        ("<a/><?xml version='1.0'?>", "very start"),
        (" <?xml version='1.0'?><a/>", "very start"),
        ("<!DOCTYPE a><a/>", "DOCTYPE"),
        ("<!DOCTYPE a [<!ENTITY b 'b'><!ENTITY c SYSTEM 'file:///etc/passwd'>]><a>&b;&c;</a>", "DOCTYPE"),
        ("<a><!DOCTYPE a></a>", "DOCTYPE"),
        ("{\"a\":1}", "outside of the root"),
    ] {
        check_decode(&plain, xml.as_bytes(), None, Err(part));
    }
}

#[test]
fn hostile_documents_are_bounded() {
    let plain = options(&[], false);
    check_decode(&plain, "<a>".repeat(100_000).as_bytes(), None, Err("nested deeper than 128 levels"));
    let nested = |levels: usize| format!("{}{}", "<a>".repeat(levels), "</a>".repeat(levels));
    assert!(decode(nested(VALUE_DEPTH_MAX).as_bytes(), &plain, None).is_ok());
    check_decode(&plain, nested(VALUE_DEPTH_MAX + 1).as_bytes(), None, Err("nested deeper"));
    let attributes: String = (0..100_000).map(|n| format!(" a{n}='1'")).collect();
    check_decode(&plain, format!("<a{attributes}/>").as_bytes(), None, Err("more than 1024 attributes"));
    let many: String = (0..100_000).map(|n| format!("<e{n}/>")).collect();
    let (value, shape) = decode(format!("<a>{many}</a>").as_bytes(), &plain, None).unwrap();
    assert!(encode(value.as_ref(), &XmlEncode::default(), Some(&shape)).is_ok());
    check_decode(&plain, format!("<a>{}", "&amp;".repeat(100_000)).as_bytes(), None, Err("ends within"));
}

fn check_encode(json: &str, root: Option<&'static str>, expected: Result<&str, &str>) {
    let value = Value::from_json(json.as_bytes()).unwrap();
    let options = XmlEncode { root: root.map(Text::from_static) };
    let got = encode(value.as_ref(), &options, None).map(|xml| String::from_utf8(xml).unwrap());
    let declaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    match expected {
        Ok(xml) => assert_eq!(got.as_deref(), Ok(format!("{declaration}{xml}").as_str()), "{json}"),
        Err(part) => assert!(got.as_ref().is_err_and(|e| e.to_string().contains(part)), "{json:.200}: {got:?}"),
    }
}

#[test]
fn values_become_documents() {
    for (json, root, xml) in [
        (r#"{"a":""}"#, None, "<a/>"),
        (r#"{"a":null}"#, None, "<a/>"),
        (r#"{"a":[]}"#, Some("r"), "<r/>"),
        (r#"{"a":"x"}"#, Some("a"), "<a>x</a>"),
        (r#"{"a":"x"}"#, Some("b"), "<b><a>x</a></b>"),
        (r#"{"n":7,"f":1.5,"t":true}"#, Some("r"), "<r><f>1.5</f><n>7</n><t>true</t></r>"),
        (
            r##"{"a":{"@b":1,"@c":null,"#text":"x","d":["1",null,{"@e":"f"}]}}"##,
            None,
            "<a b=\"1\">x<d>1</d><d/><d e=\"f\"/></a>",
        ),
        (r#"{"a":"<&>\"'\t\n\r"}"#, None, "<a>&lt;&amp;&gt;\"'\t\n&#13;</a>"),
        (r#"{"a":{"@b":"<&>\"'\t\n\r"}}"#, None, "<a b=\"&lt;&amp;&gt;&quot;'&#9;&#10;&#13;\"/>"),
        ("\"text\"", Some("r"), "<r>text</r>"),
        ("7", Some("r"), "<r>7</r>"),
        (r#"{"a":[1]}"#, None, "<a>1</a>"),
    ] {
        check_encode(json, root, Ok(xml));
    }
}

#[test]
fn values_without_a_form_are_refused() {
    for (json, root, part) in [
        ("{}", None, "keys are not just one"),
        (r#"{"a":1,"b":2}"#, None, "name it"),
        ("[1]", None, "an array"),
        ("[1,2]", Some("r"), "the root is an array"),
        (r#"{"a":[1,2]}"#, None, "the root is an array"),
        ("\"x\"", None, "a string"),
        (r#"{"a b":1}"#, None, "no name"),
        (r#"{"a":{"1":1}}"#, None, "no name"),
        (r#"{"a":{"":1}}"#, None, "no name"),
        (r#"{"a":{"@":1}}"#, None, "XML attribute"),
        (r#"{"a":{"@b c":1}}"#, None, "XML attribute"),
        (r#"{"a":{"@b":{}}}"#, None, "room for a text only"),
        (r##"{"a":{"#text":[]}}"##, None, "room for a text only"),
        (r#"{"a":{"b":[[1]]}}"#, None, "an array within an array"),
        (r#"{"a":"\u0000"}"#, None, "U+0000"),
        (r#"{"a":{"@b":"\u001b"}}"#, None, "U+001B"),
        (r#"{"a":"\ufffe"}"#, None, "U+FFFE"),
    ] {
        check_encode(json, root, Err(part));
    }
}

#[test]
fn nesting_without_end_is_refused() {
    let mut value = Value::text("x");
    for _ in 0..1000 {
        let mut object = Object::new();
        object.insert("a", value);
        value = Value::object(object);
    }
    let error = encode(value.as_ref(), &XmlEncode::default(), None).unwrap_err();
    assert_eq!(error.to_string(), "nested deeper than 256 levels");
}

#[test]
fn the_order_of_elements_is_kept() {
    let xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<z k=\"1\"><y/><b><c>1</c></b><b><d/><c/><e/></b><a/></z>";
    let (value, shape) = decode(xml.as_bytes(), &XmlDecode::default(), None).unwrap();
    let back = encode(value.as_ref(), &XmlEncode::default(), Some(&shape)).unwrap();
    assert_eq!(String::from_utf8(back).unwrap(), xml);
    let sorted = encode(value.as_ref(), &XmlEncode::default(), None).unwrap();
    assert!(String::from_utf8(sorted).unwrap().contains("<z k=\"1\"><a/><b><c>1</c></b><b><c/><d/><e/></b>"));
}

/// Texts that XML can hold, among them all that needs care.
fn text() -> impl Strategy<Value = String> {
    let sign = prop_oneof![
        5 => any::<char>().prop_filter("a sign of XML", |sign| super::name::is_char(*sign)),
        5 => prop::sample::select(vec!['<', '>', '&', '"', '\'', ' ', '\t', '\n', '\r', ']', '[', '!', '-', 'a', 'é']),
    ];
    prop::collection::vec(sign, 0..8).prop_map(|signs| signs.into_iter().collect())
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "Line", "p:x", "_", "é", "x-1.2"]).prop_map(str::to_owned)
}

/// Values as documents give them: no array of one item, no array within one, `#text` beside something only, and beside
/// elements without space around it.
fn element() -> impl Strategy<Value = Value> {
    let leaf = text().prop_map(Value::text).boxed();
    let attributes = || prop::collection::btree_map(name(), text(), 0..3);
    let with_attributes = (attributes(), text()).prop_map(|(attributes, text)| members(attributes, &text, Vec::new()));
    let start = prop_oneof![leaf, with_attributes].boxed();
    start.prop_recursive(4, 32, 4, move |inner| {
        let children = prop::collection::btree_map(name(), prop::collection::vec(inner, 1..4), 1..4);
        (attributes(), text(), children).prop_map(|(attributes, text, children)| {
            let text = text.trim_matches([' ', '\t', '\n', '\r']).to_owned();
            members(attributes, &text, children.into_iter().collect())
        })
    })
}

type Children = Vec<(String, Vec<Value>)>;

fn members(attributes: std::collections::BTreeMap<String, String>, text: &str, children: Children) -> Value {
    if attributes.is_empty() && children.is_empty() {
        return Value::text(text.to_owned());
    }
    let mut object = Object::new();
    for (name, value) in attributes {
        object.insert(format!("@{name}"), Value::text(value));
    }
    if !text.is_empty() {
        object.insert("#text", Value::text(text.to_owned()));
    }
    for (name, values) in children {
        for value in values {
            object.insert_or_push(&name, value);
        }
    }
    Value::object(object)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_encoded_is_decoded_again(root in name(), content in element()) {
        let mut object = Object::new();
        object.insert(root, content);
        let value = Value::object(object);
        let xml = encode(value.as_ref(), &XmlEncode::default(), None).unwrap();
        let (back, _) = decode(&xml, &XmlDecode::default(), None).unwrap();
        prop_assert_eq!(back.as_ref().show(), value.as_ref().show());
    }

    #[test]
    fn a_decoded_document_is_encoded_to_the_same(root in name(), content in element()) {
        let mut object = Object::new();
        object.insert(root, content);
        let canonical = encode(Value::object(object).as_ref(), &XmlEncode::default(), None).unwrap();
        let (value, shape) = decode(&canonical, &XmlDecode::default(), None).unwrap();
        let again = encode(value.as_ref(), &XmlEncode::default(), Some(&shape)).unwrap();
        prop_assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&canonical));
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes, &options(&["a"], true), None);
    }

    #[test]
    fn any_markup_is_a_value_or_an_error(parts in prop::collection::vec(prop::sample::select(vec![
        "<a>", "</a>", "<b c='1'>", "</b>", "<d/>", "&amp;", "&#", "&x;", "<![CDATA[", "]]>", "<!--", "-->", "<?x", "?>",
        "<!DOCTYPE", "<", ">", "'", "\"", "=", "x", " ", "\u{1}", "<?xml version='1.0'?>", "é",
    ]), 0..24)) {
        let xml = parts.concat();
        if let Ok((value, shape)) = decode(xml.as_bytes(), &options(&["a"], true), None) {
            prop_assert!(encode(value.as_ref(), &XmlEncode::default(), Some(&shape)).is_ok());
        }
    }
}
