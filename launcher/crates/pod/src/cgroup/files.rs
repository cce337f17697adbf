//! What all of this knows of the kernel's files.

use std::io;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// Where processes are that belong to no app with a group; no app is named so.
pub(crate) const INIT: &str = "init.";

/// Writes with a single call, as these files demand.
pub(crate) fn put(path: &Path, value: &str) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty())?;
    rustix::io::write(file, value.as_bytes())?;
    Ok(())
}
