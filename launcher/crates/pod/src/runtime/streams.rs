//! Makes apps the owners of the pipes and terminals that they write to: an app
//! that opens /dev/stdout opens the pipe or terminal once more and needs the
//! permission to do so.

use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::{Gid, Uid};

use crate::plan::descriptors::Owner;
use crate::spec::pod::PodSpec;
use crate::spec::process::Stdio;

/// Changes the owner of a pipe or terminal to an app. If that fails, everything
/// except opening it again still works.
pub(crate) fn give(fd: BorrowedFd<'_>, owner: Owner) {
    let (uid, gid) = (owner.uid.map(Uid::from_raw), owner.gid.map(Gid::from_raw));
    let _ = rustix::fs::fchown(fd, uid, gid);
}

/// The `f_type` that statfs(2) reports for a pipe without a name.
const PIPE: rustix::fs::FsWord = 0x5049_5045;

/// Gives the caller's pipes to the only app of a pod, which writes into them. A
/// named pipe stays the caller's.
pub(crate) fn give_pipes(spec: &PodSpec) {
    let [app] = &spec.apps[..] else {
        return;
    };
    if app.process.stdio != Stdio::Inherited {
        return;
    }
    let (uid, gid) = spec
        .user
        .on_host(app.process.uid.value, app.process.gid.value);
    let (input, output, error) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    for fd in [input.as_fd(), output.as_fd(), error.as_fd()] {
        if rustix::fs::fstatfs(fd).is_ok_and(|status| status.f_type == PIPE) {
            give(fd, Owner { uid, gid });
        }
    }
}
