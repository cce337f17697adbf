//! PID 1 at work: reaps, forwards signals, ends the pod.
//!
//! From here on nothing may fail: if this process dies, so does the pod. It
//! sleeps in a single system call until a signal arrives or a grace period
//! ends.

use linux_raw_sys::general as raw;
use rustix::process::Pid;
use stage1_init::Report;

use crate::app::Phase;
use crate::pod::Pod;
use crate::sys::{self, Errno, Received};
use crate::{exit_code, process, say};

/// Tells whether a child was stopped, and has not ended.
fn is_stopped(status: u32) -> bool {
    status & 0xff == 0x7f
}

/// Runs the pod until all apps have ended, and returns its exit code.
pub(crate) fn until_over(pod: &mut Pod<'_>) -> u8 {
    sys::release_stack();
    loop {
        let options = raw::WNOHANG | raw::WUNTRACED;
        while let (pid @ 1.., status) = sys::wait(sys::ANY, options) {
            if is_stopped(status) {
                pod.stopped(pid);
            } else {
                pod.ended(pid, status);
            }
        }
        let mut apps = pod.apps.as_slice().iter();
        if apps.all(|app| app.phase == Phase::Over) {
            return pod.ending.status.unwrap_or(0);
        }
        let deadline = pod.ending.deadline;
        let left = deadline.map(|deadline| (deadline - sys::now()).max(0));
        let left = left.map(|left| [left / sys::SECOND, left % sys::SECOND]);
        match sys::wait_for_signal(sys::ALL, left) {
            Some(received) => pod.pass_on(received),
            None if deadline.is_some_and(|deadline| sys::now() >= deadline) => {
                pod.kill();
                pod.ending.deadline = Some(sys::now() + pod.grace_time());
            }
            None => {}
        }
    }
}

impl Pod<'_> {
    /// Handles the end of an app's process, or of an orphan.
    fn ended(&mut self, pid: sys::Pid, status: u32) {
        let mut apps = self.apps.as_mut_slice().iter_mut().enumerate();
        let Some((at, app)) = apps.find(|(_, app)| app.pid == Some(pid)) else {
            return;
        };
        app.pid = None;
        let phase = core::mem::replace(&mut app.phase, Phase::Over);
        let (executed, has_post_stop) = (app.executed, app.program(Phase::PostStop).is_some());
        if let (Phase::Main, true, Some(report)) = (phase, executed, self.origin.report) {
            let app = app.name.to_bytes();
            say::report(report, &Report::Exited { app, status });
        }
        let code = exit_code::of(status);
        if code != 0 && phase != Phase::PostStop {
            self.failed(code);
        }
        match phase {
            Phase::PreStart if code != 0 && executed => self.pre_start_failed(at),
            Phase::PreStart if code == 0 && self.ending.status.is_none() => {
                self.begin(at, Phase::Main);
            }
            Phase::Main if executed && has_post_stop => {
                self.begin(at, Phase::PostStop);
            }
            _ => {}
        }
    }

    fn pre_start_failed(&mut self, at: usize) {
        let app = self.apps.as_slice().get(at);
        let program = app.and_then(|app| app.program(Phase::PreStart));
        if let Some((index, _)) = program {
            self.at = index;
            self.report_failure(Errno::CANCELED);
        }
    }

    fn kill(&self) {
        for app in self.apps.as_slice() {
            app.signal(raw::SIGKILL);
        }
    }

    /// Forwards a signal to the apps.
    fn pass_on(&self, received: Received) {
        let signal = match received.signal {
            raw::SIGCHLD => return,
            raw::SIGTSTP | raw::SIGTTIN | raw::SIGTTOU => raw::SIGSTOP,
            other => other,
        };
        for app in self.apps.as_slice() {
            if received.is_terminals() && !app.has_group() {
                continue; // It got its own.
            }
            match signal {
                raw::SIGSTOP | raw::SIGCONT => app.signal_group(signal),
                _ => app.signal(signal),
            }
        }
        if received.signal == raw::SIGTSTP && !self.inner {
            sys::stop_self();
        }
    }

    /// Handles that an app's process was stopped. A command that runs without a
    /// plan stops this process as well, so that the shell that started it takes
    /// back its terminal. When this process continues, so does the command.
    fn stopped(&self, pid: sys::Pid) {
        let mut apps = self.apps.as_slice().iter();
        let command = apps.any(|app| app.pid == Some(pid) && app.is_command());
        if command && rustix::process::getpid() != rustix::process::Pid::INIT {
            if let Some(group) = self.origin.foreground {
                process::take_terminal(group);
            }
            sys::stop_self();
            // In the background, it continues without the terminal.
            if let (Some(_), Some(group)) = (process::foreground_group(), Pid::from_raw(pid)) {
                process::take_terminal(group);
            }
            let _ = sys::kill(-pid, raw::SIGCONT);
        }
    }
}
