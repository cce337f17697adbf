//! New namespaces, and their settings: cgroups, id maps, clocks.
//!
//! A process cannot move itself into a new pid namespace. A child is created,
//! which is PID 1 there and continues with the plan. What the first process
//! does from then on is in `outer`.

use core::ffi::CStr;

use linux_raw_sys::general as raw;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::CWD;
use stage1_init::{Clock, Decimal, Directive, Directives, Namespaces, SetGroups};

use crate::beneath::Path;
use crate::exit_code;
use crate::pod::{Child, Pod};
use crate::say::Line;
use crate::sys::{self, DIRECTORY, End, Errno, OwnedFd, Result, open, write_at};

/// `die-with-parent`: fails if the parent has already died.
#[inline(never)]
pub(crate) fn die_with(parent: Option<rustix::process::Pid>) -> Result<()> {
    sys::die_with_parent()?;
    if rustix::process::getppid() != parent {
        return Err(Errno::SRCH);
    }
    Ok(())
}

/// The settings for namespaces that are about to be created: the directives
/// since the last `unshare`.
#[derive(Clone, Copy)]
struct Settings<'a>(Directives<'a>);

impl<'a> Settings<'a> {
    fn cgroups(self) -> impl Iterator<Item = (u32, &'a CStr)> {
        self.0.filter_map(|(index, directive)| match directive {
            Directive::Cgroup { path } => Some((index, path)),
            _ => None,
        })
    }

    /// Tells whether id 0 exists for users and groups in the new user
    /// namespace.
    fn map_root(self) -> bool {
        let (mut user, mut group) = (false, false);
        for (_, directive) in self.0 {
            user |= matches!(directive, Directive::UidMap { inside: 0, .. });
            group |= matches!(directive, Directive::GidMap { inside: 0, .. });
        }
        user && group
    }
}

/// `unshare`, for the pod.
#[inline(never)]
pub(crate) fn unshare(pod: &mut Pod<'_>, namespaces: Namespaces) -> Result<()> {
    let index = pod.at;
    let settings = Settings(pod.settings.until(index));
    let root = pod.tree.leave()?;
    if namespaces.contains(Namespaces::PID) {
        clone(pod, settings, namespaces)?;
        if pod.child.is_some() {
            return Ok(());
        }
    } else {
        unshare_here(pod, settings, namespaces)?;
    }
    pod.at = index;
    if namespaces.contains(Namespaces::MNT) {
        pod.tree.reopen_root(root)?;
    }
    pod.settings = pod.settings.from(index + 1);
    Ok(())
}

/// Creates PID 1. Returns in the parent when it has done everything for the
/// child, and in the child when that is set up.
#[inline(never)]
fn clone(pod: &mut Pod<'_>, settings: Settings<'_>, namespaces: Namespaces) -> Result<()> {
    let index = pod.at;
    let user = namespaces.contains(Namespaces::USER);
    // A new cgroup namespace is rooted where its creator is, and the child will
    // be moved.
    let late = namespaces.contains(Namespaces::CGROUP) && settings.cgroups().next().is_some();
    let flags = clone_flags(if late {
        namespaces.without(Namespaces::CGROUP)
    } else {
        namespaces
    });
    let directory = settings
        .cgroups()
        .find_map(|(index, path)| Some((index, open_unified(path)?)));
    let (wait, gate) = sys::pipe()?;
    let (heard, voice) = sys::pipe()?;
    if user {
        // Otherwise, the files for its maps would belong to root on the host.
        sys::unhide()?;
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
        sys::close(gate);
        sys::close(heard);
        return begin_inside(pod, wait, voice, user.then_some(settings), late);
    };
    sys::close(wait);
    sys::close(voice);
    let done = admit(pod, settings, pid, placed, user).and_then(|()| {
        pod.at = index;
        sys::hide()?;
        sys::write(gate.as_fd(), b"1").map(drop)
    });
    if let Err(errno) = done {
        let _ = sys::kill(pid, raw::SIGKILL);
        return Err(errno);
    }
    pod.child = Some(Child {
        pid,
        _gate: gate,
        voice: heard,
    });
    Ok(())
}

/// clone(2) cannot create a time namespace; this process creates it for its
/// children.
fn clone_the_old_way(flags: u32) -> Result<Option<sys::Pid>> {
    let time = flags & raw::CLONE_NEWTIME;
    if time != 0 {
        sys::unshare(time)?;
    }
    sys::clone(flags)
}

/// In the outer process: puts the child into its cgroups, and writes its maps.
fn admit(
    pod: &mut Pod<'_>,
    settings: Settings<'_>,
    pid: sys::Pid,
    placed: Option<u32>,
    user: bool,
) -> Result<()> {
    let pid = Decimal::new(pid.unsigned_abs());
    for (index, path) in settings
        .cgroups()
        .filter(|&(index, _)| Some(index) != placed)
    {
        pod.at = index;
        enter_cgroup(path, pid.as_bytes())?;
    }
    if user {
        let process = open(pod.tree.proc()?, pid.as_c_str(), DIRECTORY)?;
        write_maps(settings, process.as_fd(), &mut pod.at)?;
    }
    Ok(())
}

/// In the child: waits until the outer process has done its part, and sets
/// itself up.
fn begin_inside(
    pod: &mut Pod<'_>,
    wait: End,
    voice: End,
    user: Option<Settings<'_>>,
    late: bool,
) -> Result<()> {
    if sys::read(wait.as_fd(), &mut [0; 1])? == 0 {
        // The outer process has reported why.
        sys::exit(exit_code::OURS);
    }
    pod.inner = true;
    pod.voice = Some(voice);
    // Both are up to the outer process alone.
    pod.origin.foreground = None;
    if let Some(finally) = pod.origin.finally.take() {
        pod.origin.start.erase_from(finally.first_word);
    }
    if let Some(settings) = user {
        become_root(settings)?;
    }
    sys::hide()?;
    sys::die_with_parent()?;
    // The outer process may have died before that; then the gate has no writer.
    sys::set_status_flags(wait.as_fd(), raw::O_NONBLOCK)?;
    if sys::read(wait.as_fd(), &mut [0; 1]) == Ok(0) {
        sys::exit(exit_code::OURS);
    }
    sys::close(wait);
    if late {
        sys::unshare(raw::CLONE_NEWCGROUP)?;
    }
    Ok(())
}

/// Creates namespaces for this process itself.
#[inline(never)]
fn unshare_here(pod: &mut Pod<'_>, settings: Settings<'_>, namespaces: Namespaces) -> Result<()> {
    let index = pod.at;
    for (index, path) in settings.cgroups() {
        pod.at = index;
        enter_cgroup(path, b"0")?;
    }
    pod.at = index;
    let flags = clone_flags(namespaces);
    if !namespaces.contains(Namespaces::USER) {
        return sys::unshare(flags);
    }
    // A process may map only its own id, so another one writes the maps.
    let process = open(pod.tree.proc()?, c"self", DIRECTORY)?;
    let (wait, gate) = sys::pipe()?;
    sys::unhide()?;
    let Some(pid) = sys::fork()? else {
        sys::close(gate);
        let begun = sys::read(wait.as_fd(), &mut [0; 1]) == Ok(1);
        let written = if begun {
            write_maps(settings, process.as_fd(), &mut pod.at)
        } else {
            Ok(())
        };
        let errno = written.map_or_else(Errno::number, |()| 0);
        // Every errno is below 256.
        sys::exit(u8::try_from(errno).unwrap_or(u8::MAX));
    };
    sys::close(wait);
    sys::unshare(flags)?;
    sys::write(gate.as_fd(), b"1")?;
    sys::close(gate);
    let (_, status) = sys::wait(pid, 0);
    match exit_code::of(status) {
        0 => {}
        errno => return Err(Errno::new(errno.into())),
    }
    become_root(settings)?;
    sys::hide()
}

/// `join`: enters existing namespaces.
#[inline(never)]
pub(crate) fn join(pod: &mut Pod<'_>, namespaces: Namespaces, fd: u32) -> Result<()> {
    let root = pod.tree.leave()?;
    if namespaces.contains(Namespaces::MNT) && pod.home.is_none() {
        pod.home = Some(pod.own_mounts()?);
    }
    sys::setns(sys::inherited(fd)?, clone_flags(namespaces))?;
    if namespaces.contains(Namespaces::MNT) {
        pod.tree.reopen_root(root)?;
    }
    if !namespaces.contains(Namespaces::PID) {
        return Ok(());
    }
    let (wait, gate) = sys::pipe()?;
    let (heard, voice) = sys::pipe()?;
    match sys::fork()? {
        Some(pid) => {
            // Otherwise PID 1 there could not exit while this process is
            // stopped: the kernel makes it wait until all other processes have
            // been waited for.
            sys::default_signal(raw::SIGCHLD, raw::SA_NOCLDSTOP | raw::SA_NOCLDWAIT);
            // The child may be dead already, together with PID 1 and its pod.
            sys::write(gate.as_fd(), b"1")?;
            sys::close(wait);
            sys::close(voice);
            pod.child = Some(Child {
                pid,
                _gate: gate,
                voice: heard,
            });
            Ok(())
        }
        None => {
            sys::close(gate);
            sys::close(heard);
            // What the caller ignores is no property of the pod.
            sys::default_signals();
            pod.home = None;
            begin_inside(pod, wait, voice, None, false)
        }
    }
}

impl Pod<'_> {
    /// Returns to the mounts that this process started with, if it has joined
    /// others. The program of `--finally-fd` belongs to the host, and must not
    /// get its interpreter from another root; if there is no way back, it is
    /// not executed.
    pub(crate) fn go_home(&mut self) {
        if let Some(home) = &self.home
            && sys::setns(home.as_fd(), raw::CLONE_NEWNS).is_err()
        {
            self.origin.finally = None;
        }
    }
}

/// `clock-offset`: shifts a clock.
#[inline(never)]
pub(crate) fn shift_clock(proc: BorrowedFd<'_>, clock: Clock, seconds: i32) -> Result<()> {
    let mut line = Line::new(sys::STDERR);
    line.push(clock.word().as_bytes());
    line.push(b" ");
    line.signed(seconds);
    line.push(b" 0\n");
    write_at(proc, c"self/timens_offsets", line.as_bytes())
}

/// In a new user namespace: becomes root, if the maps have one.
fn become_root(settings: Settings<'_>) -> Result<()> {
    if !settings.map_root() {
        return Ok(());
    }
    sys::setresgid(0, 0, 0)?;
    sys::setresuid(0, 0, 0)
}

/// Writes the maps of a user namespace into the procfs directory of a process.
/// The kernel demands a single call for each. Sets `at` to the directive that
/// fails.
fn write_maps(settings: Settings<'_>, process: BorrowedFd<'_>, at: &mut u32) -> Result<()> {
    for (index, directive) in settings.0 {
        if let Directive::SetGroups { choice } = directive {
            let word: &[u8] = match choice {
                SetGroups::Allow => b"allow",
                SetGroups::Deny => b"deny",
            };
            *at = index;
            write_at(process, c"setgroups", word)?;
        }
    }
    write_map(settings, process, true, at)?;
    write_map(settings, process, false, at)
}

#[inline(never)]
fn write_map(
    settings: Settings<'_>,
    process: BorrowedFd<'_>,
    of_users: bool,
    at: &mut u32,
) -> Result<()> {
    let mut text = Path::new();
    for (index, directive) in settings.0 {
        let [inside, outside, count] = match directive {
            Directive::UidMap {
                inside,
                outside,
                count,
            } if of_users => [inside, outside, count.0],
            Directive::GidMap {
                inside,
                outside,
                count,
            } if !of_users => [inside, outside, count.0],
            _ => continue,
        };
        *at = index;
        for (number, end) in [(inside, b" "), (outside, b" "), (count, b"\n")] {
            // As long as a path may be, which is a page, is also all that the
            // kernel accepts: 340 lines.
            let fits = text.append(&[Decimal::new(number).as_bytes(), end]);
            fits.map_err(|_| Errno::TOOBIG)?;
        }
    }
    let file = if of_users { c"uid_map" } else { c"gid_map" };
    if text.as_bytes().is_empty() {
        return Ok(());
    }
    write_at(process, file, text.as_bytes())
}

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

/// Opens a cgroup directory, if it is of cgroup version 2.
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
