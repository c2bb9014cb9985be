//! Media types and file extensions, both ways.

/// Extension, the type of a whole file, the type of a line of it.
const TYPES: &[(&str, &str, &str)] = &[
    ("json", "application/json", "application/json"),
    ("xml", "application/xml", "application/xml"),
    ("csv", "text/csv", "text/csv"),
    ("txt", "text/plain", "text/plain"),
    ("log", "text/plain", "text/plain"),
    ("ndjson", "application/x-ndjson", "application/json"),
    ("jsonl", "application/x-ndjson", "application/json"),
];

/// The type that a file's extension tells, of the file or of a line of it.
pub fn of_extension(extension: &str, lines: bool) -> Option<&'static str> {
    let found = TYPES.iter().find(|(known, _, _)| known.eq_ignore_ascii_case(extension))?;
    Some(if lines { found.2 } else { found.1 })
}

/// The extension, with its dot, for a content type; parameters do not matter, `+json` and `+xml` do.
pub fn extension(content_type: &str) -> Option<&'static str> {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    match essence.rsplit_once('+').map_or(essence, |(_, suffix)| suffix).to_ascii_lowercase().as_str() {
        "application/json" | "json" => Some(".json"),
        "application/xml" | "text/xml" | "xml" => Some(".xml"),
        "text/csv" => Some(".csv"),
        "text/plain" => Some(".txt"),
        "application/x-ndjson" => Some(".ndjson"),
        _ => None,
    }
}

/// Whether a file of this extension tells the content type, so that it is not lost.
pub fn carries(file_extension: &str, content_type: &str, lines: bool) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    of_extension(file_extension, lines).is_some_and(|told| told.eq_ignore_ascii_case(essence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_extensions() {
        for (content_type, expected) in [
            ("application/json; charset=utf-8", Some(".json")),
            ("application/vnd.acme+json", Some(".json")),
            ("text/xml", Some(".xml")),
            ("IMAGE/svg+XML", Some(".xml")),
            ("image/png", None),
            ("", None),
        ] {
            assert_eq!(extension(content_type), expected, "{content_type}");
        }
        assert_eq!(of_extension("JSONL", true), Some("application/json"));
        assert_eq!(of_extension("jsonl", false), Some("application/x-ndjson"));
        assert!(carries("jsonl", "application/json; charset=utf-8", true) && !carries("log", "application/json", true));
    }
}
