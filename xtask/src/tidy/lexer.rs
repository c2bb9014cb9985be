//! Rust text with what is no code blanked: comments, and the insides of strings and characters. Lines and columns stay, so
//! that a word found in the rest is a word of code, and a brace is a brace.

/// The text with everything but code replaced by spaces; line breaks stay.
pub fn code_only(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let length = match skip(rest, before) {
            Skip::Code => {
                out.push(first);
                first.len_utf8()
            }
            Skip::Blank(length) => {
                let (skipped, _) = rest.split_at(length);
                out.extend(skipped.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
                length
            }
        };
        let (taken, left) = rest.split_at(length);
        before = taken.chars().next_back().unwrap_or(' ');
        rest = left;
    }
    out
}

enum Skip {
    /// One character of code.
    Code,
    /// So many bytes that are none.
    Blank(usize),
}

fn skip(rest: &str, before: char) -> Skip {
    if rest.starts_with("//") {
        return Skip::Blank(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Skip::Blank(block_comment(rest));
    }
    if rest.starts_with('"') {
        return Skip::Blank(1 + string_end(rest.get(1..).unwrap_or_default()));
    }
    let is_word = before.is_alphanumeric() || before == '_';
    if !is_word && let Some(length) = raw_string(rest) {
        return Skip::Blank(length);
    }
    // Also behind a letter: `b'x'`.
    if rest.starts_with('\'')
        && let Some(length) = character(rest)
    {
        return Skip::Blank(length);
    }
    Skip::Code
}

/// The length of a comment `/* … */`, which may hold others.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(left) = rest.get(at..).filter(|left| !left.is_empty()) {
        if left.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if left.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                break;
            }
        } else {
            at += left.chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// The length of a string from behind its opening quote to behind its closing one.
fn string_end(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of `r"…"`, `r#"…"#`, `br"…"`, `cr"…"`, if one begins here.
fn raw_string(rest: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"]
        .into_iter()
        .find(|prefix| rest.strip_prefix(prefix).is_some_and(|left| left.trim_start_matches('#').starts_with('"')))?;
    let left = rest.get(prefix.len()..)?;
    let hashes = left.len() - left.trim_start_matches('#').len();
    let open = prefix.len() + hashes + 1;
    let close = format!("\"{}", "#".repeat(hashes));
    Some(rest.get(open..)?.find(&close).map_or(rest.len(), |at| open + at + close.len()))
}

/// The length of a character literal, if this is one and not a lifetime.
fn character(rest: &str) -> Option<usize> {
    let mut characters = rest.char_indices().skip(1);
    let (_, first) = characters.next()?;
    if first == '\\' {
        characters.next()?;
        return characters.find(|(_, c)| *c == '\'').map(|(at, _)| at + 1);
    }
    characters.next().filter(|(_, c)| *c == '\'').map(|(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_is_left() {
        for (text, left) in [
            ("a // b", "a     "),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("x\"}", 'y')"#, r#"f(      ,    )"#),
            ("'a: loop {}", "'a: loop {}"),
            ("b'{' b", "b    b"),
            ("<'a>('{', '\\'', '\\u{7d}')", "<'a>(   ,     ,         )"),
            (r#"r"\" x"#, "     x"),
            (r###"br#"a"b"# x"###, "          x"),
            ("\"a\nb\" c", "  \n   c"),
            ("let var\"x\"", "let var   "),
        ] {
            assert_eq!(code_only(text), left, "{text}");
        }
    }
}
