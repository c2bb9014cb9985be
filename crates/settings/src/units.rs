//! Durations, sizes and rates as routes.yaml writes them. A bare number is an error whose text repeats it with a unit.

use std::time::Duration;

/// Why a text is no value of its unit.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct UnitError {
    /// What is wrong.
    pub message: String,
    /// How to write it.
    pub hint: String,
}

/// How many in a second.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rate {
    /// Events per second, above zero.
    pub per_second: f64,
}

impl Rate {
    /// From one event to the next. A rate so slow that no clock tells it is one event a century.
    #[must_use]
    pub fn interval(self) -> Duration {
        const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
        Duration::try_from_secs_f64(1.0 / self.per_second).unwrap_or(CENTURY).min(CENTURY)
    }
}

struct Units {
    /// What they measure, with its article.
    what: &'static str,
    /// Names and factors, the smallest first.
    units: &'static [(&'static str, u64)],
    /// What other tools call them, in small letters: for hints alone.
    others: &'static [(&'static str, f64)],
    /// What a bare number is likely to be.
    bare: &'static str,
    /// A usual one.
    example: &'static str,
}

const DURATIONS: Units = Units {
    what: "a duration",
    units: &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)],
    others: &[
        ("us usec micros microseconds µs", 0.001),
        ("ms msec msecs milli millis millisecond milliseconds", 1.0),
        ("s sec secs second seconds", 1000.0),
        ("m min mins minute minutes", 60_000.0),
        ("h hr hrs hour hours", 3_600_000.0),
        ("d day days", 86_400_000.0),
        ("w wk week weeks", 604_800_000.0),
    ],
    bare: "s",
    example: "s",
};

const SIZES: Units = Units {
    what: "a size",
    units: &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)],
    others: &[
        ("b byte bytes", 1.0),
        ("k kb kib", 1024.0),
        ("m mb mib", 1_048_576.0),
        ("g gb gib", 1_073_741_824.0),
        ("t tb tib", 1_099_511_627_776.0),
    ],
    bare: "B",
    example: "MiB",
};

/// Reads `250ms`, `10s`, `5m`, `2h`, `7d`; whole numbers only.
///
/// # Errors
/// No number, no unit, an unknown unit, or more than can be told.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    parse(text, &DURATIONS).map(Duration::from_millis)
}

/// Reads `512B`, `64KiB`, `1MiB`, `1GiB`; in bytes.
///
/// # Errors
/// No number, no unit, an unknown unit, or more than can be told.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    parse(text, &SIZES)
}

/// Reads `100/s`, `30/m`, `5000/h`.
///
/// # Errors
/// No number, zero, no unit, or an unknown unit.
pub fn parse_rate(text: &str) -> Result<Rate, UnitError> {
    let (number, unit) = text.split_once('/').unwrap_or((text, ""));
    let number: f64 = number.trim().parse().unwrap_or(f64::NAN);
    let seconds = match unit.trim() {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "" if number.is_finite() => return Err(bare(text, "a rate", "/s")),
        _ => f64::NAN,
    };
    let per_second = number / seconds;
    if per_second.is_finite() && per_second > 0.0 {
        return Ok(Rate { per_second });
    }
    Err(UnitError { message: format!("`{text}` is no rate"), hint: "write it as `100/s`, `30/m` or `5000/h`".into() })
}

fn parse(text: &str, units: &Units) -> Result<u64, UnitError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let what = units.what;
    let wrong = |message: String| UnitError { message, hint: units.hint(text) };
    let number: u64 = number.parse().map_err(|_| wrong(format!("`{text}` is no {}", what.trim_start_matches("a "))))?;
    if unit.is_empty() {
        return Err(bare(text, what, units.bare));
    }
    let factor = units.factor(unit).ok_or_else(|| wrong(format!("`{unit}` is no unit of {what}")))?;
    number.checked_mul(factor).ok_or_else(|| UnitError {
        message: format!("`{text}` is more than can be told"),
        hint: "use a smaller number".into(),
    })
}

fn bare(text: &str, what: &str, unit: &str) -> UnitError {
    UnitError { message: format!("`{text}` has no unit, and {what} needs one"), hint: format!("write `{text}{unit}`") }
}

impl Units {
    fn factor(&self, unit: &str) -> Option<u64> {
        self.units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor)
    }

    /// How to write what a text that is not taken is likely to mean: the same value, with `KB` and its like as powers of 1,024.
    fn hint(&self, text: &str) -> String {
        let names = self.units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        match self.meant(text) {
            Some(meant) => format!("write `{meant}`; the units are {names}"),
            None => format!("write a whole number with one of {names}, for example `10{}`", self.example),
        }
    }

    /// The same value as it is taken: of `1m30s`, `1.5s`, `5 min`, `64KB`.
    fn meant(&self, text: &str) -> Option<String> {
        let mut rest = text.trim();
        let mut sum = 0.0;
        while !rest.is_empty() {
            let end = rest.find(|sign: char| !sign.is_ascii_digit() && sign != '.')?;
            let (number, after) = rest.split_at(end);
            let after = after.trim_start();
            let end = after.find(|sign: char| !sign.is_alphabetic()).unwrap_or(after.len());
            let (unit, after) = after.split_at(end);
            let unit = unit.to_lowercase();
            let known = self.others.iter().find(|(names, _)| names.split(' ').any(|name| name == unit));
            sum += number.parse::<f64>().ok()? * known?.1;
            rest = after.trim_start();
        }
        // What a float tells exactly, and what is no less than the smallest unit.
        if sum.fract() != 0.0 || !(1.0..9e15).contains(&sum) {
            return None;
        }
        let sum = format!("{sum}").parse::<u64>().ok()?;
        let (name, factor) = self.units.iter().rev().find(|(_, factor)| sum.is_multiple_of(*factor))?;
        Some(format!("{}{name}", sum / factor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes() {
        let millis = |text| parse_duration(text).map(|d| d.as_millis()).map_err(|e| e.hint);
        assert_eq!(millis("250ms"), Ok(250));
        assert_eq!(millis("7d"), Ok(604_800_000));
        assert_eq!(millis("5"), Err("write `5s`".into()));
        for wrong in ["", "s", "-1s", "1.5s", "5 s", "5sec", "99999999999999999999s", "18446744073709551615d"] {
            assert!(millis(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_size("64KiB"), Ok(65536));
        assert_eq!(parse_size("10").map_err(|e| e.hint), Err("write `10B`".into()));
        assert!(parse_size("1GB").is_err());
        let hint = |text: &str| match text.contains(char::is_lowercase) {
            true => parse_duration(text).map_err(|e| e.hint).unwrap_err(),
            false => parse_size(text).map_err(|e| e.hint).unwrap_err(),
        };
        let meant = [
            ("1m30s", "90s"),
            ("1.5s", "1500ms"),
            ("5min", "5m"),
            ("90 min", "90m"),
            ("2w", "14d"),
            ("1500us", ""),
            ("-1s", ""),
            ("0.1ms", ""),
            ("1..5s", ""),
            ("64KB", "64KiB"),
            ("1GB", "1GiB"),
            ("1.5 M", "1536KiB"),
            ("X", ""),
            ("1X", ""),
        ];
        for (text, meant) in meant {
            let hint = hint(text);
            let expected = if meant.is_empty() {
                "write a whole number with one of ".into()
            } else {
                format!("write `{meant}`; ")
            };
            assert!(hint.starts_with(&expected), "{text}: {hint}");
        }
    }

    #[test]
    fn rates() {
        assert_eq!(parse_rate("30/s"), Ok(Rate { per_second: 30.0 }));
        assert_eq!(parse_rate("30/m"), Ok(Rate { per_second: 0.5 }));
        assert_eq!(parse_rate("5").map_err(|e| e.hint), Err("write `5/s`".into()));
        for wrong in ["0/s", "x/s", "5/d", "", "-1/s", "inf/s"] {
            assert!(parse_rate(wrong).is_err(), "{wrong}");
        }
    }
}
