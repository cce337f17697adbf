//! UUIDs, which identify pods (RFC 4122).

use std::fmt;

use error::quote::quoted;
use error::{Error, Result};

/// A UUID, never the nil one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(uuid::Uuid);

impl Uuid {
    /// Parses 32 hexadecimal digits in either case. Dashes are ignored,
    /// wherever they are.
    pub fn parse(text: &str) -> Result<Self> {
        let fault = |why: &str| Error::invalid(format!("{} is not a UUID: {why}", quoted(text)));
        let digits = text.replace('-', "");
        let hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        match uuid::Uuid::try_parse(&digits) {
            Ok(uuid) if hexadecimal && uuid.is_nil() => Err(fault("it is all zeros")),
            Ok(uuid) if hexadecimal => Ok(Self(uuid)),
            _ => Err(fault("it does not have 32 hexadecimal digits")),
        }
    }

    /// Makes a random UUID (version 4) from random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// Returns its bytes.
    pub fn bytes(&self) -> [u8; 16] {
        self.0.into_bytes()
    }
}

/// In lower case, with the usual dashes.
impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
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
