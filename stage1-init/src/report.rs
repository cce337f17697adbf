//! What stage1-init reports: lines of words on a pipe or in a file.
//!
//! ```text
//! ready                      all roots are ready, and the first program of each app
//!                            is running
//! started NAME PID           an app's main program was executed, as this process
//!                            of the pod's pid namespace
//! failed INDEX ERRNO         this directive, counted from zero, failed
//! exited NAME STATUS         an app's main program has ended, with this wait(2) status
//! time INDEX SECONDS REST    the directive `time` with this index was executed so many
//!                            seconds, and nanoseconds, after 1970 began
//! ```
//!
//! Ignore lines that you do not know: later versions may report more.

use crate::words::{Decimal, Sink, read_digits};

/// One line of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report<'a> {
    /// The roots of all apps are ready, and the first program of each is
    /// running.
    Ready,
    /// The main program of an app was executed.
    Started {
        /// Name of the app.
        app: &'a [u8],
        /// Its process id, in the pod's pid namespace.
        pid: u32,
    },
    /// A directive failed.
    Failed {
        /// Index of the directive in the plan, from zero.
        directive: u32,
        /// The error, as in errno(3).
        errno: u32,
    },
    /// The directive `time` was executed.
    Time {
        /// Its index in the plan, from zero.
        directive: u32,
        /// When: seconds since 1970, and nanoseconds.
        time: [u32; 2],
    },
    /// The main program of an app has ended.
    Exited {
        /// Name of the app.
        app: &'a [u8],
        /// How it ended, as in wait(2): its exit code times 256, or a signal.
        status: u32,
    },
}

impl<'a> Report<'a> {
    /// Appends the line and its newline.
    pub fn encode(&self, sink: &mut dyn Sink) {
        let (what, app, count, numbers): (&[u8], &[u8], usize, [u32; 3]) = match *self {
            Self::Ready => (b"ready", b"", 0, [0; 3]),
            Self::Failed { directive, errno } => (b"failed", b"", 2, [directive, errno, 0]),
            Self::Time {
                directive,
                time: [seconds, rest],
            } => (b"time", b"", 3, [directive, seconds, rest]),
            Self::Started { app, pid } => (b"started ", app, 1, [pid, 0, 0]),
            Self::Exited { app, status } => (b"exited ", app, 1, [status, 0, 0]),
        };
        sink.write(what);
        sink.write(app);
        for &number in numbers.iter().take(count) {
            sink.write(b" ");
            sink.write(Decimal::new(number).as_bytes());
        }
        sink.write(b"\n");
    }

    /// Parses a line without its newline; returns `None` if it is unknown.
    pub fn decode(line: &'a [u8]) -> Option<Self> {
        let mut words = line.split(|&byte| byte == b' ');
        let number = |word: Option<&[u8]>| u32::try_from(read_digits(word?, 10)?).ok();
        let report = match words.next()? {
            b"ready" => Self::Ready,
            b"failed" => Self::Failed {
                directive: number(words.next())?,
                errno: number(words.next())?,
            },
            b"time" => Self::Time {
                directive: number(words.next())?,
                time: [number(words.next())?, number(words.next())?],
            },
            b"started" => Self::Started {
                app: words.next().filter(|app| !app.is_empty())?,
                pid: number(words.next())?,
            },
            b"exited" => Self::Exited {
                app: words.next().filter(|app| !app.is_empty())?,
                status: number(words.next())?,
            },
            _ => return None,
        };
        words.next().is_none().then_some(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_survive_the_round_trip() {
        for (report, line) in [
            (Report::Ready, "ready\n"),
            (
                Report::Started {
                    app: b"web",
                    pid: 2,
                },
                "started web 2\n",
            ),
            (
                Report::Failed {
                    directive: 7,
                    errno: 2,
                },
                "failed 7 2\n",
            ),
            (
                Report::Exited {
                    app: b"web",
                    status: 256,
                },
                "exited web 256\n",
            ),
            (
                Report::Time {
                    directive: 3,
                    time: [1_800_000_000, 5],
                },
                "time 3 1800000000 5\n",
            ),
        ] {
            let mut bytes = Vec::new();
            report.encode(&mut |part: &[u8]| bytes.extend_from_slice(part));
            assert_eq!(bytes, line.as_bytes());
            assert_eq!(Report::decode(bytes.trim_ascii_end()), Some(report));
        }
    }

    #[test]
    fn lines_of_other_kinds_are_passed_over() {
        for line in [
            "",
            "ready now",
            "failed",
            "failed 1",
            "time 1 2",
            "failed x 2",
            "exited  1",
            "started web",
            "started  2",
            "later 1 2",
        ] {
            assert_eq!(Report::decode(line.as_bytes()), None, "{line}");
        }
    }
}
