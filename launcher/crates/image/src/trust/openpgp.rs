//! OpenPGP keys and detached signatures (RFC 9580 and its predecessor RFC
//! 4880). The only module that knows the pgp crate.
//!
//! ```text
//! key file --Key::parse--> Key ─────────────────────────┐
//! signature --Check::begin--> Check --update(file)--> finish --> Signer
//! ```
//!
//! The specification requires a detached signature in ASCII armour over the
//! file as it is distributed ("App Container Image", "Image Archive"). The file
//! is streamed and never held in memory.
//!
//! Which signatures count:
//!
//! - those over binary data (type 0x00), by a hash without known collisions:
//!   SHA-2 or SHA-3, not MD5, SHA-1 or RIPEMD-160;
//! - those by the primary key or by a subkey, if it may sign, is bound by the
//!   primary key, and has confirmed that (the back signature; without it, anyone
//!   could claim another's key as a subkey);
//! - those by a key that is neither revoked nor expired *now*: the time of a
//!   signature is only its maker's claim;
//! - none by RSA keys of less than 2048 bits or DSA keys, and no
//!   self-signatures with a weak hash. Revocations count with any hash;
//! - none with a critical property that is not known here, nor by keys that are
//!   bound by such a self-signature.

#[cfg(feature = "openpgp")]
mod check;
#[cfg(feature = "openpgp")]
mod critical;
#[cfg(feature = "openpgp")]
mod key;
#[cfg(feature = "openpgp")]
mod message;
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
pub(crate) use self::message::open;
#[cfg(feature = "openpgp")]
pub use self::{check::Check, key::Key};
#[cfg(not(feature = "openpgp"))]
pub(crate) use without::open;
#[cfg(not(feature = "openpgp"))]
pub use without::{Check, Key};

/// Largest key file, in bytes. Keys with many certifications have some hundred
/// kilobytes.
pub const KEY_LIMIT: usize = 1 << 20;

/// Largest signature, in bytes. One by a 4096-bit RSA key has 800.
pub const SIGNATURE_LIMIT: usize = 64 << 10;

/// Identifies a key: its hash, in lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Parses a fingerprint as people write it: upper or lower case, with
    /// blanks, with `0x`.
    ///
    /// # Errors
    ///
    /// It does not have 40 digits (version 4 of the format) or 64 (version
    /// 6). In particular, it may be a key ID, which can be forged.
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
        Err(error.hint("expected 40 or 64 hexadecimal digits, as `gpg --fingerprint` shows them"))
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
    /// The trusted primary key, even if a subkey has signed.
    pub fingerprint: Fingerprint,
    /// The name in the key, if any; untrusted text.
    pub user: Option<String>,
}
