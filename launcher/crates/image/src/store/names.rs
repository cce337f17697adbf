//! The index of image names: small files, replaced by rename.
//!
//! ```text
//! names/name-HASH      the name, then the image IDs, each on a line; the latest last
//! ```
//!
//! The index only speeds up lookups: it is checked against the manifests. If a
//! crash leaves an image out, it is added when the image is stored again.

use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::digest::{self, Digest};
use error::{Context as _, Result};
use sys::dirs::{Dirs, Part};
use sys::small_file;

/// The largest file that is read, in bytes: seven thousand images of one name.
const LIMIT: usize = 1 << 20;

/// The temporary name of a file, under the lock.
const UNFINISHED: &str = "unfinished";

/// Adds an image as the latest of its name.
pub(crate) fn add(dirs: &Dirs, name: &str, id: &Digest) -> Result<()> {
    let names = dirs.names()?;
    // Released when `names` is closed.
    rustix::fs::flock(&names, FlockOperation::LockExclusive)
        .context(|| format!("cannot write the index of `{name}`"))?;
    let mut ids = read(names.as_fd(), Path::new(&file_name(name)), name)?;
    ids.retain(|known| known != id);
    ids.push(*id);
    write(&names, name, &ids)
}

/// Returns the images of a name, the latest last.
pub(crate) fn find(dirs: &Dirs, name: &str) -> Result<Vec<Digest>> {
    match dirs.root() {
        Ok(root) => read(root, &Part::Names.path().join(file_name(name)), name),
        Err(_) => Ok(Vec::new()),
    }
}

/// Returns all names, each with its images, the latest last.
pub(crate) fn all(dirs: &Dirs) -> Result<Vec<(String, Vec<Digest>)>> {
    let what = || "cannot list the names of images";
    let mut all = Vec::new();
    let Some(names) = dirs.find(Part::Names)? else {
        return Ok(all);
    };
    for entry in rustix::fs::Dir::read_from(&names).context(what)? {
        let entry = entry.context(what)?;
        let file = entry.file_name();
        if !file.to_bytes().starts_with(b"name-") {
            continue;
        }
        let text = small_file::find(&names, file, LIMIT).context(what)?;
        let text = text.unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut lines = text.lines();
        if let Some(name) = lines.next() {
            let ids = lines.filter_map(|id| Digest::parse(id).ok()).collect();
            all.push((name.to_owned(), ids));
        }
    }
    all.sort();
    Ok(all)
}

/// Removes a name.
pub(crate) fn remove(dirs: &Dirs, name: &str) -> Result<()> {
    let what = || format!("cannot remove the name `{name}`");
    let names = dirs.names()?;
    rustix::fs::flock(&names, FlockOperation::LockExclusive).context(what)?;
    match rustix::fs::unlinkat(&names, file_name(name), AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => rustix::fs::fsync(names.as_fd()).context(what),
        Err(errno) => Err(errno).context(what),
    }
}

/// Removes images that are no longer stored, and files that are then empty.
pub(crate) fn prune(dirs: &Dirs, exists: &dyn Fn(&Digest) -> Result<bool>) -> Result<()> {
    let what = || "cannot clean up the index of image names";
    let Some(names) = dirs.find(Part::Names)? else {
        return Ok(());
    };
    // An image is published before its name is added, so nothing is missed
    // under the lock.
    rustix::fs::flock(&names, FlockOperation::LockExclusive).context(what)?;
    match rustix::fs::unlinkat(&names, UNFINISHED, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno).context(what),
    }
    for entry in rustix::fs::Dir::read_from(&names).context(what)? {
        let entry = entry.context(what)?;
        let file = entry.file_name().to_string_lossy().into_owned();
        if !file.starts_with("name-") && !file.starts_with("file-") {
            continue;
        }
        let text = small_file::find(&names, &file, LIMIT).context(what)?;
        let text = String::from_utf8(text.unwrap_or_default()).unwrap_or_default();
        let ids = text.lines().filter_map(|id| Digest::parse(id).ok());
        let ids: Vec<_> = ids.collect();
        let mut left = Vec::new();
        for id in &ids {
            if exists(id)? {
                left.push(*id);
            }
        }
        if left.is_empty() {
            forget(&names, &file).context(what)?;
        } else if left.len() < ids.len()
            && let Some(name) = text.lines().next()
        {
            write(&names, name, &left)?;
        }
    }
    Ok(())
}

/// Removes a file, unless another process is about to write it.
fn forget(names: &OwnedFd, file: &str) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = match rustix::fs::openat(names, file, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        open => open?,
    };
    match rustix::fs::flock(&open, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Ok(()),
        locked => locked.and_then(|()| rustix::fs::unlinkat(names, file, AtFlags::empty())),
    }
}

/// Writes a file, under the lock.
fn write(names: &OwnedFd, name: &str, ids: &[Digest]) -> Result<()> {
    let what = || format!("cannot write the index of `{name}`");
    let mut text = format!("{name}\n");
    for id in ids {
        text.push_str(&format!("{id}\n"));
    }
    // No other process writes it under the lock. Leftovers of a crash are
    // overwritten.
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    let file = rustix::fs::openat(names, UNFINISHED, flags, mode).context(what)?;
    let mut file = std::fs::File::from(file);
    file.write_all(text.as_bytes()).context(what)?;
    file.sync_all().context(what)?;
    rustix::fs::renameat(names, UNFINISHED, names, file_name(name)).context(what)?;
    rustix::fs::fsync(names.as_fd()).context(what)
}

fn read(directory: BorrowedFd<'_>, file: &Path, name: &str) -> Result<Vec<Digest>> {
    let text = small_file::find(directory, file, LIMIT)
        .context(|| format!("cannot read the index of `{name}`"))?
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines();
    if lines.next() != Some(name) {
        return Ok(Vec::new());
    }
    Ok(lines.filter_map(|id| Digest::parse(id).ok()).collect())
}

/// Hashed, since a name may contain slashes and be too long for a file name.
fn file_name(name: &str) -> String {
    format!("name-{}", digest::file_name(name))
}
