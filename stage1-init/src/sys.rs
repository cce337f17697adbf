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
use core::mem::ManuallyDrop;
use core::ptr;

use linux_raw_sys::{ioctl, net, prctl as ctl};
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::fs::{Mode, OFlags};

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

/// Seconds and nanoseconds.
pub(crate) type Time = [i64; 2];

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
mod result;

pub(crate) use array::{Array, Room, Strings, Vector};
pub(crate) use calls::*;
pub(crate) use result::{Errno, OwnedFd, Result};

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

// --- signals ---

/// A set of signals: bit 0 is signal 1.
pub(crate) type Signals = u64;

/// Blocks these signals and no others.
pub(crate) fn block(signals: Signals) -> Result<()> {
    let set = &raw const signals;
    call!(
        __NR_rt_sigprocmask,
        nr::SIG_SETMASK,
        set,
        0_usize,
        size_of::<Signals>()
    )
    .map(drop)
}

/// Blocks no signal any more: it worked the other way round.
pub(crate) fn let_signals_through() {
    let _ = block(0);
}

/// Gives all signals their default effect: some stay ignored across execve(2).
/// The flags are of sigaction(2), and mean something for SIGCHLD only: whether
/// the kernel buries children that have ended, so that nobody has to wait.
pub(crate) fn default_signals(flags: u32) {
    // Handler, flags, restorer, mask: the handler is SIG_DFL.
    let action = [0, flags as usize, 0, 0, 0, 0, 0, 0];
    for signal in 1..=64 {
        let new = action.as_ptr();
        let _ = call!(
            __NR_rt_sigaction,
            signal,
            new,
            0_usize,
            size_of::<Signals>()
        );
    }
}

/// A signal that was waited for.
#[derive(Clone, Copy)]
pub(crate) struct Received {
    pub(crate) signal: u32,
    /// Why it was sent.
    code: i32,
    /// Of SIGCHLD: which child it is about, and how that has ended.
    child: Pid,
    status: i32,
}

impl Received {
    /// The terminal sent it, to all processes of its foreground group alike.
    pub(crate) fn is_terminals(self) -> bool {
        const KINDS: u64 = 1 << nr::SIGINT
            | 1 << nr::SIGQUIT
            | 1 << nr::SIGTSTP
            | 1 << nr::SIGTTIN
            | 1 << nr::SIGTTOU
            | 1 << nr::SIGWINCH;
        // There are 64 signals, and the last one is none of these.
        self.code == SI_KERNEL && KINDS >> (self.signal & 63) & 1 == 1
    }

    /// The kernel tells that something can be read.
    pub(crate) fn is_readable(self) -> bool {
        self.code == SI_KERNEL && self.signal == nr::SIGIO
    }

    /// Returns the exit code of a child, if this is the signal that it has ended.
    pub(crate) fn end_of(self, child: Pid) -> Option<u8> {
        if self.signal != nr::SIGCHLD || self.child != child {
            return None;
        }
        match self.code as u32 {
            nr::CLD_EXITED => Some(self.status as u8),
            nr::CLD_KILLED | nr::CLD_DUMPED => Some(128 + self.status as u8),
            _ => None,
        }
    }
}

/// Waits for one of these signals; all must be blocked. `None` when the time is
/// over, or for no reason: who has waited looks again at what is there.
pub(crate) fn wait_for_signal(signals: Signals, time: Option<Time>) -> Option<Received> {
    // siginfo_t: signo, errno, code, and what depends on the signal.
    let mut information = [0_i32; 32];
    let span = time.as_ref().map_or(ptr::null(), |time| time.as_ptr());
    let size = size_of::<Signals>();
    let received = call!(
        __NR_rt_sigtimedwait,
        &raw const signals,
        information.as_mut_ptr(),
        span,
        size
    );
    match received {
        Ok(signal) => Some(Received {
            signal,
            code: information[2],
            child: information[CHILD],
            status: information[CHILD + 2],
        }),
        // It worked when the program began.
        Err(Errno::INTR | Errno::AGAIN) => None,
        Err(_) => exit(crate::OURS),
    }
}

/// All signals.
pub(crate) const ALL: Signals = !0;

/// All but that which tells that something can be read.
pub(crate) const BUT_READABLE: Signals = !(1 << (nr::SIGIO - 1));

const SI_KERNEL: i32 = 0x80;

/// In siginfo_t: behind the first three, and what aligns a pointer. The user follows.
const CHILD: usize = 2 + size_of::<usize>() / 4;

/// Has the kernel send SIGIO when a descriptor can be read (fcntl(2),
/// `O_ASYNC`). Who then reads it never waits.
pub(crate) fn signal_when_readable(fd: BorrowedFd<'_>) -> Result<()> {
    call!(__NR_fcntl, fd.as_raw_fd(), nr::F_SETOWN, own_pid())?;
    let flags = call!(__NR_fcntl, fd.as_raw_fd(), nr::F_GETFL)?;
    set_status_flags(fd, flags | nr::FASYNC | nr::O_NONBLOCK)
}

/// What a descriptor is waited for: to be read, to be written to.
pub(crate) const READABLE: u32 = nr::POLLIN;
pub(crate) const WRITABLE: u32 = nr::POLLOUT;

/// Waits until a descriptor is so, for so long at most, and tells whether it is
/// (poll(2)). It is not if the other end of a pipe is gone.
pub(crate) fn wait_for(fd: BorrowedFd<'_>, what: u32, time: Option<Time>) -> bool {
    // struct pollfd: the descriptor, then two halves, what is asked and what is so.
    let mut asked = [fd.as_raw_fd() as u32, what];
    let span = time.as_ref().map_or(ptr::null(), |time| time.as_ptr());
    let ready = call!(__NR_ppoll, asked.as_mut_ptr(), 1, span, 0, 0);
    ready == Ok(1) && asked[1] >> 16 == what
}

/// Returns the time of the monotonic clock, which no clock change moves, in
/// nanoseconds.
pub(crate) fn now() -> i64 {
    nanoseconds(clock(nr::CLOCK_MONOTONIC))
}

/// Returns how much time of processors this process has taken, in nanoseconds.
pub(crate) fn taken() -> i64 {
    nanoseconds(clock(nr::CLOCK_PROCESS_CPUTIME_ID))
}

fn nanoseconds([seconds, rest]: Time) -> i64 {
    seconds * SECOND + rest
}

/// A second, in nanoseconds.
pub(crate) const SECOND: i64 = 1_000_000_000;

/// Returns the time of day: seconds since 1970, and nanoseconds.
pub(crate) fn time_of_day() -> [u32; 2] {
    clock(nr::CLOCK_REALTIME).map(|number| number as u32)
}

fn clock(which: u32) -> Time {
    let mut time = Time::default();
    let _ = call!(__NR_clock_gettime, which, time.as_mut_ptr());
    time
}

// --- files and mounts ---

/// Takes the number of a descriptor that is to stay open.
type Keep<'a> = dyn FnMut(u32) + 'a;

/// Closes every descriptor from `first` on but those that are named, and marks
/// these, so that no program gets them by accident.
#[inline(never)]
pub(crate) fn close_all_but(mut first: u32, named: &mut dyn FnMut(&mut Keep<'_>)) {
    loop {
        // No descriptor has the highest number.
        let mut next = u32::MAX;
        named(&mut |number| {
            if number >= first {
                next = next.min(number);
            }
        });
        close_between(first, next);
        if next == u32::MAX {
            return;
        }
        close_on_exec(next);
        first = next + 1;
    }
}

/// Closes every descriptor from `first` on, up to the one before `end`. Linux
/// 5.9 does it in one call; before, one by one, up to the limit.
fn close_between(first: u32, end: u32) {
    if first < end && call!(__NR_close_range, first, end - 1, 0_usize).is_err() {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let limit = limit.and_then(|limit| u32::try_from(limit).ok());
        for number in first..end.min(limit.unwrap_or(1 << 20)) {
            close_number(number);
        }
    }
}

/// Sets the close-on-exec flag of a descriptor, if there is one of this number.
fn close_on_exec(number: u32) {
    let _ = call!(__NR_fcntl, number, nr::F_SETFD, nr::FD_CLOEXEC);
}

/// Takes the close-on-exec flag of a descriptor away.
pub(crate) fn keep_on_exec(number: u32) {
    let _ = call!(__NR_fcntl, number, nr::F_SETFD, 0_usize);
}

/// Closes a descriptor. What it might say of a file that could not be written,
/// nobody could do anything about.
#[inline(never)]
fn close_number(number: u32) {
    let _ = call!(__NR_close, number);
}

/// Returns the flags of a descriptor (not of the file that it is of).
pub(crate) fn descriptor_flags(fd: BorrowedFd<'_>) -> Result<u32> {
    call!(__NR_fcntl, fd.as_raw_fd(), nr::F_GETFD)
}

/// Sets the flags of the file that a descriptor is of.
pub(crate) fn set_status_flags(fd: BorrowedFd<'_>, flags: u32) -> Result<()> {
    call!(__NR_fcntl, fd.as_raw_fd(), nr::F_SETFL, flags).map(drop)
}

/// Opens a descriptor once more, by a number that is at least this.
pub(crate) fn copy(fd: BorrowedFd<'_>, least: u32) -> Result<OwnedFd> {
    call!(__NR_fcntl, fd.as_raw_fd(), nr::F_DUPFD_CLOEXEC, least).map(owned)
}

/// Opens a file; no program gets the descriptor.
#[inline(never)]
pub(crate) fn open(at: BorrowedFd<'_>, path: &CStr, flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    let flags = flags.bits() | nr::O_CLOEXEC;
    call!(
        __NR_openat,
        at.as_raw_fd(),
        path.as_ptr(),
        flags,
        mode.bits()
    )
    .map(owned)
}

/// Opens what a path leads to, with a way to resolve it (openat2(2)).
pub(crate) fn open_resolved(
    at: BorrowedFd<'_>,
    path: &CStr,
    flags: u32,
    resolve: u32,
) -> Result<OwnedFd> {
    let how = nr::open_how {
        flags: u64::from(flags),
        mode: 0,
        resolve: u64::from(resolve),
    };
    let (path, size) = (path.as_ptr(), size_of_val(&how));
    call!(__NR_openat2, at.as_raw_fd(), path, &raw const how, size).map(owned)
}

/// Makes a pipe of which no program gets an end: the one to read from, first.
#[inline(never)]
pub(crate) fn pipe() -> Result<(End, End)> {
    let mut ends = [0_u32; 2];
    call!(__NR_pipe2, ends.as_mut_ptr(), nr::O_CLOEXEC)?;
    let [read, write] = ends;
    Ok((End::new(owned(read)), End::new(owned(write))))
}

/// An end of a pipe: open until it is closed by [`close`], or this process ends
/// or executes a program. Who cannot go on after making a pipe, does that.
pub(crate) type End = ManuallyDrop<OwnedFd>;

/// Closes an end of a pipe.
pub(crate) fn close(end: End) {
    drop(ManuallyDrop::into_inner(end));
}

/// Takes a descriptor that a call has just opened.
fn owned(number: u32) -> OwnedFd {
    // SAFETY: nobody else knows of it.
    unsafe { OwnedFd::new(number) }
}

/// Reads as much as there is, up to the length of the buffer.
#[inline(never)]
pub(crate) fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<u32> {
    call!(__NR_read, fd.as_raw_fd(), buffer.as_mut_ptr(), buffer.len())
}

/// The same for who asks for the bytes only: none are the end, or an error.
#[inline(never)]
pub(crate) fn bytes_of<'b>(fd: BorrowedFd<'_>, buffer: &'b mut [u8]) -> &'b [u8] {
    let length = read(fd, buffer).unwrap_or(0);
    buffer.get(..length as usize).unwrap_or_default()
}

/// Writes two parts with one call, as much as can be.
pub(crate) fn write_both(fd: BorrowedFd<'_>, one: &[u8], other: &[u8]) -> Result<u32> {
    // struct iovec, twice.
    let parts = [
        one.as_ptr() as usize,
        one.len(),
        other.as_ptr() as usize,
        other.len(),
    ];
    call!(__NR_writev, fd.as_raw_fd(), parts.as_ptr(), 2)
}

/// Writes as much as can be.
#[inline(never)]
pub(crate) fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<u32> {
    call!(__NR_write, fd.as_raw_fd(), bytes.as_ptr(), bytes.len())
}

/// Opens a descriptor once more, by this number, for the rest of the process's
/// life: nobody may own what had the number. Unless it is to be closed, it
/// stays at execution.
pub(crate) fn place(fd: BorrowedFd<'_>, number: u32, closed: bool) -> Result<BorrowedFd<'static>> {
    if fd.as_raw_fd() as u32 != number {
        let flags = if closed { nr::O_CLOEXEC } else { 0 };
        call!(__NR_dup3, fd.as_raw_fd(), number, flags)?;
    }
    inherited(number)
}

/// Opens a path on the lowest free number, for `main`'s first lines.
pub(crate) fn open_lowest(path: &CStr) -> Result<()> {
    call!(__NR_openat, nr::AT_FDCWD, path.as_ptr(), nr::O_RDWR, 0).map(drop)
}

/// Changes attributes of the mount that `fd` is on, or of all below it, too.
pub(crate) fn mount_setattr(
    fd: BorrowedFd<'_>,
    recursive: bool,
    set: u32,
    clear: u32,
) -> Result<()> {
    let attributes = nr::mount_attr {
        attr_set: u64::from(set),
        attr_clr: u64::from(clear),
        propagation: 0,
        userns_fd: 0,
    };
    let flags = nr::AT_EMPTY_PATH | if recursive { nr::AT_RECURSIVE } else { 0 };
    let (attributes, size) = (&raw const attributes, size_of::<nr::mount_attr>());
    call!(
        __NR_mount_setattr,
        fd.as_raw_fd(),
        c"".as_ptr(),
        flags,
        attributes,
        size
    )
    .map(drop)
}

/// Reads where a link leads, which must be less than the buffer holds.
pub(crate) fn read_link(at: BorrowedFd<'_>, name: &CStr, buffer: &mut [u8]) -> Result<usize> {
    let (place, size) = (buffer.as_mut_ptr(), buffer.len());
    let length = call!(__NR_readlinkat, at.as_raw_fd(), name.as_ptr(), place, size)? as usize;
    if length < size {
        Ok(length)
    } else {
        Err(Errno::NAMETOOLONG)
    }
}

/// Writes the working directory's path into `buffer`.
pub(crate) fn getcwd(buffer: &mut [u8]) -> Result<&[u8]> {
    let length = call!(__NR_getcwd, buffer.as_mut_ptr(), buffer.len())?;
    buffer.get(..length as usize).ok_or(Errno::RANGE)
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
    const MARGIN: usize = 512;
    /// More than anything here ever takes.
    const DEPTH: usize = 64 * PAGE;
    let here = 0_u8;
    let end = ((&raw const here).addr() - MARGIN) & !(PAGE - 1);
    // Beyond the head of this file: below its margin a stack holds nothing.
    let _ = call!(__NR_madvise, end - DEPTH, DEPTH, nr::MADV_DONTNEED);
}
