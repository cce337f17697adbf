//! The keys of a requirement.

use std::fs::File;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::trust::guarded::guarded;
use crate::trust::openpgp::{self, KEY_LIMIT};
use crate::trust::sigstore;
use error::{Context as _, Error, Kind, Result};
use oci::policy::{self, Scheme, Signed};
use sys::{size, small_file};

/// The keys of a requirement.
pub(super) enum Keys {
    /// For simple signing.
    OpenPgp(Vec<openpgp::Key>),
    /// For cosign.
    Sigstore(Vec<sigstore::Key>),
}

impl Keys {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// One cannot be read, is not valid, or others can write to it.
    pub(super) fn read(wanted: &Signed) -> Result<Self> {
        let texts = match &wanted.keys {
            policy::Keys::Data(data) => {
                let named = data
                    .iter()
                    .map(|data| ("cannot use `keyData`".to_owned(), data.clone()));
                named.collect()
            }
            policy::Keys::Files(files) => {
                let texts = files.iter().map(|file| {
                    let what = format!("cannot use key `{file}`");
                    let text = read(Path::new(file), KEY_LIMIT, &what)?;
                    Ok((what, text))
                });
                texts.collect::<Result<Vec<_>>>()?
            }
        };
        Ok(match wanted.scheme {
            Scheme::OpenPgp => {
                let keys = texts
                    .iter()
                    .map(|(what, text)| openpgp::Key::all(text).map_err(|error| error.at(what)));
                let keys = keys.collect::<Result<Vec<_>>>()?;
                Self::OpenPgp(keys.into_iter().flatten().collect())
            }
            Scheme::Sigstore => {
                let keys = texts
                    .iter()
                    .map(|(what, text)| sigstore::Key::parse(text).map_err(|error| error.at(what)));
                Self::Sigstore(keys.collect::<Result<_>>()?)
            }
        })
    }

    /// Returns whether a key is among them, and can sign at this time.
    pub(super) fn have(&self, fingerprint: &str, now: u64) -> bool {
        match self {
            Self::OpenPgp(keys) => keys
                .iter()
                .any(|key| key.fingerprint().as_str() == fingerprint && key.usable(now).is_ok()),
            Self::Sigstore(keys) => keys.iter().any(|key| key.fingerprint() == fingerprint),
        }
    }
}

/// Reads a file that decides whom we trust. If there is none, the kind of the error is
/// [`Kind::NotFound`].
///
/// # Errors
///
/// It cannot be read, is too large, or others can write to it; errors begin with
/// `what`.
pub(super) fn read(path: &Path, limit: usize, what: &str) -> Result<Vec<u8>> {
    // Without O_NONBLOCK, opening a fifo would block.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fault = |error: Error| error.at(what);
    let file = match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
        Ok(fd) => File::from(guarded(fd).map_err(fault)?),
        Err(errno @ (Errno::NOENT | Errno::NOTDIR)) => {
            return Err(Error::new(Kind::NotFound, what).because(std::io::Error::from(errno)));
        }
        Err(errno) => return Err(errno).context(|| what),
    };
    if !file.metadata().context(|| what)?.is_file() {
        return Err(fault(Error::invalid("it is not a regular file")));
    }
    let text = small_file::read(file, limit + 1).context(|| what)?;
    let most = size::spell(limit as u64);
    match text.len() > limit {
        true => Err(fault(Error::invalid(format!("it is larger than {most}")))),
        false => Ok(text),
    }
}
