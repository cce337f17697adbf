//! What PID 1 gives up before the first app runs: apps are not trusted, and
//! one that may trace has all that PID 1 has.
//!
//! Whatever is started later was forked before, and waits; what PID 1 has to
//! say, the outer half passes on.

use core::mem::ManuallyDrop;

use rustix::fd::{AsFd, AsRawFd};
use stage1_init::{Directive, Part};

use crate::pod::Pod;
use crate::sys::{self, Result, Standard};
use crate::tree::Tree;
use crate::{options, process};

impl Pod<'_> {
    /// Carries out what the plan says behind `init` that a process does to
    /// itself, and closes all that belongs to the host: before a filter, which
    /// may not know the calls.
    #[inline(never)]
    pub(crate) fn settle(&mut self) -> Result<()> {
        // The directory we were started in is not ours to keep busy.
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
                    // It would stay in memory for as long as the pod runs.
                    drop(ManuallyDrop::into_inner(filter));
                }
                _ => process::carry_out(directive, &self.tree)?,
            }
        }
        self.let_go();
        Ok(())
    }

    /// Keeps the locks and the pipes to those who wait and to the outer half.
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
        // SAFETY: the pod's own descriptors were dropped above, except the pipes
        // of those who wait, which stay. What remains of the inherited ones was
        // for directives, and for the outer half: `finally` is that one's alone.
        // PID 1 does not use the standard input and output again.
        unsafe { sys::close_all_but(0, &mut named) };
    }
}
