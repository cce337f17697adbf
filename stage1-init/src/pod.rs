//! The state of a pod, while it is set up and while it runs.

use core::ffi::CStr;

use linux_raw_sys::general as raw;
use rustix::fd::BorrowedFd;
use rustix::fs::{Mode, OFlags};
use stage1_init::{Directives, MAX_APPS, Plan, Report};

use crate::app::{App, Phase};
use crate::options::Finally;
use crate::start::Start;
use crate::sys::{self, Array, End, Errno, OwnedFd, Result, Room};
use crate::tree::Tree;
use crate::{exit_code, say};

/// What the process had when it started.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Origin {
    pub(crate) start: Start,
    pub(crate) report: Option<BorrowedFd<'static>>,
    /// What this process executes when the pod has ended.
    pub(crate) finally: Option<Finally>,
    /// What that program serves on demand.
    pub(crate) demand: Option<BorrowedFd<'static>>,
    /// A timer for that.
    pub(crate) timer: Option<BorrowedFd<'static>>,
    /// Its process group, if that was in the foreground of the terminal on
    /// standard input.
    pub(crate) foreground: Option<rustix::process::Pid>,
    pub(crate) parent: Option<rustix::process::Pid>,
    pub(crate) mask: Mode,
    /// Where the options on the command line end.
    pub(crate) end: usize,
}

/// A pod, while it is set up and while it runs.
///
/// The fields that are used most come first, where an instruction reaches them
/// with one byte.
#[repr(C)]
pub(crate) struct Pod<'a> {
    pub(crate) tree: Tree<'a>,
    pub(crate) apps: Array<App<'a>>,
    /// The directive that is being executed: a failure is reported as its.
    pub(crate) at: u32,
    pub(crate) grace: u32,
    pub(crate) plan: Option<Plan<'a>>,
    /// Where PID 1 writes its messages, for the outer process to forward.
    pub(crate) voice: Option<End>,
    /// In the outer process: the child, which continues with the rest of the
    /// plan.
    pub(crate) child: Option<Child>,
    pub(crate) ending: Ending,
    pub(crate) origin: Origin,
    /// The directives since the last new namespaces: settings for the next.
    pub(crate) settings: Directives<'a>,
    /// The mounts that this process started with, if it has joined others.
    pub(crate) home: Option<OwnedFd>,
    /// The pod's mounts, while an app is set up that has its own.
    pub(crate) aside: Option<(OwnedFd, Option<&'a CStr>)>,
    /// This is the process in the new pid namespace.
    pub(crate) inner: bool,
}

impl<'a> Pod<'a> {
    /// Returns a new pod; ends the process if there is not even memory for
    /// that.
    #[inline(never)]
    pub(crate) fn new(origin: Origin, plan: Option<Plan<'a>>, room: Option<Room>) -> Self {
        let apps = match Array::within(room, MAX_APPS) {
            Ok(apps) => apps,
            Err(errno) => {
                say::failed(b"memory", errno);
                sys::exit(exit_code::OURS);
            }
        };
        Self {
            origin,
            plan,
            at: 0,
            tree: Tree::new(),
            apps,
            grace: 10,
            ending: Ending::default(),
            inner: false,
            settings: plan.map(|plan| plan.directives()).unwrap_or_default(),
            child: None,
            voice: None,
            home: None,
            aside: None,
        }
    }

    #[inline(never)]
    pub(crate) fn own_mounts(&self) -> Result<OwnedFd> {
        sys::open(self.tree.proc()?, c"self/ns/mnt", OFlags::RDONLY)
    }

    /// Reports that the current directive failed, or prints it on standard
    /// error if there is no report.
    #[inline(never)]
    pub(crate) fn report_failure(&self, errno: Errno) {
        let index = self.at;
        match (self.origin.report, self.plan) {
            (Some(report), _) => {
                let errno = errno.number();
                say::report(
                    report,
                    &Report::Failed {
                        directive: index,
                        errno,
                    },
                );
            }
            (None, Some(plan)) => {
                say::directive_failed(index, plan.directives().from(index), errno);
            }
            (None, None) => say::failed(self.command().to_bytes(), errno),
        }
    }

    /// Reports when the current directive is executed.
    #[inline(never)]
    pub(crate) fn report_time(&self) {
        if let Some(report) = self.origin.report {
            let (directive, time) = (self.at, sys::time_of_day());
            say::report(report, &Report::Time { directive, time });
        }
    }

    /// Returns the command that is run without a plan.
    pub(crate) fn command(&self) -> &CStr {
        let mut apps = self.apps.as_slice().iter();
        let first = apps.find_map(|app| app.program(Phase::Main));
        let word = first.and_then(|(_, words)| words.iter().next());
        word.unwrap_or(c"")
    }

    /// Records that an app has failed, and asks the others to exit.
    pub(crate) fn failed(&mut self, code: u8) {
        if self.ending.status.is_none() {
            self.ending.status = Some(code);
            self.ending.deadline = Some(sys::now() + self.grace_time());
            let apps = self.apps.as_slice().iter();
            for app in apps.filter(|app| app.phase != Phase::PostStop) {
                app.signal(raw::SIGTERM);
                // A stopped process would not get the signal.
                app.signal_group(raw::SIGCONT);
            }
        }
    }

    /// Returns how long apps may take to exit, in nanoseconds.
    pub(crate) fn grace_time(&self) -> i64 {
        i64::from(self.grace).max(1) * sys::SECOND
    }
}

/// How the pod ends.
#[derive(Default)]
pub(crate) struct Ending {
    /// The exit code of the first app that failed.
    pub(crate) status: Option<u8>,
    /// When the remaining apps will be killed, in nanoseconds.
    pub(crate) deadline: Option<i64>,
}

/// PID 1 of the pod, in the outer process.
pub(crate) struct Child {
    pub(crate) pid: sys::Pid,
    /// Stays open for as long as this process lives: the child notices when it
    /// closes.
    pub(crate) _gate: End,
    /// The messages of the child.
    pub(crate) voice: End,
}
