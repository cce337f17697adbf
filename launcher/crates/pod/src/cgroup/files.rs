//! How the kernel's cgroup files are written.

use std::io;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// The group of all processes that belong to no app with its own group. No app
/// can have this name.
pub(crate) const INIT: &str = "init.";

/// Writes in a single call, as these files require.
pub(crate) fn put(path: &Path, value: &str) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty())?;
    rustix::io::write(file, value.as_bytes())?;
    Ok(())
}
