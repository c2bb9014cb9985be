//! Topic names and topic filters (MQTT 5 §4.7, §4.8.2; the same in 3.1.1 but for shared subscriptions, which brokers of
//! both versions have).

/// Longest name or filter: its length goes over the wire in 16 bits.
const BYTES_MAX: usize = 65_535;

/// Why a text is no topic, and how to mend it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wrong {
    pub(crate) text: &'static str,
    pub(crate) hint: &'static str,
}

const fn wrong(text: &'static str, hint: &'static str) -> Result<(), Wrong> {
    Err(Wrong { text, hint })
}

/// Whether a message may be published there.
pub(crate) fn check_name(name: &str) -> Result<(), Wrong> {
    check_text(name)?;
    if name.contains(['+', '#']) {
        return wrong("`+` and `#` are for filters, not for the topic of a message", "name one topic");
    }
    Ok(())
}

/// Whether it can be subscribed to.
pub(crate) fn check_filter(filter: &str) -> Result<(), Wrong> {
    check_text(filter)?;
    let filter = match filter.strip_prefix("$share/") {
        None if filter == "$share" => return wrong("`$share` lacks its group", "write it as $share/GROUP/FILTER"),
        None => filter,
        Some(rest) => {
            let (group, filter) = rest.split_once('/').unwrap_or((rest, ""));
            if group.is_empty() || group.contains(['+', '#']) || filter.is_empty() {
                return wrong("a shared subscription names a group and a filter", "write it as $share/GROUP/FILTER");
            }
            filter
        }
    };
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        if level == "#" && levels.peek().is_some() {
            return wrong("`#` stands for all levels that follow, so it is the last", "cut the filter behind `#`");
        }
        if level.len() > 1 && level.contains(['+', '#']) {
            return wrong("a wildcard fills a whole level", "write `plant/+/temp` or `plant/#`, not `plant/a+`");
        }
    }
    Ok(())
}

fn check_text(text: &str) -> Result<(), Wrong> {
    if text.is_empty() {
        return wrong("a topic has at least one character", "name a topic");
    }
    if text.len() > BYTES_MAX {
        return wrong("a topic has at most 65535 bytes", "shorten it");
    }
    if !text.chars().all(is_taken) {
        return wrong("a topic holds no control characters", "leave out NUL, tabs, line breaks and the like");
    }
    Ok(())
}

/// Whether a broker takes the character in a text (§1.5.4): none takes NUL, and some, Mosquitto among them, end the connection
/// over a control character or what Unicode calls no character.
pub(crate) const fn is_taken(character: char) -> bool {
    let code = character as u32;
    !matches!(code, 0x00..=0x1f | 0x7f..=0x9f | 0xfdd0..=0xfdef) && code & 0xfffe != 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn filters() {
        for good in [
            "a",
            "/",
            "a/b",
            "+",
            "#",
            "a/#",
            "+/+/c",
            "/+",
            "a//b",
            "$SYS/#",
            "$share/g/a/+",
            "ü/ø",
            "$share/g/#",
            "+/#",
        ] {
            assert_eq!(check_filter(good), Ok(()), "{good}");
        }
        let long = "x".repeat(65_536);
        for bad in [
            "",
            "a#",
            "#/a",
            "a/#/b",
            "a+",
            "+a/b",
            "++",
            "a\0b",
            "$share",
            "$share/",
            "$share/g",
            "$share/g/",
            "$share/+/a",
            "$share//a",
            "a/##",
            &long,
        ] {
            assert!(check_filter(bad).is_err(), "{bad:.20}");
        }
    }

    #[test]
    fn names() {
        for good in ["a", "/", "a b/c", "$SYS/x", "$share/g/a", "ü"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", "+", "a/#", "a+b", "\0"] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_is_a_filter_unless_it_is_shared(name in "[a-z/+# $]{0,12}") {
            prop_assume!(!name.starts_with("$share"));
            if check_name(&name).is_ok() {
                prop_assert!(check_filter(&name).is_ok());
            }
        }

        #[test]
        fn filters_are_those_of_the_codec(filter in "[a+#/]{1,8}") {
            prop_assert_eq!(check_filter(&filter).is_ok(), rumqttc_v4::valid_filter(&filter));
        }
    }
}
