//! Keys and detached signatures of OpenPGP (RFC 9580, and RFC 4880 before it):
//! the only place that knows the crate for it.
//!
//! ```text
//! key file --Key::parse--> Key ─────────────────────────┐
//! signature --Check::begin--> Check --update(file)--> finish --> Signer
//! ```
//!
//! The appc specification wants a signature over the file as it is
//! distributed, detached and in ASCII armour ("App Container Image", "Image
//! Archive"). The file passes by once and is never held.
//!
//! What counts, and what does not:
//!
//! - a signature over bytes (type 0x00), by a hash that nobody can make
//!   collide today: SHA-2 or SHA-3, not MD5, SHA-1 or RIPEMD-160;
//! - by the primary key or by a subkey, if that may sign, is bound by the
//!   primary key, and has itself agreed to it (the back signature; without it
//!   anyone could adopt somebody else's key as a subkey);
//! - by a key that is neither revoked nor expired *now*: when a signature was
//!   made is only what its maker says;
//! - RSA keys of less than 2048 bits and DSA keys do not count, and no self-signature
//!   does that is made with a weak hash. Revocations count whatever their hash.

#[cfg(feature = "openpgp")]
mod check;
#[cfg(feature = "openpgp")]
mod key;
#[cfg(feature = "openpgp")]
mod packets;
#[cfg(not(feature = "openpgp"))]
mod without;

#[cfg(all(test, feature = "openpgp"))]
mod tests;

use std::fmt;

use error::quote::quoted;
use error::{Error, Result};

#[cfg(feature = "openpgp")]
pub use self::{check::Check, key::Key};
#[cfg(not(feature = "openpgp"))]
pub use without::{Check, Key};

/// Largest file of keys that is read, in bytes. Keys that many people have
/// signed are some hundred kilobytes long.
pub const KEY_LIMIT: usize = 1 << 20;

/// Largest signature that is read, in bytes. One by RSA with 4096 bits has 800.
pub const SIGNATURE_LIMIT: usize = 64 << 10;

/// Identifies a key: a hash of it, as hexadecimal digits in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Reads what people write: in upper or lower case, with blanks, with `0x`.
    ///
    /// # Errors
    ///
    /// It has another length than 40 digits (version 4 of the format) or 64
    /// (version 6). In particular it may be a key ID, which can be forged.
    pub fn parse(text: &str) -> Result<Self> {
        let mut digits: String = text.split_whitespace().collect();
        digits.make_ascii_lowercase();
        if let Some(rest) = digits.strip_prefix("0x") {
            digits = rest.to_owned();
        }
        let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if hexadecimal && matches!(digits.len(), 40 | 64) {
            return Ok(Self(digits));
        }
        let error = Error::invalid(format!("{} is not the fingerprint of a key", quoted(text)));
        Err(error.hint("it has 40 hexadecimal digits, or 64; `gpg --fingerprint` shows it"))
    }

    /// Returns the digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the digits in groups of four, for people to compare.
    pub fn grouped(&self) -> String {
        let mut text = String::new();
        for (at, digit) in self.0.chars().enumerate() {
            if at > 0 && at % 4 == 0 {
                text.push(' ');
            }
            text.push(digit);
        }
        text
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who signed a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The trusted key; not the subkey of it that signed.
    pub fingerprint: Fingerprint,
    /// What its owner says to be called, if anything; text of strangers.
    pub user: Option<String>,
}
