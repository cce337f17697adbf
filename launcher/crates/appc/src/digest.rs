//! Image IDs, as text; whoever has an image computes its ID.
//!
//! An image's identity is the SHA-512 of its uncompressed tar stream, every
//! byte of it, padding included (App Container Image, "Image ID").

use std::fmt;

use error::quote::quoted;
use error::{Error, Result};

/// The one algorithm of the specification, as it is spelled before the dash.
const ALGORITHM: &str = "sha512-";

/// Bytes in a digest.
const LENGTH: usize = 64;

/// Digits of the short form that listings show.
const SHORT: usize = 32;

/// What identifies an image: `sha512-` and 128 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageId([u8; LENGTH]);

impl ImageId {
    /// Reads the canonical form and no other: two spellings of one image would
    /// be two images to whoever compares text.
    pub fn parse(text: &str) -> Result<Self> {
        let fault = |why: &str| {
            Err(Error::invalid(format!(
                "{} is not an image ID: {why}",
                quoted(text)
            )))
        };
        let Some(digits) = text.strip_prefix(ALGORITHM) else {
            return fault("it does not start with `sha512-`");
        };
        if digits.len() != 2 * LENGTH {
            return fault("it does not have 128 hexadecimal digits");
        }
        let mut bytes = [0; LENGTH];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            match (nibble(pair[0]), nibble(pair[1])) {
                (Some(high), Some(low)) => *byte = high << 4 | low,
                _ => return fault("its digits are not `0` to `9` and `a` to `f`"),
            }
        }
        Ok(Self(bytes))
    }

    /// Tells whether a text is the beginning of an image ID: `sha512-` and at
    /// least one digit, in either case.
    pub fn begins(text: &str) -> bool {
        let digits = text.strip_prefix(ALGORITHM).unwrap_or_default();
        (1..=2 * LENGTH).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit())
    }

    /// Returns the digest.
    pub fn as_bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }

    /// Returns the form that listings show: `sha512-` and 32 digits.
    pub fn short(&self) -> String {
        self.to_string()[..ALGORITHM.len() + SHORT].to_owned()
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ALGORITHM)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
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
        let text = format!("sha512-{ABC}");
        let id = ImageId::parse(&text).unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(id.short(), text[..39]);
    }

    #[test]
    fn names_and_paths_do_not_begin_an_image_id() {
        for text in ["sha512-d", "sha512-DDAF", &format!("sha512-{ABC}")] {
            assert!(ImageId::begins(text), "{text}");
        }
        for text in [
            "",
            "sha512-",
            "sha512-xyz",
            "example.com/app",
            "./sha512-d",
            "sha512-d.aci",
            &format!("sha512-{ABC}0"),
        ] {
            assert!(!ImageId::begins(text), "{text}");
        }
    }
}
