//! New namespaces, and the half of the program that stays outside of them.
//!
//! A process cannot move itself into a new pid namespace: a child is made,
//! which is PID 1 there and goes on with the plan. This half waits for it,
//! passes signals on, and holds what was inherited (locks, for instance). If
//! it dies, so does the pod.

use core::ffi::CStr;

use linux_raw_sys::general as raw;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, OFlags};
use rustix::io::{Errno, Result};
use rustix::process::{DumpableBehavior, Signal, WaitOptions};
use stage1_init::{Clock, Directive, Directives, Namespaces, SetGroups};

use crate::demand::Demand;
use crate::execute::{Failure, Origin, Pod};
use crate::files::{DIRECTORY, open, write_all, write_at};
use crate::log::Log;
use crate::say::{Decimal, Line};
use crate::{reap, sys};

/// PID 1 of the pod, seen from outside.
pub(crate) struct Child {
    pid: sys::Pid,
    /// Held open for as long as this half lives: its end tells the child.
    _gate: OwnedFd,
    /// What it says.
    voice: OwnedFd,
}

/// `die-with-parent`: also if it died before this was said.
pub(crate) fn die_with(parent: Option<rustix::process::Pid>) -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    if rustix::process::getppid() != parent {
        return Err(Errno::SRCH);
    }
    Ok(())
}

/// What was set for the namespaces that are to be made: the directives since
/// the last `unshare`.
struct Settings<'a>(Directives<'a>);

impl<'a> Settings<'a> {
    fn cgroups(&self) -> impl Iterator<Item = (u32, &'a CStr)> + use<'a> {
        self.0.filter_map(|(index, directive)| match directive {
            Directive::Cgroup { path } => Some((index, path)),
            _ => None,
        })
    }

    /// Tells whether the ids 0 exist in the new user namespace.
    fn map_root(&self) -> bool {
        let (mut user, mut group) = (false, false);
        for (_, directive) in self.0 {
            user |= matches!(directive, Directive::UidMap { inside: 0, .. });
            group |= matches!(directive, Directive::GidMap { inside: 0, .. });
        }
        user && group
    }
}

type Made<T> = core::result::Result<T, Failure>;

/// `unshare`, for the pod.
#[inline(never)]
pub(crate) fn unshare(
    pod: &mut Pod<'_>,
    index: u32,
    namespaces: Namespaces,
) -> Made<Option<Child>> {
    let settings = Settings(pod.settings.until(index));
    let root = pod.tree.root_path();
    if namespaces.contains(Namespaces::PID) {
        if let Some(child) = clone(pod, &settings, namespaces)? {
            return Ok(Some(child));
        }
    } else {
        unshare_here(pod, &settings, namespaces)?;
    }
    if namespaces.contains(Namespaces::MNT) {
        pod.tree.reopen_root(root)?;
    }
    pod.settings = pod.settings.from(index + 1);
    Ok(None)
}

/// Makes PID 1. Returns the child in this half, and `None` in the child, when
/// everything that this half does for it is done.
#[inline(never)]
fn clone(
    pod: &mut Pod<'_>,
    settings: &Settings<'_>,
    namespaces: Namespaces,
) -> Made<Option<Child>> {
    let user = namespaces.contains(Namespaces::USER);
    let in_cgroup = settings.cgroups().next().is_some();
    // A new cgroup namespace is rooted where its maker is, which is not yet
    // where the child will be.
    let late = namespaces.contains(Namespaces::CGROUP) && in_cgroup;
    let namespaces = if late {
        namespaces.without(Namespaces::CGROUP)
    } else {
        namespaces
    };
    let flags = clone_flags(namespaces);
    let directory = settings
        .cgroups()
        .find_map(|(index, path)| Some((index, open_unified(path)?)));
    let (wait, gate) = pipe()?;
    let (heard, voice) = pipe()?;
    if user {
        // Else the files with its maps would be the host root's.
        rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    }
    let mut placed = directory.as_ref().map(|&(index, _)| index);
    let cgroup = directory.as_ref().map(|(_, fd)| fd.as_fd());
    let mut made = sys::clone3(flags, cgroup);
    if made.is_err() && placed.is_some() {
        placed = None;
        made = sys::clone3(flags, None);
    }
    if matches!(made, Err(Errno::NOSYS | Errno::PERM)) {
        made = clone_the_old_way(flags);
    }
    let Some(pid) = made? else {
        drop((gate, heard));
        begin_inside(pod, wait.as_fd(), voice, user.then_some(settings), late)?;
        return Ok(None);
    };
    drop((wait, voice));
    let done = admit(pod, settings, pid, placed, user).and_then(|()| {
        hide()?;
        Ok(rustix::io::write(&gate, b"1")?)
    });
    if let Err(failure) = done {
        let _ = sys::kill(pid, raw::SIGKILL);
        return Err(failure);
    }
    Ok(Some(Child {
        pid,
        _gate: gate,
        voice: heard,
    }))
}

/// clone(2) knows no time namespaces: its bit means something else there.
fn clone_the_old_way(flags: u32) -> Result<Option<sys::Pid>> {
    let time = flags & raw::CLONE_NEWTIME;
    if time != 0 {
        sys::unshare(time)?;
    }
    sys::clone(flags & !time)
}

/// In the outer half: puts the child where it belongs before it goes on.
fn admit(
    pod: &Pod<'_>,
    settings: &Settings<'_>,
    pid: sys::Pid,
    placed: Option<u32>,
    user: bool,
) -> Made<()> {
    let pid = Decimal::new(pid.unsigned_abs());
    for (index, path) in settings
        .cgroups()
        .filter(|&(index, _)| Some(index) != placed)
    {
        enter_cgroup(path, pid.as_bytes()).map_err(|errno| Failure {
            index: Some(index),
            errno,
        })?;
    }
    if user {
        let process = open(pod.tree.proc()?, pid.as_c_str(), DIRECTORY)?;
        write_maps(settings, process.as_fd())?;
    }
    Ok(())
}

/// In the child: waits to be let in, and takes its place.
fn begin_inside(
    pod: &mut Pod<'_>,
    wait: BorrowedFd<'_>,
    voice: OwnedFd,
    user: Option<&Settings<'_>>,
    late: bool,
) -> Made<()> {
    if rustix::io::read(wait, &mut [0; 1])? == 0 {
        // The outer half has said why.
        sys::exit(crate::OURS);
    }
    pod.inner = true;
    pod.voice = Some(voice);
    // Both are the outer half's business, and nobody else's.
    pod.origin.foreground = None;
    if let Some(finally) = pod.origin.finally.take() {
        pod.origin.start.erase_from(finally.first_word);
    }
    if let Some(settings) = user {
        become_root(settings)?;
    }
    hide()?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before that; then the gate has no writer.
    rustix::fs::fcntl_setfl(wait, OFlags::NONBLOCK)?;
    if rustix::io::read(wait, &mut [0; 1]) == Ok(0) {
        sys::exit(crate::OURS);
    }
    if late {
        sys::unshare(raw::CLONE_NEWCGROUP)?;
    }
    Ok(())
}

/// New namespaces for this very process.
#[inline(never)]
fn unshare_here(pod: &Pod<'_>, settings: &Settings<'_>, namespaces: Namespaces) -> Made<()> {
    for (index, path) in settings.cgroups() {
        enter_cgroup(path, b"0").map_err(|errno| Failure {
            index: Some(index),
            errno,
        })?;
    }
    let flags = clone_flags(namespaces);
    if !namespaces.contains(Namespaces::USER) {
        return Ok(sys::unshare(flags)?);
    }
    // Maps other than of its own id are for a process outside to write.
    let process = open(pod.tree.proc()?, c"self", DIRECTORY)?;
    let (wait, gate) = pipe()?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::Dumpable)?;
    let Some(pid) = sys::fork()? else {
        drop(gate);
        let begun = rustix::io::read(&wait, &mut [0; 1]) == Ok(1);
        let written = if begun {
            write_maps(settings, process.as_fd())
        } else {
            Ok(())
        };
        let errno = written.map_or_else(|failure| failure.errno.raw_os_error(), |()| 0);
        // All are below 256.
        sys::exit(u8::try_from(errno).unwrap_or(u8::MAX));
    };
    drop(wait);
    sys::unshare(flags)?;
    rustix::io::write(&gate, b"1")?;
    let pid = rustix::process::Pid::from_raw(pid);
    let status = rustix::process::waitpid(pid, WaitOptions::empty())?;
    let status = status.and_then(|(_, status)| status.exit_status());
    if let Some(errno @ 1..) = status {
        return Err(Errno::from_raw_os_error(errno).into());
    }
    become_root(settings)?;
    Ok(hide()?)
}

/// `join`.
#[inline(never)]
pub(crate) fn join(pod: &mut Pod<'_>, namespaces: Namespaces, fd: u32) -> Made<Option<Child>> {
    let root = pod.tree.root_path();
    if namespaces.contains(Namespaces::MNT) && pod.home.is_none() {
        pod.home = Some(pod.own_mounts()?);
    }
    sys::setns(sys::inherited(fd)?, clone_flags(namespaces))?;
    if namespaces.contains(Namespaces::MNT) {
        pod.tree.reopen_root(root)?;
    }
    if !namespaces.contains(Namespaces::PID) {
        return Ok(None);
    }
    let (wait, gate) = pipe()?;
    let (heard, voice) = pipe()?;
    match sys::fork()? {
        Some(pid) => {
            // Else PID 1 there could not end while this half is stopped: the
            // kernel has it wait until somebody has waited for all others.
            sys::default_signals(raw::SA_NOCLDSTOP | raw::SA_NOCLDWAIT);
            rustix::io::write(&gate, b"1")?;
            Ok(Some(Child {
                pid,
                _gate: gate,
                voice: heard,
            }))
        }
        None => {
            drop((gate, heard));
            pod.home = None;
            begin_inside(pod, wait.as_fd(), voice, None, false)?;
            Ok(None)
        }
    }
}

impl Pod<'_> {
    /// Goes back to the mounts that this process began with, if it has joined
    /// others. What is executed in the end is the host's, and must not get its
    /// interpreter from another root: where there is no way back, nothing is.
    pub(crate) fn go_home(&mut self) {
        if let Some(home) = &self.home
            && sys::setns(home.as_fd(), raw::CLONE_NEWNS).is_err()
        {
            self.origin.finally = None;
        }
    }
}

/// `clock-offset`.
#[inline(never)]
pub(crate) fn shift_clock(proc: BorrowedFd<'_>, clock: Clock, seconds: i32) -> Result<()> {
    let mut line = Line::new(sys::STDERR);
    line.push(clock.word().as_bytes());
    line.push(if seconds < 0 { b" -" } else { b" " });
    line.push(Decimal::new(seconds.unsigned_abs()).as_bytes());
    line.push(b" 0\n");
    write_at(proc, c"self/timens_offsets", line.as_bytes())
}

/// What PID 1 says, passed on to where this half says things. Apps that may
/// trace PID 1 can say something as well, so there is an end to it.
struct Voice {
    from: OwnedFd,
    to: BorrowedFd<'static>,
    left: usize,
}

/// Most bytes that are passed on: some lines for each app, with room to spare.
const MOST_SAID: usize = 64 << 10;

impl Voice {
    fn begin(from: OwnedFd, origin: Origin) -> Self {
        let _ = sys::signal_when_readable(from.as_fd());
        Self {
            from,
            to: origin.report.unwrap_or(sys::STDERR),
            left: MOST_SAID,
        }
    }

    /// Passes on what there is now; tells whether there may be more.
    #[inline(never)]
    fn pass_on(&mut self) -> bool {
        let mut buffer = [0; 512];
        let read = rustix::io::read(&self.from, &mut buffer).unwrap_or(0);
        let bytes = buffer.get(..read.min(self.left)).unwrap_or_default();
        self.left -= bytes.len();
        write_all(self.to, bytes).is_ok() && !bytes.is_empty()
    }
}

/// How long this half rests for each nanosecond of processor time that it took
/// to copy: what it does for a pod is not charged to the pod.
const REST: i64 = 9;

/// Waits for PID 1 of the pod, passes on signals to it and what it says, and
/// keeps the log.
#[inline(never)]
pub(crate) fn wait_for(child: Child, origin: Origin, log: Log<'_>) -> u8 {
    let demand = origin.demand.zip(origin.finally);
    let mut demand = demand.map(|(fd, finally)| Demand::new(fd, finally, origin.start));
    let mut voice = Voice::begin(child.voice, origin);
    log.begin();
    // What can be read now is, and then once more after a rest.
    let (mut more, mut taken, mut rest) = (true, sys::taken(), 0);
    sys::release_stack();
    let code = 'over: loop {
        while let Some((pid, status)) = reap::next(WaitOptions::NOHANG) {
            if pid == child.pid {
                break 'over reap::code(status);
            }
            if let Some(demand) = &mut demand {
                demand.ended(pid);
            }
        }
        if more {
            more = voice.pass_on() | log.copy();
            let now = sys::taken();
            rest = (REST * (now - taken)).min(sys::SECOND - 1);
            taken = now;
        }
        let received = if rest > 0 {
            let received = sys::wait_for_signal(sys::BUT_READABLE, Some([0, rest]));
            rest = 0;
            received
        } else {
            sys::wait_for_signal(sys::ALL, more.then_some([0, 0]))
        };
        let Some(received) = received else {
            continue;
        };
        if received.is_readable() {
            more = true;
            if let Some(demand) = &mut demand {
                demand.look();
            }
            continue;
        }
        // Of one that the kernel has buried, nothing else tells.
        if let Some(code) = received.end_of(child.pid) {
            reap::next(WaitOptions::NOHANG);
            break code;
        }
        // What the terminal sends, it sends to the child as well.
        if !received.is_terminals() {
            let of_child = received.signal == raw::SIGCHLD;
            let signal = if of_child { 0 } else { received.signal };
            // There is one signal for two that end at a time.
            if sys::kill(child.pid, signal).is_err() && of_child {
                break 137;
            }
        }
        if received.signal == raw::SIGTSTP {
            stop_self();
        }
    };
    while voice.pass_on() {}
    drop(voice);
    log.finish();
    // What comes next has no use for the kernel's word that there was something.
    while sys::wait_for_signal(!sys::BUT_READABLE, Some([0, 0])).is_some() {}
    code
}

/// Makes a pipe of which no program gets an end: the one to read from, first.
#[inline(never)]
pub(crate) fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
}

/// Stops this process, as the terminal's stop character would have.
pub(crate) fn stop_self() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::STOP);
}

/// What a process like this knows, no other of its user may look at.
pub(crate) fn hide() -> Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

/// In a new user namespace: takes the ids 0, where there are such.
fn become_root(settings: &Settings<'_>) -> Result<()> {
    if !settings.map_root() {
        return Ok(());
    }
    let (uid, gid) = (rustix::process::Uid::ROOT, rustix::process::Gid::ROOT);
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)
}

/// Writes the maps of a user namespace, each with one call as the kernel
/// demands, into the directory of a process in procfs.
fn write_maps(settings: &Settings<'_>, process: BorrowedFd<'_>) -> Made<()> {
    for (index, directive) in settings.0 {
        if let Directive::SetGroups { choice } = directive {
            let word: &[u8] = match choice {
                SetGroups::Allow => b"allow",
                SetGroups::Deny => b"deny",
            };
            write_at(process, c"setgroups", word).map_err(|errno| Failure {
                index: Some(index),
                errno,
            })?;
        }
    }
    write_map(settings, process, c"uid_map", |directive| match directive {
        Directive::UidMap {
            inside,
            outside,
            count,
        } => Some([inside, outside, count.0]),
        _ => None,
    })?;
    write_map(settings, process, c"gid_map", |directive| match directive {
        Directive::GidMap {
            inside,
            outside,
            count,
        } => Some([inside, outside, count.0]),
        _ => None,
    })
}

fn write_map(
    settings: &Settings<'_>,
    process: BorrowedFd<'_>,
    file: &CStr,
    entry: fn(Directive<'_>) -> Option<[u32; 3]>,
) -> Made<()> {
    let mut text = sys::Array::new(MAX_MAP)?;
    let mut last = None;
    for (index, directive) in settings.0 {
        let Some([inside, outside, count]) = entry(directive) else {
            continue;
        };
        for (number, end) in [(inside, b" "), (outside, b" "), (count, b"\n")] {
            text.append(Decimal::new(number).as_bytes())?;
            text.append(end)?;
        }
        last = Some(index);
    }
    match last {
        None => Ok(()),
        Some(_) => {
            write_at(process, file, text.as_slice()).map_err(|errno| Failure { index: last, errno })
        }
    }
}

/// Longest map: the kernel takes 340 lines of three numbers, in one page.
const MAX_MAP: usize = 4096;

fn clone_flags(namespaces: Namespaces) -> u32 {
    [
        (Namespaces::MNT, raw::CLONE_NEWNS),
        (Namespaces::PID, raw::CLONE_NEWPID),
        (Namespaces::IPC, raw::CLONE_NEWIPC),
        (Namespaces::UTS, raw::CLONE_NEWUTS),
        (Namespaces::NET, raw::CLONE_NEWNET),
        (Namespaces::CGROUP, raw::CLONE_NEWCGROUP),
        (Namespaces::USER, raw::CLONE_NEWUSER),
        (Namespaces::TIME, raw::CLONE_NEWTIME),
    ]
    .iter()
    .filter(|&&(kind, _)| namespaces.contains(kind))
    .fold(0, |flags, &(_, flag)| flags | flag)
}

/// Opens a cgroup directory if it is of version 2.
fn open_unified(path: &CStr) -> Option<OwnedFd> {
    const CGROUP2_SUPER_MAGIC: rustix::fs::FsWord = 0x6367_7270;
    let directory = open(CWD, path, DIRECTORY).ok()?;
    let kind = rustix::fs::fstatfs(&directory).ok()?.f_type;
    (kind == CGROUP2_SUPER_MAGIC).then_some(directory)
}

fn enter_cgroup(path: &CStr, pid: &[u8]) -> Result<()> {
    let directory = open(CWD, path, DIRECTORY)?;
    write_at(directory.as_fd(), c"cgroup.procs", pid)
}
