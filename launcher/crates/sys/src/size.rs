//! Sizes for people.

/// Formats a number of bytes, rounded to a tenth of its unit: `999 B`,
/// `1.5 KiB`, `23.4 MiB`.
pub fn spell(bytes: u64) -> String {
    let mut unit = 1_u64;
    for name in ["B", "KiB", "MiB", "GiB", "TiB"] {
        // 1023.95 and more would be rounded to 1024.0.
        if u128::from(bytes) * 20 < u128::from(unit) * 20_479 {
            let tenths = u128::from(bytes) * 10 + u128::from(unit) / 2;
            let tenths = tenths / u128::from(unit);
            return match unit {
                1 => format!("{bytes} {name}"),
                _ => format!("{}.{} {name}", tenths / 10, tenths % 10),
            };
        }
        unit = unit.saturating_mul(1024);
    }
    format!("{} PiB", bytes >> 50)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_and_not_cut_off() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1_048_575, "1.0 MiB"),
            // 1.77 MiB
            (1_855_980, "1.8 MiB"),
            (140 << 20, "140.0 MiB"),
            (30 << 30, "30.0 GiB"),
            (u64::MAX, "16383 PiB"),
        ] {
            assert_eq!(spell(bytes), text);
        }
    }
}
