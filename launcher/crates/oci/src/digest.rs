//! Digests as text: `sha256:` and 64 hexadecimal digits (image-spec,
//! descriptor.md, "Digests"). Whoever has the content computes it.

use std::fmt;

use error::quote::quoted;
use error::{Error, Result};

/// An algorithm that digests may be made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, which nearly all images use.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Returns the name, as it stands before the colon.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Returns the number of hexadecimal digits.
    fn digits(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

/// What identifies a blob: the hash of its bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    hex: Box<str>,
}

impl Digest {
    /// Reads the canonical form and no other: two spellings of one digest would
    /// be two blobs to whoever compares text.
    ///
    /// # Errors
    ///
    /// The algorithm is not known, or the digits are not lower-case hexadecimal
    /// ones in the right number.
    pub fn parse(text: &str) -> Result<Self> {
        let fault = |why: &str| Error::invalid(format!("{} is not a digest: {why}", quoted(text)));
        let Some((name, hex)) = text.split_once(':') else {
            return Err(fault("it does not start with `sha256:` or `sha512:`"));
        };
        let algorithm = match name {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            _ => {
                return Err(Error::invalid(format!(
                    "digest {} is made with {}; supported are `sha256` and `sha512`",
                    quoted(text),
                    quoted(name)
                )));
            }
        };
        if hex.len() != algorithm.digits() {
            let digits = algorithm.digits();
            return Err(fault(&format!(
                "it does not have {digits} hexadecimal digits"
            )));
        }
        if !hex
            .bytes()
            .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
        {
            return Err(fault("its digits are not `0` to `9` and `a` to `f`"));
        }
        Ok(Self {
            algorithm,
            hex: hex.into(),
        })
    }

    /// Makes the digest of content whose SHA-256 was computed.
    pub fn sha256(hash: &[u8; 32]) -> Self {
        Self::from_hash(Algorithm::Sha256, hash)
    }

    /// Makes the digest of content whose SHA-512 was computed.
    pub fn sha512(hash: &[u8; 64]) -> Self {
        Self::from_hash(Algorithm::Sha512, hash)
    }

    fn from_hash(algorithm: Algorithm, hash: &[u8]) -> Self {
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            algorithm,
            hex: hex.into(),
        }
    }

    /// Returns the algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the digits: with the algorithm's name, where a layout has the blob.
    pub fn hex(&self) -> &str {
        &self.hex
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// SHA-256 of `abc`, from FIPS 180-4's examples.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn what_is_no_digest_is_refused() {
        for text in [
            "",
            ABC,
            "sha256:",
            "sha256:abc",
            &format!(":{ABC}"),
            &format!("sha256-{ABC}"),
            &format!("SHA256:{ABC}"),
            &format!("sha256:{}", ABC.to_uppercase()),
            &format!("sha256:{ABC}0"),
            &format!("sha256: {}", &ABC[1..]),
            &format!("sha256:{}", ABC.replace("ba", "é")),
            &format!("sha512:{ABC}"),
        ] {
            assert!(Digest::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn another_algorithm_is_refused_by_name() {
        for name in ["md5", "blake3", "sha512-256", "sha256+b64u"] {
            let error = Digest::parse(&format!("{name}:{ABC}")).unwrap_err();
            let error = error.to_string();
            let end = format!("is made with `{name}`; supported are `sha256` and `sha512`");
            assert!(error.ends_with(&end), "{error}");
        }
    }

    #[test]
    fn a_digest_is_shown_as_it_was_read() {
        for text in [format!("sha256:{ABC}"), format!("sha512:{ABC}{ABC}")] {
            let digest = Digest::parse(&text).unwrap();
            assert_eq!(digest.to_string(), text);
            assert_eq!(digest.hex(), &text[7..]);
            assert_eq!(digest.algorithm().name(), &text[..6]);
        }
    }

    #[test]
    fn a_computed_hash_is_the_digest_that_is_read() {
        let hash = [0xba; 32];
        let text = format!("sha256:{}", "ba".repeat(32));
        assert_eq!(Digest::sha256(&hash), Digest::parse(&text).unwrap());
        let hash = [0x0c; 64];
        let text = format!("sha512:{}", "0c".repeat(64));
        assert_eq!(Digest::sha512(&hash), Digest::parse(&text).unwrap());
    }
}
