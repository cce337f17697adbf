//! The tables of the specification's tests for quantities.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;

fn billionths(text: &str) -> i128 {
    Quantity::parse(text)
        .unwrap_or_else(|error| panic!("{error}"))
        .billionths
}

#[test]
fn what_is_no_quantity_is_refused() {
    for text in [
        "", "1.1.M", "1+1.0M", "0.1mi", "0.1am", "aoeu", ".5i", "1i", "-3.01i", "-3.01e-", " 1",
        "1 ", "1 G", "1K", "1ki", "1KI", "1GB", "0x10", "1e", "1e+", "1e1.5", "--1", "+-1", "+",
        "-", "Ki", "1Kii", "1mm", "NaN", "inf", "1_000", "1,5", "٣", "1é",
    ] {
        assert!(Quantity::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn nothing_is_nothing_with_any_suffix() {
    for text in [
        "0",
        "0n",
        "0u",
        "0m",
        "0Ki",
        "0k",
        "0Mi",
        "0M",
        "0Gi",
        "0G",
        "0Ti",
        "0T",
        "0e9",
        "0E-9",
        "0e99999999999999999999",
        ".",
        "-.",
        "+.",
        "0.0",
        "-0",
    ] {
        let quantity = Quantity::parse(text).unwrap();
        assert!(quantity.is_zero() && !quantity.is_negative(), "{text}");
        assert_eq!(quantity.to_string(), "0");
    }
}

#[test]
fn suffixes_multiply() {
    for (text, expected) in [
        ("1Ki", 1024 * ONE),
        ("7Mi", (7 << 20) * ONE),
        ("6Gi", (6 << 30) * ONE),
        ("5Ti", (5 << 40) * ONE),
        ("4Pi", (4 << 50) * ONE),
        ("3Ei", (3 << 60) * ONE),
        ("5n", 5),
        ("4u", 4_000),
        ("3m", 3_000_000),
        ("9", 9 * ONE),
        ("8k", 8_000 * ONE),
        ("50k", 50_000 * ONE),
        ("7M", 7_000_000 * ONE),
        ("6G", 6_000_000_000 * ONE),
        ("5T", 5_000_000_000_000 * ONE),
        ("2P", 2_000_000_000_000_000 * ONE),
        ("1E", 1_000_000_000_000_000_000 * ONE),
        ("1E-3", ONE / 1000),
        ("1e3", 1_000 * ONE),
        ("1E6", 1_000_000 * ONE),
        ("1E18", 1_000_000_000_000_000_000 * ONE),
        ("1.3E+6", 1_300_000 * ONE),
        ("100.035k", 100_035 * ONE),
        ("0.0005k", ONE / 2),
        (".0001k", ONE / 10),
        ("0.5e-2", ONE / 200),
        ("7.123456M", 7_123_456 * ONE),
        ("2.5P", 2_500_000_000_000_000 * ONE),
        ("1.01E", 1_010_000_000_000_000_000 * ONE),
        ("100.035Ki", 102_435_840_000_000),
        ("0.05Gi", 53_687_091_200_000_000),
        ("0.025Ti", 27_487_790_694_400_000_000),
        (".001", ONE / 1000),
        ("1.", ONE),
        ("1.G", 1_000_000_000 * ONE),
        ("12E", 12_000_000_000_000_000_000 * ONE),
        ("99E", 99_000_000_000_000_000_000 * ONE),
    ] {
        assert_eq!(billionths(text), expected, "{text}");
        assert_eq!(billionths(&format!("+{text}")), expected, "+{text}");
        assert_eq!(billionths(&format!("-{text}")), -expected, "-{text}");
    }
}

#[test]
fn what_is_too_fine_is_rounded_away_from_zero() {
    for (text, expected) in [
        ("0.9n", 1),
        ("3.001n", 4),
        ("1.1E-9", 2),
        ("0.0000000001", 1),
        ("0.5e-9", 1),
        ("0.00000012345", 124),
        ("0.000000000001Ki", 2),
        ("1e-500", 1),
        ("0.00000000000000000000000000000000000000000000000001", 1),
        (
            "1.00000000000000000000000000000000000000000000000001",
            ONE + 1,
        ),
        ("1.00000000000000000000000000000000000000000000000000", ONE),
    ] {
        assert_eq!(billionths(text), expected, "{text}");
        assert_eq!(billionths(&format!("-{text}")), -expected, "-{text}");
    }
}

#[test]
fn what_is_too_much_is_the_most_there_is() {
    for text in [
        "9Ei",
        "9223372036854775807Ki",
        "1000000000000000000000000000000000000000Ei",
    ] {
        assert_eq!(billionths(text), BINARY_LIMIT, "{text}");
        assert_eq!(billionths(&format!("-{text}")), -BINARY_LIMIT, "-{text}");
    }
    for text in [
        "1e300",
        "9e9223372036854775808",
        "99999999999999999999999999999999999999999",
    ] {
        let quantity = Quantity::parse(text).unwrap();
        assert_eq!((quantity.units(), quantity.millis()), (i64::MAX, i64::MAX));
        let quantity = Quantity::parse(&format!("-{text}")).unwrap();
        assert_eq!(quantity.units(), i64::MIN);
        assert!(quantity.is_negative());
    }
}

#[test]
fn reading_out_rounds_away_from_zero() {
    for (text, units, millis) in [
        ("1m", 1, 1),
        ("0.5", 1, 500),
        ("1n", 1, 1),
        ("999m", 1, 999),
        ("30m", 1, 30),
        ("2", 2, 2_000),
        ("-1m", -1, -1),
        ("1Gi", 1 << 30, 1000 << 30),
        ("2Gi", 2_147_483_648, 2_147_483_648_000),
        ("1G", 1_000_000_000, 1_000_000_000_000),
    ] {
        let quantity = Quantity::parse(text).unwrap();
        assert_eq!(
            (quantity.units(), quantity.millis()),
            (units, millis),
            "{text}"
        );
    }
}

#[test]
fn the_canonical_form_has_no_fraction() {
    for (text, expected) in [
        ("1024Mi", "1Gi"),
        ("1000M", "1G"),
        ("300Mi", "300Mi"),
        ("1.5Gi", "1536Mi"),
        ("1.5", "1500m"),
        ("1.00001Ki", "1024010240u"),
        ("0.5Ki", "512"),
        (".001Ki", "1024m"),
        (".000000000001Ki", "2n"),
        ("1.08", "1080m"),
        ("1234567M", "1234567M"),
        ("3000", "3k"),
        ("1e9", "1e9"),
        ("80e-3", "80e-3"),
        ("1e0", "1"),
        ("1E21", "1e21"),
        ("1000E", "1000E"),
        ("1025", "1025"),
    ] {
        for sign in ["", "-"] {
            let quantity = Quantity::parse(&format!("{sign}{text}")).unwrap();
            let shown = quantity.to_string();
            assert_eq!(shown, format!("{sign}{expected}"));
            assert_eq!(Quantity::parse(&shown).unwrap(), quantity);
        }
    }
    // Binary numbers that no suffix of theirs fits.
    for (units, expected) in [(1025, "1025"), (5, "5"), (1024 * 1024, "1Mi")] {
        let quantity = Quantity {
            billionths: units * ONE,
            form: Form::Binary,
        };
        assert_eq!(quantity.to_string(), expected);
    }
}

#[test]
fn amounts_are_compared_and_not_spellings() {
    let quantity = |text| Quantity::parse(text).unwrap();
    assert!(quantity("10000T") > quantity("100Gi"));
    assert!(quantity("100m") > quantity("50m"));
    assert_eq!(quantity("1024"), quantity("1Ki"));
}

#[test]
fn common_mistakes_get_a_hint() {
    for (text, hint) in [
        ("1K", "hint: a thousand is a small `k`; 1024 is `Ki`"),
        ("1GB", "hint: remove the `B`"),
        (" 1G", "hint: remove the spaces"),
    ] {
        let error = Quantity::parse(text).unwrap_err().to_string();
        assert_eq!(error, format!("`{text}` is not a quantity\n{hint}"));
    }
}
