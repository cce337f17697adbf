//! Runs a check of an app's health: a process with a time limit, whose output is
//! bounded.

use std::io::{PipeReader, Read as _, Result};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

use crate::runtime::pod_process;
use crate::runtime::status::health::Outcome;
use crate::state::records;

/// How much of the output of a check is kept, in bytes, as with docker.
const OUTPUT: usize = 4096;

/// How much is read at once of what is not kept, and how long to rest after that: so
/// that takes a small share of a processor.
const PIPE: usize = 64 << 10;
const PACE: Duration = Duration::from_millis(1);

/// Runs a command, for at most this long. What it has started besides is killed if
/// the time is over, and is the app's otherwise.
///
/// # Errors
///
/// The command cannot be started.
pub fn run(mut command: Command, time: Duration) -> Result<Outcome> {
    let began = records::now();
    let (reader, writer) = std::io::pipe()?;
    command.stdin(Stdio::null());
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn()?;
    // It has the other ends of the pipe.
    drop(command);
    let mut said = Vec::new();
    let status = match listen(&child, reader, time, &mut said)? {
        true => Some(code(&mut child)?),
        false => {
            pod_process::kill_all_of(child.id());
            said = format!("the check took longer than {time:?}").into_bytes();
            None
        }
    };
    Ok(Outcome {
        began,
        ended: records::now(),
        status,
        output: String::from_utf8_lossy(&said).trim_end().to_owned(),
    })
}

/// Reads the output until the process ends; returns whether it does in time.
fn listen(
    child: &Child,
    mut reader: PipeReader,
    time: Duration,
    said: &mut Vec<u8>,
) -> Result<bool> {
    let process = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let process = rustix::process::pidfd_open(process.unwrap_or(Pid::INIT), PidfdFlags::empty())?;
    let deadline = Instant::now().checked_add(time);
    let (mut open, mut buffer) = (true, vec![0; PIPE]);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        let wanted = match open {
            true => PollFlags::IN,
            false => PollFlags::empty(),
        };
        let mut asked = [
            PollFd::new(&process, PollFlags::IN),
            PollFd::new(&reader, wanted),
        ];
        match poll(&mut asked, left.as_ref()) {
            Ok(0) => return Ok(false),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let over = !asked[0].revents().is_empty();
        // Where there is always something to read, that is never said by poll(2).
        if !over && left.is_some_and(|left| left == Timespec::default()) {
            return Ok(false);
        }
        if open && !asked[1].revents().is_empty() {
            let length = reader.read(&mut buffer)?;
            open = length > 0;
            let room = OUTPUT.saturating_sub(said.len());
            said.extend(buffer.iter().take(length.min(room)));
        }
        if over && (!open || said.len() >= OUTPUT || is_silent(&reader)) {
            return Ok(true);
        }
        if !open && !over {
            // Only its end is of interest.
            let left = left.as_ref();
            let ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], left);
            return Ok(ended != Ok(0));
        }
        if said.len() >= OUTPUT {
            // Who prints more than anybody reads has to wait.
            std::thread::sleep(PACE);
        }
    }
}

fn is_silent(reader: &PipeReader) -> bool {
    let at_once = Timespec::default();
    poll(&mut [PollFd::new(reader, PollFlags::IN)], Some(&at_once)) == Ok(0)
}

/// Returns the exit code of a process that has ended, as shells report it.
fn code(child: &mut Child) -> Result<u8> {
    use std::os::unix::process::ExitStatusExt as _;
    let status = child.wait()?;
    let signal = status.signal().map(|signal| 128 + signal);
    let code = status.code().or(signal);
    Ok(code
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn shell(line: &str, time: u64) -> Outcome {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", line]);
        run(command, Duration::from_millis(time)).unwrap()
    }

    #[test]
    fn a_check_that_does_not_end_is_killed_with_what_it_has_started() {
        // The second one always has something to say.
        for line in ["sleep 100 & sleep 100", "yes | head -c 1000000000"] {
            let outcome = shell(line, 300);
            assert_eq!(outcome.status, None, "{line}");
            assert_eq!(outcome.output, "the check took longer than 300ms");
        }
    }

    #[test]
    fn of_what_a_check_prints_the_beginning_is_kept_and_the_rest_hinders_nobody() {
        let outcome = shell(
            "i=0; while [ $i -lt 20000 ]; do echo 123456789; i=$((i + 1)); done; exit 3",
            60_000,
        );
        assert_eq!((outcome.status, outcome.output.len()), (Some(3), OUTPUT));
        let outcome = shell("echo out; echo err >&2; exec >&- 2>&-; exit 0", 60_000);
        assert_eq!((outcome.status, &*outcome.output), (Some(0), "out\nerr"));
        // Nobody waits for who holds the output.
        let outcome = shell("sleep 5 & echo up; exit 0", 60_000);
        assert_eq!((outcome.status, &*outcome.output), (Some(0), "up"));
        assert_eq!(shell("kill -9 $$", 60_000).status, Some(137));
    }
}
