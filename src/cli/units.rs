//! Numbers as people read them.

use std::time::Duration;

/// Bytes in binary units with three digits: `512 B`, `1.50 KiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut units = UNITS.into_iter();
    let mut unit = units.next().unwrap_or_default();
    while value >= 1024.0 {
        let Some(next) = units.next() else { break };
        (value, unit) = (value / 1024.0, next);
    }
    match value {
        v if v < 10.0 => format!("{v:.2} {unit}"),
        v if v < 100.0 => format!("{v:.1} {unit}"),
        v => format!("{v:.0} {unit}"),
    }
}

/// An age in its two largest units: `350ms`, `12s`, `3m 20s`, `2d 4h`.
pub fn age(seconds: f64) -> String {
    let age = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
    let whole = age.as_secs();
    match whole {
        0 => format!("{}ms", age.subsec_millis()),
        1..60 => format!("{whole}s"),
        60..3600 => format!("{}m {}s", whole / 60, whole % 60),
        3600..86400 => format!("{}h {}m", whole / 3600, whole % 3600 / 60),
        _ => format!("{}d {}h", whole / 86400, whole % 86400 / 3600),
    }
}

/// A count with its noun: `1 dead letter`, `2 dead letters`.
pub fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_read_them() {
        for (given, shown) in
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.50 KiB"), (32 << 20, "32.0 MiB"), (u64::MAX, "16384 PiB")]
        {
            assert_eq!(bytes(given), shown);
        }
        for (given, shown) in
            [(0.35, "350ms"), (-1.0, "0ms"), (59.9, "59s"), (200.0, "3m 20s"), (7260.0, "2h 1m"), (187200.0, "2d 4h")]
        {
            assert_eq!(age(given), shown);
        }
        assert_eq!((count(1, "route"), count(0, "route")), ("1 route".into(), "0 routes".into()));
    }
}
