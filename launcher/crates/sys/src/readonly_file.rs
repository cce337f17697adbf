//! Opens a file so that the descriptor can only be read, whoever holds it: even
//! through /proc/PID/fd, they cannot write to the file, change its mode, or
//! reach another file.
//!
//! The file is opened through a detached, read-only mount of this file alone
//! (open_tree(2), Linux 5.2; mount_setattr(2), 5.12).
#![allow(
    unsafe_code,
    reason = "neither std nor rustix has mount_setattr(2), and there is no other way to bound a mount that is in no tree"
)]

use std::ffi::{c_char, c_long, c_uint};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::mount::OpenTreeFlags;

unsafe extern "C" {
    /// syscall(2): std links the C library that has it.
    fn syscall(number: c_long, ...) -> c_long;
}

/// `__NR_mount_setattr`, the same on all architectures.
const MOUNT_SETATTR: c_long = 442;

/// `struct mount_attr` of linux/mount.h.
#[repr(C)]
struct Attributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// `MOUNT_ATTR_RDONLY`, `_NOSUID`, `_NODEV`, `_NOEXEC`.
const NOTHING_BUT_READ: u64 = 0x1 | 0x2 | 0x4 | 0x8;

/// Reopens a regular file read-only for good. If the kernel does not support or
/// allow that, the file is opened as usual.
///
/// # Errors
///
/// The file cannot be opened.
pub fn open(file: impl AsFd) -> io::Result<OwnedFd> {
    let alone = mount(file.as_fd());
    let source = alone.as_ref().map_or(file.as_fd(), AsFd::as_fd);
    let path = format!("/proc/self/fd/{}", source.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Creates a detached, read-only mount of a file.
fn mount(file: BorrowedFd<'_>) -> Option<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    let mount = rustix::mount::open_tree(file, c"", flags).ok()?;
    let attributes = Attributes {
        set: NOTHING_BUT_READ,
        clear: 0,
        propagation: 0,
        user_namespace: 0,
    };
    let (path, how): (*const c_char, _) = (c"".as_ptr(), AT_EMPTY_PATH);
    // SAFETY: mount_setattr(2) takes a descriptor, a terminated path, flags, and
    // a `struct mount_attr` with its size; it only reads the two that it is
    // given pointers to, and both outlive the call.
    let done = unsafe {
        syscall(
            MOUNT_SETATTR,
            mount.as_raw_fd(),
            path,
            how,
            &raw const attributes,
            size_of::<Attributes>(),
        )
    };
    (done == 0).then_some(mount)
}

/// The mount that the descriptor is on, not one on top of it.
const AT_EMPTY_PATH: c_uint = 0x1000;

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn what_is_opened_can_neither_be_written_to_nor_changed() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let path = std::env::temp_dir().join(format!("nosecone-readonly-{}", std::process::id()));
        std::fs::write(&path, "").expect("it can be written");
        let file = std::fs::File::open(&path).expect("it is there");
        let held = open(&file).expect("it can be opened again");
        let again = format!("/proc/self/fd/{}", held.as_raw_fd());
        let written = rustix::fs::open(&again, OFlags::RDWR, Mode::empty());
        let changed = rustix::fs::fchmod(&held, Mode::RWXU);
        std::fs::remove_file(&path).expect("it is there");
        assert_eq!(written.map(drop), Err(Errno::ROFS));
        assert_eq!(changed, Err(Errno::ROFS));
    }
}
