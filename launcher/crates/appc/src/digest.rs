//! Image IDs, and the hash that makes them: the only file that knows sha2 and hmac.
//!
//! An image's identity is the SHA-512 of its uncompressed tar stream, every
//! byte of it, padding included (App Container Image, "Image ID").

use std::fmt;

use hmac::{KeyInit as _, Mac as _};
use sha2::Digest;

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

    /// Returns the digest.
    pub fn as_bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }

    /// Returns the form that listings show: `sha512-` and 32 digits.
    pub fn short(&self) -> String {
        format!("{ALGORITHM}{}", &self.digits()[..SHORT])
    }

    fn digits(&self) -> String {
        hexadecimal(&self.0)
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ALGORITHM}{}", self.digits())
    }
}

impl fmt::Debug for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

/// The beginning of an image ID, as people type it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageIdPrefix(String);

impl ImageIdPrefix {
    /// Reads `sha512-` and at least one digit, in either case. `None` says
    /// that the text is something else, such as a name or a path.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(ALGORITHM)?.to_ascii_lowercase();
        let hexadecimal = digits.bytes().all(|digit| nibble(digit).is_some());
        let fits = (1..=2 * LENGTH).contains(&digits.len());
        (hexadecimal && fits).then_some(Self(digits))
    }

    /// Tells whether the image ID begins so.
    pub fn matches(&self, id: &ImageId) -> bool {
        id.digits().starts_with(&self.0)
    }
}

/// Hashes a stream into an [`ImageId`].
#[derive(Clone, Default)]
pub struct Hasher(sha2::Sha512);

impl Hasher {
    /// Starts before the first byte.
    pub fn new() -> Self {
        Self(sha2::Sha512::new())
    }

    /// Takes the next bytes of the stream.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the identity of all the bytes taken.
    pub fn finish(self) -> ImageId {
        ImageId(self.0.finalize().into())
    }
}

/// Length of the key of a [`Code`], in bytes: one block of the hash.
pub const KEY: usize = 128;

/// A message authentication code, HMAC-SHA512 (RFC 2104), in the making.
pub struct Code(hmac::Hmac<sha2::Sha512>);

impl Code {
    /// Starts with a key.
    pub fn new(key: &[u8; KEY]) -> Self {
        Self(hmac::Hmac::new(&(*key).into()))
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Returns the code of all bytes.
    pub fn finish(self) -> Vec<u8> {
        self.0.finalize().into_bytes().to_vec()
    }

    /// Tells whether this is the code of all bytes. Takes as long for a wrong
    /// one as for the right one.
    pub fn is(self, code: &[u8]) -> bool {
        self.0.verify_slice(code).is_ok()
    }
}

/// Writes bytes as lower-case hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(digit).collect()
}

/// Returns the value of a lower-case hexadecimal digit.
fn nibble(digit: u8) -> Option<u8> {
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
    fn the_hash_is_sha512_whatever_the_pieces() {
        let mut hasher = Hasher::new();
        for piece in [&b"a"[..], b"", b"bc"] {
            hasher.update(piece);
        }
        let id = hasher.finish();
        assert_eq!(id.to_string(), format!("sha512-{ABC}"));
        assert_eq!(ImageId::parse(&id.to_string()).unwrap(), id);
        assert_eq!(id.short(), format!("sha512-{}", &ABC[..32]));
    }

    #[test]
    fn a_prefix_matches_what_begins_so_and_nothing_else() {
        let id = ImageId::parse(&format!("sha512-{ABC}")).unwrap();
        for (text, expected) in [
            ("sha512-d", true),
            ("sha512-DDAF", true),
            ("sha512-ddae", false),
        ] {
            let prefix = ImageIdPrefix::parse(text).unwrap();
            assert_eq!(prefix.matches(&id), expected, "{text}");
        }
        let whole = ImageIdPrefix::parse(&id.to_string()).unwrap();
        assert!(whole.matches(&id));
    }

    #[test]
    fn names_and_paths_are_no_prefixes() {
        for text in [
            "",
            "sha512-",
            "sha512-xyz",
            "example.com/app",
            "./sha512-d",
            "sha512-d.aci",
        ] {
            assert_eq!(ImageIdPrefix::parse(text), None, "{text}");
        }
    }
}
