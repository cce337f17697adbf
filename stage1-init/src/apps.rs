//! The apps of a pod: what is known of each, and how its programs are started.

use core::ffi::CStr;

use linux_raw_sys::general as raw;
use rustix::fd::AsFd;
use stage1_init::{Argv, Directive, Directives, Report, WordList};

use crate::execute::Pod;
use crate::sys::{self, End, Errno, OwnedFd, Result};
use crate::{process, say};

/// Which of its programs an app is at. The first three are places in
/// [`App::waiting`], too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    PreStart,
    Main,
    PostStop,
    /// It has ended, or never began.
    Over,
}

/// The directives of a process part, one after another.
pub(crate) struct Part<'a>(Directives<'a>);

impl<'a> Iterator for Part<'a> {
    type Item = (u32, Directive<'a>);

    #[inline(never)]
    fn next(&mut self) -> Option<Self::Item> {
        let next = self.0.next();
        next.filter(|(_, directive)| directive.part() == stage1_init::Part::Process)
    }
}

/// A process that is ready to execute its program, and waits for the word.
pub(crate) struct Waiting {
    pid: sys::Pid,
    /// The directive that names its program.
    program: u32,
    /// What is written here lets it go on.
    pub(crate) gate: End,
    /// Where it says why it cannot; closed when it has executed its program.
    pub(crate) failures: End,
}

/// An app of the pod.
pub(crate) struct App<'a> {
    pub(crate) name: &'a CStr,
    /// Its process part in the plan, and what follows that.
    steps: Directives<'a>,
    /// Without a plan: what to run, as it is.
    command: Option<WordList<'a>>,
    /// Its own mount namespace.
    pub(crate) mounts: Option<OwnedFd>,
    pub(crate) phase: Phase,
    /// The processes for those of its programs that have not begun.
    pub(crate) waiting: [Option<Waiting>; 3],
    /// The process that runs its present program.
    pub(crate) pid: Option<sys::Pid>,
    /// That program was executed, and did not fail before.
    pub(crate) executed: bool,
}

impl<'a> App<'a> {
    /// Makes an app of which the plan will say more.
    pub(crate) fn planned(name: &'a CStr) -> Self {
        Self {
            name,
            steps: Directives::default(),
            command: None,
            mounts: None,
            phase: Phase::Over,
            waiting: [None, None, None],
            pid: None,
            executed: false,
        }
    }

    /// Makes an app that is one command.
    pub(crate) fn command(words: WordList<'a>) -> Self {
        Self {
            command: Some(words),
            ..Self::planned(c"main")
        }
    }

    pub(crate) fn set(&mut self, mounts: Option<OwnedFd>, steps: Directives<'a>) {
        self.mounts = mounts;
        self.steps = steps;
    }

    /// Tells whether it is a command, without a plan.
    pub(crate) fn is_command(&self) -> bool {
        self.command.is_some()
    }

    /// Returns the app's own directives.
    pub(crate) fn directives(&self) -> Part<'a> {
        Part(self.steps)
    }

    /// Finds the program of a phase, and the directive that names it.
    pub(crate) fn program(&self, phase: Phase) -> Option<(u32, WordList<'a>)> {
        if let Some(words) = self.command {
            return (phase == Phase::Main).then_some((0, words));
        }
        self.directives()
            .find_map(|(index, directive)| match (phase, directive) {
                (Phase::PreStart, Directive::PreStart { argv: Argv(words) })
                | (Phase::Main, Directive::Main { argv: Argv(words) })
                | (Phase::PostStop, Directive::PostStop { argv: Argv(words) }) => {
                    Some((index, words))
                }
                _ => None,
            })
    }

    /// Tells whether its processes are in a session of their own.
    pub(crate) fn has_session(&self) -> bool {
        self.directives().any(|(_, directive)| {
            matches!(
                directive,
                Directive::Session {} | Directive::Terminal { .. }
            )
        })
    }

    /// Tells whether its processes are in a group of their own, so that what
    /// the terminal sends to ours does not reach them.
    pub(crate) fn has_group(&self) -> bool {
        self.is_command()
            || self.has_session()
            || self
                .directives()
                .any(|(_, directive)| matches!(directive, Directive::Foreground {}))
    }

    /// Sends a signal to its process: to all of its session's, if it has one.
    pub(crate) fn signal(&self, signal: u32) {
        if let Some(pid) = self.pid {
            let _ = sys::kill(if self.has_session() { -pid } else { pid }, signal);
        }
    }

    /// Stops its processes, or lets them go on: the group, if it has one.
    pub(crate) fn signal_group(&self, signal: u32) {
        if let Some(pid) = self.pid {
            let _ = sys::kill(if self.has_group() { -pid } else { pid }, signal);
        }
    }
}

impl<'a> Pod<'a> {
    /// Makes a process for every program, gives up what is not needed any more,
    /// and starts the first program of every app, one after another. Says that
    /// all is ready, if it is.
    pub(crate) fn start_apps(&mut self) {
        if let Err(errno) = self.prepare().and_then(|()| self.settle()) {
            // Those that wait end with us.
            self.failed(crate::OURS);
            self.report_failure(errno);
            return;
        }
        let mut at = 0;
        while let Some(app) = self.apps.as_slice().get(at) {
            let first = match app.program(Phase::PreStart) {
                Some(_) => Phase::PreStart,
                None => Phase::Main,
            };
            if !self.begin(at, first) {
                return;
            }
            at += 1;
        }
        if let Some(report) = self.origin.report {
            say::report(report, &Report::Ready);
        }
    }

    /// Makes the processes, and waits until each of them has become all that it
    /// will be before it executes its program.
    #[inline(never)]
    fn prepare(&mut self) -> Result<()> {
        for at in 0..self.apps.as_slice().len() {
            let mut later = false;
            for phase in [Phase::PreStart, Phase::Main, Phase::PostStop] {
                let app = self.apps.as_slice().get(at);
                let program = app.and_then(|app| app.program(phase));
                if let Some((index, _)) = program {
                    self.at = index;
                    self.fork(at, phase, later)?;
                    later = true;
                }
            }
        }
        let apps = self.apps.as_slice().iter();
        for waiting in apps.flat_map(|app| app.waiting.iter().flatten()) {
            if !sys::wait_for(waiting.gate.as_fd(), sys::WRITABLE, None) {
                self.at = waiting.program;
                process::receive_failure(&waiting.failures, &mut self.at)?;
                return Err(Errno::CHILD);
            }
        }
        Ok(())
    }

    /// Forks a process for a program. What it waits at is a pipe that is full:
    /// when it has taken the first byte out, it is ready, and waits for another.
    #[inline(never)]
    fn fork(&mut self, at: usize, phase: Phase, later: bool) -> Result<()> {
        let (failures, end) = sys::pipe()?;
        let sender = sys::copy(end.as_fd(), stage1_init::GATE + 1)?;
        let (waits, gate) = sys::pipe()?;
        sys::fcntl(gate.as_fd(), raw::F_SETPIPE_SZ, 1)?;
        sys::write(gate.as_fd(), b"1")?;
        let pid = sys::fork()?;
        let Some(app) = self.apps.as_mut_slice().get_mut(at) else {
            return Err(Errno::INVAL);
        };
        let Some(pid) = pid else {
            sys::close(failures);
            sys::close(gate);
            let waits = waits.as_fd();
            let gate = process::Gate { waits, later };
            process::run(app, phase, &self.tree, self.origin, &sender, gate);
        };
        sys::close(end);
        sys::close(waits);
        if let Some(place) = app.waiting.get_mut(phase as usize) {
            *place = Some(Waiting {
                pid,
                program: self.at,
                gate,
                failures,
            });
        }
        Ok(())
    }

    /// Lets the program of a phase begin, and tells whether it is running. If
    /// not, that was reported, and there may still be a process to wait for.
    pub(crate) fn begin(&mut self, at: usize, phase: Phase) -> bool {
        let program = self.apps.as_slice().get(at);
        let program = program.and_then(|app| app.program(phase));
        self.at = program.map_or(0, |(index, _)| index);
        let done = self.release(at, phase);
        let started = done.is_ok();
        if let Some(app) = self.apps.as_mut_slice().get_mut(at) {
            app.executed = started;
            if let (true, Phase::Main, Some(report)) = (started, phase, self.origin.report) {
                let pid = app.pid.unwrap_or_default().unsigned_abs();
                let app = app.name.to_bytes();
                say::report(report, &Report::Started { app, pid });
            }
        }
        if let Err(errno) = done {
            // Perhaps there is not even a process to wait for.
            let app = self.apps.as_slice().get(at);
            if app.is_none_or(|app| app.pid.is_none()) {
                self.failed(crate::OURS);
            }
            self.report_failure(errno);
        }
        started
    }

    /// Gives the word to a process that waits, and waits until it has executed
    /// its program or has said why not.
    #[inline(never)]
    fn release(&mut self, at: usize, phase: Phase) -> Result<()> {
        let app = self.apps.as_mut_slice().get_mut(at).ok_or(Errno::INVAL)?;
        let waiting = app.waiting.get_mut(phase as usize);
        let waiting = waiting.and_then(Option::take).ok_or(Errno::CHILD)?;
        sys::write(waiting.gate.as_fd(), b"1")?;
        app.pid = Some(waiting.pid);
        app.phase = phase;
        let received = process::receive_failure(&waiting.failures, &mut self.at);
        sys::close(waiting.gate);
        sys::close(waiting.failures);
        received
    }

    /// Returns the command that is run without a plan.
    pub(crate) fn command(&self) -> &CStr {
        let mut apps = self.apps.as_slice().iter();
        let first = apps.find_map(|app| app.program(Phase::Main));
        let word = first.and_then(|(_, words)| words.iter().next());
        word.unwrap_or(c"")
    }
}
