//! The secret of this host, with which pods sign and from which their tokens
//! are derived.
//!
//! ```text
//! DIR/secret      128 random bytes, made when the first pod needs them
//! ```
//!
//! It belongs to the host rather than to a pod, so that a pod can verify what
//! another has signed, even after that has exited.

use std::fs::File;
use std::io::Write as _;

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use appc::types::Uuid;
use error::{Context as _, Error, Kind, Result};
use image::digest::{Code, KEY, hexadecimal};
use sys::dirs::Dirs;
use sys::small_file;

/// The name of the file.
const SECRET: &str = "secret";

/// How often making it is retried, in case others clear unfinished files away.
const TRIES: usize = 8;

/// Returns the secret; makes it if there is none.
///
/// # Errors
///
/// Fails if the disk refuses, or the file does not have its original length.
pub fn ensure(dirs: &Dirs) -> Result<[u8; KEY]> {
    for _ in 0..TRIES {
        if let Some(key) = read(dirs)? {
            return Ok(key);
        }
        make(dirs)?;
    }
    Err(Error::new(
        Kind::Failed,
        "cannot create the host secret: another process keeps removing it",
    ))
}

fn read(dirs: &Dirs) -> Result<Option<[u8; KEY]>> {
    let what = || "cannot read the host secret";
    let bytes = small_file::find(dirs.root()?, SECRET, KEY + 1).context(what)?;
    let Some(bytes) = bytes else {
        return Ok(None);
    };
    let key = bytes.try_into().map_err(|bytes: Vec<u8>| {
        let error = format!("{}: it has {} bytes instead of {KEY}", what(), bytes.len());
        Error::invalid(error)
            .hint("remove the file to create a new one; existing signatures become invalid")
    })?;
    Ok(Some(key))
}

/// Writes the secret to a temporary file, and links it to its name unless
/// another process was faster.
fn make(dirs: &Dirs) -> Result<()> {
    let what = || "cannot create the host secret";
    let mut key = [0; KEY];
    rustix::rand::getrandom(&mut key, rustix::rand::GetRandomFlags::empty())
        .context(|| "cannot get random numbers from the kernel")?;
    let (root, tmp) = (dirs.root()?, dirs.tmp()?);
    let name = format!("{SECRET}-{:x}", std::process::id());
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&tmp, &name, flags, Mode::RUSR | Mode::WUSR).context(what)?;
    let mut file = File::from(file);
    file.write_all(&key).context(what)?;
    file.sync_all().context(what)?;
    let named = rustix::fs::renameat_with(&tmp, &name, root, SECRET, RenameFlags::NOREPLACE);
    if named.is_err() {
        let _ = rustix::fs::unlinkat(&tmp, &name, AtFlags::empty());
    }
    match named {
        Ok(()) => rustix::fs::fsync(root).context(what),
        // It was cleared away, or another process was faster.
        Err(Errno::NOENT | Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno).context(what),
    }
}

/// Returns the token of a pod, which nobody can guess without the secret.
pub fn token(key: &[u8; KEY], uuid: Uuid) -> String {
    let mut code = Code::new(key);
    code.update(b"token of pod ");
    code.update(uuid.to_string().as_bytes());
    hexadecimal(code.finish().get(..32).unwrap_or_default())
}
