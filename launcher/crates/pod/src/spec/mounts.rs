//! What an app finds mounted besides its root: volumes, file systems in memory,
//! devices.

use serde::{Deserialize, Serialize};
use stage1_init::NodeKind;

use crate::spec::limits::Access;
use crate::spec::text::{self, HostPath};

/// A volume in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mounted {
    /// What the volume is called.
    pub name: String,
    /// Where it is on the host, without links.
    pub source: HostPath,
    /// It is a directory, not a file.
    pub directory: bool,
    /// It is in the pod's directory, which nobody else can change, and to which
    /// the operator may have a link.
    pub ours: bool,
    /// Where, from the root of the app; links in it are followed inside.
    pub target: String,
    /// The app only reads.
    pub read_only: bool,
    /// What is mounted below the source comes along.
    pub recursive: bool,
    /// Which volume it is, and who asks for it, as the plan will say.
    pub reason: String,
}

/// A volume that begins empty: a directory that is made with the pod, and
/// removed with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmptyVolume {
    /// Where it is on the host.
    pub path: HostPath,
    /// Its permissions.
    pub mode: u32,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Which volume it is, as the plan will say.
    pub reason: String,
}

/// A file system in memory (tmpfs(5)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tmpfs {
    /// Where it is mounted: a path without detours.
    pub target: String,
    /// How much it can hold.
    pub size: Size,
    /// The mode of its directory.
    pub mode: u32,
}

/// How much a file system in memory can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Size {
    /// So many bytes; none would be no limit.
    Bytes(u64),
    /// So many hundredths of the machine's memory.
    Percent(u8),
}

/// As the pod's own /tmp has it.
impl Default for Size {
    fn default() -> Self {
        Self::Percent(25)
    }
}

impl Tmpfs {
    /// Returns the options of the file system.
    pub fn data(&self) -> String {
        let size = match self.size {
            Size::Bytes(bytes) => bytes.to_string(),
            Size::Percent(part) => format!("{part}%"),
        };
        format!("mode={:o},size={size}", self.mode)
    }
}

/// A device, as it is on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Its path, on the host and in the pod, below /dev.
    pub path: String,
    /// Character or block.
    #[serde(with = "text::node_kind")]
    pub kind: NodeKind,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// What the app may do with it.
    pub access: Access,
}
