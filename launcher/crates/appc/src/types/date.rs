//! Points in time, as RFC 3339 writes them.

use error::quote::quoted;
use error::{Error, Result};

/// Refuses text that is not `YYYY-MM-DDThh:mm:ss[.fraction](Z|+hh:mm|-hh:mm)`.
///
/// `T` and `Z` in upper case and no leap seconds, as other implementations
/// want it: a manifest accepted here is accepted there.
pub(crate) fn check(text: &str) -> Result<()> {
    read(text).map(|_| ())
}

/// Reads such a text, as nanoseconds since 1970; 0 for what was before.
pub fn read(text: &str) -> Result<u64> {
    let time = date_time(text.as_bytes()).ok_or_else(|| {
        Error::invalid(format!(
            "{} is not a point in time in the form of RFC 3339, like `2004-05-14T23:11:14+00:00`",
            quoted(text)
        ))
    })?;
    Ok(u64::try_from(time.max(0)).unwrap_or(u64::MAX))
}

fn date_time(text: &[u8]) -> Option<i128> {
    let mut rest = text;
    let year = number(&mut rest, 4)?;
    sign(&mut rest, b"-")?;
    let month = number(&mut rest, 2).filter(|month| (1..=12).contains(month))?;
    sign(&mut rest, b"-")?;
    let day = number(&mut rest, 2).filter(|day| (1..=days(year, month)).contains(day))?;
    sign(&mut rest, b"T")?;
    let mut seconds = i128::from(number(&mut rest, 2).filter(|&hour| hour < 24)?);
    for _ in 0..2 {
        sign(&mut rest, b":")?;
        let sixtieth = number(&mut rest, 2).filter(|&sixtieth| sixtieth < 60)?;
        seconds = seconds * 60 + i128::from(sixtieth);
    }
    let mut nanoseconds = 0;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit());
        let (digits, behind) = fraction.split_at_checked(digits.count())?;
        let mut nine = [b'0'; 9];
        nine.iter_mut()
            .zip(digits)
            .for_each(|(to, &from)| *to = from);
        nanoseconds = number(&mut &nine[..], 9).filter(|_| !digits.is_empty())?;
        rest = behind;
    }
    match sign(&mut rest, b"Z+-")? {
        b'Z' => {}
        ahead => {
            let hours = number(&mut rest, 2).filter(|&hour| hour < 24)?;
            sign(&mut rest, b":")?;
            let minutes = number(&mut rest, 2).filter(|&minute| minute < 60)?;
            let offset = i128::from(hours * 3600 + minutes * 60);
            seconds -= if ahead == b'+' { offset } else { -offset };
        }
    }
    let length = |year| if days(year, 2) == 29 { 366 } else { 365 };
    let years = (1970..year).map(length).sum::<i128>() - (year..1970).map(length).sum::<i128>();
    let months: u32 = (1..month).map(|month| days(year, month)).sum();
    let before = years + i128::from(months + day - 1);
    let time = (before * 86_400 + seconds) * 1_000_000_000 + i128::from(nanoseconds);
    rest.is_empty().then_some(time)
}

/// Takes a number of exactly so many digits.
fn number(rest: &mut &[u8], digits: usize) -> Option<u32> {
    let (head, tail) = rest.split_at_checked(digits)?;
    *rest = tail;
    head.iter().try_fold(0, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| byte - b'0')?;
        Some(number * 10 + u32::from(digit))
    })
}

/// Takes one of the signs.
fn sign(rest: &mut &[u8], wanted: &[u8]) -> Option<u8> {
    let (&head, tail) = rest.split_first()?;
    *rest = tail;
    wanted.contains(&head).then_some(head)
}

/// Spells a point in time, in seconds since 1970: `2004-05-14T23:11:14Z`.
pub fn spell(seconds: u64) -> String {
    let (mut days_left, time) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970_u32;
    loop {
        let length = if days(year, 2) == 29 { 366 } else { 365 };
        // Nobody needs later years, and the loop has to end.
        if days_left < length || year == 9999 {
            break;
        }
        days_left -= length;
        year += 1;
    }
    let mut month = 1;
    while month < 12 && days_left >= u64::from(days(year, month)) {
        days_left -= u64::from(days(year, month));
        month += 1;
    }
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    let day = days_left + 1;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The same, to the nanosecond: `2004-05-14T23:11:14.000000001Z`.
pub fn spell_exactly(nanoseconds: u64) -> String {
    let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    let time = spell(seconds);
    format!("{}.{rest:09}Z", time.trim_end_matches('Z'))
}

fn days(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
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
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(spell(seconds), expected);
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
