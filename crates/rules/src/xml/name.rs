//! Which signs and names XML allows (XML 1.0, fifth edition, productions 2, 4 and 4a).

/// Whether a document may hold the sign, directly or as a reference.
pub const fn is_char(sign: char) -> bool {
    matches!(sign, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Whether an element or attribute may have the name; a namespace prefix may stand before it.
pub fn is_name(name: &str) -> bool {
    let mut signs = name.chars();
    signs.next().is_some_and(is_name_start)
        && signs.all(|sign| {
            is_name_start(sign)
                || matches!(sign, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
        })
}

const fn is_name_start(sign: char) -> bool {
    matches!(
        sign,
        ':' | '_'
            | 'A'..='Z'
            | 'a'..='z'
            | '\u{C0}'..='\u{D6}'
            | '\u{D8}'..='\u{F6}'
            | '\u{F8}'..='\u{2FF}'
            | '\u{370}'..='\u{37D}'
            | '\u{37F}'..='\u{1FFF}'
            | '\u{200C}'..='\u{200D}'
            | '\u{2070}'..='\u{218F}'
            | '\u{2C00}'..='\u{2FEF}'
            | '\u{3001}'..='\u{D7FF}'
            | '\u{F900}'..='\u{FDCF}'
            | '\u{FDF0}'..='\u{FFFD}'
            | '\u{10000}'..='\u{EFFFF}'
    )
}
