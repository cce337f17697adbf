//! Checks that an operator can disable, each by its own name.

use crate::archive::stream::Growth;
use error::{Error, Result};

/// The checks that are disabled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Insecure {
    /// Images need no signature.
    pub image: bool,
    /// Servers need no valid certificate.
    pub tls: bool,
    /// Plain HTTP is allowed if HTTPS does not answer.
    pub http: bool,
    /// Keys may be fetched over connections that are not secure.
    pub pubkey: bool,
    /// Archives may become as much larger as they like.
    pub compression: bool,
}

impl Insecure {
    /// Parses a comma-separated list of names.
    ///
    /// # Errors
    ///
    /// A name is unknown.
    pub fn parse(text: &str) -> Result<Self> {
        let mut insecure = Self::default();
        for name in text.split(',') {
            match name {
                "none" => {}
                "image" => insecure.image = true,
                "tls" => insecure.tls = true,
                "http" => insecure.http = true,
                "pubkey" => insecure.pubkey = true,
                "compression" => insecure.compression = true,
                "all-fetch" => {
                    insecure = Self {
                        image: true,
                        tls: true,
                        http: true,
                        pubkey: true,
                        compression: true,
                    };
                }
                other => {
                    return Err(Error::usage(format!(
                        "`{other}` is not a check that can be disabled"
                    ))
                    .hint(
                        "use `image`, `tls`, `http`, `pubkey` or `compression`, \
                         or `all-fetch` for all of them",
                    ));
                }
            }
        }
        Ok(insecure)
    }

    /// Returns how much larger than its compressed form an archive may be.
    pub fn growth(self) -> Growth {
        match self.compression {
            true => Growth::Any,
            false => Growth::Bounded,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_is_given_up() {
        let insecure = Insecure::parse("image,http").unwrap();
        assert!(insecure.image && insecure.http && !insecure.tls && !insecure.pubkey);
        assert_eq!(Insecure::parse("none").unwrap(), Insecure::default());
    }

    #[test]
    fn a_check_that_there_is_not_cannot_be_given_up() {
        assert_eq!(
            Insecure::parse("image,al").unwrap_err().to_string(),
            "`al` is not a check that can be disabled\n\
             hint: use `image`, `tls`, `http`, `pubkey` or `compression`, \
             or `all-fetch` for all of them"
        );
    }
}
