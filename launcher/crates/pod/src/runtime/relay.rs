//! Connects the caller's terminal to that of a pod: passes input on, and output
//! back.
//!
//! The caller's terminal is in raw mode, so that the pod's terminal decides
//! what a key means: Ctrl-C interrupts the app, not the launcher. Everything in
//! between sees only bytes, except for the detach keys.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::Child;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::runtime::detach_keys::{Keys, Typed};
use error::{Context as _, Result};
use sys::pty::{self, Raw};
use sys::signals::Signals;

/// How a relay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayEnd {
    /// Nobody uses the pod's terminal any more, and all output was shown.
    Closed,
    /// The detach keys were typed.
    Detached,
    /// The caller's terminal has hung up.
    HungUp,
}

/// The other inputs of a relay.
pub struct RelayOptions<'a> {
    /// The keys that detach.
    pub keys: &'a Keys,
    /// Passes on signals that the caller receives.
    pub signal: &'a mut dyn FnMut(Signal),
    /// What is released when a process that we have started ends.
    pub until: Option<HeldTerminal>,
}

/// A process that opens a terminal for its programs, and the terminal, held
/// open until the process has ended: while nobody has opened the other side of
/// a terminal yet, or if nobody ever does, the master does not report a hangup.
pub struct HeldTerminal {
    process: OwnedFd,
    #[expect(dead_code, reason = "it is only held")]
    terminal: OwnedFd,
}

impl HeldTerminal {
    /// Holds the terminal for a child that has not been waited for.
    pub fn ended(child: &Child, terminal: OwnedFd) -> Result<Self> {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let process = pid
            .ok_or(Errno::SRCH)
            .and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()))
            .context(|| "cannot wait for a process")?;
        Ok(Self { process, terminal })
    }
}

/// Ctrl-D, which ends the input of a program that reads from a terminal.
const END: u8 = 4;

/// The most bytes that are read at once.
const PIECE: usize = 16 << 10;

/// Relays until the user detaches or nobody uses the pod's terminal any more.
pub fn relay<'a>(master: BorrowedFd<'a>, options: RelayOptions<'a>) -> Result<RelayEnd> {
    let signals = Signals::take(&[
        Signal::WINCH,
        Signal::TSTP,
        Signal::HUP,
        Signal::INT,
        Signal::QUIT,
        Signal::TERM,
        Signal::USR1,
        Signal::USR2,
    ])?;
    // Writing must never block while the other side writes to us.
    let flags = rustix::fs::fcntl_getfl(master);
    flags
        .and_then(|flags| rustix::fs::fcntl_setfl(master, flags | OFlags::NONBLOCK))
        .context(|| "cannot use the pod's terminal")?;
    let raw = Raw::begin()?;
    pty::redraw(master);
    let relay = Relay {
        master,
        typed: Typed::new(options.keys),
        options,
        raw,
        signals,
        input: Vec::new(),
        open: true,
        after_line: true,
    };
    relay.run()
}

struct Relay<'a> {
    master: BorrowedFd<'a>,
    options: RelayOptions<'a>,
    typed: Typed<'a>,
    raw: Raw,
    signals: Signals,
    /// Input that was not passed on yet.
    input: Vec<u8>,
    /// Whether there may be more input.
    open: bool,
    /// Whether nothing was passed on since the last end of a line.
    after_line: bool,
}

impl Relay<'_> {
    fn run(mut self) -> Result<RelayEnd> {
        loop {
            let ready = self.wait()?;
            if ready.signals
                && let Some(left) = self.take_signals()
            {
                return Ok(left);
            }
            if ready.ended {
                self.options.until = None;
            }
            if ready.written && !self.show()? {
                return Ok(RelayEnd::Closed);
            }
            if ready.typed
                && let Some(left) = self.take_typed()?
            {
                return Ok(left);
            }
            if ready.room {
                self.pass_on()?;
            }
        }
    }

    fn wait(&self) -> Result<Ready> {
        let stdin = std::io::stdin();
        let waiting = !self.input.is_empty();
        let input = (self.open && !waiting).then_some(stdin.as_fd());
        let process = self
            .options
            .until
            .as_ref()
            .map(|until| until.process.as_fd());
        let room = match waiting {
            true => PollFlags::OUT,
            false => PollFlags::empty(),
        };
        let mut fds = [
            PollFd::from_borrowed_fd(self.master, PollFlags::IN | room),
            PollFd::new(&self.signals, PollFlags::IN),
            self.perhaps(input),
            self.perhaps(process),
        ];
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).context(|| "cannot wait for the terminal"),
        }
        let [master, signals, typed, ended] = fds.map(|fd| fd.revents());
        Ok(Ready {
            written: master.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR),
            room: master.contains(PollFlags::OUT),
            signals: !signals.is_empty(),
            typed: !typed.is_empty(),
            ended: !ended.is_empty(),
        })
    }

    /// Polls nothing if there is nothing to wait for.
    fn perhaps<'a>(&'a self, fd: Option<BorrowedFd<'a>>) -> PollFd<'a> {
        match fd {
            Some(fd) => PollFd::from_borrowed_fd(fd, PollFlags::IN),
            None => PollFd::new(&self.signals, PollFlags::empty()),
        }
    }

    fn take_signals(&mut self) -> Option<RelayEnd> {
        for signal in self.signals.next() {
            match signal {
                Signal::WINCH => pty::fit(self.master),
                Signal::TSTP => self.stop(),
                other => (self.options.signal)(other),
            }
            if signal == Signal::HUP && self.raw.is_terminal() {
                return Some(RelayEnd::HungUp);
            }
        }
        None
    }

    /// Stops like any other program, with the terminal restored.
    fn stop(&self) {
        self.raw.pause();
        let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::STOP);
        let _ = self.raw.again();
        pty::redraw(self.master);
    }

    /// Shows output; returns whether there may be more.
    fn show(&mut self) -> Result<bool> {
        let mut piece = [0; PIECE];
        let length = match rustix::io::read(self.master, &mut piece) {
            Ok(0) | Err(Errno::IO) => return Ok(false),
            Ok(length) => length,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(true),
            Err(errno) => return Err(errno).context(|| "cannot read the pod's terminal"),
        };
        let written = &piece[..length];
        // If the caller's output is closed, the pod keeps running all the same.
        let mut stdout = std::io::stdout().lock();
        let _ = stdout.write_all(written).and_then(|()| stdout.flush());
        Ok(true)
    }

    fn take_typed(&mut self) -> Result<Option<RelayEnd>> {
        let mut piece = [0; PIECE];
        let read = std::io::stdin().lock().read(&mut piece);
        let typed = match read {
            Ok(length @ 1..) => &piece[..length],
            Err(error) if is_patience(&error) => return Ok(None),
            _ if self.raw.is_terminal() => return Ok(Some(RelayEnd::HungUp)),
            // In the middle of a line, the first Ctrl-D only ends the line.
            _ => {
                self.open = false;
                let ends: &[u8] = if self.after_line { &[END] } else { &[END, END] };
                self.input.extend_from_slice(ends);
                return self.pass_on().map(|()| None);
            }
        };
        let left = self.typed.take(typed, &mut self.input);
        if let Some(last) = self.input.last() {
            self.after_line = matches!(last, b'\n' | b'\r');
        }
        self.pass_on()?;
        Ok(left.then_some(RelayEnd::Detached))
    }

    /// Passes on as much input as the pod's terminal takes now.
    fn pass_on(&mut self) -> Result<()> {
        while !self.input.is_empty() {
            match rustix::io::write(self.master, &self.input) {
                Ok(length) => drop(self.input.drain(..length)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                // Nobody is left to read it.
                Err(Errno::IO) => self.input.clear(),
                Err(errno) => return Err(errno).context(|| "cannot write to the pod's terminal"),
            }
        }
        Ok(())
    }
}

/// Returns whether reading can simply be retried.
fn is_patience(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock)
}

/// What can be done without blocking.
struct Ready {
    written: bool,
    room: bool,
    signals: bool,
    typed: bool,
    ended: bool,
}
