//! The secret of this host: with it pods sign, and know their tokens.
//!
//! ```text
//! DIR/secret      128 random bytes, made when the first pod needs them
//! ```
//!
//! It is the host's and not a pod's, so that one pod can have verified what
//! another one signed, also when that is over.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use appc::types::Uuid;
use error::{Context as _, Error, Kind, Result};
use image::digest::{Code, KEY, hexadecimal};
use sys::dirs::Dirs;
use sys::root_fd;

/// Its name.
const SECRET: &str = "secret";

/// How often it is tried to make it, while others clear away what is unfinished.
const TRIES: usize = 8;

/// Returns the secret, and makes it if there is none.
///
/// # Errors
///
/// The disk refuses; the file is not as it was made.
pub fn ensure(dirs: &Dirs) -> Result<[u8; KEY]> {
    for _ in 0..TRIES {
        if let Some(key) = read(dirs)? {
            return Ok(key);
        }
        make(dirs).context(|| "cannot make the secret of this host")?;
    }
    Err(Error::new(
        Kind::Failed,
        "cannot make the secret of this host: it does not stay",
    ))
}

fn read(dirs: &Dirs) -> Result<Option<[u8; KEY]>> {
    let what = || "cannot read the secret of this host";
    let bytes = root_fd::read(dirs.root()?, Path::new(SECRET), KEY + 1).context(what)?;
    let Some(bytes) = bytes else {
        return Ok(None);
    };
    let key = bytes.try_into().map_err(|bytes: Vec<u8>| {
        let error = format!("{}: it has {} bytes instead of {KEY}", what(), bytes.len());
        Error::invalid(error).hint("removed, it is made anew; then old signatures count no more")
    })?;
    Ok(Some(key))
}

/// Writes it aside, and gives it its name if nobody else did.
fn make(dirs: &Dirs) -> Result<()> {
    let what = || "cannot write it";
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
        // Somebody cleared it away, or was faster.
        Err(Errno::NOENT | Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno).context(what),
    }
}

/// Returns the token of a pod: who does not know the secret cannot guess it.
pub fn token(key: &[u8; KEY], uuid: Uuid) -> String {
    let mut code = Code::new(key);
    code.update(b"token of pod ");
    code.update(uuid.to_string().as_bytes());
    hexadecimal(code.finish().get(..32).unwrap_or_default())
}
