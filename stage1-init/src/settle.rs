//! What PID 1 gives up before the first app runs. Apps are not trusted, and one
//! that may trace PID 1 has everything that PID 1 has.
//!
//! Processes that are needed later have been created, and wait. The outer
//! process forwards what PID 1 reports.

use core::mem::ManuallyDrop;

use rustix::fd::{AsFd, AsRawFd};
use stage1_init::{Directive, Part};

use crate::pod::Pod;
use crate::sys::{self, Result, Standard};
use crate::tree::Tree;
use crate::{options, process};

impl Pod<'_> {
    /// Executes the directives after `init` that restrict a process, and closes
    /// everything that belongs to the host. That comes before a filter, which
    /// may not allow the calls.
    #[inline(never)]
    pub(crate) fn settle(&mut self) -> Result<()> {
        // Leaves the directory that the process was started in, so that it is
        // not busy.
        let _ = sys::chdir(c"/");
        let mut own = false;
        for (index, directive) in self.plan.map(|plan| plan.directives()).unwrap_or_default() {
            own |= directive == Directive::Init {};
            if !own || directive.part() != Part::Process {
                continue;
            }
            self.at = index;
            match directive {
                Directive::Seccomp { fd } => {
                    let filter = process::read_filter(fd)?;
                    self.let_go();
                    sys::seccomp(&filter)?;
                    // Otherwise it would stay in memory for as long as the pod
                    // runs.
                    drop(ManuallyDrop::into_inner(filter));
                }
                _ => process::carry_out(directive, &self.tree)?,
            }
        }
        self.let_go();
        Ok(())
    }

    /// Closes all descriptors except locks, the pipes to waiting processes, and
    /// the one to the outer process.
    #[inline(never)]
    #[allow(unsafe_code, reason = "descriptors are closed by their numbers")]
    fn let_go(&mut self) {
        let Some(voice) = self.voice.take() else {
            return;
        };
        let _ = sys::set_standard(Standard::Error, voice.as_fd());
        if self.origin.report.is_some() {
            self.origin.report = Some(sys::STDERR);
        }
        self.origin.demand = None;
        self.tree = Tree::nowhere();
        self.home = None;
        for app in self.apps.as_mut_slice() {
            app.mounts = None;
        }
        let origin = self.origin;
        let apps = self.apps.as_slice();
        let mut named = |keep: &mut sys::Keep<'_>| {
            keep(sys::STDERR.as_raw_fd().unsigned_abs());
            options::each(origin.end, origin.start, &mut |option, number| {
                if option == options::LOCK {
                    keep(number);
                }
            });
            for app in apps {
                for waiting in app.waiting.iter().flatten() {
                    keep(waiting.gate.as_raw_fd().unsigned_abs());
                    keep(waiting.failures.as_raw_fd().unsigned_abs());
                }
            }
        };
        // SAFETY: the descriptors that the pod owns were closed above, except
        // the pipes to waiting processes, which are kept. Inherited descriptors
        // were for directives that are done, and for the outer process, which
        // alone has a `finally`. PID 1 does not use standard input and output
        // again.
        unsafe { sys::close_all_but(0, &mut named) };
    }
}
