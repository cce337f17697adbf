//! Creates the processes of all apps, and starts their programs.

use rustix::fd::AsFd;
use stage1_init::Report;

use crate::app::{Phase, Waiting};
use crate::pod::Pod;
use crate::sys::{self, Errno, Result};
use crate::{exit_code, process, say};

impl Pod<'_> {
    /// Creates a process for every program, gives up what is no longer needed,
    /// and starts the first program of every app, one after another. Reports
    /// when all of them are running.
    pub(crate) fn start_apps(&mut self) {
        if let Err(errno) = self.prepare().and_then(|()| self.settle()) {
            // Waiting processes exit with this one.
            self.failed(exit_code::OURS);
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

    /// Creates the processes, and waits until each of them is ready to execute
    /// its program.
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

    /// Forks a process for a program. It waits at a full pipe: by taking out
    /// the first byte it shows that it is ready, and then it waits for another.
    #[inline(never)]
    fn fork(&mut self, at: usize, phase: Phase, later: bool) -> Result<()> {
        let (failures, end) = sys::pipe()?;
        let (waits, gate) = sys::pipe()?;
        sys::shrink_pipe(gate.as_fd())?;
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
            process::run(app, phase, &self.tree, self.origin, &end, gate);
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

    /// Starts the program of a phase, and tells whether it is running. If not,
    /// that has been reported, and there may still be a process to wait for.
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
            // There may be no process left to wait for.
            let app = self.apps.as_slice().get(at);
            if app.is_none_or(|app| app.pid.is_none()) {
                self.failed(exit_code::OURS);
            }
            self.report_failure(errno);
        }
        started
    }

    /// Lets a waiting process continue, and waits until it has executed its
    /// program or has reported a failure.
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
}
