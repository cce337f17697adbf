//! System calls, each as a function that cannot be misused.
//!
//! rustix makes those that differ between machines, or say more than 32 bits
//! hold; it makes the others, too, but in twice the code.
//!
//! # Safety
//!
//! One rule for the whole file: the arguments of a call are those that the
//! kernel's manual page gives, in that order; a pointer that is passed comes
//! from a reference (or is null where the page allows it), with the length of
//! what it refers to. The comments below say only what goes beyond.

#![allow(unsafe_code, reason = "raw system calls are this file's purpose")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a register has no type: numbers are passed in and out by their bits"
)]

use core::ffi::{CStr, c_int};

use linux_raw_sys::{ioctl, net, prctl as ctl};
use rustix::fd::{AsRawFd, BorrowedFd};

use crate::arch;

/// What the kernel calls things by.
mod nr {
    pub(super) use linux_raw_sys::general::*;
    /// Of calls that take times those that take them in 64 bits: on 32-bit
    /// machines the older ones know no time after 2038.
    #[cfg(target_pointer_width = "32")]
    pub(super) use linux_raw_sys::general::{
        __NR_clock_gettime64 as __NR_clock_gettime, __NR_ppoll_time64 as __NR_ppoll,
        __NR_rt_sigtimedwait_time64 as __NR_rt_sigtimedwait,
    };
    /// Likewise of calls that take ids: the older ones take 16 bits.
    #[cfg(target_arch = "arm")]
    pub(super) use linux_raw_sys::general::{
        __NR_setgroups32 as __NR_setgroups, __NR_setresgid32 as __NR_setresgid,
        __NR_setresuid32 as __NR_setresuid,
    };
}

pub(crate) const STDIN: BorrowedFd<'static> = standard(0);
pub(crate) const STDOUT: BorrowedFd<'static> = standard(1);
pub(crate) const STDERR: BorrowedFd<'static> = standard(2);

const fn standard(number: c_int) -> BorrowedFd<'static> {
    // SAFETY: the three are open from `main`'s first lines on, and never closed.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// Returns a descriptor that this process inherited and that a plan or an
/// option names, if there is one of that number.
pub(crate) fn inherited(number: u32) -> Result<BorrowedFd<'static>> {
    let number = c_int::try_from(number).map_err(|_| Errno::BADF)?;
    // SAFETY: what was inherited belongs to no `OwnedFd`, so nobody closes it;
    // a number that is not open does no harm but EBADF.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    descriptor_flags(fd)?;
    Ok(fd)
}

macro_rules! call {
    ($number:ident $(, $argument:expr)*) => {
        call!(@ nr::$number, [$($argument as usize),*])
    };
    // The kernel ignores what a call does not have.
    (@ $number:expr, []) => { call!(@ $number, [0, 0, 0]) };
    (@ $number:expr, [$a:expr]) => { call!(@ $number, [$a, 0, 0]) };
    (@ $number:expr, [$a:expr, $b:expr]) => { call!(@ $number, [$a, $b, 0]) };
    (@ $number:expr, [$a:expr, $b:expr, $c:expr]) => {
        // SAFETY: see the head of this file.
        unsafe { call3($a, $b, $c, $number) }
    };
    (@ $number:expr, [$a:expr, $b:expr, $c:expr, $d:expr]) => {
        call!(@ $number, [$a, $b, $c, $d, 0])
    };
    (@ $number:expr, [$a:expr, $b:expr, $c:expr, $d:expr, $e:expr]) => {
        // SAFETY: see the head of this file.
        unsafe { call5($a, $b, $c, $d, $e, $number) }
    };
}

mod array;
mod calls;
mod files;
mod result;
mod signals;

pub(crate) use array::{Array, Room, Strings, Vector};
pub(crate) use calls::*;
pub(crate) use files::*;
pub(crate) use result::{Errno, OwnedFd, Result};
pub(crate) use signals::*;

/// Calls the kernel. The number is the last argument, as the others then are in
/// their registers already; nothing that is called here gives more than 32 bits.
///
/// # Safety
///
/// As for [`arch::syscall`].
#[inline(never)]
unsafe fn call3(a: usize, b: usize, c: usize, number: u32) -> Result<u32> {
    // SAFETY: the caller's promise is the same.
    returned(unsafe { arch::syscall(number, [a, b, c, 0, 0, 0]) })
}

/// The same with five arguments.
///
/// # Safety
///
/// As for [`arch::syscall`].
#[inline(never)]
unsafe fn call5(a: usize, b: usize, c: usize, d: usize, e: usize, number: u32) -> Result<u32> {
    // SAFETY: the caller's promise is the same.
    returned(unsafe { arch::syscall(number, [a, b, c, d, e, 0]) })
}

fn returned(value: isize) -> Result<u32> {
    if value as usize > -4096_isize as usize {
        Err(Errno::new(value.unsigned_abs() as u32))
    } else {
        Ok(value as u32)
    }
}

/// Ends the process.
pub(crate) fn exit(status: u8) -> ! {
    let _ = call!(__NR_exit_group, u32::from(status));
    // Somebody refuses us that. What the processor does not know ends even PID 1.
    arch::trap()
}

/// Tries the calls that nothing can be done without, each in a way that does
/// nothing, and names the first that is refused. `blocked` is what became of
/// blocking signals; `executes`: what is open is to be executed in the end.
#[inline(never)]
pub(crate) fn missing(blocked: Result<()>, executes: bool) -> Option<(&'static [u8], Errno)> {
    /// No option of wait4(2) has this bit.
    const NO_OPTION: usize = 1 << 28;
    let none: Signals = 0;
    let mut time: Time = [0; 2];
    let (set, at_once) = (&raw const none, time.as_mut_ptr());
    let size = size_of::<Signals>();
    let refused = |result: Result<u32>, expected| result.err().filter(|&errno| errno != expected);
    if let Err(errno) = blocked {
        return Some((b"rt_sigprocmask", errno));
    }
    let received = call!(__NR_rt_sigtimedwait, set, 0_usize, at_once, size);
    if let Some(errno) = refused(received, Errno::AGAIN) {
        return Some((b"rt_sigtimedwait", errno));
    }
    let waited = call!(__NR_wait4, -1_isize, 0_usize, NO_OPTION, 0_usize);
    if let Some(errno) = refused(waited, Errno::INVAL) {
        return Some((b"wait4", errno));
    }
    if let Err(errno) = kill(own_pid(), 0) {
        return Some((b"kill", errno));
    }
    let looked = call!(__NR_ppoll, 0_usize, 0_usize, at_once, 0_usize, 0_usize);
    if let Err(errno) = looked {
        return Some((b"ppoll", errno));
    }
    if executes {
        let (empty, none) = (c"".as_ptr(), 0_usize);
        let executed = call!(__NR_execveat, -1_isize, empty, none, none, none);
        if let Some(errno) = refused(executed, Errno::NOENT) {
            return Some((b"execveat", errno));
        }
    }
    let told = call!(__NR_clock_gettime, nr::CLOCK_MONOTONIC, at_once);
    Some((b"clock_gettime", told.err()?))
}

pub(crate) fn own_pid() -> c_int {
    rustix::process::getpid().as_raw_nonzero().get()
}

// --- processes ---

/// Process ids as the kernel's calls take them.
pub(crate) type Pid = c_int;

/// Makes a child with a copy of everything; returns `None` in it.
pub(crate) fn fork() -> Result<Option<Pid>> {
    clone(0)
}

/// clone(2) with namespaces: the same, in new ones.
///
/// Sound although Rust knows nothing of it: the process has one thread, and
/// the child goes on with a copy of its stack.
pub(crate) fn clone(namespaces: u32) -> Result<Option<Pid>> {
    let flags = namespaces | nr::SIGCHLD;
    let pid = call!(__NR_clone, flags, 0_usize, 0_usize, 0_usize, 0_usize)?;
    Ok((pid != 0).then_some(pid as Pid))
}

/// clone3(2): the same, with all namespaces, and in a cgroup from the start.
pub(crate) fn clone3(namespaces: u32, cgroup: Option<BorrowedFd<'_>>) -> Result<Option<Pid>> {
    let into = if cgroup.is_some() {
        nr::CLONE_INTO_CGROUP
    } else {
        0
    };
    let arguments = nr::clone_args {
        flags: u64::from(namespaces) | into,
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

/// Waits for a child. Returns it and its status, as wait(2) packs it; 0 is none.
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

/// Executes the file that is open; returns only if that fails.
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
    call!(__NR_sethostname, name.as_ptr(), name.count_bytes()).map(drop)
}

/// Sets the NIS domain name.
pub(crate) fn setdomainname(name: &CStr) -> Result<()> {
    call!(__NR_setdomainname, name.as_ptr(), name.count_bytes()).map(drop)
}

/// prctl(2), for what takes one argument.
pub(crate) fn prctl(option: u32, argument: u32) -> Result<u32> {
    call!(__NR_prctl, option, argument, 0, 0, 0)
}

/// The same for what is done to the ambient set, perhaps with a capability.
pub(crate) fn prctl_ambient(what: u32, capability: u32) -> Result<u32> {
    call!(__NR_prctl, ctl::PR_CAP_AMBIENT, what, capability, 0, 0)
}

/// The sets of a process's capabilities: bit 0 is `CAP_CHOWN`.
#[derive(Clone, Copy)]
pub(crate) struct Capabilities {
    pub(crate) effective: u64,
    pub(crate) permitted: u64,
    pub(crate) inheritable: u64,
}

/// `struct __user_cap_header_struct`: sets of 64 bits, and this process.
const OWN_CAPABILITIES: [u32; 2] = [nr::_LINUX_CAPABILITY_VERSION_3, 0];

/// Returns this process's capabilities.
pub(crate) fn capabilities() -> Result<Capabilities> {
    // The lower halves of the three, and then the upper ones.
    let mut halves = [[0_u32; 3]; 2];
    call!(__NR_capget, OWN_CAPABILITIES.as_ptr(), halves.as_mut_ptr())?;
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
    call!(__NR_capset, OWN_CAPABILITIES.as_ptr(), halves.as_ptr()).map(drop)
}

// --- the process itself ---

/// Joins a new, anonymous session keyring.
pub(crate) fn join_session_keyring() -> Result<()> {
    const JOIN_SESSION_KEYRING: usize = 1;
    call!(__NR_keyctl, JOIN_SESSION_KEYRING, 0_usize).map(drop)
}

/// Installs a seccomp filter: so many instructions of eight bytes each.
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
    call!(__NR_seccomp, SET_MODE_FILTER, 0_usize, &raw const program).map(drop)
}

/// Sets the supplementary groups.
pub(crate) fn setgroups(groups: &[u32]) -> Result<()> {
    call!(__NR_setgroups, groups.len(), groups.as_ptr()).map(drop)
}

/// Sets a limit of this process: what is enforced, and how far it may be raised.
pub(crate) fn set_limit(resource: u32, limits: [u64; 2]) -> Result<()> {
    call!(__NR_prlimit64, 0, resource, limits.as_ptr(), 0).map(drop)
}

/// Brings the loopback interface up (netdevice(7)).
pub(crate) fn loopback_up() -> Result<()> {
    const ANY_PROTOCOL: usize = 0;
    let kind = net::SOCK_DGRAM | nr::O_CLOEXEC;
    let socket = call!(__NR_socket, net::AF_INET, kind, ANY_PROTOCOL).map(owned)?;
    /// `IFF_UP` and `IFF_RUNNING`: of a new interface no other is set.
    const UP_AND_RUNNING: u16 = 0x1 | 0x40;
    /// `struct ifreq`: a terminated name, the flags, and what is not looked at.
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
    call!(
        __NR_ioctl,
        socket.as_raw_fd(),
        ioctl::SIOCSIFFLAGS,
        &raw const request
    )
    .map(drop)
}

// --- memory ---

/// Gives back what the stack took below this call.
///
/// What comes before a long sleep goes deeper than what comes after, and its
/// pages would stay in memory for as long as the process lives.
#[inline(never)]
pub(crate) fn release_stack() {
    /// Where pages are larger the kernel may refuse, and nothing is lost.
    const PAGE: usize = 4096;
    /// More than what the call takes, and may use below its stack pointer.
    const MARGIN: usize = 384;
    /// More than anything here ever takes.
    const DEPTH: usize = 64 * PAGE;
    let here = 0_u8;
    let end = ((&raw const here).addr() - MARGIN) & !(PAGE - 1);
    // Beyond the head of this file: below its margin a stack holds nothing.
    let _ = call!(__NR_madvise, end - DEPTH, DEPTH, nr::MADV_DONTNEED);
}
