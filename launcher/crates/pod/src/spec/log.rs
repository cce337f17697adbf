//! Where to keep the output of apps that run detached.

use appc::types::Quantity;
use error::quote::quoted;
use error::{Error, Result};

/// How the log of a pod is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// Where it is kept.
    pub place: Place,
    /// The maximum size of each of the two files of an app.
    pub size: Size,
}

/// Where a log is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// In the directory of the pod.
    #[default]
    Disk,
    /// Below /run, where it wears out no flash and is gone after a reboot.
    Memory,
    /// Nowhere: the output is lost.
    Nowhere,
}

impl Place {
    const ALL: [Self; 3] = [Self::Disk, Self::Memory, Self::Nowhere];

    /// Returns the name of the place.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Memory => "memory",
            Self::Nowhere => "none",
        }
    }

    /// Parses the name of a place.
    pub fn parse(word: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|place| place.word() == word);
        found.ok_or_else(|| {
            Error::usage(format!(
                "{} is not a valid place for a log: expected `disk`, `memory` or `none`",
                quoted(word)
            ))
        })
    }
}

/// The size of a log file, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(u32);

impl Size {
    /// A smaller file would not hold four records of the maximum length.
    const LEAST: u32 = 16 << 10;

    /// Makes a size, unless it is too small.
    pub fn new(bytes: u32) -> Option<Self> {
        (bytes >= Self::LEAST).then_some(Self(bytes))
    }

    /// Returns the number of bytes.
    pub const fn bytes(self) -> u32 {
        self.0
    }

    /// Parses a quantity, such as `256Ki`.
    pub fn parse(text: &str) -> Result<Self> {
        let bytes = Quantity::parse(text)?.units();
        match u32::try_from(bytes) {
            Ok(bytes) => Self::new(bytes).ok_or("less than the minimum of `16Ki`"),
            Err(_) if bytes < 0 => Err("negative"),
            Err(_) => Err("too large for a log: the size must be less than `4Gi`"),
        }
        .map_err(|what| Error::usage(format!("{} is {what}", quoted(text))))
    }
}

impl Default for Size {
    fn default() -> Self {
        Self(1 << 20)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn invalid_log_sizes_are_refused() {
        for (text, said) in [
            ("0", "`0` is less than the minimum of `16Ki`"),
            ("16383", "`16383` is less than the minimum of `16Ki`"),
            ("-1Mi", "`-1Mi` is negative"),
            (
                "4Gi",
                "`4Gi` is too large for a log: the size must be less than `4Gi`",
            ),
            (
                "big",
                "`big` is not a quantity\nhint: use a number, optionally followed by one of n, u, m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei",
            ),
        ] {
            assert_eq!(Size::parse(text).unwrap_err().to_string(), said);
        }
        for (text, bytes) in [("16Ki", 16_384), ("20k", 20_000), ("4294967295", u32::MAX)] {
            assert_eq!(Size::parse(text).unwrap().bytes(), bytes);
        }
    }

    #[test]
    fn places_are_parsed_by_name() {
        for place in Place::ALL {
            assert_eq!(Place::parse(place.word()).unwrap(), place);
        }
        assert_eq!(
            Place::parse("flash").unwrap_err().to_string(),
            "`flash` is not a valid place for a log: expected `disk`, `memory` or `none`"
        );
    }
}
