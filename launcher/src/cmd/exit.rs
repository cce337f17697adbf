//! How a command ends that ends as an app did: with its status, or by the
//! signal that ended it.
//!
//! A shell ends its loops and scripts at Ctrl-C if the program that it waits
//! for dies of SIGINT. A status of 130 does not tell it that.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};

use rustix::process::Signal;

use crate::cmd::OURS;
use stage1_init::Report;
use sys::signals::die_of;

/// How a command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit {
    /// Its status: 128 and the number of the signal that ended the app.
    pub(crate) status: u8,
    /// The signal, if it is one that a terminal sends to end programs.
    by: Option<Signal>,
}

impl Exit {
    /// Returns the end of a command with a status.
    pub(crate) const fn with(status: u8) -> Self {
        Self { status, by: None }
    }

    /// Returns the end of a command whose child process ended so.
    pub(crate) fn of(child: ExitStatus) -> Self {
        match (child.code(), child.signal()) {
            (Some(code), _) => Self::with(u8::try_from(code).unwrap_or(OURS)),
            (None, Some(signal)) => Self::by(signal),
            (None, None) => Self::with(OURS),
        }
    }

    /// Returns the end of a pod with a status, which does not say whether a
    /// signal ended the app; its report does.
    pub(crate) fn reported(status: u8, report: &[u8]) -> Self {
        match Self::of_report(report) {
            exit if exit.status == status => exit,
            _ => Self::with(status),
        }
    }

    /// Returns the end of the first app that has failed.
    pub(crate) fn of_report(report: &[u8]) -> Self {
        let mut lines = report.split(|&byte| byte == b'\n');
        let failed = lines.find_map(|line| match Report::decode(line)? {
            Report::Exited { status, .. } => i32::try_from(status).ok().filter(|&it| it != 0),
            _ => None,
        });
        failed.map_or(Self::with(0), |status| {
            Self::of(ExitStatus::from_raw(status))
        })
    }

    /// Returns the end of a command with a status that a signal has caused.
    pub(crate) fn signalled(status: u8) -> Self {
        Self::by(i32::from(status) - 128)
    }

    fn by(signal: i32) -> Self {
        let ends = [Signal::INT, Signal::QUIT];
        Self {
            status: u8::try_from(128 + signal).unwrap_or(OURS),
            by: ends.into_iter().find(|known| known.as_raw() == signal),
        }
    }

    /// Ends this process so, or returns the status to exit with.
    pub(crate) fn code(self) -> ExitCode {
        if let Some(signal) = self.by {
            die_of(signal);
        }
        ExitCode::from(self.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signal_of_a_pod_is_that_of_its_first_app_that_failed() {
        let int = Exit::by(Signal::INT.as_raw());
        assert_eq!(int.status, 130);
        for (status, report, expected) in [
            (130, "ready\nexited a 0\nexited b 2\nexited c 15\n", int),
            // A core dump is a flag of the wait status.
            (131, "exited a 131\n", Exit::by(Signal::QUIT.as_raw())),
            // It exits with 130, or a handler did.
            (130, "exited a 33280\n", Exit::with(130)),
            (130, "exited a 256\nexited b 2\n", Exit::with(130)),
            (143, "exited a 15\n", Exit::with(143)),
            (137, "ready\n", Exit::with(137)),
        ] {
            let exit = Exit::reported(status, report.as_bytes());
            assert_eq!(exit, expected, "{report}");
        }
        assert_eq!(Exit::of_report(b"exited a 1792\n"), Exit::with(7));
        assert_eq!(Exit::of_report(b"ready\nexited a 0\n"), Exit::with(0));
    }
}
