//! Whether a file system can hold what an overlay changes.

use std::os::fd::AsFd;

use rustix::fs::{FsWord, StatVfsMountFlags};
use rustix::io::Errno;

/// The `f_type` of overlayfs (statfs(2)).
const OVERLAYFS: FsWord = 0x794c_7630;

/// Tells whether the file system of a directory can be the upper layer of an
/// overlay: not another overlay, and with the attributes by which an overlay
/// hides directories of lower layers.
///
/// Source: the kernel's Documentation/filesystems/overlayfs.rst, "Upper and
/// Lower".
pub fn can_be_upper(directory: impl AsFd) -> bool {
    let kind = rustix::fs::fstatfs(&directory).map(|status| status.f_type);
    let opaque = c"trusted.overlay.opaque";
    let read = rustix::fs::fgetxattr(directory, opaque, &mut [0_u8; 0][..]);
    kind != Ok(OVERLAYFS) && read != Err(Errno::OPNOTSUPP)
}

/// Tells whether no program in a directory can be executed, because its file
/// system is mounted with `noexec`.
pub fn is_noexec(directory: impl AsFd) -> bool {
    rustix::fs::fstatvfs(directory)
        .is_ok_and(|status| status.f_flag.contains(StatVfsMountFlags::NOEXEC))
}
