//! Processes: how they are created and executed, and what they set for
//! themselves.
//!
//! # Safety
//!
//! As in `call`, whose macro is used here.

#![allow(unsafe_code, reason = "raw system calls are this file's purpose")]

use core::ffi::{CStr, c_int};

use linux_raw_sys::{ioctl, net, prctl as ctl};
use rustix::fd::{AsRawFd, BorrowedFd};

use super::call::nr;
use super::memory::{Array, Vector};
use super::result::{Errno, Result};
use crate::arch;

/// Ends the process.
pub(crate) fn exit(status: u8) -> ! {
    let _ = call!(__NR_exit_group, u32::from(status));
    // The call is denied. An invalid instruction ends even PID 1.
    arch::trap()
}

pub(crate) fn own_pid() -> c_int {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// A process id, as the kernel's calls take it.
pub(crate) type Pid = c_int;

/// Creates a child with a copy of everything; returns `None` in the child.
pub(crate) fn fork() -> Result<Option<Pid>> {
    clone(0)
}

/// All kinds of namespace. Other flags could share memory with the child.
const NAMESPACES: u32 = nr::CLONE_NEWNS
    | nr::CLONE_NEWPID
    | nr::CLONE_NEWIPC
    | nr::CLONE_NEWUTS
    | nr::CLONE_NEWNET
    | nr::CLONE_NEWCGROUP
    | nr::CLONE_NEWUSER
    | nr::CLONE_NEWTIME;

/// Creates a child in new namespaces, with clone(2). That has no flag for time
/// namespaces: the bit means something else.
///
/// It is sound, although Rust knows nothing about it: the process has one
/// thread, and the child continues with a copy of its stack.
pub(crate) fn clone(namespaces: u32) -> Result<Option<Pid>> {
    let flags = namespaces & NAMESPACES & !nr::CLONE_NEWTIME | nr::SIGCHLD;
    let pid = call!(__NR_clone, flags, 0_usize, 0_usize, 0_usize, 0_usize)?;
    Ok((pid != 0).then_some(pid as Pid))
}

/// Creates a child in new namespaces and in a cgroup, with clone3(2).
pub(crate) fn clone3(namespaces: u32, cgroup: Option<BorrowedFd<'_>>) -> Result<Option<Pid>> {
    let into = if cgroup.is_some() {
        nr::CLONE_INTO_CGROUP
    } else {
        0
    };
    let arguments = nr::clone_args {
        flags: u64::from(namespaces & NAMESPACES) | into,
        pidfd: 0,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: u64::from(nr::SIGCHLD),
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: cgroup.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    let pid = call!(__NR_clone3, &raw const arguments, size_of_val(&arguments))?;
    Ok((pid != 0).then_some(pid as Pid))
}

/// Any child, for [`wait`].
pub(crate) const ANY: Pid = -1;

/// Waits for a child. Returns its id and its status, as in wait(2); id 0 is
/// none.
pub(crate) fn wait(child: Pid, options: u32) -> (Pid, u32) {
    let mut status = 0_u32;
    let pid = call!(__NR_wait4, child, &raw mut status, options, 0);
    (pid.unwrap_or(0) as Pid, status)
}

/// Executes a file; returns only if that fails.
pub(crate) fn execve(path: &CStr, argv: Vector<'_>, environment: Vector<'_>) -> Errno {
    call!(__NR_execve, path.as_ptr(), argv.first, environment.first)
        .err()
        .unwrap_or(Errno::NOEXEC)
}

/// Executes an open file; returns only if that fails.
pub(crate) fn fexecve(fd: BorrowedFd<'_>, argv: Vector<'_>, environment: Vector<'_>) -> Errno {
    let (empty, argv, environment) = (c"".as_ptr(), argv.first, environment.first);
    call!(
        __NR_execveat,
        fd.as_raw_fd(),
        empty,
        argv,
        environment,
        nr::AT_EMPTY_PATH
    )
    .err()
    .unwrap_or(Errno::NOEXEC)
}

/// Sets the host name.
pub(crate) fn sethostname(name: &CStr) -> Result<()> {
    done!(__NR_sethostname, name.as_ptr(), name.count_bytes())
}

/// Sets the NIS domain name.
pub(crate) fn setdomainname(name: &CStr) -> Result<()> {
    done!(__NR_setdomainname, name.as_ptr(), name.count_bytes())
}

/// Makes the kernel kill this process when its parent dies.
pub(crate) fn die_with_parent() -> Result<()> {
    prctl(ctl::PR_SET_PDEATHSIG, nr::SIGKILL)
}

/// Sets the name of this process that ps(1) shows. The kernel takes that of the
/// file, which is a number where a descriptor was executed.
pub(crate) fn name_self(name: &CStr) {
    let _ = call!(__NR_prctl, ctl::PR_SET_NAME, name.as_ptr());
}

/// Keeps other processes of the same user from tracing this one, and from
/// opening its files in procfs.
pub(crate) fn hide() -> Result<()> {
    prctl(ctl::PR_SET_DUMPABLE, 0)
}

/// Undoes [`hide`]: the process's files in procfs belong to its user again.
pub(crate) fn unhide() -> Result<()> {
    prctl(ctl::PR_SET_DUMPABLE, 1)
}

/// Makes orphans among the descendants of this process its children.
pub(crate) fn become_subreaper() -> Result<()> {
    prctl(ctl::PR_SET_CHILD_SUBREAPER, 1)
}

/// Keeps the permitted capabilities when the uid changes.
pub(crate) fn keep_capabilities() -> Result<()> {
    prctl(ctl::PR_SET_KEEPCAPS, 1)
}

/// Keeps programs from gaining privileges when they are executed.
pub(crate) fn set_no_new_privs() -> Result<()> {
    prctl(ctl::PR_SET_NO_NEW_PRIVS, 1)
}

/// Drops a capability from the bounding set.
pub(crate) fn drop_bounding(capability: u32) -> Result<()> {
    prctl(ctl::PR_CAPBSET_DROP, capability)
}

/// Empties the ambient set.
pub(crate) fn clear_ambient() -> Result<()> {
    prctl_ambient(ctl::PR_CAP_AMBIENT_CLEAR_ALL, 0)
}

/// Adds a capability to the ambient set.
pub(crate) fn raise_ambient(capability: u32) -> Result<()> {
    prctl_ambient(ctl::PR_CAP_AMBIENT_RAISE, capability)
}

/// Calls prctl(2), for options whose argument is a number.
fn prctl(option: u32, argument: u32) -> Result<()> {
    done!(__NR_prctl, option, argument, 0, 0, 0)
}

fn prctl_ambient(what: u32, capability: u32) -> Result<()> {
    done!(__NR_prctl, ctl::PR_CAP_AMBIENT, what, capability, 0, 0)
}

/// The capability sets of a process: bit 0 is `CAP_CHOWN`.
#[derive(Clone, Copy)]
pub(crate) struct Capabilities {
    pub(crate) effective: u64,
    pub(crate) permitted: u64,
    pub(crate) inheritable: u64,
}

/// `struct __user_cap_header_struct`: sets of 64 bits, and this process. The call
/// may write to it, and emulators insist that it can.
const OWN_CAPABILITIES: [u32; 2] = [nr::_LINUX_CAPABILITY_VERSION_3, 0];

/// Returns this process's capabilities.
pub(crate) fn capabilities() -> Result<Capabilities> {
    // The lower halves of the three sets, and then the upper ones.
    let mut halves = [[0_u32; 3]; 2];
    let mut own = OWN_CAPABILITIES;
    call!(__NR_capget, own.as_mut_ptr(), halves.as_mut_ptr())?;
    let set = |at: usize| u64::from(halves[1][at]) << 32 | u64::from(halves[0][at]);
    Ok(Capabilities {
        effective: set(0),
        permitted: set(1),
        inheritable: set(2),
    })
}

/// Sets this process's capabilities.
pub(crate) fn set_capabilities(sets: &Capabilities) -> Result<()> {
    let sets = [sets.effective, sets.permitted, sets.inheritable];
    let halves = [
        sets.map(|set| set as u32),
        sets.map(|set| (set >> 32) as u32),
    ];
    let mut own = OWN_CAPABILITIES;
    done!(__NR_capset, own.as_mut_ptr(), halves.as_ptr())
}

/// Makes a terminal the controlling one of this process's session.
pub(crate) fn set_controlling_terminal(fd: BorrowedFd<'_>) -> Result<()> {
    done!(__NR_ioctl, fd.as_raw_fd(), ioctl::TIOCSCTTY, 0_usize)
}

/// Returns the process group in the foreground of a terminal.
pub(crate) fn foreground_group(terminal: BorrowedFd<'_>) -> Result<Pid> {
    let mut group: Pid = 0;
    let place = &raw mut group;
    call!(__NR_ioctl, terminal.as_raw_fd(), ioctl::TIOCGPGRP, place)?;
    Ok(group)
}

/// Joins a new, anonymous session keyring.
pub(crate) fn join_session_keyring() -> Result<()> {
    const JOIN_SESSION_KEYRING: usize = 1;
    done!(__NR_keyctl, JOIN_SESSION_KEYRING, 0_usize)
}

/// Installs a seccomp filter, whose instructions have eight bytes each.
pub(crate) fn seccomp(program: &Array<u64>) -> Result<()> {
    #[repr(C)]
    struct Program {
        length: u16,
        filter: *const u64,
    }
    const SET_MODE_FILTER: usize = 1;
    let instructions = program.as_slice();
    let length = u16::try_from(instructions.len()).map_err(|_| Errno::INVAL)?;
    let program = Program {
        length,
        filter: instructions.as_ptr(),
    };
    done!(__NR_seccomp, SET_MODE_FILTER, 0_usize, &raw const program)
}

/// Sets the supplementary groups.
pub(crate) fn setgroups(groups: &[u32]) -> Result<()> {
    done!(__NR_setgroups, groups.len(), groups.as_ptr())
}

/// Sets a limit of this process: the soft one, and the hard one.
pub(crate) fn set_limit(resource: u32, limits: [u64; 2]) -> Result<()> {
    done!(__NR_prlimit64, 0, resource, limits.as_ptr(), 0)
}

/// Raises the soft limit of the size of files to the hard one: that of the
/// caller is for its programs.
pub(crate) fn raise_file_limit() {
    let mut limits = [0_u64; 2];
    let got = call!(__NR_prlimit64, 0, nr::RLIMIT_FSIZE, 0, limits.as_mut_ptr());
    if got.is_ok() && limits[0] != limits[1] {
        let _ = set_limit(nr::RLIMIT_FSIZE, [limits[1]; 2]);
    }
}

/// Brings up the loopback interface (netdevice(7)).
#[inline(never)]
pub(crate) fn loopback_up() -> Result<()> {
    const ANY_PROTOCOL: usize = 0;
    let kind = net::SOCK_DGRAM | nr::O_CLOEXEC;
    let socket = open!(__NR_socket, net::AF_INET, kind, ANY_PROTOCOL)?;
    /// `IFF_UP` and `IFF_RUNNING`: a new interface has no other flags.
    const UP_AND_RUNNING: u16 = 0x1 | 0x40;
    /// `struct ifreq`: a NUL-terminated name, the flags, and bytes that are not
    /// used.
    #[repr(C, align(8))]
    struct Request {
        name: [u8; 16],
        flags: u16,
        rest: [u8; 22],
    }
    let request = Request {
        name: *b"lo\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        flags: UP_AND_RUNNING,
        rest: [0; 22],
    };
    let _ = request.rest;
    done!(
        __NR_ioctl,
        socket.as_raw_fd(),
        ioctl::SIOCSIFFLAGS,
        &raw const request
    )
}
