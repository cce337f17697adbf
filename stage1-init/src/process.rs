//! What each process of an app does to itself before it executes its program.

use core::mem::ManuallyDrop;

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::Mode;
use rustix::process::Pid;
use stage1_init::{Directive, Limit, Resource};

use crate::app::{App, Phase};
use crate::beneath::Path;
use crate::pod::Origin;
use crate::program::Program;
use crate::sys::{self, Array, Errno, OwnedFd, Result, Standard, write_at};
use crate::tree::Tree;
use crate::{capabilities, exit_code, say};

/// Sends the directive that failed, and the error.
fn send_failure(to: &OwnedFd, index: u32, errno: Errno) {
    let both = [index, errno.number()].map(u32::to_ne_bytes);
    let _ = sys::write(to.as_fd(), both.as_flattened());
}

/// Waits until a process has executed its program, which closes the pipe, or
/// has sent a failure. Sets `at` to the directive that failed.
#[inline(never)]
pub(crate) fn receive_failure(from: &OwnedFd, at: &mut u32) -> Result<()> {
    let mut both = [[0; 4]; 2];
    if sys::read(from.as_fd(), both.as_flattened_mut())? < 8 {
        return Ok(());
    }
    let [index, errno] = both.map(u32::from_ne_bytes);
    *at = index;
    Err(Errno::new(errno))
}

/// Where a process waits for the turn of its program.
pub(crate) struct Gate<'a> {
    pub(crate) waits: BorrowedFd<'a>,
    /// Other apps run in the meantime: it waits after it has given up all its
    /// rights.
    pub(crate) later: bool,
}

impl Gate<'_> {
    /// Reads the byte that is there, and waits for another. At the end of the
    /// pipe, the processes that could write one are gone.
    fn pass(waits: BorrowedFd<'_>) {
        for _ in 0..2 {
            if sys::read(waits, &mut [0; 1]) != Ok(1) {
                sys::exit(exit_code::OURS);
            }
        }
    }
}

/// In a new process: becomes a program of an app.
pub(crate) fn run(
    app: &App<'_>,
    phase: Phase,
    tree: &Tree<'_>,
    origin: Origin,
    failures: &OwnedFd,
    gate: Gate<'_>,
) -> ! {
    let (index, words) = app.program(phase).unwrap_or_default();
    let program = Program::new(words, app, origin.start);
    let mut at = index;
    let (errno, status) = match prepare(app, phase, tree, origin, gate, &mut at) {
        Err(errno) => (errno, exit_code::OURS),
        Ok(()) => {
            at = index;
            let errno = match &program {
                Ok(program) => program.execute(),
                Err(errno) => *errno,
            };
            let status = match errno {
                Errno::NOENT | Errno::NOTDIR => exit_code::NOT_FOUND,
                _ => exit_code::NOT_EXECUTABLE,
            };
            (errno, status)
        }
    };
    send_failure(failures, at, errno);
    sys::exit(status)
}

/// Sets up the process, and waits for its turn. Sets `at` to the directive that
/// fails.
fn prepare(
    app: &App<'_>,
    phase: Phase,
    tree: &Tree<'_>,
    origin: Origin,
    gate: Gate<'_>,
    at: &mut u32,
) -> Result<()> {
    *at = app.directives().next().map_or(0, |(index, _)| index);
    if app.is_command() {
        begin_command(origin)?;
    } else {
        begin_planned(app, origin)?;
    }
    let (mut gate, mut filtered) = (Some(gate), false);
    for (index, directive) in app.directives() {
        *at = index;
        match directive {
            Directive::Seccomp { fd } => {
                // Nothing behind it changes the user, which would undo this.
                die_with_init();
                filter(fd, &mut gate)?;
                filtered = true;
            }
            // A terminal is controlled by one process, and that is the main
            // program.
            Directive::Terminal { fd } if phase != Phase::Main => {
                sys::setsid()?;
                use_as_standard(fd, fd, fd)?;
            }
            Directive::Foreground {} if phase != Phase::Main => sys::setpgid(0, 0)?,
            _ => carry_out(directive, tree)?,
        }
    }
    if !filtered && !app.is_command() {
        die_with_init();
    }
    if let Some(gate) = gate {
        Gate::pass(gate.waits);
    }
    if !filtered {
        sys::let_signals_through();
    }
    Ok(())
}

/// Has this process killed when its init dies. The kernel does that only for
/// PID 1, and not for the init of a command that has joined a pod.
fn die_with_init() {
    if rustix::process::getppid() != Some(Pid::INIT) {
        let _ = sys::die_with_parent();
    }
}

fn begin_planned(app: &App<'_>, origin: Origin) -> Result<()> {
    if let Some(mounts) = &app.mounts {
        sys::setns(mounts.as_fd(), linux_raw_sys::general::CLONE_NEWNS)?;
    }
    sys::chdir(c"/")?;
    rustix::process::umask(origin.mask);
    capabilities::empty_inheritable()
}

/// Without a plan, the command gets a process group, and the terminal if this
/// process had it.
fn begin_command(origin: Origin) -> Result<()> {
    rustix::process::umask(origin.mask);
    sys::setpgid(0, 0)?;
    if origin.foreground.is_some() {
        take_terminal(rustix::process::getpid());
    }
    Ok(())
}

/// Returns the process group of this process, if it is in the foreground of the
/// terminal on standard input.
pub(crate) fn foreground_group() -> Option<Pid> {
    let group = rustix::process::getpgrp();
    (sys::foreground_group(sys::STDIN) == Ok(group.as_raw_nonzero().get())).then_some(group)
}

/// Puts a group into the foreground of the terminal on standard input, if there
/// is one. All signals must be blocked, or SIGTTOU would stop this process.
#[inline(never)]
pub(crate) fn take_terminal(group: Pid) {
    let _ = rustix::termios::tcsetpgrp(sys::STDIN, group);
}

/// Executes a directive that does the same in every process, including PID 1.
#[inline(never)]
pub(crate) fn carry_out(directive: Directive<'_>, tree: &Tree<'_>) -> Result<()> {
    use Directive as D;
    match directive {
        D::Umask { mask } => {
            rustix::process::umask(Mode::from_raw_mode(mask.0));
        }
        D::Rlimit {
            resource,
            soft,
            hard,
        } => set_limit(resource, soft, hard)?,
        D::OomScoreAdj { score } => set_oom_score(tree, score)?,
        D::Attribute { file, text } => {
            let mut path = Path::new();
            path.append(&[b"self/attr/", file.to_bytes()])?;
            write_at(tree.proc()?, path.as_c_str(), text.to_bytes())?;
        }
        D::Session {} => sys::setsid()?,
        D::Foreground {} => {
            sys::setpgid(0, 0)?;
            take_terminal(rustix::process::getpid());
        }
        D::Terminal { fd } => {
            sys::setsid()?;
            sys::set_controlling_terminal(sys::inherited(fd)?)?;
            use_as_standard(fd, fd, fd)?;
        }
        D::Stdio {
            input,
            output,
            error,
        } => use_as_standard(input, output, error)?,
        D::Pass { fd, number } => sys::pass(fd, number)?,
        D::JoinCgroup { fd } => {
            sys::write(sys::inherited(fd)?, b"0")?;
        }
        D::Keyring {} => match sys::join_session_keyring() {
            // A kernel without keyrings has none to leave behind.
            Err(Errno::NOSYS) => {}
            result => result?,
        },
        D::Bounding { set } => capabilities::bound(set)?,
        D::Capabilities { set } => capabilities::limit(set)?,
        D::Ambient { set } => capabilities::keep(set)?,
        D::Groups { groups } => {
            let mut list = Array::new(groups.len())?;
            for group in groups.iter() {
                list.push(group)?;
            }
            sys::setgroups(list.as_slice())?;
        }
        D::Gid { gid } => sys::setresgid(gid, gid, gid)?,
        D::Uid { uid } => {
            sys::keep_capabilities()?;
            sys::setresuid(uid, uid, uid)?;
        }
        D::Workdir { path } => change_directory(path)?,
        D::NoNewPrivs {} => sys::set_no_new_privs()?,
        // `env` and the programs are looked up when a program is executed, and
        // the caller handles filters. The others do not belong to this part.
        _ => {}
    }
    Ok(())
}

#[inline(never)]
fn set_limit(resource: Resource, soft: Limit, hard: Limit) -> Result<()> {
    use linux_raw_sys::general as raw;
    /// The kernel's numbers, in the order of [`Resource::WORDS`].
    const NUMBERS: [u32; Resource::WORDS.len()] = {
        use Resource as R;
        let mut numbers = [0; Resource::WORDS.len()];
        numbers[R::As as usize] = raw::RLIMIT_AS;
        numbers[R::Core as usize] = raw::RLIMIT_CORE;
        numbers[R::Cpu as usize] = raw::RLIMIT_CPU;
        numbers[R::Data as usize] = raw::RLIMIT_DATA;
        numbers[R::Fsize as usize] = raw::RLIMIT_FSIZE;
        numbers[R::Locks as usize] = raw::RLIMIT_LOCKS;
        numbers[R::Memlock as usize] = raw::RLIMIT_MEMLOCK;
        numbers[R::Msgqueue as usize] = raw::RLIMIT_MSGQUEUE;
        numbers[R::Nice as usize] = raw::RLIMIT_NICE;
        numbers[R::Nofile as usize] = raw::RLIMIT_NOFILE;
        numbers[R::Nproc as usize] = raw::RLIMIT_NPROC;
        numbers[R::Rss as usize] = raw::RLIMIT_RSS;
        numbers[R::Rtprio as usize] = raw::RLIMIT_RTPRIO;
        numbers[R::Rttime as usize] = raw::RLIMIT_RTTIME;
        numbers[R::Sigpending as usize] = raw::RLIMIT_SIGPENDING;
        numbers[R::Stack as usize] = raw::RLIMIT_STACK;
        numbers
    };
    // RLIM_INFINITY.
    let [soft, hard] = [soft, hard].map(|limit| limit.0.unwrap_or(u64::MAX));
    sys::set_limit(NUMBERS[resource as usize], [soft, hard])
}

/// In a user namespace, a process that hides itself may not write its own file:
/// that belongs to root on the host then.
#[inline(never)]
fn set_oom_score(tree: &Tree<'_>, score: i32) -> Result<()> {
    let mut text = say::Line::new(sys::STDERR);
    text.signed(score);
    let set = || write_at(tree.proc()?, c"self/oom_score_adj", text.as_bytes());
    match set() {
        Err(Errno::ACCESS) => {
            sys::unhide()?;
            let result = set();
            sys::hide()?;
            result
        }
        result => result,
    }
}

/// A descriptor that is one of the three already is copied first, so that it is
/// not replaced before it is used. The others have other numbers.
fn use_as_standard(input: u32, output: u32, error: u32) -> Result<()> {
    use Standard::{Error, Input, Output};
    let mut copies = [None, None, None];
    for (copy, number) in copies.iter_mut().zip([input, output, error]) {
        if number < 3 {
            *copy = Some(sys::copy(sys::inherited(number)?, 3)?);
        }
    }
    let streams = [(Input, input), (Output, output), (Error, error)];
    for (copy, (stream, from)) in copies.iter().zip(streams) {
        let from = match copy {
            Some(copy) => copy.as_fd(),
            None => sys::inherited(from)?,
        };
        sys::set_standard(stream, from)?;
    }
    Ok(())
}

/// The kernel shows a directory outside of the root as `(unreachable)`: one
/// that was leaked through a descriptor (CVE-2024-21626).
#[inline(never)]
fn change_directory(path: &core::ffi::CStr) -> Result<()> {
    sys::chdir(path)?;
    match sys::getcwd(&mut [0; 4096])?.first() {
        Some(b'/') => Ok(()),
        _ => Err(Errno::XDEV),
    }
}

/// Installs a filter. The first program of an app waits for its turn before
/// that. The others wait at the end, when they have no rights left to give up,
/// at a descriptor whose number is known, so that a filter can allow it.
/// Signals are unblocked first, as the filter may not allow that call.
#[inline(never)]
fn filter(fd: u32, gate: &mut Option<Gate<'_>>) -> Result<()> {
    let program = read_filter(fd)?;
    if let Some(first) = gate.take_if(|gate| !gate.later) {
        Gate::pass(first.waits);
    }
    sys::let_signals_through();
    if let Some(later) = gate {
        later.waits = sys::place_gate(later.waits)?;
    }
    sys::seccomp(&program)
}

/// Reads a filter into memory, which is not freed: the filter may not allow
/// that call.
#[inline(never)]
pub(crate) fn read_filter(fd: u32) -> Result<ManuallyDrop<Array<u64>>> {
    const MOST: usize = 4096;
    let mut program = ManuallyDrop::new(Array::new(MOST)?);
    program.read_start(sys::inherited(fd)?)?;
    Ok(program)
}
