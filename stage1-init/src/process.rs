//! What each process of an app does to itself before it executes its program.

use core::mem::ManuallyDrop;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::Mode;
use rustix::io::{Errno, Result};
use rustix::process::{Gid, Pid, Rlimit, Uid};
use stage1_init::{Directive, Limit, Resource};

use crate::apps::{App, Phase};
use crate::beneath::Path;
use crate::execute::Origin;
use crate::files::write_at;
use crate::mounts::Tree;
use crate::program::Program;
use crate::sys::{self, Array};
use crate::{capabilities, outer, say};

/// Why a process could not begin: the directive, and the error.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) index: u32,
    pub(crate) errno: Errno,
}

impl Fault {
    fn send(self, to: &OwnedFd) {
        let errno = self.errno.raw_os_error().unsigned_abs();
        let both = u64::from(self.index) << 32 | u64::from(errno);
        let _ = rustix::io::write(to, &both.to_ne_bytes());
    }

    /// Waits until the process has executed its program (which closes the
    /// pipe) or has said why not.
    pub(crate) fn receive(from: &OwnedFd) -> Result<Option<Self>> {
        let mut bytes = [0; 8];
        if rustix::io::read(from, &mut bytes)? < bytes.len() {
            return Ok(None);
        }
        let both = u64::from_ne_bytes(bytes);
        let half = |both: u64| u32::try_from(both & u64::from(u32::MAX)).unwrap_or_default();
        Ok(Some(Self {
            index: half(both >> 32),
            errno: Errno::from_raw_os_error(half(both).cast_signed()),
        }))
    }
}

/// The descriptor of the pipe at which a process waits under its filter, which
/// must let it read from there: one of which everybody knows the number.
pub(crate) const GATE: i32 = 3;

/// Where a process waits for its program's turn.
pub(crate) struct Gate {
    pub(crate) waits: OwnedFd,
    /// Other apps run meanwhile: it waits when it has given up everything.
    pub(crate) later: bool,
}

impl Gate {
    /// Takes the byte that was there, and then waits for one. Where there is
    /// none, those who would have written it are gone.
    fn pass(waits: BorrowedFd<'_>) {
        for _ in 0..2 {
            if rustix::io::read(waits, &mut [0; 1]) != Ok(1) {
                sys::exit(crate::OURS);
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
    gate: Gate,
) -> ! {
    let (index, words) = app.program(phase).unzip();
    let program = words
        .ok_or(Errno::NOENT)
        .and_then(|words| Program::new(words, app, origin.start));
    let (fault, status) = match prepare(app, phase, tree, origin, gate) {
        Err(fault) => (fault, crate::OURS),
        Ok(()) => {
            let errno = match &program {
                Ok(program) => program.execute(),
                Err(errno) => *errno,
            };
            let status = match errno {
                Errno::NOENT | Errno::NOTDIR => crate::NOT_FOUND,
                _ => crate::NOT_EXECUTABLE,
            };
            (
                Fault {
                    index: index.unwrap_or(0),
                    errno,
                },
                status,
            )
        }
    };
    fault.send(failures);
    sys::exit(status)
}

fn prepare(
    app: &App<'_>,
    phase: Phase,
    tree: &Tree<'_>,
    origin: Origin,
    gate: Gate,
) -> core::result::Result<(), Fault> {
    let first = app.directives().next().map_or(0, |(index, _)| index);
    let begun = if app.is_command() {
        begin_command(origin)
    } else {
        begin_planned(app, origin)
    };
    begun.map_err(|errno| Fault {
        index: first,
        errno,
    })?;
    let mut gate = Some(gate);
    for (index, directive) in app.directives() {
        let done = match directive {
            Directive::Seccomp { fd } => filter(fd, &mut gate),
            // It has one controlling process, and the app's program is it.
            Directive::Terminal { fd } if phase != Phase::Main => {
                session().and_then(|()| use_as_standard(fd, fd, fd))
            }
            Directive::Foreground {} if phase != Phase::Main => {
                rustix::process::setpgid(None, None)
            }
            _ => carry_out(directive, tree),
        };
        done.map_err(|errno| Fault { index, errno })?;
    }
    if let Some(gate) = gate {
        Gate::pass(gate.waits.as_fd());
        sys::let_signals_through();
    }
    Ok(())
}

fn session() -> Result<()> {
    rustix::process::setsid().map(drop)
}

fn begin_planned(app: &App<'_>, origin: Origin) -> Result<()> {
    if let Some(mounts) = &app.mounts {
        sys::setns(mounts.as_fd(), linux_raw_sys::general::CLONE_NEWNS)?;
    }
    rustix::process::chdir(c"/")?;
    rustix::process::umask(origin.mask);
    capabilities::empty_inheritable()
}

/// Without a plan, the command gets a process group, and the terminal if it
/// was ours to give.
fn begin_command(origin: Origin) -> Result<()> {
    rustix::process::umask(origin.mask);
    rustix::process::setpgid(None, None)?;
    if origin.foreground.is_some() {
        take_terminal(rustix::process::getpid());
    }
    Ok(())
}

/// Returns our process group, if it is the foreground one of the terminal on
/// standard input.
pub(crate) fn foreground_group() -> Option<Pid> {
    let group = rustix::termios::tcgetpgrp(sys::STDIN).ok()?;
    (group == rustix::process::getpgrp()).then_some(group)
}

/// Makes a group the foreground one of the terminal on standard input, if
/// there is one. All signals must be blocked, or SIGTTOU would stop us.
pub(crate) fn take_terminal(group: Pid) {
    let _ = rustix::termios::tcsetpgrp(sys::STDIN, group);
}

/// What is the same for whoever does it.
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
            path.push(b"self/attr/")?;
            path.push(file.to_bytes())?;
            write_at(tree.proc()?, path.as_c_str(), text.to_bytes())?;
        }
        D::Session {} => session()?,
        D::Foreground {} => {
            rustix::process::setpgid(None, None)?;
            take_terminal(rustix::process::getpid());
        }
        D::Terminal { fd } => {
            session()?;
            rustix::process::ioctl_tiocsctty(sys::inherited(fd)?)?;
            use_as_standard(fd, fd, fd)?;
        }
        D::Stdio {
            input,
            output,
            error,
        } => use_as_standard(input, output, error)?,
        D::JoinCgroup { fd } => {
            rustix::io::write(sys::inherited(fd)?, b"0")?;
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
                list.push(Gid::from_raw(group))?;
            }
            rustix::thread::set_thread_groups(list.as_slice())?;
        }
        D::Gid { gid } => {
            let gid = Gid::from_raw(gid);
            rustix::thread::set_thread_res_gid(gid, gid, gid)?;
        }
        D::Uid { uid } => {
            let uid = Uid::from_raw(uid);
            rustix::thread::set_keep_capabilities(true)?;
            rustix::thread::set_thread_res_uid(uid, uid, uid)?;
        }
        D::Workdir { path } => change_directory(path)?,
        D::NoNewPrivs {} => rustix::thread::set_no_new_privs(true)?,
        // `env` and the programs are looked up when one is executed, filters
        // are for the caller; the others are not of this part.
        _ => {}
    }
    Ok(())
}

#[inline(never)]
fn set_limit(resource: Resource, soft: Limit, hard: Limit) -> Result<()> {
    use rustix::process::Resource as R;
    let which = match resource {
        Resource::As => R::As,
        Resource::Core => R::Core,
        Resource::Cpu => R::Cpu,
        Resource::Data => R::Data,
        Resource::Fsize => R::Fsize,
        Resource::Locks => R::Locks,
        Resource::Memlock => R::Memlock,
        Resource::Msgqueue => R::Msgqueue,
        Resource::Nice => R::Nice,
        Resource::Nofile => R::Nofile,
        Resource::Nproc => R::Nproc,
        Resource::Rss => R::Rss,
        Resource::Rtprio => R::Rtprio,
        Resource::Rttime => R::Rttime,
        Resource::Sigpending => R::Sigpending,
        Resource::Stack => R::Stack,
    };
    rustix::process::setrlimit(
        which,
        Rlimit {
            current: soft.0,
            maximum: hard.0,
        },
    )
}

/// In a user namespace a process that hides itself may not write its own file,
/// which is then the host root's.
#[inline(never)]
fn set_oom_score(tree: &Tree<'_>, score: i32) -> Result<()> {
    let mut text = say::Line::new(sys::STDERR);
    text.push(if score < 0 { b"-" } else { b"" });
    text.push(say::Decimal::new(score.unsigned_abs()).as_bytes());
    match write_at(tree.proc()?, c"self/oom_score_adj", text.as_bytes()) {
        Err(Errno::ACCESS) => {
            rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable)?;
            let result = write_at(tree.proc()?, c"self/oom_score_adj", text.as_bytes());
            outer::hide()?;
            result
        }
        result => result,
    }
}

/// Copies first, so that no descriptor is overwritten before it is used.
fn use_as_standard(input: u32, output: u32, error: u32) -> Result<()> {
    let copies = [copy(input)?, copy(output)?, copy(error)?];
    for (number, fd) in (0..).zip(&copies) {
        sys::place(fd.as_fd(), number, false)?;
    }
    Ok(())
}

#[inline(never)]
fn copy(number: u32) -> Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(sys::inherited(number)?, 3)
}

/// The kernel shows a directory outside the root as `(unreachable)`: one that
/// leaked in through a descriptor (CVE-2024-21626).
#[inline(never)]
fn change_directory(path: &core::ffi::CStr) -> Result<()> {
    rustix::process::chdir(path)?;
    match sys::getcwd(&mut [0; 4096])?.first() {
        Some(b'/') => Ok(()),
        _ => Err(Errno::XDEV),
    }
}

/// Installs a filter. A program that is the first of its app waits before
/// that, and others behind it, when they have no right left to give up.
/// Signals are let through before, for the filter may not know the call.
#[inline(never)]
fn filter(fd: u32, gate: &mut Option<Gate>) -> Result<()> {
    let program = read_filter(fd)?;
    if let Some(first) = gate.take_if(|gate| !gate.later) {
        Gate::pass(first.waits.as_fd());
    }
    sys::let_signals_through();
    // It may not know the call that would close this, either.
    let Some(gate) = gate.take().map(ManuallyDrop::new) else {
        return sys::seccomp(&program);
    };
    let waits = sys::place(gate.waits.as_fd(), GATE.unsigned_abs(), true)?;
    sys::seccomp(&program)?;
    Gate::pass(waits);
    Ok(())
}

/// Reads a filter into memory, where it stays: it may not know the call that
/// would free it.
#[inline(never)]
pub(crate) fn read_filter(fd: u32) -> Result<ManuallyDrop<Array<u64>>> {
    const INSTRUCTION: usize = 8;
    const MOST: usize = 4096;
    let fd = sys::inherited(fd)?;
    let mut program = ManuallyDrop::new(Array::new(MOST)?);
    let mut at = 0;
    loop {
        let mut page = [0; 64 * INSTRUCTION];
        let read = rustix::io::pread(fd, &mut page, at)?;
        let (instructions, rest) = page.get(..read).unwrap_or_default().as_chunks();
        if !rest.is_empty() {
            return Err(Errno::INVAL);
        }
        for &instruction in instructions {
            program.push(u64::from_ne_bytes(instruction))?;
        }
        if read == 0 {
            return Ok(program);
        }
        at += read as u64;
    }
}
