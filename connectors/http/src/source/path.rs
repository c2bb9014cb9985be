//! Paths that mean the same are the same path (RFC 3986 §6.2.2).

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use std::borrow::Cow;

/// What a path as it is typed may hold and no client sends as it is. Some send more than RFC 3986 allows (`|`, `^`).
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`');

/// A path as it is typed, in the form in which it is compared.
pub(super) fn typed(path: &str) -> String {
    canonical(&utf8_percent_encode(path, ENCODED).to_string()).into_owned()
}

/// With the digits of what is encoded in upper case, and nothing encoded that need not be.
pub(super) fn canonical(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, behind)) = rest.split_once('%') {
        out.push_str(before);
        rest = match decoded(behind) {
            Some(plain) if plain.is_ascii_alphanumeric() || b"-._~".contains(&plain) => {
                out.push(char::from(plain));
                behind.get(2..).unwrap_or_default()
            }
            Some(_) => {
                out.push('%');
                out.extend(behind.chars().take(2).map(|digit| digit.to_ascii_uppercase()));
                behind.get(2..).unwrap_or_default()
            }
            None => {
                out.push('%');
                behind
            }
        };
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The byte that two digits tell.
fn decoded(digits: &str) -> Option<u8> {
    let digits = digits.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_the_same_is_the_same() {
        for (path, same) in [
            ("/orders", "/orders"),
            ("/%c3%bc", "/%C3%BC"),
            ("/%7Euser/%61", "/~user/a"),
            ("/a%2fb", "/a%2Fb"),
            ("/100%", "/100%"),
            ("/%zz%4", "/%zz%4"),
            ("/%é", "/%é"),
        ] {
            assert_eq!(canonical(path), same);
        }
        assert_eq!(typed("/a b/ü"), "/a%20b/%C3%BC");
        assert_eq!(typed("/a%20b/%c3%bc"), typed("/a b/ü"));
    }
}
