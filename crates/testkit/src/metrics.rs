//! The gateway's metrics as it shows them (OpenMetrics text).

/// All series of one look.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Metrics(Vec<Series>);

#[derive(Clone, PartialEq, Debug)]
struct Series {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Metrics {
    /// Reads the text; what is no series (comments, `# EOF`) is passed over.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(series).collect())
    }

    /// The sum of all series of the name that have these labels; none where there is no such series.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |series: &&Series| {
            series.name == name
                && labels.iter().all(|(key, value)| series.labels.iter().any(|(k, v)| k == key && v == value))
        };
        let values: Vec<f64> = self.0.iter().filter(has).map(|series| series.value).collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// How many messages of all routes, or of one, ended so.
    #[must_use]
    pub fn messages(&self, outcome: &str, route: Option<&str>) -> u64 {
        let mut labels = vec![("outcome", outcome)];
        labels.extend(route.map(|route| ("route", route)));
        self.sum("crossdock_messages_total", &labels).unwrap_or(0.0) as u64
    }
}

fn series(line: &str) -> Option<Series> {
    let name_end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))?;
    let (name, rest) = line.split_at(name_end);
    let (labels, rest) = match rest.strip_prefix('{') {
        None => (Vec::new(), rest),
        Some(rest) => labels(rest)?,
    };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    (!name.is_empty()).then(|| Series { name: name.to_owned(), labels, value })
}

/// `a="b",c="d"}` and what follows; `\\`, `\"` and `\n` are unescaped.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, after) = rest.split_once("=\"")?;
        let (mut value, mut is_escaped, mut end) = (String::new(), false, None);
        for (at, c) in after.char_indices() {
            match c {
                _ if is_escaped => {
                    value.push(if c == 'n' { '\n' } else { c });
                    is_escaped = false;
                }
                '\\' => is_escaped = true,
                '"' => {
                    end = Some(at + 1);
                    break;
                }
                _ => value.push(c),
            }
        }
        labels.push((name.to_owned(), value));
        rest = after.get(end?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_read_and_summed() {
        let metrics = Metrics::parse(
            "# TYPE m counter\nm{route=\"a\",outcome=\"x\"} 3\nm{route=\"b \\\"}\\\\\",outcome=\"x\"} 4 1700\nn 1.5\n# EOF\n",
        );
        for (name, labels, sum) in [
            ("m", vec![], Some(7.0)),
            ("m", vec![("route", "a")], Some(3.0)),
            ("m", vec![("route", "b \"}\\"), ("outcome", "x")], Some(4.0)),
            ("m", vec![("route", "c")], None),
            ("n", vec![], Some(1.5)),
            ("o", vec![], None),
        ] {
            assert_eq!(metrics.sum(name, &labels), sum, "{name} {labels:?}");
        }
    }
}
