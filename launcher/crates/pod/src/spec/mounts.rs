//! What is mounted in an app besides its root: volumes, tmpfs mounts, devices.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stage1_init::NodeKind;

use crate::spec::limits::Access;
use crate::spec::text::{self, HostPath};

/// A volume, mounted in an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mounted {
    /// The name of the volume.
    pub name: String,
    /// Its path on the host, without links.
    pub source: HostPath,
    /// Whether it is a directory rather than a file.
    pub directory: bool,
    /// Whether it is in the pod's directory, which nobody else can change, and
    /// whose path may contain links.
    pub ours: bool,
    /// The mount point, relative to the root of the app; links in it are
    /// followed inside.
    pub target: String,
    /// Whether it is mounted read-only.
    pub read_only: bool,
    /// Whether mounts below the source are included.
    pub recursive: bool,
    /// Which volume it is, and who asked for it, as the plan shows it.
    pub reason: String,
}

impl Mounted {
    /// Returns the path on the host of what this volume has as the mount point of
    /// what is mounted in it.
    pub(crate) fn place_of(&self, inner: Place<'_>) -> PathBuf {
        let rest = Path::new(inner.target()).strip_prefix(&self.target);
        self.source.join(rest.unwrap_or(Path::new("")))
    }
}

/// What is mounted on a path of an app that was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place<'m> {
    /// A volume.
    Volume(&'m Mounted),
    /// A tmpfs.
    Memory(&'m Tmpfs),
}

impl<'m> Place<'m> {
    /// Returns all of an app, in the order of their depth.
    pub(crate) fn all(volumes: &'m [Mounted], tmpfs: &'m [Tmpfs]) -> Vec<Self> {
        let volumes = volumes.iter().map(Self::Volume);
        let mut all: Vec<Self> = volumes.chain(tmpfs.iter().map(Self::Memory)).collect();
        all.sort_by_key(|place| Path::new(place.target()).components().count());
        all
    }

    /// Returns the mount point, relative to the root of the app.
    pub(crate) fn target(self) -> &'m str {
        match self {
            Self::Volume(volume) => &volume.target,
            Self::Memory(tmpfs) => &tmpfs.target,
        }
    }

    /// Returns whether it is a directory rather than a file.
    pub(crate) fn is_directory(self) -> bool {
        match self {
            Self::Volume(volume) => volume.directory,
            Self::Memory(_) => true,
        }
    }

    /// Returns those of all, in the order of their depth, that it is mounted in:
    /// the last one directly.
    pub(crate) fn around(self, all: &[Self]) -> Vec<Self> {
        let target = Path::new(self.target());
        let around = |other: &Self| {
            other.target() != self.target() && target.starts_with(Path::new(other.target()))
        };
        all.iter().copied().filter(around).collect()
    }
}

/// An empty volume: a directory that is made and removed with the pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmptyVolume {
    /// Its path on the host.
    pub path: HostPath,
    /// Its permissions.
    pub mode: u32,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Which volume it is, as the plan shows it.
    pub reason: String,
}

/// A tmpfs mount (tmpfs(5)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tmpfs {
    /// The mount point, a normalized path.
    pub target: String,
    /// How much it can hold.
    pub size: Size,
    /// The mode of its root directory.
    pub mode: u32,
    /// Whether it is read-only.
    #[serde(default)]
    pub read_only: bool,
    /// Whether no program in it can be executed.
    #[serde(default)]
    pub no_exec: bool,
}

/// The size of a tmpfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Size {
    /// In bytes; zero would mean no limit.
    Bytes(u64),
    /// In percent of the machine's memory.
    Percent(u8),
}

/// The size of the pod's own /tmp.
impl Default for Size {
    fn default() -> Self {
        Self::Percent(25)
    }
}

/// As a mount option has it.
impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{bytes}"),
            Self::Percent(part) => write!(f, "{part}%"),
        }
    }
}

impl Tmpfs {
    /// Returns the mount options.
    pub fn data(&self) -> String {
        format!("mode={:o},size={}", self.mode, self.size)
    }
}

/// A device of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Its path below /dev, on the host and in the pod.
    pub path: String,
    /// Character or block.
    #[serde(with = "text::node_kind")]
    pub kind: NodeKind,
    /// The major number.
    pub major: u32,
    /// The minor number.
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
