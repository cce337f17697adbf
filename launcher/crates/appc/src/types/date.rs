//! Points in time, as RFC 3339 writes them.
//!
//! With `image/fetch/http/headers.rs`, which reads the dates of HTTP, the only
//! file that knows the time crate.

use error::quote::quoted;
use error::{Error, Result};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The last second of the year 9999; RFC 3339 cannot write later ones.
const LAST: i64 = 253_402_300_799;

/// Rejects text that is not `YYYY-MM-DDThh:mm:ss[.fraction](Z|+hh:mm|-hh:mm)`.
///
/// `T` and `Z` in upper case and no leap seconds, as other implementations
/// require: a manifest accepted here is accepted there.
pub(crate) fn check(text: &str) -> Result<()> {
    read(text).map(|_| ())
}

/// Reads such a text, as nanoseconds since 1970; 0 for earlier times.
///
/// # Errors
///
/// The text has another form, or names a time that does not exist.
pub fn read(text: &str) -> Result<u64> {
    let strict =
        text.get(10..11) == Some("T") && text.get(17..19) != Some("60") && !text.ends_with('z');
    let time = OffsetDateTime::parse(text, &Rfc3339).ok();
    let time = time.filter(|_| strict).ok_or_else(|| {
        Error::invalid(format!(
            "{} is not a valid RFC 3339 time such as `2004-05-14T23:11:14+00:00`",
            quoted(text)
        ))
    })?;
    let nanoseconds = time.unix_timestamp_nanos().max(0);
    Ok(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

/// Writes a point in time, in seconds since 1970: `2004-05-14T23:11:14Z`.
pub fn spell(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).map_or(LAST, |seconds| seconds.min(LAST));
    let time = OffsetDateTime::from_unix_timestamp(seconds);
    let time = time.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&Rfc3339).unwrap_or_default()
}

/// Writes the day of a point in time, in Coordinated Universal Time: `2004-05-14`.
pub fn spell_day(seconds: u64) -> String {
    let mut time = spell(seconds);
    time.truncate("2004-05-14".len());
    time
}

/// Writes a point in time to the nanosecond: `2004-05-14T23:11:14.000000001Z`.
pub fn spell_exactly(nanoseconds: u64) -> String {
    let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    let time = spell(seconds);
    format!("{}.{rest:09}Z", time.trim_end_matches('Z'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_point_in_time_is_refused() {
        for text in [
            "",
            "garbage",
            "1416015188",
            "Fri Nov 14 17:53:02 PST 2014",
            "2014-11-1417:36:54",
            "2014-11-14 17:36:54Z",
            "2014-11-14t17:36:54Z",
            "2014-11-14T17:36:54z",
            "2014-11-14T17:36:54",
            "2014-11-14T17:36Z",
            "2014-02-30T00:00:00Z",
            "2015-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2014-00-01T00:00:00Z",
            "2014-13-01T00:00:00Z",
            "2014-01-00T00:00:00Z",
            "2014-01-01T24:00:00Z",
            "2014-01-01T00:60:00Z",
            "2014-01-01T00:00:60Z",
            "2016-12-31T23:59:60Z",
            "2014-01-01T00:00:00,5Z",
            "2014-01-01T00:00:00.Z",
            "2014-01-01T00:00:00.",
            "2014-01-01T00:00:00+0100",
            "2014-01-01T00:00:00+24:00",
            "2014-01-01T00:00:00+01:60",
            "2014-01-01T00:00:00Z ",
            "2014-01-01T00:00:00Zé",
            "١٩١٤-01-01T00:00:00Z",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }

    #[test]
    fn points_in_time_are_accepted() {
        for text in [
            "2004-05-14T23:11:14+00:00",
            "2001-02-03T04:05:06Z",
            "2014-11-14T17:36:54-08:00",
            "2000-02-29T23:59:59.123456789012Z",
            "0000-01-01T00:00:00.0+23:59",
        ] {
            check(text).unwrap();
        }
    }

    #[test]
    fn points_in_time_are_spelled_as_they_are_read() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_084_576_274, "2004-05-14T23:11:14Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(spell(seconds), expected);
            assert_eq!(spell_day(seconds), expected[..10]);
            assert_eq!(read(expected).unwrap(), seconds * 1_000_000_000);
            let exact = spell_exactly(seconds * 1_000_000_000 + 1234);
            assert_eq!(exact, expected.replace('Z', ".000001234Z"));
            assert_eq!(read(&exact).unwrap(), seconds * 1_000_000_000 + 1234);
        }
    }

    #[test]
    fn offsets_and_fractions_count() {
        for (text, expected) in [
            ("1970-01-01T00:00:01.5Z", 1_500_000_000),
            ("1970-01-01T01:00:01+01:00", 1_000_000_000),
            ("1969-12-31T23:00:01-01:00", 1_000_000_000),
            ("1970-01-01T00:00:00-00:01", 60_000_000_000),
            ("1970-01-01T00:00:00.1234567899Z", 123_456_789),
            ("1970-01-01T00:00:00+00:01", 0),
            ("0000-01-01T00:00:00Z", 0),
            ("9999-12-31T23:59:59Z", u64::MAX),
        ] {
            assert_eq!(read(text).unwrap(), expected, "{text}");
        }
    }
}
