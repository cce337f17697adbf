//! What an overlay needs of a file system, and the marks by which it hides names
//! and directories of lower layers.
//!
//! Source: the kernel's Documentation/filesystems/overlayfs.rst, "whiteouts and
//! opaque directories".

use std::ffi::{CStr, OsStr};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;

use rustix::fs::{
    AtFlags, FileType, FsWord, Mode, Stat, StatVfsMountFlags, Timespec, Timestamps, XattrFlags,
};
use rustix::io::Errno;

/// The attribute of a directory that hides those of the same name below it.
const OPAQUE: &CStr = c"trusted.overlay.opaque";

/// The same in the layers of an ordinary user, who mounts them with `userxattr`
/// (Linux 5.11). Whiteouts are the same: everybody may make them (Linux 5.8).
const USERS_OPAQUE: &CStr = c"user.overlay.opaque";

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
    let read = rustix::fs::fgetxattr(directory, OPAQUE, &mut [0_u8; 0][..]);
    kind != Ok(OVERLAYFS) && read != Err(Errno::OPNOTSUPP)
}

/// Tells whether no program in a directory can be executed, because its file
/// system is mounted with `noexec`.
pub fn is_noexec(directory: impl AsFd) -> bool {
    rustix::fs::fstatvfs(directory)
        .is_ok_and(|status| status.f_flag.contains(StatVfsMountFlags::NOEXEC))
}

/// Tells whether a file is a whiteout, which hides its name in lower layers: a
/// character device 0:0.
pub fn is_whiteout(status: &Stat) -> bool {
    FileType::from_raw_mode(status.st_mode).is_char_device() && status.st_rdev == 0
}

/// Makes a whiteout. Its time is that of nothing: equal layers are equal.
pub fn whiteout(parent: impl AsFd, name: &OsStr) -> rustix::io::Result<()> {
    let kind = FileType::CharacterDevice;
    rustix::fs::mknodat(&parent, name, kind, Mode::empty(), 0)?;
    let zero = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: zero,
        last_modification: zero,
    };
    rustix::fs::utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)
}

/// Tells whether an open directory hides what lower layers have in it.
pub fn is_opaque(directory: impl AsFd) -> bool {
    let mut value = [0_u8; 1];
    rustix::fs::fgetxattr(directory, opaque(), &mut value[..]) == Ok(1) && value == *b"y"
}

/// Makes an open directory hide what lower layers have in it.
pub fn hide_below(directory: impl AsFd) -> rustix::io::Result<()> {
    rustix::fs::fsetxattr(directory, opaque(), b"y", XattrFlags::empty())
}

/// Tells whether an attribute is a mark of an overlay, and not of the file.
pub(crate) fn is_mark(name: &OsStr) -> bool {
    let prefixes: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];
    let heeded = &prefixes[..=usize::from(opaque() == USERS_OPAQUE)];
    let name = name.as_bytes();
    heeded.iter().any(|prefix| name.starts_with(prefix))
}

/// Returns the attribute that this process reads and sets. Root does not heed the
/// user's, which apps can set.
fn opaque() -> &'static CStr {
    match rustix::process::geteuid().is_root() {
        true => OPAQUE,
        false => USERS_OPAQUE,
    }
}
