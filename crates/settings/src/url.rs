//! URLs as they may be shown: without the password.

use crate::{Scalar, Setting};

/// A text with a scheme; a password in it is masked in what is shown.
pub fn url(scalar: &Scalar) -> Option<Setting> {
    let shown = scalar.masked.as_ref().unwrap_or(&scalar.text);
    let (scheme, _) = scalar.text.split_once("://").filter(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty())?;
    if !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
        return None;
    }
    let masked = mask_password(shown);
    if masked == scalar.text {
        return Some(Setting::Text(scalar.text.as_str().into()));
    }
    Some(Setting::Secret { value: scalar.text.as_str().into(), shown: masked.into() })
}

fn mask_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(authority_end);
    match authority.rsplit_once('@').and_then(|(user, host)| Some((user.split_once(':')?.0, host))) {
        Some((user, host)) => format!("{scheme}://{user}:***@{host}{tail}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_masked() {
        for (url, shown) in [
            ("amqp://guest:s3cret@h:1/%2f", "amqp://guest:***@h:1/%2f"),
            ("http://h/a:b@c", "http://h/a:b@c"),
            ("mqtt://u:p@ss@h", "mqtt://u:***@h"),
        ] {
            assert_eq!(mask_password(url), shown);
        }
    }
}
