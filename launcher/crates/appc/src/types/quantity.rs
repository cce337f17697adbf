//! Quantities of resources: `250m` processors, `1Gi` bytes.
//!
//! ```text
//! quantity = [ "+" / "-" ] ( digits [ "." digits ] / "." digits ) [ suffix ]
//! suffix   = "Ki" / "Mi" / "Gi" / "Ti" / "Pi" / "Ei"               powers of 1024
//!          / "n" / "u" / "m" / "k" / "M" / "G" / "T" / "P" / "E"   powers of 1000
//!          / ( "e" / "E" ) [ "+" / "-" ] digits                    powers of 10
//! ```
//!
//! Quantities are stored as a whole number of billionths, never as floating
//! point. Anything finer is rounded away from zero, so that a small request
//! never becomes zero.

use std::fmt;

use error::quote::quoted;
use error::{Error, Result};

/// Billionths in one.
const ONE: i128 = 1_000_000_000;

/// Decimal places that are stored.
const PLACES: i64 = 9;

/// Significant digits of a fraction that are read; later digits can only round
/// up the last one. 18 digits times 1024^6 stay below 2^127.
const DIGITS: usize = 18;

/// The largest quantity with a binary suffix, 2^63 - 1.
const BINARY_LIMIT: i128 = (i64::MAX as i128) * ONE;

/// Powers of 1024, each with its suffix.
const BINARY: &[&str] = &["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// Powers of 1000, smallest first, each with its suffix.
const DECIMAL: &[&str] = &["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];

/// An amount of a resource.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    billionths: i128,
    form: Form,
}

/// The family of suffixes that a quantity was written with and is displayed
/// with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Binary,
    Decimal,
    Exponent,
}

/// What the suffix does to the number.
#[derive(Clone, Copy)]
enum Scale {
    /// Times 1024 to this power.
    Binary(u32),
    /// Times ten to this power.
    Decimal(i64, Form),
}

impl Quantity {
    /// Parses a quantity. Blanks are not allowed anywhere.
    pub fn parse(text: &str) -> Result<Self> {
        read(text).ok_or_else(|| {
            let error = Error::invalid(format!("{} is not a quantity", quoted(text)));
            match suggestion(text) {
                Some(hint) => error.hint(hint),
                None => error
                    .hint("use a number, optionally followed by one of n, u, m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei"),
            }
        })
    }

    /// Returns the quantity in units, rounded away from zero.
    pub fn units(self) -> i64 {
        rounded(self.billionths, ONE)
    }

    /// Returns the quantity in thousandths, rounded away from zero.
    pub fn millis(self) -> i64 {
        rounded(self.billionths, ONE / 1000)
    }

    /// Tells whether it is less than zero.
    pub fn is_negative(self) -> bool {
        self.billionths < 0
    }

    /// Tells whether it is zero.
    pub fn is_zero(self) -> bool {
        self.billionths == 0
    }
}

/// Compares amounts: `1024` and `1Ki` are equal.
impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.billionths == other.billionths
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.billionths.cmp(&other.billionths)
    }
}

/// The canonical form: no fraction, and the largest suffix that allows it.
/// Binary quantities below 1024, or with a fraction, are shown in decimal.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.billionths % ONE == 0;
        let large = self.billionths.unsigned_abs() >= 1024 * ONE.unsigned_abs();
        match self.form {
            _ if self.billionths == 0 => f.write_str("0"),
            Form::Binary if whole && large => {
                let limit = BINARY.len() - 1;
                let (number, power) = reduced(self.billionths / ONE, 1024, limit);
                write!(f, "{number}{}", BINARY[power])
            }
            Form::Binary | Form::Decimal => {
                let (number, power) = reduced(self.billionths, 1000, DECIMAL.len() - 1);
                write!(f, "{number}{}", DECIMAL[power])
            }
            Form::Exponent => match reduced(self.billionths, 1000, usize::MAX) {
                (number, 3) => write!(f, "{number}"),
                (number, power @ 0..3) => write!(f, "{number}e-{}", 9 - 3 * power),
                (number, power) => write!(f, "{number}e{}", 3 * power - 9),
            },
        }
    }
}

/// Divides while there is no remainder, at most `limit` times.
fn reduced(mut number: i128, base: i128, limit: usize) -> (i128, usize) {
    let mut power = 0;
    while power < limit && number % base == 0 {
        number /= base;
        power += 1;
    }
    (number, power)
}

/// Divides and rounds away from zero, within 64 bits.
fn rounded(billionths: i128, unit: i128) -> i64 {
    let limit = if billionths < 0 { i64::MIN } else { i64::MAX };
    i64::try_from(divided(billionths, unit)).unwrap_or(limit)
}

fn divided(number: i128, unit: i128) -> i128 {
    number / unit + (number % unit).signum()
}

fn read(text: &str) -> Option<Quantity> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let end = rest
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if number.is_empty() || fraction.contains('.') {
        return None;
    }
    let scale = scale(suffix)?;
    let (mantissa, places) = mantissa(whole, fraction);
    let (magnitude, form) = match scale {
        Scale::Binary(power) => {
            let scaled = mantissa.saturating_mul(1_i128 << (10 * power));
            (
                shifted(scaled, PLACES - places).min(BINARY_LIMIT),
                Form::Binary,
            )
        }
        Scale::Decimal(power, form) => (shifted(mantissa, power + PLACES - places), form),
    };
    let billionths = if negative { -magnitude } else { magnitude };
    Some(Quantity { billionths, form })
}

fn scale(suffix: &str) -> Option<Scale> {
    if let Some(power) = DECIMAL.iter().position(|known| *known == suffix) {
        let power = i64::try_from(power).ok()?;
        return Some(Scale::Decimal(3 * power - PLACES, Form::Decimal));
    }
    if let Some(power) = BINARY.iter().position(|known| *known == suffix) {
        return Some(Scale::Binary(u32::try_from(power).ok()?));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Larger exponents give zero or the maximum anyway.
    let power = digits.parse().unwrap_or(i64::MAX).min(1000);
    let sign = if exponent.starts_with('-') { -1 } else { 1 };
    Some(Scale::Decimal(sign * power, Form::Exponent))
}

/// Returns the digits as one number, and the number of decimal places.
fn mantissa(whole: &str, fraction: &str) -> (i128, i64) {
    let fraction = fraction.trim_end_matches('0');
    let mut number: i128 = 0;
    let mut places: i64 = 0;
    let mut significant = 0;
    let mut rest = false;
    let digits = whole.bytes().map(|digit| (digit, false));
    for (digit, decimal) in digits.chain(fraction.bytes().map(|digit| (digit, true))) {
        let digit = digit - b'0';
        if decimal && significant >= DIGITS {
            rest |= digit != 0;
            continue;
        }
        number = number.saturating_mul(10).saturating_add(digit.into());
        places += i64::from(decimal);
        significant += usize::from(number != 0);
    }
    (number.saturating_add(rest.into()), places)
}

/// Multiplies by a power of ten; a negative one divides, rounding up.
fn shifted(number: i128, power: i64) -> i128 {
    let Ok(size) = u32::try_from(power.unsigned_abs()) else {
        return number;
    };
    match 10_i128.checked_pow(size) {
        Some(factor) if power >= 0 => number.saturating_mul(factor),
        Some(factor) => divided(number, factor),
        // Zero stays zero, and the smallest trace is rounded up to a billionth.
        None if number == 0 => 0,
        None if power >= 0 => i128::MAX,
        None => 1,
    }
}

/// Suggests what was probably meant.
fn suggestion(text: &str) -> Option<&'static str> {
    let trimmed = text.trim();
    if trimmed != text {
        return Some("remove the spaces");
    }
    let suffix = trimmed.trim_start_matches(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    match suffix {
        "K" | "KB" | "kB" => Some("a thousand is a small `k`; 1024 is `Ki`"),
        "ki" | "KI" | "KiB" => Some("1024 is `Ki`"),
        "B" | "MB" | "GB" | "TB" | "MiB" | "GiB" | "TiB" => Some("remove the `B`"),
        _ => None,
    }
}

#[cfg(test)]
#[path = "quantity_tests.rs"]
mod tests;
