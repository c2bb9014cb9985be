//! "Did you mean": the nearest known name.

/// The candidate that is near enough to `name` to be what was meant; else the only one that `name` is short for.
#[must_use]
pub fn suggest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let near = candidates
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase()), *candidate))
        .filter(|(distance, candidate)| {
            // A name of one letter is near to every other one.
            let length = candidate.chars().count().max(name.chars().count());
            *distance <= (length / 3).max(1) && *distance < length
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate);
    near.or_else(|| short_for(name, &candidates))
}

/// `cert` is short for `certificate`.
fn short_for<'a>(name: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let mut longer = candidates.iter().filter(|candidate| candidate.starts_with(&name.to_lowercase()));
    let found = longer.next()?;
    (name.len() >= 3 && longer.next().is_none()).then_some(*found)
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[test]
    fn near_names_only() {
        let names = ["steps", "orders", "erp", "q", "certificate", "max_bytes", "max_messages"];
        for (name, found) in [
            ("stepz", Some("steps")),
            ("order", Some("orders")),
            ("erpp", Some("erp")),
            ("cert", Some("certificate")),
            ("ce", None),
            ("max", None),
            ("nowhere", None),
            ("x", None),
        ] {
            assert_eq!(suggest(name, names), found, "{name}");
        }
    }
}
