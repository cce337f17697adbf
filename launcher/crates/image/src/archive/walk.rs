//! Walks the tar of a root file system, of whatever format of images.
//!
//! Every path it gives out has been taken apart and put together again:
//! relative, of plain components, and inside the root file system. No two
//! entries have the same one.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher as _, RandomState};
use std::io::BufRead;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use crate::archive::holes::Piece;
use crate::archive::tar_reader::{self, Member, MemberKind, Members};
use crate::archive::tar_split::Recorder;
use error::{Error, Result};
use sys::size;

pub use crate::archive::tar_reader::Chunk;

/// How much an archive may hold. Reaching a bound is an error that names it.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of all files together, holes included.
    pub bytes: u64,
    /// Files, directories, links.
    pub entries: u64,
    /// Directories in one another.
    pub depth: usize,
    /// Bytes of a path.
    pub path: usize,
    /// Bytes of a name in a path: what Linux allows.
    pub name: usize,
    /// Bytes of the document beside the root file system.
    pub document: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 64 << 30,
            entries: 2_000_000,
            depth: 256,
            path: 4000,
            name: 255,
            document: 4 << 20,
        }
    }
}

/// A file, directory or link of the root file system.
pub struct Entry<'e, 'm> {
    /// Its path below `rootfs`; empty for `rootfs` itself.
    pub path: PathBuf,
    /// What it is.
    pub kind: EntryKind,
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
    /// Last modification, in seconds since 1970 and nanoseconds.
    pub mtime: (i64, u32),
    /// Extended attributes.
    pub attributes: BTreeMap<OsString, Vec<u8>>,
    /// Size of a file, in bytes, holes included.
    pub size: u64,
    /// Where its content is read from.
    members: &'e mut Members<'m>,
}

impl Entry<'_, '_> {
    /// Says that the content of this file is kept in the tree, under this path,
    /// so that the recorder need not keep it. Call it before reading the content.
    pub(crate) fn keep(&mut self, path: &Path) {
        self.members.keep(path);
    }

    /// Returns the next part of a file's content, or `None` at its end.
    pub fn content(&mut self) -> Result<Option<Chunk<'_>>> {
        self.members.content().map_err(tar_reader::unreadable)
    }

    /// Returns the pieces of a file whose content has not been read yet.
    pub(crate) fn pieces(&self) -> Vec<Piece> {
        self.members.pieces()
    }

    /// Reads a file's whole content.
    pub(crate) fn whole_content(&mut self) -> Result<Vec<u8>> {
        let content = self.members.whole_content(self.size);
        content.map_err(tar_reader::unreadable)
    }
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, and where it leads, uninterpreted.
    Symlink(PathBuf),
    /// Another name of the file with this path below `rootfs`.
    HardLink(PathBuf),
    /// A character device: major and minor number.
    Character(u32, u32),
    /// A block device: major and minor number.
    Block(u32, u32),
    /// A named pipe.
    Fifo,
}

/// Where an entry belongs.
pub(crate) enum Place<'a> {
    /// The archive's own top directory.
    Top,
    /// The document that describes the image.
    Document,
    /// The root file system: the path below it.
    Rootfs(&'a Path),
}

/// Finds the place of a path that is clean: equal paths have equal bytes. What
/// belongs nowhere is refused with a phrase.
pub(crate) type Layout = fn(&Path) -> std::result::Result<Place<'_>, String>;

/// What the entries of an archive may be called.
#[derive(Clone, Copy)]
pub(crate) struct Naming {
    /// Finds the place of each.
    pub(crate) layout: Layout,
    /// Whether an absolute path is one below the root, and a path may have several
    /// entries, of which the last counts: so it is in layers of OCI images.
    pub(crate) lenient: bool,
}

/// What an archive has besides the entries of its root file system.
#[derive(Default)]
pub(crate) struct Walked {
    /// It has an entry for the root itself.
    pub(crate) rootfs: bool,
    /// It has a document, valid or not.
    pub(crate) described: bool,
    /// The document, byte for byte.
    pub(crate) document: Option<Vec<u8>>,
    /// It was read to the end.
    pub(crate) whole: bool,
}

/// Takes a fault and, if it is one of an entry, where the entry starts: an offset
/// in the uncompressed tar. An error ends the walk; otherwise it goes on behind
/// the entry, if that can be found.
pub type TakeFault<'f> = &'f mut dyn FnMut(Error, Option<u64>) -> Result<()>;

/// Reads a whole archive, lets `recorder` see its bytes, and calls `visit` for
/// each entry of its root file system.
///
/// # Errors
///
/// What `fault` says of whatever breaks the layout, and of what `visit` says;
/// whatever exceeds a limit.
pub(crate) fn walk(
    input: &mut dyn BufRead,
    limits: &Limits,
    naming: Naming,
    recorder: Option<&Recorder>,
    visit: &mut dyn FnMut(Entry<'_, '_>) -> Result<()>,
    fault: TakeFault<'_>,
) -> Result<Walked> {
    let is_empty = input.fill_buf().map_err(tar_reader::unreadable)?.is_empty();
    if is_empty && !naming.lenient {
        return Err(Error::invalid("the file is empty"));
    }
    let mut members = Members::new(input, recorder);
    let mut reading = Reading {
        limits,
        naming,
        visit,
        seen: Seen::default(),
        entries: 0,
        walked: Walked::default(),
    };
    let mut bytes = 0_u64;
    loop {
        // Others take no bytes for a tar with nothing in it.
        let next = if is_empty { Ok(None) } else { members.next() };
        let read = match next {
            Ok(None) => break,
            Ok(Some(member)) => {
                bytes = bytes.saturating_add(member.size);
                if bytes > limits.bytes {
                    return Err(too_large("content", limits.bytes));
                }
                reading.member(member, &mut members)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = read {
            // What is wrong at the start is wrong with the whole.
            fault(error, Some(members.position()).filter(|&at| at > 0))?;
            if !members.can_go_on() {
                return Ok(reading.walked);
            }
        }
        if reading.entries > limits.entries {
            return Err(too_many("entries", limits.entries));
        }
    }
    reading.walked.whole = true;
    Ok(reading.walked)
}

/// An archive that is being read.
struct Reading<'r> {
    limits: &'r Limits,
    naming: Naming,
    visit: &'r mut dyn FnMut(Entry<'_, '_>) -> Result<()>,
    seen: Seen,
    entries: u64,
    walked: Walked,
}

impl Reading<'_> {
    /// Reads a member, and what it contains.
    fn member(&mut self, mut member: Member, members: &mut Members<'_>) -> Result<()> {
        let name = std::mem::take(&mut member.name);
        let fault = |what: String| Error::invalid(format!("{} {what}", shown(&name)));
        let lenient = self.naming.lenient;
        let whole = match lenient {
            true => clean(below_root(&name), self.limits),
            false => clean(&name, self.limits),
        };
        let whole = whole.map_err(fault)?;
        if !whole.as_os_str().is_empty() {
            self.entries += 1;
            if !lenient {
                self.seen.add(&whole).map_err(fault)?;
            }
        }
        match (self.naming.layout)(&whole).map_err(fault)? {
            Place::Top if member.kind == MemberKind::Directory => Ok(()),
            Place::Top => Err(fault("has no name, and is not a directory".to_owned())),
            Place::Document => {
                self.walked.described = true;
                let document = document(members, &member, &whole, self.limits)?;
                self.walked.document = Some(document);
                Ok(())
            }
            Place::Rootfs(path) => {
                let place = |error: Error| error.at(shown(&name));
                let is_root = path.as_os_str().is_empty();
                self.walked.rootfs |= is_root;
                if is_root && member.kind != MemberKind::Directory {
                    return Err(place(Error::invalid("it is not a directory")));
                }
                let path = path.to_owned();
                let entry = understand(member, path, self.limits, self.naming.layout, members);
                (self.visit)(entry.map_err(place)?).map_err(place)
            }
        }
    }
}

/// Returns what messages call an entry.
fn shown(name: &[u8]) -> String {
    format!("entry `{}`", String::from_utf8_lossy(name).escape_debug())
}

/// The paths that there were, as hashes: of two million paths no archive shall
/// fill the memory. Nobody can make two of them collide on purpose, since the
/// hash has a random key; if they do by chance, the archive is refused. A tree
/// grows little by little, a table by doubling, and while it does it is there twice.
#[derive(Default)]
pub(crate) struct Seen {
    key: RandomState,
    hashes: BTreeSet<u64>,
}

impl Seen {
    fn add(&mut self, path: &Path) -> std::result::Result<(), String> {
        match self.hashes.insert(self.key.hash_one(path.as_os_str())) {
            true => Ok(()),
            false => Err("appears twice".to_owned()),
        }
    }
}

/// Returns what follows the slashes that a path begins with.
fn below_root(path: &[u8]) -> &[u8] {
    let slashes = path.iter().take_while(|&&byte| byte == b'/').count();
    &path[slashes..]
}

/// Takes a path apart and puts it together of plain names.
pub(crate) fn clean(name: &[u8], limits: &Limits) -> std::result::Result<PathBuf, String> {
    if name.len() > limits.path {
        return Err(format!("has a path longer than {} bytes", limits.path));
    }
    if name.contains(&0) {
        return Err("has a NUL byte in its path".to_owned());
    }
    let mut clean = PathBuf::with_capacity(name.len());
    let mut depth = 0;
    for component in Path::new(OsStr::from_bytes(name)).components() {
        match component {
            Component::CurDir => {}
            Component::Normal(name) if name.len() > limits.name => {
                return Err(format!("has a name longer than {} bytes", limits.name));
            }
            Component::Normal(name) => {
                clean.push(name);
                depth += 1;
            }
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err("leads out of the image".to_owned());
            }
        }
    }
    if depth > limits.depth {
        return Err(format!("is deeper than {} directories", limits.depth));
    }
    Ok(clean)
}

fn document(
    members: &mut Members<'_>,
    member: &Member,
    path: &Path,
    limits: &Limits,
) -> Result<Vec<u8>> {
    let name = path.display();
    if member.kind != MemberKind::File {
        return Err(Error::invalid(format!(
            "its `{name}` is not a regular file"
        )));
    }
    if member.size > limits.document {
        return Err(too_large(&name.to_string(), limits.document));
    }
    let content = members.whole_content(limits.document);
    content.map_err(tar_reader::unreadable)
}

/// Checks what a member says of itself.
fn understand<'e, 'm>(
    member: Member,
    path: PathBuf,
    limits: &Limits,
    layout: Layout,
    members: &'e mut Members<'m>,
) -> Result<Entry<'e, 'm>> {
    Ok(Entry {
        path,
        kind: kind(&member, limits, layout)?,
        uid: id(member.uid)?,
        gid: id(member.gid)?,
        mode: u32::try_from(member.mode & 0o7777).unwrap_or(0),
        mtime: member.mtime,
        attributes: member.pax.attributes,
        size: member.size,
        members,
    })
}

fn kind(member: &Member, limits: &Limits, layout: Layout) -> Result<EntryKind> {
    let device = || -> Result<(u32, u32)> {
        let number = |number| {
            u32::try_from(number).map_err(|_| Error::invalid("its device number is out of range"))
        };
        Ok((number(member.device.0)?, number(member.device.1)?))
    };
    let link = || match member.link.as_slice() {
        [] => Err(Error::invalid("the link has no target")),
        link if link.contains(&0) => Err(Error::invalid("the link has a NUL byte")),
        link if link.len() > limits.path => Err(Error::invalid(format!(
            "the link is longer than {} bytes",
            limits.path
        ))),
        link => Ok(OsString::from_vec(link.to_vec())),
    };
    Ok(match member.kind {
        MemberKind::File => EntryKind::File,
        MemberKind::Directory => EntryKind::Directory,
        MemberKind::Symlink => EntryKind::Symlink(link()?.into()),
        MemberKind::HardLink => {
            // Absolute or not, it is below the directory that is unpacked to.
            let target = link()?;
            let target = clean(below_root(target.as_bytes()), limits);
            match target.as_deref().map(layout) {
                Ok(Ok(Place::Rootfs(path))) if !path.as_os_str().is_empty() => {
                    EntryKind::HardLink(path.to_owned())
                }
                _ => return Err(Error::invalid("the hard link leads out of the image")),
            }
        }
        MemberKind::Character => {
            device().map(|(major, minor)| EntryKind::Character(major, minor))?
        }
        MemberKind::Block => device().map(|(major, minor)| EntryKind::Block(major, minor))?,
        MemberKind::Fifo => EntryKind::Fifo,
    })
}

/// Ids are 32 bits wide; the highest means "none" to the kernel.
fn id(number: i64) -> Result<u32> {
    u32::try_from(number)
        .ok()
        .filter(|&id| id != u32::MAX)
        .ok_or_else(|| Error::invalid(format!("{number} cannot be the id of a user or group")))
}

pub(crate) fn too_large(what: &str, limit: u64) -> Error {
    Error::invalid(format!("it has more than {} of {what}", size::spell(limit)))
}

pub(crate) fn too_many(what: &str, limit: u64) -> Error {
    Error::invalid(format!("it has more than {limit} {what}"))
}
