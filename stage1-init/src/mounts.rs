//! Mounts and roots: each function is one directive.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use linux_raw_sys::general as raw;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{CWD, FileType, OFlags, RawDir};
use stage1_init::{MountFlags, Propagation};

use crate::attributes::{per_mount, present};
use crate::beneath::{self, Links, Path};
use crate::sys::{self, AS_IT_IS, Errno, OwnedFd, Result, open};
use crate::tree::{Source, Tree, fd_path, is_proc};

impl Tree<'_> {
    /// `mount`: mounts a file system of this type.
    #[inline(never)]
    pub(crate) fn mount(
        &mut self,
        kind: &CStr,
        source: &CStr,
        target: &CStr,
        flags: MountFlags,
        data: &CStr,
    ) -> Result<()> {
        // mount(2) would cut it off silently.
        if data.to_bytes().len() >= PAGE {
            return Err(Errno::TOOBIG);
        }
        if self.proc().is_err() && !self.has_root() {
            // Early in a boot: this may be the procfs that all other mounts
            // need.
            sys::mount(source, target, kind, per_mount(flags), Some(data))?;
            self.find_proc();
            return Ok(());
        }
        let target = self.target(target, flags)?;
        let data = Some(data).filter(|data| !data.is_empty());
        self.mount_at(
            Source::Word(source),
            target.as_fd(),
            kind,
            per_mount(flags),
            data,
        )
    }

    /// `bind`: binds a file or directory to a second place, and adds these
    /// flags to those it has.
    #[inline(never)]
    pub(crate) fn bind(&mut self, source: &CStr, target: &CStr, flags: MountFlags) -> Result<()> {
        let place = self.target(target, flags)?;
        let source = self.source(source, flags)?;
        self.bind_at(source.as_fd(), place.as_fd(), target, flags)
            .map(drop)
    }

    /// Binds what is open at a target that is open. Returns the new mount, if
    /// it was given flags.
    pub(crate) fn bind_at(
        &mut self,
        source: BorrowedFd<'_>,
        place: BorrowedFd<'_>,
        target: &CStr,
        flags: MountFlags,
    ) -> Result<Option<OwnedFd>> {
        let recursive = flags.contains(MountFlags::REC);
        let how = raw::MS_BIND | if recursive { raw::MS_REC } else { 0 };
        self.mount_at(Source::Fd(source), place, c"", how, None)?;
        let flags = flags.without(UNMOUNTED);
        if flags.without(MountFlags::NOFOLLOW).is_empty() {
            return Ok(None);
        }
        // The new mount is on top of `place`, which was opened before. Look
        // again, and accept it only if it is what was just mounted.
        let mounted = self.target(target, flags)?;
        if !beneath::is_same(mounted.as_fd(), source)? {
            return Err(Errno::STALE);
        }
        self.set_flags(mounted.as_fd(), flags, recursive, false)?;
        Ok(Some(mounted))
    }

    /// Opens a source on the host. A descriptor that was opened before the
    /// mount namespace was created belongs to another one, and nothing can be
    /// bound from there. Its path is opened again, and must still lead to the
    /// same file.
    #[inline(never)]
    fn source(&mut self, source: &CStr, how: MountFlags) -> Result<OwnedFd> {
        let Some(number) = source.to_bytes().strip_prefix(b"fd:") else {
            let links = if how.contains(MountFlags::PINNED) {
                Links::Refuse
            } else {
                Links::Follow
            };
            return beneath::open(self.host(source)?, source, links);
        };
        let inherited = sys::inherited(stage1_init::read_number(number).ok_or(Errno::BADF)?)?;
        let name = fd_path(inherited);
        let mut path = Path::new();
        path.read_link(self.proc()?, name.as_c_str())?;
        let opened = open(CWD, path.as_c_str(), OFlags::PATH)?;
        if beneath::is_same(opened.as_fd(), inherited)? {
            Ok(opened)
        } else {
            Err(Errno::STALE)
        }
    }

    /// `remount`: sets all flags of a mount, but leaves the superblock alone.
    #[inline(never)]
    pub(crate) fn remount(&mut self, target: &CStr, flags: MountFlags) -> Result<()> {
        let mount = self.target(target, flags)?;
        self.set_flags(mount.as_fd(), flags, flags.contains(MountFlags::REC), true)
    }

    /// `readonly`: makes a file or directory read-only, and everything below
    /// it.
    #[inline(never)]
    pub(crate) fn read_only(&mut self, target: &CStr) -> Result<()> {
        let flags = MountFlags::RO.with(MountFlags::REC).with(QUIETLY);
        let place = self.target(target, flags)?;
        self.bind_at(place.as_fd(), place.as_fd(), target, flags)
            .map(drop)
    }

    /// `mask`: hides a file behind the null device, a directory behind an empty
    /// one.
    #[inline(never)]
    pub(crate) fn mask(&mut self, target: &CStr) -> Result<()> {
        let place = self.target(target, QUIETLY)?;
        let place = place.as_fd();
        if beneath::is_a(raw::S_IFDIR, place)? {
            let flags = raw::MS_RDONLY | raw::MS_NOSUID | raw::MS_NODEV | raw::MS_NOEXEC;
            let data = Some(c"size=4k,nr_inodes=2,mode=555");
            return self.mount_at(Source::Word(c"tmpfs"), place, c"tmpfs", flags, data);
        }
        if let Some(null) = self.null.take() {
            // A copy of a mount has its flags.
            self.mount_at(Source::Fd(null.as_fd()), place, c"", raw::MS_BIND, None)?;
            self.null = Some(null);
            return Ok(());
        }
        let null = open_node(c"/dev/null", raw::S_IFCHR, device(1, 3))?;
        // Without the flags, the app could change the mode of the host's node.
        // (CVE-2025-31133 was about a node of the image in its place.)
        self.null = self.bind_at(null.as_fd(), place, target, HOSTS.with(QUIETLY))?;
        Ok(())
    }

    /// `readonly-entries`: binds each entry to itself, makes all of them
    /// read-only at once, and makes the directory writable again. On procfs, an
    /// entry is what its name says, and can be bound by that.
    #[inline(never)]
    pub(crate) fn read_only_entries(&mut self, target: &CStr) -> Result<()> {
        let place = self.target(target, QUIETLY)?;
        let place = place.as_fd();
        if !is_proc(place) {
            return Err(Errno::INVAL);
        }
        let directory = open(place, c".", OFlags::DIRECTORY)?;
        let mut buffer = [MaybeUninit::uninit(); PAGE];
        let mut entries = RawDir::new(directory, &mut buffer);
        self.enter_proc()?;
        sys::fchdir(place)?;
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            // Skips `.`, `..` and processes.
            let passed = matches!(name.to_bytes(), [b'.' | b'0'..=b'9', ..]);
            if !passed && entry.file_type() != FileType::Symlink {
                sys::mount(name, name, c"", raw::MS_BIND, None)?;
            }
        }
        sys::fchdir(self.proc()?)?;
        let before = present(place)?;
        self.set_flags(place, MountFlags::RO, true, false)?;
        self.give_back(place, before)
    }

    /// `propagation`: sets how mounts are propagated.
    #[inline(never)]
    pub(crate) fn propagate(&mut self, kind: Propagation, target: &CStr) -> Result<()> {
        /// In the order of [`Propagation`].
        const FLAGS: [u32; Propagation::WORDS.len()] = [
            raw::MS_PRIVATE,
            raw::MS_SLAVE,
            raw::MS_SHARED,
            raw::MS_UNBINDABLE,
            raw::MS_REC | raw::MS_PRIVATE,
            raw::MS_REC | raw::MS_SLAVE,
            raw::MS_REC | raw::MS_SHARED,
            raw::MS_REC | raw::MS_UNBINDABLE,
        ];
        let flags = FLAGS[kind as usize];
        let place = beneath::open(self.root(target)?, target, Links::Follow)?;
        self.mount_at(Source::Word(c""), place.as_fd(), c"", flags, None)
    }

    /// `pivot`: makes the root `/` of the mount namespace, and detaches the old
    /// one. Both arguments are the new root: the old one ends up on top of it,
    /// and is detached from there (pivot_root(2), NOTES).
    #[inline(never)]
    pub(crate) fn pivot(&mut self) -> Result<()> {
        self.enter_root()?;
        sys::pivot_root(c".", c".")?;
        sys::umount(c".", raw::MNT_DETACH)?;
        sys::chdir(c"/")?;
        self.set_root(c"/")
    }

    /// `move-root`: moves the root's mount over `/`, which cannot be detached
    /// if it is the kernel's own rootfs (switch_root(8)).
    #[inline(never)]
    pub(crate) fn move_root(&mut self) -> Result<()> {
        self.enter_root()?;
        sys::mount(c".", c"/", c"", raw::MS_MOVE, None)?;
        sys::chroot(c".")?;
        sys::chdir(c"/")?;
        self.set_root(c"/")
    }
}

/// Flags that say how to bind, and are no property of a mount.
const UNMOUNTED: MountFlags = MountFlags::REC
    .with(MountFlags::OPTIONAL)
    .with(MountFlags::PINNED);

/// Flags for what an app gets from the host, to use but not to change. A device
/// can still be written to.
pub(crate) const HOSTS: MountFlags = MountFlags::RO
    .with(MountFlags::NOSUID)
    .with(MountFlags::NOEXEC);

/// For a target that need not exist, and of which no component may be a link.
const QUIETLY: MountFlags = MountFlags::NOFOLLOW.with(MountFlags::OPTIONAL);

/// How much mount(2) copies of its last argument.
const PAGE: usize = 4096;

/// Opens a device node, and checks that it is this device and no link.
pub(crate) fn open_node(path: &CStr, kind: u32, device: u32) -> Result<OwnedFd> {
    let node = open(CWD, path, AS_IT_IS)?;
    let status = sys::status(node.as_fd(), c"")?;
    let [major, minor] = status.device;
    if status.mode & raw::S_IFMT != kind || self::device(major, minor) != device {
        return Err(Errno::NODEV);
    }
    Ok(node)
}

/// Returns a device number as the kernel encodes it.
pub(crate) fn device(major: u32, minor: u32) -> u32 {
    minor & 0xff | (major & 0xfff) << 8 | (minor & 0xf_ff00) << 12
}
