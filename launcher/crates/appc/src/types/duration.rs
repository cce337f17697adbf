//! Durations as people write them: `90s`, `30m`, `24h`, `1h30m`, `500ms`, `0`.

use std::time::Duration;

use error::quote::quoted;
use error::{Error, Result};

/// Milliseconds in each unit, the longest names first.
const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
];

/// Parses a duration in whole milliseconds.
///
/// # Errors
///
/// A number has no unit (except 0) or an unknown one.
pub fn duration(text: &str) -> Result<Duration> {
    milliseconds(text)
        .map(Duration::from_millis)
        .ok_or_else(|| {
            Error::usage(format!(
                "{} is not a duration such as `90s`, `30m`, `24h` or `1h30m`",
                quoted(text)
            ))
        })
}

fn milliseconds(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut total = 0_u64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..end].parse().ok()?;
        let unit = &rest[end..];
        let (name, length) = UNITS.iter().find(|(name, _)| unit.starts_with(name))?;
        total = total.checked_add(number.checked_mul(*length)?)?;
        rest = &unit[name.len()..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_span_of_time_is_refused() {
        for text in [
            "",
            "1",
            "h",
            "-1h",
            "1.5h",
            "1h 30m",
            "1x",
            "1hm",
            "9999999999999999d",
            "1µ",
        ] {
            let expected = format!(
                "{} is not a duration such as `90s`, `30m`, `24h` or `1h30m`",
                quoted(text)
            );
            let error = duration(text).err().map(|error| error.to_string());
            assert_eq!(error, Some(expected));
        }
    }

    #[test]
    fn units_add_up() {
        for (text, expected) in [
            ("0", 0),
            ("0s", 0),
            ("90s", 90),
            ("1h30m", 5400),
            ("2d", 172_800),
        ] {
            let read = duration(text).ok();
            assert_eq!(read, Some(Duration::from_secs(expected)), "{text}");
        }
        let read = duration("1m1s20ms").ok();
        assert_eq!(read, Some(Duration::from_millis(61_020)));
    }
}
