//! Limits of what an app or a pod may use (cgroups(7)).

use serde::{Deserialize, Serialize};
use stage1_init::NodeKind;

use crate::spec::text;

/// Limits. `None` means no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Processor time, in thousandths of a core; at least 1.
    pub cpu: Option<u64>,
    /// The weight when several compete for the processors: 1024 is the default.
    pub cpu_shares: Option<u64>,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Bytes of memory that are not reclaimed as long as others use more than
    /// they have reserved.
    pub memory_request: Option<u64>,
    /// Bytes per second read from, and written to, each block device.
    pub block_bandwidth: Option<u64>,
    /// Operations per second, for reading and for writing.
    pub block_operations: Option<u64>,
    /// Bytes per second sent, and received, by each interface but that of loopback.
    pub network_bandwidth: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
    /// The only devices that may be used.
    pub devices: Option<Vec<Rule>>,
}

impl Limits {
    /// Returns whether there is no limit that takes a group (cgroups(7)).
    pub fn is_empty(&self) -> bool {
        let without = Self {
            network_bandwidth: None,
            ..self.clone()
        };
        without == Self::default()
    }
}

/// A rule that allows devices. `None` for a number means any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Character or block.
    #[serde(with = "text::node_kind")]
    pub kind: NodeKind,
    /// The major number.
    pub major: Option<u32>,
    /// The minor number.
    pub minor: Option<u32>,
    /// What is allowed.
    pub access: Access,
}

/// What may be done with a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// Open it for reading.
    pub read: bool,
    /// Open it for writing.
    pub write: bool,
    /// Make nodes of it.
    pub make: bool,
}

impl Access {
    /// Parses letters of `rwm`; `None` if there are others, or none.
    pub(crate) fn parse(letters: &str) -> Option<Self> {
        let known = letters.chars().all(|letter| "rwm".contains(letter));
        (known && !letters.is_empty()).then(|| Self {
            read: letters.contains('r'),
            write: letters.contains('w'),
            make: letters.contains('m'),
        })
    }
}

/// In the format of the version 1 cgroup files: `c 1:3 rwm`.
impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = |number: Option<u32>| number.map_or("*".to_owned(), |one| one.to_string());
        let (kind, major, minor) = (self.kind.word(), number(self.major), number(self.minor));
        write!(f, "{kind} {major}:{minor} ")?;
        let Access { read, write, make } = self.access;
        for (letter, allowed) in [("r", read), ("w", write), ("m", make)] {
            if allowed {
                f.write_str(letter)?;
            }
        }
        Ok(())
    }
}

impl Rule {
    /// Parses the same format.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| match text {
            "*" => Some(None),
            text => text.parse().ok().map(Some),
        };
        let (kind, rest) = text.split_once(' ')?;
        let (numbers, letters) = rest.split_once(' ')?;
        let (major, minor) = numbers.split_once(':')?;
        let mut kinds = NodeKind::WORDS.iter();
        Some(Self {
            kind: kinds.find(|(word, _)| *word == kind)?.1,
            major: number(major)?,
            minor: number(minor)?,
            access: Access::parse(letters)?,
        })
    }
}
