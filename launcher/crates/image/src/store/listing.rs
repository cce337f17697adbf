//! What `image list` shows of an image, in a symbolic link beside its files:
//!
//! ```text
//! images/sha512-.../listed      its name, version, size and time, and the state
//!                               of the files that say the same
//! ```
//!
//! Nobody follows the link. It is the smallest of files: made whole by one system
//! call, and read by one, so that a store of many images is listed soon. It only
//! saves time: an image without it, or whose files were written since, is read
//! from its files.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::AtFlags;

use crate::digest::Digest;
use crate::store::images::Store;
use crate::store::lease;
use crate::store::record::Record;
use crate::store::staging::Folder;
use crate::trust::verify::Grounds;
use appc::json::{self, Object, Value};
use error::Result;
use sys::dirs::Part;

/// The name of the link.
pub(crate) const LISTED: &str = "listed";

/// The files that it stands for.
const FILES: [&str; 2] = ["manifest", "record"];

/// What is listed of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its version or tag.
    pub version: Option<String>,
    /// The size of the archive as received, in bytes.
    pub size: u64,
    /// When it was stored, in seconds since 1970.
    pub stored: u64,
    /// Why it was accepted.
    pub grounds: Grounds,
    /// Who vouched for it.
    pub by: String,
    /// When it was last used, in seconds since 1970.
    pub used: u64,
}

/// Makes the link of an image that is staged, whose files are written. Not every
/// file system has links that are long enough.
pub(crate) fn stage(image: &Folder, name: &str, version: Option<&str>, record: &Record) {
    let states = FILES.map(|file| state(image.fd(), file));
    let [Some(manifest_is), Some(record_is)] = states else {
        return;
    };
    let text: Value = Object::new()
        .with("name", name)
        .with_some("version", version)
        .with("size", record.size)
        .with("stored", record.stored)
        .with("grounds", record.grounds.word())
        .with("by", record.by.as_str())
        .with(FILES[0], manifest_is)
        .with(FILES[1], record_is)
        .into();
    let _ = rustix::fs::symlinkat(text.to_string(), image.fd(), LISTED);
}

/// The links of all images.
pub struct Links(Option<OwnedFd>);

impl Store<'_> {
    /// Opens the directory with the links of all images.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be opened.
    pub fn links(&self) -> Result<Links> {
        self.dirs.find(Part::Images).map(Links)
    }
}

impl Links {
    /// Returns what is listed of an image; `None` if only its files say it.
    pub fn read(&self, id: &Digest) -> Option<Listed> {
        let images = self.0.as_ref()?;
        let id = id.to_string();
        let link = rustix::fs::readlinkat(images, format!("{id}/{LISTED}"), Vec::new()).ok()?;
        let link = json::parse(link.as_bytes()).ok()?;
        let is_as_it_was = |file: &&str| {
            let known = link.text(file);
            known.is_some() && state(images, &format!("{id}/{file}")) == known
        };
        FILES.iter().all(is_as_it_was).then_some(())?;
        Some(Listed {
            name: link.text("name")?,
            version: link.text("version"),
            size: link.number("size")?,
            stored: link.number("stored")?,
            grounds: Grounds::parse(&link.text("grounds")?)?,
            by: link.text("by")?,
            used: lease::last_used(images, id.as_ref()).ok()??,
        })
    }
}

/// Returns the length of a file and when it was last written, as text.
fn state(directory: impl AsFd, path: &str) -> Option<String> {
    let file = rustix::fs::statat(directory, path, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    let (length, seconds, rest) = (file.st_size, file.st_mtime, file.st_mtime_nsec);
    Some(format!("{length} {seconds}.{rest:09}"))
}
