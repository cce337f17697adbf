//! UUIDs, which name pods (RFC 4122).

use std::fmt;

use error::quote::quoted;
use error::{Error, Result};

/// A UUID, never the nil one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// Reads 32 hexadecimal digits in either case; dashes are passed over
    /// wherever they stand.
    pub fn parse(text: &str) -> Result<Self> {
        let fault = |why: &str| Error::invalid(format!("{} is not a UUID: {why}", quoted(text)));
        let digits: String = text.chars().filter(|&digit| digit != '-').collect();
        let hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        if !hexadecimal || digits.len() != 32 {
            return Err(fault("it does not have 32 hexadecimal digits"));
        }
        // 32 hexadecimal digits are 128 bits.
        let number = u128::from_str_radix(&digits, 16).map_err(|_| fault("it is no number"))?;
        if number == 0 {
            return Err(fault("it is all zeros"));
        }
        Ok(Self(number.to_be_bytes()))
    }

    /// Makes a random UUID (version 4) of random bytes.
    pub fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_uuid_is_refused() {
        for text in [
            "",
            "asdf",
            "6733C088-A507-4694-AABF-EDBE4FC5266F123",
            "6733C088-A507-4694-AABF-EDBE4FC5266",
            "6733C088A5074694AABFEDBE4FC5266G",
            "+733C088A5074694AABFEDBE4FC5266F",
            " 6733C088-A507-4694-AABF-EDBE4FC5266F",
            "00000000-0000-0000-0000-000000000000",
        ] {
            assert!(Uuid::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn one_form_is_written_whatever_was_read() {
        for text in [
            "6733C088-A507-4694-AABF-EDBE4FC5266F",
            "6733c088-a507-4694-aabf-edbe4fc5266f",
            "6733C088A5074694AABFEDBE4FC5266F",
            "6733C088A507-4694AABFEDBE4FC5266F-",
        ] {
            assert_eq!(
                Uuid::parse(text).unwrap().to_string(),
                "6733c088-a507-4694-aabf-edbe4fc5266f"
            );
        }
    }

    #[test]
    fn random_uuids_say_that_they_are_random() {
        for byte in [0x00, 0xff] {
            let text = Uuid::from_random([byte; 16]).to_string();
            assert_eq!(&text[14..15], "4");
            assert!("89ab".contains(&text[19..20]));
        }
    }
}
