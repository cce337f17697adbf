//! An app: what the plan says about it, and the state of its processes.

use core::ffi::CStr;

use stage1_init::{Argv, Directive, Directives, WordList};

use crate::sys::{self, End, OwnedFd};

/// Which of its programs an app is running. The first three are also places in
/// [`App::waiting`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    PreStart,
    Main,
    PostStop,
    /// It has ended, or has never started.
    Over,
}

/// An iterator over the directives of a process part.
pub(crate) struct Part<'a>(Directives<'a>);

impl<'a> Iterator for Part<'a> {
    type Item = (u32, Directive<'a>);

    #[inline(never)]
    fn next(&mut self) -> Option<Self::Item> {
        let next = self.0.next();
        next.filter(|(_, directive)| directive.part() == stage1_init::Part::Process)
    }
}

/// A process that is ready to execute its program, and waits for its turn.
pub(crate) struct Waiting {
    pub(crate) pid: sys::Pid,
    /// The directive that names its program.
    pub(crate) program: u32,
    /// Writing a byte here lets it continue.
    pub(crate) gate: End,
    /// Where it reports why it cannot; closes when it has executed its program.
    pub(crate) failures: End,
}

/// An app of the pod.
pub(crate) struct App<'a> {
    pub(crate) name: &'a CStr,
    /// Its process part in the plan, and everything after that.
    steps: Directives<'a>,
    /// The command, if there is no plan.
    command: Option<WordList<'a>>,
    /// Signals are for its whole group, although it has no session.
    whole_group: bool,
    /// Its own mount namespace.
    pub(crate) mounts: Option<OwnedFd>,
    pub(crate) phase: Phase,
    /// The processes for programs that have not started yet.
    pub(crate) waiting: [Option<Waiting>; 3],
    /// The process that runs its current program.
    pub(crate) pid: Option<sys::Pid>,
    /// That program has been executed, and did not fail before.
    pub(crate) executed: bool,
}

impl<'a> App<'a> {
    /// Returns a new app, before the plan has said more about it.
    pub(crate) fn planned(name: &'a CStr) -> Self {
        Self {
            name,
            steps: Directives::default(),
            command: None,
            whole_group: false,
            mounts: None,
            phase: Phase::Over,
            waiting: [None, None, None],
            pid: None,
            executed: false,
        }
    }

    /// Returns an app that is a single command.
    pub(crate) fn command(words: WordList<'a>, whole_group: bool) -> Self {
        Self {
            command: Some(words),
            whole_group,
            ..Self::planned(c"main")
        }
    }

    pub(crate) fn set(&mut self, mounts: Option<OwnedFd>, steps: Directives<'a>) {
        self.mounts = mounts;
        self.steps = steps;
    }

    /// Tells whether it is a command without a plan.
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

    /// Tells whether its processes have a session of their own.
    pub(crate) fn has_session(&self) -> bool {
        self.directives().any(|(_, directive)| {
            matches!(
                directive,
                Directive::Session {} | Directive::Terminal { .. }
            )
        })
    }

    /// Tells whether its processes have a process group of their own, so that
    /// what the terminal sends to this process does not reach them.
    pub(crate) fn has_group(&self) -> bool {
        self.is_command()
            || self.has_session()
            || self
                .directives()
                .any(|(_, directive)| matches!(directive, Directive::Foreground {}))
    }

    /// Sends a signal to its process, or to its whole group, if it has a session
    /// or that was asked for.
    pub(crate) fn signal(&self, signal: u32) {
        if let Some(pid) = self.pid {
            let whole = self.whole_group || self.has_session();
            let _ = sys::kill(if whole { -pid } else { pid }, signal);
        }
    }

    /// Stops or continues its process, or the whole group, if it has one.
    pub(crate) fn signal_group(&self, signal: u32) {
        if let Some(pid) = self.pid {
            let _ = sys::kill(if self.has_group() { -pid } else { pid }, signal);
        }
    }
}
