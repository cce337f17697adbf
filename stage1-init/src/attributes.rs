//! The flags of mounts, such as `ro` and `nosuid`, for a single mount or a
//! tree.

use linux_raw_sys::general as raw;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{CWD, OFlags, StatVfsMountFlags};
use stage1_init::MountFlags;

use crate::beneath::{self, Links, Path};
use crate::sys::{self, Array, Errno, Result, open};
use crate::tree::{Source, Tree, fd_path};

impl Tree<'_> {
    /// Sets flags with mount_setattr(2), which reaches all mounts below at once
    /// (Linux 5.12), or one by one.
    pub(crate) fn set_flags(
        &mut self,
        mount: BorrowedFd<'_>,
        flags: MountFlags,
        recursive: bool,
        exactly: bool,
    ) -> Result<()> {
        let set = attributes(flags);
        let times = if flags.contains(MountFlags::NOATIME)
            || flags.contains(MountFlags::STRICTATIME)
            || exactly
        {
            raw::MOUNT_ATTR__ATIME
        } else {
            0
        };
        let all = raw::MOUNT_ATTR_RDONLY
            | raw::MOUNT_ATTR_NOSUID
            | raw::MOUNT_ATTR_NODEV
            | raw::MOUNT_ATTR_NOEXEC;
        let clear = times | if exactly { all } else { 0 };
        match sys::mount_setattr(mount, recursive, set, clear) {
            Err(Errno::NOSYS | Errno::PERM) => {}
            result => return result,
        }
        self.remount_one(mount, flags, exactly)?;
        if recursive {
            self.remount_below(mount, flags, exactly)
        } else {
            Ok(())
        }
    }

    /// Makes a mount writable again, if these flags from before say so.
    pub(crate) fn give_back(&mut self, mount: BorrowedFd<'_>, before: u32) -> Result<()> {
        if before & raw::MS_RDONLY != 0 {
            return Ok(());
        }
        match sys::mount_setattr(mount, false, 0, raw::MOUNT_ATTR_RDONLY) {
            Err(Errno::NOSYS | Errno::PERM) => {
                let flags = raw::MS_REMOUNT | raw::MS_BIND | before;
                self.mount_at(Source::Word(c""), mount, c"", flags, None)
            }
            result => result,
        }
    }

    fn remount_one(
        &mut self,
        mount: BorrowedFd<'_>,
        flags: MountFlags,
        exactly: bool,
    ) -> Result<()> {
        let mut all = per_mount(flags);
        if !exactly {
            all |= present(mount)?;
        }
        self.mount_at(
            Source::Word(c""),
            mount,
            c"",
            raw::MS_REMOUNT | raw::MS_BIND | all,
            None,
        )
    }

    /// Remounts everything below a mount, as listed in the mount table.
    #[inline(never)]
    fn remount_below(
        &mut self,
        mount: BorrowedFd<'_>,
        flags: MountFlags,
        exactly: bool,
    ) -> Result<()> {
        let name = fd_path(mount);
        let (mut above, mut path) = (Path::new(), Path::new());
        above.read_link(self.proc()?, name.as_c_str())?;
        let table = open(self.proc()?, c"self/mountinfo", OFlags::RDONLY)?;
        let mut text = Array::new(MAX_TABLE)?;
        text.read_all(table.as_fd())?;
        for line in text.as_slice().split(|&byte| byte == b'\n') {
            mount_point(line, &mut path)?;
            if !is_below(path.as_bytes(), above.as_bytes()) {
                continue;
            }
            // A mount point that is covered by another cannot be reached, and
            // need not be.
            if let Ok(below) = beneath::open(CWD, path.as_c_str(), Links::Refuse) {
                match self.remount_one(below.as_fd(), flags, exactly) {
                    Ok(()) | Err(Errno::INVAL) => {}
                    Err(errno) => return Err(errno),
                }
            }
        }
        Ok(())
    }
}

/// The maximum length of the mount table: a line takes about a hundred bytes,
/// and a mount namespace has at most 100 000 mounts.
const MAX_TABLE: usize = 64 << 20;

/// Flags as mount(2) takes them.
pub(crate) fn per_mount(flags: MountFlags) -> u32 {
    collect(
        flags,
        &[
            (MountFlags::NOSYMFOLLOW, raw::MS_NOSYMFOLLOW),
            (MountFlags::NOATIME, raw::MS_NOATIME),
            (MountFlags::STRICTATIME, raw::MS_STRICTATIME),
            (MountFlags::LAZYTIME, raw::MS_LAZYTIME),
        ],
    )
}

/// Flags as mount_setattr(2) takes them.
fn attributes(flags: MountFlags) -> u32 {
    collect(
        flags,
        &[
            (MountFlags::NOSYMFOLLOW, raw::MOUNT_ATTR_NOSYMFOLLOW),
            (MountFlags::NOATIME, raw::MOUNT_ATTR_NOATIME),
            (MountFlags::STRICTATIME, raw::MOUNT_ATTR_STRICTATIME),
        ],
    )
}

/// Adds what the table says to the flags that both calls number alike.
fn collect(flags: MountFlags, table: &[(MountFlags, u32)]) -> u32 {
    let set = table.iter().filter(|&&(flag, _)| flags.contains(flag));
    set.fold(flags.elementary(), |bits, &(_, bit)| bits | bit)
}

/// Returns the flags of a mount. A remount must repeat them, and may not clear
/// those that came from another user namespace. With one exception, the kernel
/// returns the same bits that mount(2) takes.
pub(crate) fn present(mount: BorrowedFd<'_>) -> Result<u32> {
    const SAME: u32 = raw::MS_RDONLY
        | raw::MS_NOSUID
        | raw::MS_NODEV
        | raw::MS_NOEXEC
        | raw::MS_NOATIME
        | raw::MS_NODIRATIME;
    let has = rustix::fs::fstatvfs(mount)?.f_flag;
    let same = u32::try_from(has.bits() & u64::from(SAME)).unwrap_or_default();
    let relative = has.contains(StatVfsMountFlags::RELATIME);
    Ok(same | if relative { raw::MS_RELATIME } else { 0 })
}

/// Parses the mount point from a line of the mount table (proc(5)): the fifth
/// field, in which blanks and some other characters are octal escapes.
#[inline(never)]
fn mount_point(line: &[u8], path: &mut Path) -> Result<()> {
    path.clear();
    let mut field = 0;
    let mut bytes = line.iter();
    while let Some(&byte) = bytes.next() {
        // A backslash is itself escaped.
        let byte = match byte {
            b' ' => {
                field += 1;
                continue;
            }
            b'\\' => bytes
                .by_ref()
                .take(3)
                .fold(0, |value, digit| value << 3 | digit & 7),
            other => other,
        };
        if field == 4 {
            path.push(&[byte])?;
        }
    }
    Ok(())
}

fn is_below(path: &[u8], above: &[u8]) -> bool {
    let above = above.strip_suffix(b"/").unwrap_or(above);
    path.strip_prefix(above)
        .is_some_and(|rest| rest.first() == Some(&b'/'))
}
