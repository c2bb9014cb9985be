//! How to mend what is wrong with an expression.

use crate::{Use, diagnose::one_line, functions::why_missing, metadata::Field};
use crossdock_settings::suggest;
use std::ops::Range;
use vrl::parser::{
    self, Literal,
    ast::{Container, Expr, Node, Opcode, RootExpr},
};

/// What to say of a function that is not there.
pub fn unknown_function(name: &str, names: &[&'static str]) -> (String, Option<String>) {
    if let Some(reason) = why_missing(name) {
        return (format!("there is no function `{name}` here"), Some(reason.to_owned()));
    }
    let near = suggest(name, names.iter().copied()).map(|near| format!("did you mean `{near}`?"));
    (format!("unknown function `{name}`"), near)
}

/// What to write for a bare word.
pub fn variable(text: &str, word: &Range<usize>) -> String {
    let name = text.get(word.clone()).unwrap_or_default();
    if let Some((mark, field)) = with_hyphens(text, word) {
        return format!(
            "a name with `-` in it stands in quotes: `{mark}\"{field}\"`; of a difference, a field is `.{name}`"
        );
    }
    format!("a field of the payload is `.{name}`, metadata is `%…`, a text stands in quotes: \"{name}\"")
}

/// The name of a field, with the sign before it, that was taken for a difference: `%headers.x-unit`.
fn with_hyphens<'a>(text: &'a str, word: &Range<usize>) -> Option<(char, &'a str)> {
    let is_of_name = |sign: char| sign.is_alphanumeric() || sign == '_' || sign == '-';
    let (before, after) = (text.get(..word.start)?, text.get(word.end..)?);
    let stem = before.trim_end_matches(is_of_name);
    let mark = stem.chars().next_back().filter(|sign| matches!(sign, '.' | '%'))?;
    let before_mark = stem.trim_end_matches(['.', '%']);
    let whole = before_mark.len() - before_mark.trim_end_matches(is_of_name).len();
    let is_number = whole > 0 && before_mark.bytes().rev().take(whole).all(|byte| byte.is_ascii_digit());
    if is_number {
        return None;
    }
    let end = text.len() - after.trim_start_matches(is_of_name).len();
    before.ends_with('-').then_some((mark, text.get(stem.len()..end)?))
}

/// What to write for something that can fail.
pub fn fallible(snippet: &str) -> String {
    match certain(snippet) {
        Some(certain) => {
            format!(
                "write `{}` to reject the message when it fails, or give another value with `?? …`",
                one_line(&certain)
            )
        }
        None => {
            "add `!` to the call that can fail, to reject the message then, or another value with `?? …`".to_owned()
        }
    }
}

/// What to write where an argument may be of a wrong type.
pub fn argument(snippet: &str, expected: Option<String>) -> Option<String> {
    let expected = expected?;
    let kinds = expected.split_once(" expects ").map(|(_, kinds)| kinds)?;
    let expects = |kind: &str| kinds.split(|c: char| !c.is_ascii_alphabetic()).any(|word| word == kind);
    let guards = [
        ("string", "string"),
        ("integer", "int"),
        ("float", "float"),
        ("boolean", "bool"),
        ("timestamp", "timestamp"),
        ("array", "array"),
        ("object", "object"),
    ];
    let guards = guards.into_iter().filter(|(kind, _)| expects(kind));
    let certain: Vec<_> = guards.map(|(_, guard)| format!("`{guard}!({})`", one_line(snippet))).collect();
    if certain.is_empty() {
        return None;
    }
    Some(format!("write {} there, to reject a message in which it is something else", certain.join(" or ")))
}

/// What to write where a boolean is needed.
pub fn boolean(snippet: &str) -> String {
    let operand = one_line(snippet);
    format!("compare it, `{operand} == true`, or write `bool!({operand})`")
}

/// What to write for a condition that is none.
pub fn condition(text: &str) -> String {
    let text = one_line(text);
    match text.as_str() {
        "" => "write a comparison, for example `.total != 0`".to_owned(),
        _ => format!("compare it, for example `{text} == true`, or ask whether it is there: `exists({text})`"),
    }
}

/// What is wrong with an assignment that is not allowed.
pub fn read_only_message(snippet: &str, usage: Use) -> String {
    match usage {
        Use::Condition | Use::Value => format!("`{}` would change the message", one_line(snippet)),
        Use::Transform => format!("`{}` would change what is read-only", one_line(snippet)),
    }
}

/// What may be assigned.
pub fn read_only(usage: Use) -> String {
    match usage {
        Use::Condition => {
            "a condition changes nothing: to compare, write `==`; to change, use the step `transform`".into()
        }
        Use::Value => "this only reads: to change the message, use the step `transform`".into(),
        Use::Transform => {
            let writable = Field::ALL.into_iter().filter(|field| field.is_writable());
            let names: Vec<_> = writable.map(|field| format!("%{}", field.name())).collect();
            format!("beside the payload these can be changed: {}", names.join(", "))
        }
    }
}

/// The library lists what may come next; long lists help nobody.
pub fn syntax(expected: Option<String>) -> Option<String> {
    let expected = expected?;
    let few = expected.matches('"').count() <= 12;
    if few {
        Some(expected)
    } else {
        Some("look for an unclosed bracket, a missing operator or a stray sign".to_owned())
    }
}

/// What to say of a name behind `%` that is not there.
pub fn unknown_metadata(name: &str) -> (String, String) {
    let names = Field::ALL.map(Field::name);
    let hint = match suggest(name, names) {
        Some(near) => format!("did you mean `%{near}`?"),
        None => {
            format!("a header is `%headers.{name}`; metadata has {}", names.map(|name| format!("%{name}")).join(", "))
        }
    };
    (format!("there is no metadata `%{name}`"), hint)
}

/// Where `%name` stands outside of literals; the whole text if it cannot be found.
pub fn find_metadata(text: &str, name: &str) -> Range<usize> {
    let mut rest = 0..0;
    for (at, _) in text.match_indices('%') {
        let after = text.get(at + 1..).unwrap_or_default();
        let Some(behind) = after.strip_prefix(name) else { continue };
        let ends = !behind.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        if ends && !crate::template::is_in_literal(text, at) {
            return at..at + 1 + name.len();
        }
        rest = at..at + 1 + name.len();
    }
    if rest.is_empty() { 0..text.trim_end().len() } else { rest }
}

/// The snippet with everything of uncertain type made certain: `.total > 0` becomes `to_float!(.total) > 0`.
fn certain(snippet: &str) -> Option<String> {
    let program = parser::parse(snippet).ok()?;
    let root = program.0.into_iter().next()?;
    let RootExpr::Expr(expression) = root.into_inner() else { return None };
    let certain = rewrite(snippet, &expression, None);
    (certain != snippet).then_some(certain)
}

/// What an operand must be.
#[derive(Clone, Copy)]
enum Wanted {
    Number,
    Text,
    Time,
}

fn rewrite(text: &str, node: &Node<Expr>, wanted: Option<Wanted>) -> String {
    let whole = text.get(node.span().range()).unwrap_or_default();
    match node.inner() {
        Expr::FunctionCall(call) if !call.inner().abort_on_error => {
            let name_end = call.inner().ident.span().end() - node.span().start();
            let (name, rest) = whole.split_at_checked(name_end).unwrap_or((whole, ""));
            // A call that cannot fail stays as it is: only the outermost call is what the finding is about.
            if rest.starts_with('(') { format!("{name}!{rest}") } else { whole.to_owned() }
        }
        Expr::Query(_) | Expr::Variable(_) => match wanted {
            Some(Wanted::Number) => format!("to_float!({whole})"),
            Some(Wanted::Text) => format!("string!({whole})"),
            Some(Wanted::Time) => format!("timestamp!({whole})"),
            None => whole.to_owned(),
        },
        Expr::Op(op) => {
            let parser::ast::Op(left, opcode, right) = op.inner();
            let wanted = operands(opcode.inner(), left, right);
            format!("{} {} {}", rewrite(text, left, wanted), opcode.inner().as_str(), rewrite(text, right, wanted))
        }
        Expr::Container(container) => match container.inner() {
            Container::Group(group) => format!("({})", rewrite(text, &group.inner().0, wanted)),
            Container::Block(_) | Container::Array(_) | Container::Object(_) => whole.to_owned(),
        },
        Expr::Literal(_)
        | Expr::IfStatement(_)
        | Expr::Assignment(_)
        | Expr::FunctionCall(_)
        | Expr::Unary(_)
        | Expr::Abort(_)
        | Expr::Return(_)
        | Expr::Break(_) => whole.to_owned(),
    }
}

/// What both operands must be, guessed from a literal beside them.
fn operands(opcode: &Opcode, left: &Node<Expr>, right: &Node<Expr>) -> Option<Wanted> {
    match opcode {
        Opcode::Mul | Opcode::Div | Opcode::Sub => Some(Wanted::Number),
        Opcode::Add | Opcode::Ge | Opcode::Gt | Opcode::Le | Opcode::Lt => {
            Some(of_literal(left).or(of_literal(right)).unwrap_or(Wanted::Number))
        }
        Opcode::Or | Opcode::And | Opcode::Err | Opcode::Ne | Opcode::Eq | Opcode::Merge => None,
    }
}

fn of_literal(node: &Node<Expr>) -> Option<Wanted> {
    let Expr::Literal(literal) = node.inner() else { return None };
    match literal.inner() {
        Literal::String(_) | Literal::RawString(_) => Some(Wanted::Text),
        Literal::Integer(_) | Literal::Float(_) => Some(Wanted::Number),
        Literal::Timestamp(_) => Some(Wanted::Time),
        Literal::Boolean(_) | Literal::Regex(_) | Literal::Null => None,
    }
}
