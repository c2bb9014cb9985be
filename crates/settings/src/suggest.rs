//! "Did you mean": the nearest known name.

/// The candidate that is near enough to `name` to be what was meant.
#[must_use]
pub fn suggest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            // A name of one letter is near to every other one.
            let length = candidate.chars().count().max(name.chars().count());
            *distance <= (length / 3).max(1) && *distance < length
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[test]
    fn near_names_only() {
        let names = ["steps", "orders", "erp", "q"];
        for (name, found) in
            [("stepz", Some("steps")), ("order", Some("orders")), ("erpp", Some("erp")), ("nowhere", None), ("x", None)]
        {
            assert_eq!(suggest(name, names), found, "{name}");
        }
    }
}
