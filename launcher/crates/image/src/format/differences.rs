//! What differs between what is stored and what it should be: the list of it, and
//! the comparison of two trees of files.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FileType, OFlags, Stat};

use crate::archive::file_writer::is_kept;
use crate::format::pack::shown;
use error::{Context as _, Result};
use sys::{attributes, root_fd};

/// How many differences are told of one image.
const TOLD: usize = 10;

/// What differs between an image and its ID.
#[derive(Debug, Default)]
pub struct Differences {
    /// The first of them.
    told: Vec<String>,
    /// How many more there are.
    more: usize,
}

/// The first of them on one line, and how many more there are.
impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told.join("; "))?;
        match self.more {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl Differences {
    /// Tells whether there are none.
    pub fn are_none(&self) -> bool {
        self.told.is_empty()
    }

    /// Adds those of a part, each with this in front.
    pub(crate) fn append(&mut self, part: Self, place: &str) {
        for one in part.told {
            self.add(format!("{place}{one}"));
        }
        self.more += part.more;
    }

    pub(crate) fn add(&mut self, what: String) {
        match self.told.len() < TOLD {
            true => self.told.push(what),
            false => self.more += 1,
        }
    }
}

/// Finds what a tree has that the other has not, or has otherwise.
///
/// # Errors
///
/// One of them cannot be read.
pub(crate) fn compare(tree: &OwnedFd, expected: &OwnedFd) -> Result<Differences> {
    let mut differences = Differences::default();
    let mut ahead = vec![PathBuf::new()];
    while let Some(path) = ahead.pop() {
        let name = shown(&path);
        let what = || format!("cannot examine {name}");
        let (is_directory, property) = difference(tree, expected, &path).context(what)?;
        if let Some(property) = property {
            differences.add(format!("{name} has another {property}"));
        }
        if !is_directory {
            continue;
        }
        let here = names(tree, &path).context(what)?;
        let there = names(expected, &path).context(what)?;
        for name in there.difference(&here) {
            differences.add(format!("{} is missing", shown(&path.join(name))));
        }
        for name in here.difference(&there) {
            differences.add(format!("{} is not in the images", shown(&path.join(name))));
        }
        ahead.extend(here.intersection(&there).map(|name| path.join(name)));
    }
    Ok(differences)
}

fn names(tree: &OwnedFd, path: &Path) -> std::io::Result<BTreeSet<OsString>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let mut names = BTreeSet::new();
    for entry in Dir::read_from(root_fd::open(tree, path, flags)?)? {
        let name = entry?.file_name().to_bytes().to_owned();
        if name != b"." && name != b".." {
            names.insert(OsString::from_vec(name));
        }
    }
    Ok(names)
}

/// Returns whether both are directories, and the property in which they differ.
fn difference(
    tree: &OwnedFd,
    expected: &OwnedFd,
    path: &Path,
) -> std::io::Result<(bool, Option<&'static str>)> {
    let open = |flags| -> std::io::Result<[OwnedFd; 2]> {
        let flags = flags | OFlags::NOFOLLOW;
        Ok([
            root_fd::open(tree, path, flags)?,
            root_fd::open(expected, path, flags)?,
        ])
    };
    let places = open(OFlags::PATH)?;
    let [is, wanted] = [
        rustix::fs::fstat(&places[0])?,
        rustix::fs::fstat(&places[1])?,
    ];
    let kind = |status: &Stat| FileType::from_raw_mode(status.st_mode);
    let is_directory = kind(&is).is_dir() && kind(&wanted).is_dir();
    if let Some(property) = unlike(&is, &wanted) {
        return Ok((is_directory, Some(property)));
    }
    let property = match kind(&is) {
        FileType::Symlink => {
            let [is, wanted] = places.map(|link| rustix::fs::readlinkat(link, c"", Vec::new()));
            (is? != wanted?).then_some("target")
        }
        file @ (FileType::RegularFile | FileType::Directory) => {
            let [is, wanted] = open(OFlags::RDONLY | OFlags::NONBLOCK)?;
            if extended(&is)? != extended(&wanted)? {
                Some("attribute")
            } else if file == FileType::RegularFile && !same_content(is.into(), wanted.into())? {
                Some("content")
            } else {
                None
            }
        }
        _ => None,
    };
    Ok((is_directory, property))
}

/// Returns the first property of the inodes that is not the same.
fn unlike(is: &Stat, wanted: &Stat) -> Option<&'static str> {
    let directory = FileType::from_raw_mode(is.st_mode).is_dir();
    let kind = |status: &Stat| FileType::from_raw_mode(status.st_mode);
    let time = |status: &Stat| (status.st_mtime, status.st_mtime_nsec);
    [
        (kind(is) == kind(wanted), "kind"),
        (
            (is.st_uid, is.st_gid) == (wanted.st_uid, wanted.st_gid),
            "owner",
        ),
        (is.st_mode == wanted.st_mode, "mode"),
        (is.st_rdev == wanted.st_rdev, "device number"),
        (directory || is.st_size == wanted.st_size, "size"),
        (
            directory || is.st_nlink == wanted.st_nlink,
            "number of hard links",
        ),
        (time(is) == time(wanted), "modification time"),
    ]
    .into_iter()
    .find_map(|(same, property)| (!same).then_some(property))
}

/// Returns the attributes that are an image's, or that an overlay would heed.
fn extended(file: &OwnedFd) -> std::io::Result<Vec<(OsString, Vec<u8>)>> {
    let mut names = attributes::names(file)?;
    names.retain(|name| is_kept(name) || hides(name.as_bytes()));
    names.sort();
    let pairs = names.into_iter().map(|name| {
        let value = attributes::value(file, &name)?;
        Ok((name, value))
    });
    pairs.collect()
}

fn same_content(one: File, other: File) -> std::io::Result<bool> {
    const PIECE: u64 = 128 << 10;
    loop {
        let [mut mine, mut theirs] = [Vec::new(), Vec::new()];
        (&one).take(PIECE).read_to_end(&mut mine)?;
        (&other).take(PIECE).read_to_end(&mut theirs)?;
        if mine != theirs {
            return Ok(false);
        }
        if mine.is_empty() {
            return Ok(true);
        }
    }
}

/// Tells whether an attribute would make an overlay show other files.
pub(crate) fn hides(name: &[u8]) -> bool {
    [b"trusted.overlay.".as_slice(), b"user.overlay."]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}
