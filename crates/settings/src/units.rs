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

const DURATIONS: &[(&str, u64)] = &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZES: &[(&str, u64)] = &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// Reads `250ms`, `10s`, `5m`, `2h`, `7d`; whole numbers only.
///
/// # Errors
/// No number, no unit, an unknown unit, or more than can be told.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    parse(text, DURATIONS, "a duration", "s").map(Duration::from_millis)
}

/// Reads `512B`, `64KiB`, `1MiB`, `1GiB`; in bytes.
///
/// # Errors
/// No number, no unit, an unknown unit, or more than can be told.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    parse(text, SIZES, "a size", "MiB")
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

fn parse(text: &str, units: &[(&str, u64)], what: &str, example: &str) -> Result<u64, UnitError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let names = || units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let number: u64 = number.parse().map_err(|_| UnitError {
        message: format!("`{text}` is no {}", what.trim_start_matches("a ")),
        hint: format!("write a whole number with one of {}, for example `10{example}`", names()),
    })?;
    if unit.is_empty() {
        return Err(bare(text, what, example));
    }
    let factor = units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor).ok_or_else(|| UnitError {
        message: format!("`{unit}` is no unit of {what}"),
        hint: format!("the units are {}: `{number}{example}`", names()),
    })?;
    number.checked_mul(factor).ok_or_else(|| UnitError {
        message: format!("`{text}` is more than can be told"),
        hint: "use a smaller number".into(),
    })
}

fn bare(text: &str, what: &str, unit: &str) -> UnitError {
    UnitError { message: format!("`{text}` has no unit, and {what} needs one"), hint: format!("write `{text}{unit}`") }
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
        assert_eq!(parse_size("10").map_err(|e| e.hint), Err("write `10MiB`".into()));
        assert!(parse_size("1GB").is_err());
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
