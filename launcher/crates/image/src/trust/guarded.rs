//! Files that decide whom we trust.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;

use error::{Context as _, Error, Result};

/// Rejects files that others own or can write to: they could decide whom we
/// trust.
///
/// # Errors
///
/// It is such a file, or cannot be examined.
pub(crate) fn guarded(fd: OwnedFd) -> Result<OwnedFd> {
    let file = File::from(fd);
    let status = file.metadata().context(|| "its owner is unknown")?;
    let ours = rustix::process::geteuid().as_raw();
    if status.uid() != 0 && status.uid() != ours {
        return Err(Error::invalid("it belongs to another user"));
    }
    if status.mode() & 0o002 != 0 {
        return Err(Error::invalid("other users can write to it"));
    }
    Ok(file.into())
}
