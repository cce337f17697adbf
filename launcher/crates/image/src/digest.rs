//! Digests, and the hashes that make them: the only file that knows sha2 and hmac.
//!
//! A digest names what the store keeps. In the names of directories and for App
//! Container images it is spelled `sha512-…`, for OCI images `sha256:…`.

use std::fmt;

use hmac::{KeyInit as _, Mac as _};
use sha2::Digest as _;

use appc::digest::nibble;
use error::quote::quoted;
use error::{Error, Result};

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, for OCI images.
    Sha256,
    /// SHA-512, for App Container images.
    Sha512,
}

impl Algorithm {
    const ALL: [Self; 2] = [Self::Sha256, Self::Sha512];

    /// Returns its name in a digest.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Returns the length of its digests, in bytes.
    const fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// Splits a text into an algorithm and what follows its name and `-` or `:`.
    fn split(text: &str) -> Option<(Self, &str)> {
        Self::ALL.into_iter().find_map(|algorithm| {
            let rest = text.strip_prefix(algorithm.name())?;
            Some((algorithm, rest.strip_prefix(['-', ':'])?))
        })
    }
}

/// Hexadecimal digits that listings show of a digest.
const SHORT: usize = 32;

/// The digest of an archive, a layer or a configuration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    /// Zeros behind the algorithm's length.
    bytes: [u8; 64],
}

impl Digest {
    /// Parses `ALGORITHM-HEX` or `ALGORITHM:HEX`, in lower case.
    ///
    /// # Errors
    ///
    /// The algorithm is unknown, or the digits are not those of one of its digests.
    pub fn parse(text: &str) -> Result<Self> {
        let fault = |why: &str| Error::invalid(format!("{} is not a digest: {why}", quoted(text)));
        let (algorithm, hex) = Algorithm::split(text)
            .ok_or_else(|| fault("it does not start with `sha512-`, `sha256-` or `sha256:`"))?;
        if hex.len() != 2 * algorithm.length() {
            return Err(fault("it has the wrong length"));
        }
        let mut bytes = [0; 64];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            match (nibble(pair[0]), nibble(pair[1])) {
                (Some(high), Some(low)) => *byte = high << 4 | low,
                _ => return Err(fault("its digits are not `0` to `9` and `a` to `f`")),
            }
        }
        Ok(Self { algorithm, bytes })
    }

    /// Makes the SHA-512 digest of these bytes.
    pub const fn sha512(bytes: [u8; 64]) -> Self {
        let algorithm = Algorithm::Sha512;
        Self { algorithm, bytes }
    }

    /// Makes the digest whose hash this is: of 32 bytes with SHA-256, of 64 with
    /// SHA-512.
    pub(crate) fn of_bytes(hash: &[u8]) -> Self {
        let algorithm = match hash.len() {
            32 => Algorithm::Sha256,
            _ => Algorithm::Sha512,
        };
        let mut bytes = [0; 64];
        bytes
            .iter_mut()
            .zip(hash)
            .for_each(|(byte, of)| *byte = *of);
        Self { algorithm, bytes }
    }

    /// Returns its hash function.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the hash.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.length()]
    }

    /// Returns the hash as hexadecimal digits.
    pub fn hex(&self) -> String {
        hexadecimal(self.as_bytes())
    }

    /// Returns the form that listings show: the algorithm and 32 digits.
    pub fn short(&self) -> String {
        format!("{}-{}", self.algorithm.name(), &self.hex()[..SHORT])
    }

    /// Returns the spelling of OCI: `sha256:…`.
    pub fn oci(&self) -> String {
        format!("{}:{}", self.algorithm.name(), self.hex())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.algorithm.name(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl From<&oci::digest::Digest> for Digest {
    fn from(digest: &oci::digest::Digest) -> Self {
        let mut bytes = [0; 64];
        for (byte, pair) in bytes
            .iter_mut()
            .zip(digest.hex().as_bytes().chunks_exact(2))
        {
            let value = |digit| nibble(digit).unwrap_or_default();
            *byte = value(pair[0]) << 4 | value(pair[1]);
        }
        let algorithm = match digest.algorithm() {
            oci::digest::Algorithm::Sha256 => Algorithm::Sha256,
            oci::digest::Algorithm::Sha512 => Algorithm::Sha512,
        };
        Self { algorithm, bytes }
    }
}

/// The beginning of a digest, as people type it: with or without the algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    algorithm: Option<Algorithm>,
    hex: String,
}

impl Prefix {
    /// Parses at least two digits, in either case. `None` says that the text is
    /// something else, such as a name.
    pub fn parse(text: &str) -> Option<Self> {
        let (algorithm, hex) = match Algorithm::split(text) {
            Some((algorithm, hex)) => (Some(algorithm), hex),
            None => (None, text),
        };
        let hex = hex.to_ascii_lowercase();
        let fits = hex.len() >= 2 && hex.bytes().all(|digit| nibble(digit).is_some());
        fits.then_some(Self { algorithm, hex })
    }

    /// Tells whether the digest begins so.
    pub fn matches(&self, digest: &Digest) -> bool {
        let fits = |algorithm| algorithm == digest.algorithm;
        self.algorithm.is_none_or(fits) && digest.hex().starts_with(&self.hex)
    }
}

/// Hashes a stream into a [`Digest`].
#[derive(Clone, Debug)]
pub struct Hasher(State);

#[derive(Clone, Debug)]
enum State {
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// Starts before the first byte.
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
        })
    }

    /// Hashes the next bytes of the stream.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// Returns the digest of the stream.
    pub fn finish(self) -> Digest {
        let mut bytes = [0; 64];
        let algorithm = match self.0 {
            State::Sha256(state) => {
                bytes[..32].copy_from_slice(&state.finalize());
                Algorithm::Sha256
            }
            State::Sha512(state) => {
                bytes.copy_from_slice(&state.finalize());
                Algorithm::Sha512
            }
        };
        Digest { algorithm, bytes }
    }
}

impl std::io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Returns 32 digits of the SHA-512 of a text: what stands for it in the name of
/// a file.
pub fn file_name(text: &str) -> String {
    let mut hasher = Hasher::new(Algorithm::Sha512);
    hasher.update(text.as_bytes());
    hasher.finish().hex()[..SHORT].to_owned()
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// SHA-512 of `abc`, from FIPS 180-4's examples.
    const ABC: &str = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                       2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

    /// SHA-256 of the same.
    const ABC_256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn the_hash_is_that_of_the_algorithm_whatever_the_pieces() {
        let hash = |algorithm| {
            let mut hasher = Hasher::new(algorithm);
            for piece in [&b"a"[..], b"", b"bc"] {
                hasher.update(piece);
            }
            hasher.finish()
        };
        let id = hash(Algorithm::Sha512);
        assert_eq!(id.to_string(), format!("sha512-{ABC}"));
        assert_eq!(id.short(), format!("sha512-{}", &ABC[..32]));
        let id = hash(Algorithm::Sha256);
        assert_eq!(id.oci(), format!("sha256:{ABC_256}"));
        assert_eq!(id.as_bytes().len(), 32);
    }

    #[test]
    fn both_spellings_are_read_and_nothing_else() {
        for text in [
            format!("sha512-{ABC}"),
            format!("sha256:{ABC_256}"),
            format!("sha256-{ABC_256}"),
        ] {
            let digest = Digest::parse(&text).unwrap();
            assert_eq!(digest.to_string(), text.replace(':', "-"));
        }
        for text in [
            "",
            "sha512-",
            ABC,
            &format!("SHA512-{ABC}"),
            &format!("sha256-{ABC}"),
            &format!("sha512:{ABC_256}"),
            &format!("sha1-{ABC}"),
            &format!("sha512-{}", ABC.to_uppercase()),
            &format!("sha512-{ABC}0"),
            &format!("sha512-{}", ABC.replace("dd", "é")),
        ] {
            assert!(Digest::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_prefix_matches_what_begins_so_and_nothing_else() {
        let id = Digest::parse(&format!("sha512-{ABC}")).unwrap();
        for (text, expected) in [
            ("sha512-dd", true),
            ("sha512-DDAF", true),
            ("ddaf", true),
            ("sha512-ddae", false),
            ("sha256-ddaf", false),
            (&format!("{ABC}0"), false),
        ] {
            let prefix = Prefix::parse(text).unwrap();
            assert_eq!(prefix.matches(&id), expected, "{text}");
        }
        for text in [
            "",
            "d",
            "sha512-",
            "sha512-xyz",
            "example.com/app",
            "sha512-dd.aci",
        ] {
            assert_eq!(Prefix::parse(text), None, "{text}");
        }
    }
}
