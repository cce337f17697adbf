//! Makes apps the owners of the pipes and terminals that they write to: one that
//! opens /dev/stdout opens that once more, for which it needs the right.

use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::{Gid, Uid};

use crate::plan::descriptors::Owner;
use crate::spec::pod::PodSpec;
use crate::spec::process::Stdio;

/// Makes an app the owner of a pipe or a terminal. Without that, all else works.
pub(crate) fn give(fd: BorrowedFd<'_>, owner: Owner) {
    let (uid, gid) = (owner.uid.map(Uid::from_raw), owner.gid.map(Gid::from_raw));
    let _ = rustix::fs::fchown(fd, uid, gid);
}

/// statfs(2), `f_type`: of pipes that have no name.
const PIPE: rustix::fs::FsWord = 0x5049_5045;

/// Gives the caller's pipes to the only app of a pod that writes into them. What
/// has a name is the caller's, and stays so.
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
