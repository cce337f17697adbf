//! Executes a plan: one match over its directives, in the order given.

use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd};
use stage1_init::{Directive, Part, Plan};

use crate::app::App;
use crate::beneath::Path;
use crate::files::Owned;
use crate::log::Log;
use crate::pod::Pod;
use crate::sys::{self, Errno, Result};
use crate::{exit_code, mounts, namespaces, outer};

impl<'a> Pod<'a> {
    /// Executes everything except the parts of processes. Returns `Some` exit
    /// code if this process has nothing more to do in the plan.
    pub(crate) fn set_up(&mut self) -> Option<u8> {
        let plan = self.plan?;
        for (index, directive) in plan.directives() {
            if directive.part() == Part::Process {
                continue;
            }
            self.at = index;
            if let Err(errno) = self.carry_out(directive, plan)
                && errno != Errno::SKIPPED
            {
                return Some(errno.code().unwrap_or_else(|| {
                    self.report_failure(errno);
                    exit_code::OURS
                }));
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
            D::Await { fd } => sys::wait_for_input(fd)?,
            D::DieWithParent {} => namespaces::die_with(self.origin.parent)?,
            D::Unshare { namespaces } if !self.apps.as_slice().is_empty() => {
                debug_assert!(!namespaces.is_empty(), "the grammar sees to it");
                self.set_mounts_aside()?;
            }
            D::Unshare { namespaces } => namespaces::unshare(self, namespaces)?,
            D::Join { namespaces, fd } => namespaces::join(self, namespaces, fd)?,
            D::ClockOffset { clock, seconds } => {
                namespaces::shift_clock(self.tree.proc()?, clock, seconds)?
            }
            D::Grace { seconds } => self.grace = seconds,
            D::Hostname { name } => sys::sethostname(name)?,
            D::Domainname { name } => sys::setdomainname(name)?,
            D::Loopback {} => sys::loopback_up()?,
            D::Time {} => self.report_time(),
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
                let device = mounts::device(major, minor);
                self.tree
                    .make_node(path, kind, device, Owned { mode, uid, gid })?;
            }
            D::Pivot {} => self.tree.pivot()?,
            D::MoveRoot {} => self.tree.move_root()?,

            D::App { name } => self.begin_app(name.as_c_str())?,
            D::Process {} => self.end_app_setup(plan)?,
            // The directives that follow apply to the pod again, as before the
            // first app.
            D::Init {} => {}
            // The outer process looks these up; see `log`.
            D::Log { .. } | D::Attended { .. } => {}
            // Kept in `settings` for the next `unshare`.
            D::Cgroup { .. } | D::UidMap { .. } | D::GidMap { .. } | D::SetGroups { .. } => {}
            // Directives of processes, and of PID 1; see `process` and
            // `settle`. What is undone in the end; see `undo`.
            _ => {}
        }
        Ok(())
    }

    #[inline(never)]
    fn begin_app(&mut self, name: &'a CStr) -> Result<()> {
        self.apps.push(App::planned(name))
    }

    /// Creates a mount namespace for the app that is being set up.
    #[inline(never)]
    fn set_mounts_aside(&mut self) -> Result<()> {
        let root = self.tree.leave()?;
        self.aside = Some((self.own_mounts()?, root));
        sys::unshare(linux_raw_sys::general::CLONE_NEWNS)?;
        self.tree.reopen_root(root)
    }

    /// Finishes the set-up of an app: keeps its mounts for its processes, and
    /// returns to those of the pod.
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
}

/// `sysctl`: as in sysctl(8), a slash in a key is a dot in a name.
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
    sys::write_at(proc, path.as_c_str(), value.to_bytes())
}
