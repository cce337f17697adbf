//! Carries out a plan: one match over its directives, in the order in which
//! they stand.

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{Mode, OFlags};
use stage1_init::{Directive, Directives, MAX_APPS, Part, Plan, Report};

use crate::apps::App;
use crate::beneath::Path;
use crate::files::{self, Owned};
use crate::log::Log;
use crate::mounts::Tree;
use crate::options::Finally;
use crate::outer::{self, Child};
use crate::reap::Ending;
use crate::say;
use crate::start::Start;
use crate::sys::{self, Array, End, Errno, OwnedFd, Result, Room};

/// What the process was when it began.
#[derive(Clone, Copy)]
pub(crate) struct Origin {
    pub(crate) start: Start,
    pub(crate) report: Option<BorrowedFd<'static>>,
    /// What this process becomes when all is over.
    pub(crate) finally: Option<Finally>,
    /// What is served by that program, on demand.
    pub(crate) demand: Option<BorrowedFd<'static>>,
    /// Its process group, if that was the foreground one of the terminal on
    /// standard input.
    pub(crate) foreground: Option<rustix::process::Pid>,
    pub(crate) parent: Option<rustix::process::Pid>,
    pub(crate) mask: Mode,
    /// Where the options on the command line end.
    pub(crate) end: usize,
}

/// A pod that is being made, and then run.
pub(crate) struct Pod<'a> {
    pub(crate) origin: Origin,
    pub(crate) plan: Option<Plan<'a>>,
    /// The directive at hand: what fails, fails in it.
    pub(crate) at: u32,
    pub(crate) tree: Tree<'a>,
    pub(crate) apps: Array<App<'a>>,
    pub(crate) grace: u32,
    pub(crate) ending: Ending,
    /// This is the half in the new pid namespace.
    pub(crate) inner: bool,
    /// The directives since the last new namespaces: settings for the next.
    pub(crate) settings: Directives<'a>,
    /// In the outer half: the child, which goes on with the rest of the plan.
    pub(crate) child: Option<Child>,
    /// Where the inner half says what it has to say, for the outer one to pass on.
    pub(crate) voice: Option<End>,
    /// The mounts that this process began with, if it has joined others.
    pub(crate) home: Option<OwnedFd>,
    /// The pod's mounts, while those of an app are in their place.
    aside: Option<(OwnedFd, Option<&'a CStr>)>,
}

impl<'a> Pod<'a> {
    /// Begins one; ends the process where there is no memory even for that.
    #[inline(never)]
    pub(crate) fn new(origin: Origin, plan: Option<Plan<'a>>, room: Option<Room>) -> Self {
        let apps = match Array::within(room, MAX_APPS) {
            Ok(apps) => apps,
            Err(errno) => {
                say::failed(b"memory", errno);
                sys::exit(crate::OURS);
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

    /// Carries out all but the processes' parts. `Some` ends this process's
    /// part in the plan, with a status.
    pub(crate) fn set_up(&mut self) -> Option<u8> {
        let plan = self.plan?;
        for (index, directive) in plan.directives() {
            if directive.part() == Part::Process {
                continue;
            }
            self.at = index;
            if let Err(errno) = self.carry_out(directive, plan) {
                self.report_failure(errno);
                return Some(crate::OURS);
            }
            if let Some(child) = self.child.take() {
                let log = Log::of(plan.directives().until(index));
                return Some(outer::wait_for(child, self.origin, log));
            }
        }
        None
    }

    #[inline(never)]
    fn carry_out(&mut self, directive: Directive<'a>, plan: Plan<'a>) -> Result<()> {
        use Directive as D;
        match directive {
            D::DieWithParent {} => outer::die_with(self.origin.parent)?,
            D::Unshare { namespaces } if !self.apps.as_slice().is_empty() => {
                debug_assert!(!namespaces.is_empty(), "the grammar sees to it");
                self.set_mounts_aside()?;
            }
            D::Unshare { namespaces } => outer::unshare(self, namespaces)?,
            D::Join { namespaces, fd } => outer::join(self, namespaces, fd)?,
            D::ClockOffset { clock, seconds } => {
                outer::shift_clock(self.tree.proc()?, clock, seconds)?
            }
            D::Grace { seconds } => self.grace = seconds,
            D::Hostname { name } => sys::sethostname(name)?,
            D::Domainname { name } => sys::setdomainname(name)?,
            D::Loopback {} => sys::loopback_up()?,
            D::Sysctl { key, value } => set_parameter(self.tree.proc()?, key, value)?,

            D::Propagation { kind, target } => self.tree.propagate(kind, target)?,
            D::Root { path } => self.tree.set_root(path)?,
            D::Mount {
                kind,
                source,
                target,
                flags,
                data,
            } => self.tree.mount(kind, source, target, flags, data)?,
            D::Bind {
                source,
                target,
                flags,
            } => self.tree.bind(source, target, flags)?,
            D::Remount { target, flags } => self.tree.remount(target, flags)?,
            D::Readonly { target } => self.tree.read_only(target)?,
            D::ReadonlyEntries { target } => self.tree.read_only_entries(target)?,
            D::Mask { target } => self.tree.mask(target)?,
            D::Dir {
                path,
                mode,
                uid,
                gid,
            } => self.tree.make_directories(path, Owned { mode, uid, gid })?,
            D::Touch {
                path,
                mode,
                uid,
                gid,
            } => self.tree.touch(path, Owned { mode, uid, gid })?,
            D::File {
                path,
                mode,
                uid,
                gid,
                content,
            } => {
                self.tree
                    .write_file(path, Owned { mode, uid, gid }, content)?;
            }
            D::Symlink { target, path } => self.tree.link(target, path)?,
            D::Node {
                path,
                kind,
                major,
                minor,
                mode,
                uid,
                gid,
            } => {
                let device = files::device(major, minor);
                self.tree
                    .make_node(path, kind, device, Owned { mode, uid, gid })?;
            }
            D::Pivot {} => self.tree.pivot()?,
            D::MoveRoot {} => self.tree.move_root()?,

            D::App { name } => self.apps.push(App::planned(name.as_c_str()))?,
            D::Process {} => self.end_app_setup(plan)?,
            // What follows is the pod's again, as before the first app.
            D::Init {} => {}
            // Looked up by the first process; see `log`.
            D::Log { .. } | D::Attended { .. } => {}
            // Kept in `settings` for the next `unshare`.
            D::Cgroup { .. } | D::UidMap { .. } | D::GidMap { .. } | D::SetGroups { .. } => {}
            // The processes' part, and PID 1's; see `process` and `settle`.
            _ => {}
        }
        Ok(())
    }

    /// A new mount namespace, for the app that is being set up.
    #[inline(never)]
    fn set_mounts_aside(&mut self) -> Result<()> {
        let root = self.tree.root_path();
        self.aside = Some((self.own_mounts()?, root));
        sys::unshare(linux_raw_sys::general::CLONE_NEWNS)?;
        self.tree.reopen_root(root)
    }

    /// Ends the set-up of an app: its mounts are kept for its processes, and
    /// the pod's come back.
    #[inline(never)]
    fn end_app_setup(&mut self, plan: Plan<'a>) -> Result<()> {
        let mounts = match self.aside.take() {
            Some((pods, root)) => {
                let mounts = self.own_mounts()?;
                sys::setns(pods.as_fd(), linux_raw_sys::general::CLONE_NEWNS)?;
                self.tree.reopen_root(root)?;
                Some(mounts)
            }
            None => None,
        };
        if let Some(app) = self.apps.as_mut_slice().last_mut() {
            app.set(mounts, plan.directives().from(self.at + 1));
        }
        Ok(())
    }

    #[inline(never)]
    pub(crate) fn own_mounts(&self) -> Result<OwnedFd> {
        files::open(self.tree.proc()?, c"self/ns/mnt", OFlags::RDONLY)
    }

    /// Says that the directive at hand failed: in the report, or else on standard error.
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
}

/// `sysctl`: as sysctl(8) has it, a slash in a key is a dot in a name.
#[inline(never)]
fn set_parameter(proc: BorrowedFd<'_>, key: &CStr, value: &CStr) -> Result<()> {
    let mut path = Path::new();
    path.push(b"sys/")?;
    for &byte in key.to_bytes() {
        path.push(match byte {
            b'.' => b"/",
            b'/' => b".",
            ref other => core::slice::from_ref(other),
        })?;
    }
    files::write_at(proc, path.as_c_str(), value.to_bytes())
}
