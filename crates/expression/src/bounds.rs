//! How deep and long a text may be.
//!
//! The library that compiles and runs it goes down into each nested part by a call, so a text that nests without bound
//! would exhaust the stack of whoever checks, runs or drops it. The depth is told from the text before that: each open
//! bracket is a level, and so is each operator of a chain, for `a || b || c` is `(a || b) || c`. Calls that end in `!`
//! are bounded more narrowly: the time it takes to compile them doubles with each one that stands within another.

use crate::{CompileError, template::Scan};

/// Deepest nesting.
const NESTING_MAX: usize = 128;

/// Longest path, segments: what is known of a value goes down into each by several calls.
const PATH_SEGMENTS_MAX: usize = 32;

/// A call takes more of the stack than other levels.
const CALL_WEIGHT: usize = 4;

/// Most calls that end in `!` within one another: `to_float!(string!(.a))` are two.
const ASSERTED_CALLS_MAX: usize = 8;

/// Longest text, bytes.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// Keywords that hold what comes after them.
const NESTING_WORDS: [&str; 3] = ["else", "abort", "return"];

/// What is wrong with the size of a text.
pub fn check(text: &str) -> Option<CompileError> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("the expression has {} bytes, more than {TEXT_BYTES_MAX}", text.len());
        let hint = Some("divide it into several steps".into());
        return Some(CompileError { code: "expression.size", message, range: 0..0, hint });
    }
    let mut depth = Depth::new();
    let mut scan = Scan::new(text, 0);
    while let Some((at, sign)) = scan.next_outside() {
        depth.take(text.get(at..).unwrap_or_default(), sign);
        let message = if depth.total > NESTING_MAX {
            format!("the expression nests deeper than {NESTING_MAX} levels here")
        } else if depth.path > PATH_SEGMENTS_MAX {
            format!("the path has more than {PATH_SEGMENTS_MAX} segments")
        } else if depth.asserted_calls > ASSERTED_CALLS_MAX {
            format!("more than {ASSERTED_CALLS_MAX} calls that end in `!` stand within one another here")
        } else {
            continue;
        };
        let hint = Some("divide it into several statements or steps".into());
        return Some(CompileError { code: "expression.size", message, range: at..at + sign.len_utf8(), hint });
    }
    None
}

struct Depth {
    /// The text itself, and each open bracket.
    levels: Vec<Level>,
    /// All open brackets and links.
    total: usize,
    /// Open brackets of calls that end in `!`.
    asserted_calls: usize,
    /// Segments of the path that is under way.
    path: usize,
    /// The last two signs.
    before: [char; 2],
    /// The last sign that is no white space.
    significant: char,
}

#[derive(Default)]
struct Level {
    /// The operators of the chain that is under way.
    links: usize,
    /// How many levels the bracket counts as.
    weight: usize,
    /// Whether the bracket is that of a call that ends in `!`.
    asserted_call: bool,
}

impl Depth {
    fn new() -> Self {
        let levels = vec![Level::default()];
        Self { levels, total: 0, asserted_calls: 0, path: 0, before: [' '; 2], significant: ' ' }
    }

    fn take(&mut self, rest: &str, sign: char) {
        let [last_but_one, last] = self.before;
        match sign {
            '(' | '[' | '{' => {
                let asserted_call = sign == '(' && last == '!' && is_word(last_but_one);
                let is_call = sign == '(' && (is_word(last) || asserted_call);
                let weight = if is_call { CALL_WEIGHT } else { 1 };
                self.levels.push(Level { links: 0, weight, asserted_call });
                self.total += weight;
                self.asserted_calls += usize::from(asserted_call);
            }
            ')' | ']' | '}' if self.levels.len() > 1 => {
                let level = self.levels.pop().unwrap_or_default();
                self.total = self.total.saturating_sub(level.links + level.weight);
                self.asserted_calls -= usize::from(level.asserted_call);
            }
            ',' | ';' => self.end_chain(),
            // Behind an operator the chain goes on in the next line; a comment ends a line too.
            '\n' | '#' if !is_operator(self.significant) => self.end_chain(),
            '!' => self.link(),
            _ if is_operator(sign) && !is_operator(last) => self.link(),
            _ if !is_word(last) && begins_nesting_word(rest) => self.link(),
            _ => {}
        }
        self.path = match sign {
            '.' => self.path + 1,
            '[' => self.path + usize::from(self.path > 0),
            _ if is_word(sign) || matches!(sign, '"' | ']' | '@' | '-') => self.path,
            _ => 0,
        };
        self.before = [last, sign];
        if !sign.is_whitespace() && sign != '#' {
            self.significant = sign;
        }
    }

    fn link(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            level.links += 1;
            self.total += 1;
        }
    }

    fn end_chain(&mut self) {
        if let Some(level) = self.levels.last_mut() {
            self.total = self.total.saturating_sub(std::mem::take(&mut level.links));
        }
    }
}

const fn is_operator(sign: char) -> bool {
    matches!(sign, '|' | '&' | '+' | '-' | '*' | '/' | '=' | '<' | '>' | '!' | '?')
}

fn is_word(sign: char) -> bool {
    sign.is_alphanumeric() || sign == '_'
}

fn begins_nesting_word(rest: &str) -> bool {
    NESTING_WORDS.iter().any(|word| rest.strip_prefix(word).is_some_and(|rest| !rest.starts_with(is_word)))
}

#[cfg(test)]
mod tests {
    use crate::{Compiler, Use};

    /// Compiles, runs and drops on a stack as small as a worker's.
    fn check(text: String, fits: bool) {
        let run = move || {
            let compiled = Compiler::new().compile(&text, Use::Transform);
            let size = compiled.as_ref().err().is_some_and(|errors| errors.iter().any(|e| e.code == "expression.size"));
            assert_eq!(!size, fits, "{:.60}… of {} bytes: {compiled:?}", text, text.len());
        };
        std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
    }

    fn nested(open: &str, middle: &str, close: &str, depth: usize) -> String {
        format!("x = {}{middle}{}", open.repeat(depth), close.repeat(depth))
    }

    #[test]
    fn what_fits_exhausts_no_stack() {
        for (open, middle, close) in [("(", "1", ")"), ("[", "1", "]"), ("!", "true", ""), ("{\"a\":", "1", "}")] {
            check(nested(open, middle, close, 100), true);
        }
        check(nested("if true {", "1", "}", 100), true);
        check(nested("", "true", " || true", 100), true);
        check(nested("upcase(", "string!(.a)", ")", 30), true);
        check(nested("to_int!(to_string!(", ".a", "))", 2), true);
        check(format!(".x{} = 1", ".a".repeat(30)), true);
        check(format!(".x{} = 1", "[0]".repeat(30)), true);
        check(".a = 1 + 2 * 3 # b\n".repeat(1_000), true);
        check(format!("x = [{}]", "1 + 1, ".repeat(1_000)), true);
    }

    #[test]
    fn what_is_too_deep_is_an_error() {
        for (open, middle, close) in [
            ("(", "1", ")"),
            ("[", "1", "]"),
            ("{", "1", "}"),
            ("!", "true", ""),
            ("abort ", "\"\"", ""),
            ("y = ", "1", ""),
        ] {
            check(nested(open, middle, close, 5_000), false);
        }
        for link in [" || true", " ||\n true", " + 1", " ?? 1", " || # why\n true"] {
            check(nested("", "true", link, 3_000), false);
        }
        check(format!("if .a == 1 {{ 1 }}{}", " else if .a == 2 { 2 }".repeat(2_000)), false);
        check(nested("string!(", ".a", ")", 20), false);
        check(format!(".x{} = 1", ".a".repeat(5_000)), false);
        check(format!(".x{} = 1", "[0]".repeat(5_000)), false);
        check("x".repeat(100_000), false);
    }
}
