//! What the first process does when all is over: the part `undo` of a plan.
//!
//! Apps could write where it removes files, so it follows no links, and removes
//! only what is named.

use core::ffi::CStr;

use linux_raw_sys::general as raw;
use rustix::fd::AsFd;
use stage1_init::{Directive, Plan, WordList};

use crate::sys::{self, DIRECTORY, Errno, Result};

/// Does all of it; fails if there is nothing to do.
#[inline(never)]
pub(crate) fn carry_out(plan: Plan<'_>) -> Result<()> {
    let mut done = Err(Errno::NOENT);
    for (_, directive) in plan.directives() {
        done = match directive {
            Directive::Undo {} => Ok(()),
            Directive::Rename { fd, from, to } => {
                let at = sys::inherited(fd)?;
                sys::renameat(at, from, at, to, 0)
            }
            Directive::Remove { fd, path, names } => remove(fd, path, names.0),
            _ => continue,
        };
        done?;
    }
    done
}

#[inline(never)]
fn remove(fd: u32, path: &CStr, names: WordList<'_>) -> Result<()> {
    const RESOLVE: u32 = raw::RESOLVE_BENEATH | raw::RESOLVE_NO_SYMLINKS | raw::RESOLVE_NO_XDEV;
    let flags = DIRECTORY.bits() | raw::O_CLOEXEC;
    let directory = match sys::open_resolved(sys::inherited(fd)?, path, flags, RESOLVE) {
        Err(Errno::NOENT) => return Ok(()),
        directory => directory?,
    };
    for name in names.iter() {
        let flags = match name.to_bytes() {
            [.., b'/'] => raw::AT_REMOVEDIR,
            _ => 0,
        };
        match sys::unlinkat(directory.as_fd(), name, flags) {
            Ok(()) | Err(Errno::NOENT) => {}
            failed => return failed,
        }
    }
    Ok(())
}
