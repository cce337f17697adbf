//! Files, directories, links and device nodes in a root: each function is one
//! directive. A mode is exactly the one in the plan, because the umask of PID 1
//! is 0.

use core::ffi::CStr;

use linux_raw_sys::general as raw;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{FileType, Mode, OFlags};
use stage1_init::NodeKind;

use crate::beneath::{self, Links, Path};
use crate::mounts::{HOSTS, open_node};
use crate::sys::{self, AS_IT_IS, Errno, OwnedFd, Result, open, write_all};
use crate::tree::{Source, Tree};

/// Mode and owner of a new file.
#[derive(Clone, Copy)]
pub(crate) struct Owned {
    pub(crate) mode: stage1_init::Mode,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Owned {
    /// Sets the owner, and then the mode once more, as chown(2) clears bits of
    /// it.
    fn give(self, fd: BorrowedFd<'_>) -> Result<()> {
        sys::fchownat(fd, c"", self.uid, self.gid, raw::AT_EMPTY_PATH)?;
        sys::fchmod(fd, self.mode.0)
    }
}

impl Tree<'_> {
    /// `dir`: creates a directory and its parents, where they do not exist. If
    /// one is a link to something that does not exist, that is created.
    pub(crate) fn make_directories(&self, path: &CStr, owned: Owned) -> Result<()> {
        self.make_each(path.to_bytes(), owned)
    }

    #[inline(never)]
    fn make_each(&self, path: &[u8], owned: Owned) -> Result<()> {
        let mut above = Path::new();
        for part in path.split(|&byte| byte == b'/') {
            above.push(part)?;
            if !part.is_empty() {
                self.make_directory(above.as_c_str(), owned)?;
            }
            above.push(b"/")?;
        }
        Ok(())
    }

    #[inline(never)]
    fn make_directory(&self, path: &CStr, owned: Owned) -> Result<()> {
        match beneath::open(self.root(), path, Links::Follow) {
            Err(Errno::NOENT) => {}
            Ok(there) if beneath::kind(there.as_fd())? != FileType::Directory => {
                return Err(Errno::NOTDIR);
            }
            result => return result.map(drop),
        }
        let (parent, name) = beneath::open_parent(self.root(), path)?;
        let parent = parent.as_fd();
        match sys::mkdirat(parent, name, owned.mode.0) {
            Err(Errno::EXIST) => {
                let mut target = Path::new();
                beneath::behind(path, parent, name, &mut target)?;
                return self.make_each(target.as_bytes(), owned);
            }
            result => result?,
        }
        let made = open(parent, name, OFlags::DIRECTORY | OFlags::NOFOLLOW)?;
        owned.give(made.as_fd())
    }

    /// `touch`: creates an empty file unless something is there. If that is a
    /// link to something that does not exist, that is created, and the
    /// directories above it.
    #[inline(never)]
    pub(crate) fn touch(&self, path: &CStr, owned: Owned) -> Result<()> {
        let (parent, name) = beneath::open_parent(self.root(), path)?;
        let parent = parent.as_fd();
        let Err(errno) = create(parent, name, owned) else {
            return Ok(());
        };
        match beneath::open(self.root(), path, Links::Follow) {
            Err(Errno::NOENT) => {}
            result => return result.map(drop),
        }
        let mut target = Path::new();
        if beneath::behind(path, parent, name, &mut target).is_err() {
            return Err(errno);
        }
        let above = target.as_bytes().iter().rposition(|&byte| byte == b'/');
        let mode = stage1_init::Mode(0o755);
        let directories = target.as_bytes().get(..above.unwrap_or(0));
        self.make_each(directories.unwrap_or(b""), Owned { mode, ..owned })?;
        self.touch(target.as_c_str(), owned)
    }

    /// `file`: creates a file with this content, replacing what is there.
    pub(crate) fn write_file(&self, path: &CStr, owned: Owned, content: &CStr) -> Result<()> {
        let (parent, name) = beneath::open_parent(self.root(), path)?;
        let parent = parent.as_fd();
        remove(parent, name)?;
        let file = create(parent, name, owned)?;
        write_all(file.as_fd(), content.to_bytes())
    }

    /// `symlink`: creates a link, replacing what is there.
    pub(crate) fn link(&self, target: &CStr, path: &CStr) -> Result<()> {
        let (parent, name) = beneath::open_parent(self.root(), path)?;
        let parent = parent.as_fd();
        remove(parent, name)?;
        sys::symlinkat(target, parent, name)
    }

    /// `node`: creates a device node, mounted on itself.
    #[inline(never)]
    pub(crate) fn make_node(
        &self,
        path: &CStr,
        kind: NodeKind,
        device: u32,
        owned: Owned,
    ) -> Result<()> {
        let (parent, name) = beneath::open_parent(self.root(), path)?;
        let parent = parent.as_fd();
        let kind = match kind {
            NodeKind::Character => raw::S_IFCHR,
            NodeKind::Block => raw::S_IFBLK,
        };
        remove(parent, name)?;
        let made = match sys::mknodat(parent, name, kind | owned.mode.0, device) {
            Ok(()) => {
                let flags = raw::AT_SYMLINK_NOFOLLOW;
                sys::fchownat(parent, name, owned.uid, owned.gid, flags)?;
                None
            }
            // In a user namespace, nobody can create devices.
            Err(Errno::PERM) => {
                create(parent, name, owned)?;
                let mut host = Path::new();
                host.append(&[b"/dev/", name.to_bytes()])?;
                let of_that_name = open_node(host.as_c_str(), kind, device);
                // A node of another name may be the null device, too.
                Some(of_that_name.or_else(|_| open_node(c"/dev/null", kind, device))?)
            }
            Err(errno) => return Err(errno),
        };
        let place = open(parent, name, AS_IT_IS)?;
        let Some(hosts) = made else {
            let (place, how) = (place.as_fd(), raw::MS_BIND);
            return self.mount_at(Source::Fd(place), place, c"", how, None);
        };
        self.bind_at(hosts.as_fd(), place.as_fd(), path, HOSTS)
    }
}

fn create(parent: BorrowedFd<'_>, name: &CStr, owned: Owned) -> Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = sys::create(parent, name, flags, Mode::RUSR)?;
    owned.give(file.as_fd())?;
    Ok(file)
}

/// Removes a file or a link; fails on a directory.
fn remove(parent: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    match sys::unlinkat(parent, name, 0) {
        Err(Errno::NOENT) => Ok(()),
        result => result,
    }
}
