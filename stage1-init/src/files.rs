//! Files, directories, links and device nodes in a root: each function is one
//! directive. A mode is exactly the one in the plan, because the umask of PID 1
//! is 0.

use core::ffi::CStr;

use linux_raw_sys::general as raw;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{Mode, OFlags};
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

impl Tree<'_> {
    /// `dir`: creates a directory and its parents, where they do not exist. If
    /// one is a link to something that does not exist, that is created.
    #[inline(never)]
    pub(crate) fn make_directories(&mut self, path: &CStr, owned: Owned) -> Result<()> {
        // Mostly, all but the last one are there.
        if let Ok((parent, name)) = self.parent(path) {
            let made = make_directory(parent.as_fd(), name, owned);
            if made != Err(Errno::EXIST) {
                return made;
            }
        }
        self.make_each(path.to_bytes(), owned)
    }

    #[inline(never)]
    fn make_each(&mut self, path: &[u8], owned: Owned) -> Result<()> {
        let mut above = Path::new();
        for part in path.split(|&byte| byte == b'/') {
            above.push(part)?;
            if !part.is_empty() {
                self.make(above.as_c_str(), owned, true)?;
            }
            above.push(b"/")?;
        }
        Ok(())
    }

    /// `touch`: creates an empty file unless something is there. If that is a
    /// link to something that does not exist, that is created, and the
    /// directories above it.
    #[inline(never)]
    pub(crate) fn touch(&mut self, path: &CStr, owned: Owned) -> Result<()> {
        self.make(path, owned, false)
    }

    /// Creates a directory, or an empty file, unless it is there.
    #[inline(never)]
    fn make(&mut self, path: &CStr, owned: Owned, directory: bool) -> Result<()> {
        match beneath::open(self.root(path)?, path, Links::Follow) {
            Err(Errno::NOENT) => {}
            Ok(there) if directory && !beneath::is_a(raw::S_IFDIR, there.as_fd())? => {
                return Err(Errno::NOTDIR);
            }
            result => return result.map(drop),
        }
        let (parent, name) = self.parent(path)?;
        let parent = parent.as_fd();
        let made = if directory {
            make_directory(parent, name, owned)
        } else {
            create(parent, name, owned).map(drop)
        };
        if made != Err(Errno::EXIST) {
            return made;
        }
        let mut target = Path::new();
        beneath::behind(path, parent, name, &mut target)?;
        if directory {
            return self.make_each(target.as_bytes(), owned);
        }
        let slash = target.as_bytes().iter().rposition(|&byte| byte == b'/');
        let above = target.as_bytes().get(..slash.unwrap_or(0));
        let mode = stage1_init::Mode(0o755);
        self.make_each(above.unwrap_or_default(), Owned { mode, ..owned })?;
        self.make(target.as_c_str(), owned, directory)
    }

    /// `file`: creates a file with this content, replacing what is there.
    #[inline(never)]
    pub(crate) fn write_file(&mut self, path: &CStr, owned: Owned, content: &CStr) -> Result<()> {
        let (parent, name) = self.parent(path)?;
        let parent = parent.as_fd();
        replace(parent, name, &mut || {
            let file = create(parent, name, owned)?;
            write_all(file.as_fd(), content.to_bytes())
        })
    }

    /// `symlink`: creates a link, replacing what is there.
    #[inline(never)]
    pub(crate) fn link(&mut self, target: &CStr, path: &CStr) -> Result<()> {
        let (parent, name) = self.parent(path)?;
        let parent = parent.as_fd();
        replace(parent, name, &mut || sys::symlinkat(target, parent, name))
    }

    /// `node`: creates a device node, mounted on itself.
    #[inline(never)]
    pub(crate) fn make_node(
        &mut self,
        path: &CStr,
        kind: NodeKind,
        device: u32,
        owned: Owned,
    ) -> Result<()> {
        let (parent, name) = self.parent(path)?;
        let parent = parent.as_fd();
        let kind = match kind {
            NodeKind::Character => raw::S_IFCHR,
            NodeKind::Block => raw::S_IFBLK,
        };
        let made = replace(parent, name, &mut || {
            sys::mknodat(parent, name, kind | owned.mode.0, device)
        });
        let made = match made {
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
            .map(drop)
    }
}

/// Creates a directory. The one above it may pass on its group, or an access
/// control list.
#[inline(never)]
fn make_directory(parent: BorrowedFd<'_>, name: &CStr, owned: Owned) -> Result<()> {
    sys::mkdirat(parent, name, owned.mode.0)?;
    let made = sys::status(parent, name)?;
    if made.mode & 0o7777 == owned.mode.0 && made.owner == [owned.uid, owned.gid] {
        return Ok(());
    }
    let made = open(parent, name, OFlags::DIRECTORY | OFlags::NOFOLLOW)?;
    give(made.as_fd(), owned)
}

fn create(parent: BorrowedFd<'_>, name: &CStr, owned: Owned) -> Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = sys::create(parent, name, flags, Mode::RUSR)?;
    give(file.as_fd(), owned)?;
    Ok(file)
}

/// Sets the owner, and then the mode once more, as chown(2) clears bits of it.
#[inline(never)]
fn give(fd: BorrowedFd<'_>, owned: Owned) -> Result<()> {
    sys::fchownat(fd, c"", owned.uid, owned.gid, raw::AT_EMPTY_PATH)?;
    sys::fchmod(fd, owned.mode.0)
}

/// Makes something, in place of a file or a link that is there; fails if that is
/// a directory.
#[inline(never)]
fn replace(
    parent: BorrowedFd<'_>,
    name: &CStr,
    make: &mut dyn FnMut() -> Result<()>,
) -> Result<()> {
    match make() {
        Err(Errno::EXIST) => {
            sys::unlinkat(parent, name, 0)?;
            make()
        }
        result => result,
    }
}
