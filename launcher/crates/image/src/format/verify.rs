//! Compares what is stored of an image with its ID, entry by entry.
//!
//! The frame and the tree of its layer give back the tar whose digest is the ID
//! (see `tar_split`). If the digest is right, every header in the frame is, and
//! so is the content of every file. That the tree is what the headers say, and
//! has nothing besides, is compared here: by the same reader that every archive
//! has to pass.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};

use crate::archive::file_writer::is_kept;
use crate::archive::walk::{Entry, EntryKind, Limits};
use crate::digest::Digest;
use crate::format::aci;
use crate::format::differences::{Differences, compare, hides};
use crate::format::import::check_layers;
use crate::format::pack::shown;
use crate::store::images::Store;
use crate::store::layers::Stored;
use crate::store::staging::{Folder, Staging};
use error::quote::escaped;
use error::{Context as _, Result};
use sys::{attributes, root_fd};

impl Store<'_> {
    /// Compares everything that is stored of an image with its ID: contents,
    /// kinds, owners, modes, times, links, attributes and names of files, what is
    /// missing, what is there besides, and the manifest.
    ///
    /// # Errors
    ///
    /// What is stored cannot be read, or no longer makes a tar.
    pub fn verify(&self, id: &Digest) -> Result<Differences> {
        if self.is_oci(id)? {
            return self.verify_oci(id);
        }
        check_layers(id, &self.layers(id)?)?;
        let stored = self.stored(id)?;
        let mut tree = Tree::new(&stored, self.implicit(id)?)?;
        let (manifest, found) = stored.through(id.algorithm(), |tar| {
            aci::walk(tar, &Limits::default(), None, &mut |entry| {
                tree.compare(&entry)
            })
        })?;
        tree.find_others()?;
        let mut differences = tree.differences;
        if manifest != self.stored_manifest(id)? {
            differences.add("its manifest is not that of the archive".to_owned());
        }
        if found != *id {
            match tree.touched.is_empty() {
                true => differences.add("its contents do not match its ID".to_owned()),
                false => tree.touched.into_iter().for_each(|path| {
                    differences.add(format!("{path} was changed after it was stored"));
                }),
            }
        }
        Ok(differences)
    }
}

impl Store<'_> {
    /// Compares a rendered layer with what `render` makes in a directory; `None`
    /// if it is not stored.
    ///
    /// # Errors
    ///
    /// Errors of `render` and of the disk.
    pub fn verify_rendered(
        &self,
        layer: &Digest,
        render: &dyn Fn(&Folder) -> Result<()>,
    ) -> Result<Option<Differences>> {
        let Some(_lease) = self.layers.lease(layer)? else {
            return Ok(None);
        };
        let staging = Staging::make(self.dirs)?;
        let anew = staging.directory("layer")?.directory("rootfs")?;
        render(&anew)?;
        let anew = anew.fd().try_clone_to_owned();
        let anew = anew.context(|| "cannot use a directory")?;
        compare(&self.layers.open(layer, "rootfs")?, &anew).map(Some)
    }
}

/// The tree of a layer, which is compared with the entries of its archive.
struct Tree<'a> {
    rootfs: &'a OwnedFd,
    /// Whether its files belong to whom the archive says, and there are devices.
    privileged: bool,
    /// When the layer was complete.
    stored: (i64, i64),
    /// The directories without an entry, by inode.
    implicit: BTreeSet<u64>,
    /// The names that have entries, as hashes: the inode of the directory and
    /// the name, since links lead to the same directory on other paths.
    known: BTreeSet<u64>,
    key: RandomState,
    /// The inodes of files with several names.
    linked: BTreeSet<u64>,
    /// The last directory used: entries come directory by directory.
    parent: Option<(PathBuf, OwnedFd, u64)>,
    /// Files that were written to, or given other metadata, after the layer was
    /// complete: nobody can set the time of that.
    touched: Vec<String>,
    differences: Differences,
}

impl<'a> Tree<'a> {
    fn new(stored: &'a Stored, implicit: BTreeSet<PathBuf>) -> Result<Self> {
        let rootfs = &stored.rootfs;
        let what = || "cannot examine its files";
        let record = rustix::fs::statat(&stored.lease, "record", AtFlags::SYMLINK_NOFOLLOW);
        let inode = |path: &PathBuf| -> Option<u64> {
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            let directory = root_fd::open(rootfs, path, flags).ok()?;
            Some(rustix::fs::fstat(directory).ok()?.st_ino)
        };
        Ok(Self {
            rootfs,
            privileged: sys::host::may_set_owners(),
            stored: record.map(|status| modified(&status)).context(what)?,
            implicit: implicit.iter().filter_map(inode).collect(),
            known: BTreeSet::new(),
            key: RandomState::new(),
            linked: BTreeSet::new(),
            parent: None,
            touched: Vec::new(),
            differences: Differences::default(),
        })
    }

    /// Compares the file of an entry with it.
    fn compare(&mut self, entry: &Entry<'_, '_>) -> Result<()> {
        let path = shown(&entry.path);
        let device = matches!(entry.kind, EntryKind::Character(..) | EntryKind::Block(..));
        if device && !self.privileged {
            return Ok(());
        }
        let Some(file) = self.open(&entry.path).context(|| cannot_examine(&path))? else {
            self.differences.add(format!("{path} is missing"));
            return Ok(());
        };
        let status = rustix::fs::fstat(&file).context(|| cannot_examine(&path))?;
        let kind = FileType::from_raw_mode(status.st_mode);
        let is_first = status.st_nlink < 2 || kind.is_dir() || self.linked.insert(status.st_ino);
        if let EntryKind::HardLink(target) = &entry.kind {
            let target_file = self.look(target).context(|| cannot_examine(&path))?;
            let same = target_file.is_some_and(|file| {
                let target = rustix::fs::fstat(file);
                target.is_ok_and(|target| target.st_ino == status.st_ino)
            });
            if !same {
                let target = shown(target);
                self.differences
                    .add(format!("{path} is no hard link to {target}"));
            }
            return Ok(());
        }
        if !is_first {
            self.differences
                .add(format!("{path} is a hard link to another file"));
        }
        if changed(&status) > self.stored && kind.is_file() {
            self.touched.push(path.clone());
        }
        let (is, expected) = (noun(kind), wanted(&entry.kind));
        if is != expected {
            self.differences
                .add(format!("{path} is a {is}, not a {expected}"));
            return Ok(());
        }
        self.metadata(&path, entry, &status);
        self.target(&path, entry, &file, &status)?;
        self.attributes(&path, entry, kind)
    }

    fn metadata(&mut self, path: &str, entry: &Entry<'_, '_>, status: &Stat) {
        let owner = (status.st_uid, status.st_gid);
        if self.privileged && owner != (entry.uid, entry.gid) {
            let (uid, gid) = owner;
            self.differences.add(format!(
                "{path} belongs to {uid}:{gid}, not to {}:{}",
                entry.uid, entry.gid
            ));
        }
        let mode = status.st_mode & 0o7777;
        if !matches!(entry.kind, EntryKind::Symlink(_)) && mode != entry.mode {
            self.differences.add(format!(
                "{path} has mode {mode:04o}, not {:04o}",
                entry.mode
            ));
        }
        if !is_time(modified(status), entry.mtime) {
            self.differences
                .add(format!("{path} has another modification time"));
        }
    }

    /// Compares where a symbolic link leads, or what device a node is.
    fn target(
        &mut self,
        path: &str,
        entry: &Entry<'_, '_>,
        file: &OwnedFd,
        status: &Stat,
    ) -> Result<()> {
        match &entry.kind {
            EntryKind::Symlink(target) => {
                let found = rustix::fs::readlinkat(file, c"", Vec::new());
                let found = found.context(|| cannot_examine(path))?;
                if found.as_bytes() != target.as_os_str().as_encoded_bytes() {
                    let (found, target) = (found.to_string_lossy(), target.to_string_lossy());
                    let (found, target) = (escaped(&found), escaped(&target));
                    self.differences
                        .add(format!("{path} leads to `{found}`, not to `{target}`"));
                }
            }
            EntryKind::Character(major, minor) | EntryKind::Block(major, minor) => {
                let device = status.st_rdev;
                let found = (rustix::fs::major(device), rustix::fs::minor(device));
                if found != (*major, *minor) {
                    let (is, its) = found;
                    self.differences
                        .add(format!("{path} is device {is}:{its}, not {major}:{minor}"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Compares extended attributes. Those of the host, such as labels, are not
    /// the image's.
    fn attributes(&mut self, path: &str, entry: &Entry<'_, '_>, kind: FileType) -> Result<()> {
        if !kind.is_file() && !kind.is_dir() {
            return Ok(());
        }
        let what = || cannot_examine(path);
        // What is open as a place only has no attributes.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW;
        let file = root_fd::open(self.rootfs, &entry.path, flags).context(what)?;
        let names = attributes::names(&file).context(what)?;
        for name in &names {
            let shown = escaped(&name.to_string_lossy());
            let value = || attributes::value(&file, name).context(what);
            match entry.attributes.get(name).filter(|_| is_kept(name)) {
                Some(expected) if *expected != value()? => self
                    .differences
                    .add(format!("{path} has another value of attribute `{shown}`")),
                None if is_kept(name) || hides(name.as_encoded_bytes()) => self.differences.add(
                    format!("{path} has an attribute `{shown}` that it did not have"),
                ),
                _ => {}
            }
        }
        // Where they cannot be set, no file got its own.
        let mut expected = entry.attributes.keys().filter(|name| is_kept(name));
        if let Some(name) = expected.find(|name| !names.contains(name))
            && self.privileged
            && has_attributes(&file)
        {
            let name = escaped(&name.to_string_lossy());
            self.differences
                .add(format!("{path} has no attribute `{name}`"));
        }
        Ok(())
    }

    /// Opens a path of the archive, and notes that its name is known.
    fn open(&mut self, path: &Path) -> io::Result<Option<OwnedFd>> {
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return self.look(path);
        };
        let (above, parent, inode) = match self.parent.take() {
            Some(last) if last.0 == above => last,
            _ => {
                let Some(parent) = absent(root_fd::open(self.rootfs, above, OFlags::PATH))? else {
                    return Ok(None);
                };
                let inode = rustix::fs::fstat(&parent)?.st_ino;
                (above.to_owned(), parent, inode)
            }
        };
        self.known.insert(self.key.hash_one((inode, name)));
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&parent, name, flags, Mode::empty());
        self.parent = Some((above, parent, inode));
        absent(opened.map_err(io::Error::from))
    }

    /// Opens a path of the archive.
    fn look(&self, path: &Path) -> io::Result<Option<OwnedFd>> {
        absent(root_fd::open(
            self.rootfs,
            path,
            OFlags::PATH | OFlags::NOFOLLOW,
        ))
    }

    /// Finds files that have no entry. What is in a directory without one is not
    /// told as well.
    fn find_others(&mut self) -> Result<()> {
        let mut ahead = vec![PathBuf::new()];
        while let Some(path) = ahead.pop() {
            let what = || cannot_examine(&shown(&path));
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            let directory = root_fd::open(self.rootfs, &path, flags).context(what)?;
            let inode = rustix::fs::fstat(&directory).context(what)?.st_ino;
            for entry in Dir::read_from(&directory).context(what)? {
                let entry = entry.context(what)?;
                let name = entry.file_name();
                if name == c"." || name == c".." {
                    continue;
                }
                let flags = AtFlags::SYMLINK_NOFOLLOW;
                let status = rustix::fs::statat(&directory, name, flags).context(what)?;
                let is_directory = FileType::from_raw_mode(status.st_mode).is_dir();
                let name: &std::ffi::OsStr =
                    std::os::unix::ffi::OsStrExt::from_bytes(name.to_bytes());
                let known = self.known.contains(&self.key.hash_one((inode, name)));
                let implied = is_directory && self.implicit.contains(&status.st_ino);
                let path = path.join(name);
                if !known && !implied {
                    let path = shown(&path);
                    self.differences
                        .add(format!("{path} is not in the archive"));
                } else if is_directory {
                    ahead.push(path);
                }
            }
        }
        Ok(())
    }
}

fn cannot_examine(path: &str) -> String {
    format!("cannot examine {path}")
}

fn absent(opened: io::Result<OwnedFd>) -> io::Result<Option<OwnedFd>> {
    match opened {
        Err(error) if root_fd::is_absent(&error) => Ok(None),
        opened => opened.map(Some),
    }
}

/// Tells whether a file system has attributes of users.
fn has_attributes(file: &OwnedFd) -> bool {
    let asked = rustix::fs::fgetxattr(file, c"user.nosecone", &mut [0_u8; 0][..]);
    asked != Err(rustix::io::Errno::OPNOTSUPP)
}

fn noun(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "regular file",
        FileType::Directory => "directory",
        FileType::Symlink => "symbolic link",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::CharacterDevice => "character device",
        FileType::BlockDevice => "block device",
        FileType::Unknown => "file of another kind",
    }
}

fn wanted(kind: &EntryKind) -> &'static str {
    noun(match kind {
        EntryKind::File | EntryKind::HardLink(_) => FileType::RegularFile,
        EntryKind::Directory => FileType::Directory,
        EntryKind::Symlink(_) => FileType::Symlink,
        EntryKind::Character(..) => FileType::CharacterDevice,
        EntryKind::Block(..) => FileType::BlockDevice,
        EntryKind::Fifo => FileType::Fifo,
    })
}

fn modified(status: &Stat) -> (i64, i64) {
    (status.st_mtime, nanoseconds(status.st_mtime_nsec))
}

fn changed(status: &Stat) -> (i64, i64) {
    (status.st_ctime, nanoseconds(status.st_ctime_nsec))
}

fn nanoseconds(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(0)
}

/// Tells whether a time is the one that was set, as far as the file system can
/// hold it: some have a shorter range, or no fractions of seconds (inode(7)).
fn is_time((seconds, nanoseconds): (i64, i64), (wanted, fraction): (i64, u32)) -> bool {
    let fraction = i64::from(fraction);
    if seconds == wanted {
        return [1, 100, 1000, 1_000_000_000]
            .iter()
            .any(|unit| nanoseconds == fraction - fraction % unit);
    }
    let (least, most) = (i64::from(i32::MIN), i64::from(i32::MAX));
    (wanted > most && (most..wanted).contains(&seconds))
        || (wanted < 0 && (seconds == 0 || seconds == least))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_the_file_system_cannot_hold_is_no_other() {
        for (is, wanted, same) in [
            ((5, 7), (5, 7), true),
            ((5, 0), (5, 7), true),
            ((5, 100), (5, 123), true),
            ((5, 8), (5, 7), false),
            ((5, 7), (5, 0), false),
            ((6, 0), (5, 0), false),
            ((i64::from(i32::MAX), 0), (1 << 40, 0), true),
            ((15_032_385_535, 0), (1 << 40, 0), true),
            ((1, 0), (1 << 40, 0), false),
            ((0, 0), (-1, 0), true),
            ((-2, 0), (-1, 0), false),
        ] {
            assert_eq!(is_time(is, wanted), same, "{is:?} {wanted:?}");
        }
    }
}
