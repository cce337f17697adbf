//! Image IDs, as text; whoever has an image computes its ID.
//!
//! An image's identity is the SHA-512 of its uncompressed tar stream, every
//! byte of it, padding included (App Container Image, "Image ID"). A pod may also
//! have an OCI image, whose ID is the digest of its configuration.

use std::fmt;

use error::quote::quoted;
use error::{Error, Result};

/// The one algorithm of the specification, as it is spelled before the dash.
const ALGORITHM: &str = "sha512-";

/// The algorithm of OCI images.
const OTHER: &str = "sha256-";

/// Bytes in a digest of the specification's algorithm.
const LENGTH: usize = 64;

/// Bytes in one of the other.
const OTHER_LENGTH: usize = 32;

/// Digits of the short form that listings show.
const SHORT: usize = 32;

/// What identifies an image: `sha512-` and 128 hexadecimal digits or, for an OCI
/// image, `sha256-` and 64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageId {
    /// The number of bytes, which tells the algorithm.
    length: usize,
    /// Zeros behind them.
    bytes: [u8; LENGTH],
}

impl ImageId {
    /// Reads the canonical form and no other: two spellings of one image would
    /// be two images to whoever compares text.
    pub fn parse(text: &str) -> Result<Self> {
        Self::of(text, ALGORITHM, LENGTH)
    }

    /// Reads the ID of an image of either format.
    pub fn parse_either(text: &str) -> Result<Self> {
        match text.starts_with(OTHER) {
            true => Self::of(text, OTHER, OTHER_LENGTH),
            false => Self::parse(text),
        }
    }

    fn of(text: &str, algorithm: &str, length: usize) -> Result<Self> {
        let fault = |why: &str| {
            Err(Error::invalid(format!(
                "{} is not an image ID: {why}",
                quoted(text)
            )))
        };
        let Some(digits) = text.strip_prefix(algorithm) else {
            return fault("it does not start with `sha512-`");
        };
        if digits.len() != 2 * length {
            let count = 2 * length;
            return fault(&format!("it does not have {count} hexadecimal digits"));
        }
        let mut bytes = [0; LENGTH];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            match (nibble(pair[0]), nibble(pair[1])) {
                (Some(high), Some(low)) => *byte = high << 4 | low,
                _ => return fault("its digits are not `0` to `9` and `a` to `f`"),
            }
        }
        Ok(Self { length, bytes })
    }

    /// Tells whether a text is the beginning of an image ID: `sha512-` and at
    /// least one digit, in either case; or `sha256-` or `sha256:`.
    pub fn begins(text: &str) -> bool {
        [
            (ALGORITHM, LENGTH),
            (OTHER, OTHER_LENGTH),
            ("sha256:", OTHER_LENGTH),
        ]
        .iter()
        .any(|(algorithm, length)| {
            let digits = text.strip_prefix(algorithm).unwrap_or_default();
            (1..=2 * length).contains(&digits.len())
                && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
        })
    }

    /// Returns the digest: 64 bytes or, of an OCI image, 32.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Returns the form that listings show: `sha512-` and 32 digits.
    pub fn short(&self) -> String {
        self.to_string()[..ALGORITHM.len() + SHORT].to_owned()
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.length {
            LENGTH => ALGORITHM,
            _ => OTHER,
        })?;
        self.as_bytes()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

/// Returns the value of a lower-case hexadecimal digit.
pub fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// SHA-512 of `abc`, from FIPS 180-4's examples.
    const ABC: &str = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                       2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

    #[test]
    fn what_is_no_image_id_is_refused() {
        for text in [
            "",
            "sha512-",
            "sha512-abc",
            "sha512-abcdefghi",
            ABC,
            &format!("SHA512-{ABC}"),
            &format!("sha256-{ABC}"),
            &format!("sha1-{ABC}"),
            &format!("-{ABC}"),
            &format!("sha512-{}", ABC.to_uppercase()),
            &format!("sha512-{ABC}0"),
            &format!("sha512-{ABC}\n"),
            &format!("sha512-{}-", &ABC[1..]),
            &format!("sha512-{}", ABC.replace("dd", "é")),
        ] {
            assert!(ImageId::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_image_id_is_shown_as_it_was_read() {
        for text in [format!("sha512-{ABC}"), format!("sha256-{}", &ABC[..64])] {
            let id = ImageId::parse_either(&text).unwrap();
            assert_eq!(id.to_string(), text);
            assert_eq!(id.short(), text[..39]);
        }
        for text in [format!("sha256-{ABC}"), format!("sha512-{}", &ABC[..64])] {
            assert!(ImageId::parse_either(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_and_paths_do_not_begin_an_image_id() {
        for text in [
            "sha512-d",
            "sha512-DDAF",
            "sha256-0",
            "sha256:0A",
            &format!("sha512-{ABC}"),
        ] {
            assert!(ImageId::begins(text), "{text}");
        }
        for text in [
            "",
            "sha512-",
            "sha512-xyz",
            "example.com/app",
            "./sha512-d",
            "sha512-d.aci",
            "sha256:",
            &format!("sha512-{ABC}0"),
            &format!("sha256-{ABC}"),
        ] {
            assert!(!ImageId::begins(text), "{text}");
        }
    }
}
