//! How much of the machine an app or a pod may use (cgroups(7)).

use serde::{Deserialize, Serialize};
use stage1_init::NodeKind;

use crate::spec::text;

/// Limits. `None` is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Processor time per time, in thousandths of a core; at least 1.
    pub cpu: Option<u64>,
    /// Weight among those who want the processors: 1024 is what everybody has.
    pub cpu_shares: Option<u64>,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Bytes of memory that are not taken away as long as others have more
    /// than they asked for.
    pub memory_request: Option<u64>,
    /// Bytes per second that are read from, and written to, each block device.
    pub block_bandwidth: Option<u64>,
    /// Operations per second, likewise.
    pub block_operations: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
    /// The only devices that can be used.
    pub devices: Option<Vec<Rule>>,
}

impl Limits {
    /// Tells whether there is no limit.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Devices that the controller lets through. `None` in a number is any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Character or block.
    #[serde(with = "text::node_kind")]
    pub kind: NodeKind,
    /// Major number.
    pub major: Option<u32>,
    /// Minor number.
    pub minor: Option<u32>,
    /// What may be done with them.
    pub access: Access,
}

/// What may be done with a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// It can be opened for reading.
    pub read: bool,
    /// It can be opened for writing.
    pub write: bool,
    /// Nodes of it can be made.
    pub make: bool,
}

impl Access {
    /// Reads letters of `rwm`; `None` if there are others, or none.
    pub(crate) fn parse(letters: &str) -> Option<Self> {
        let known = letters.chars().all(|letter| "rwm".contains(letter));
        (known && !letters.is_empty()).then(|| Self {
            read: letters.contains('r'),
            write: letters.contains('w'),
            make: letters.contains('m'),
        })
    }
}

/// As the files of cgroups of version 1 take it: `c 1:3 rwm`.
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
    /// Reads it back.
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
