//! Connects the caller's terminal to that of a pod: passes input on, and output
//! back.
//!
//! The caller's terminal is in raw mode, so that the pod's terminal decides
//! what a key means: Ctrl-C interrupts the app, not the launcher. Everything in
//! between sees only bytes, except for the detach keys.

use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use crate::runtime::detach_keys::{Keys, Typed};
use error::{Context as _, Result};
use sys::pty::{self, Raw};
use sys::signals::{self, Signals};
use sys::standard::Output;

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
    /// Passes on signals that this process receives.
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

/// The most bytes that are read at once.
const PIECE: usize = 16 << 10;

/// The most bytes that are shown at once: a pipe that has room has room for
/// these (pipe(7), `PIPE_BUF`), so that a slow reader does not keep signals
/// waiting.
const SHOWN: usize = 4 << 10;

/// Relays until the user detaches or nobody uses the pod's terminal any more.
pub fn relay<'a>(master: BorrowedFd<'a>, options: RelayOptions<'a>) -> Result<RelayEnd> {
    let mut handled = signals::passed_on();
    handled.push(Signal::WINCH);
    let signals = Signals::take(&handled)?;
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
        output: Vec::new(),
        watched: true,
        ending: None,
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
    /// Output that was not shown yet.
    output: Vec<u8>,
    /// Whether there is somebody to show output to.
    watched: bool,
    /// There is no more input, which the programs must notice.
    ending: Option<Ending>,
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
            if ready.shown {
                self.show();
            }
            if ready.written && !self.take_written()? {
                return Ok(RelayEnd::Closed);
            }
            if ready.typed
                && let Some(left) = self.take_typed()?
            {
                return Ok(left);
            }
            if self.ending.as_ref().is_some_and(Ending::is_due) {
                self.end_input();
            }
            if ready.room {
                self.pass_on()?;
            }
        }
    }

    fn wait(&self) -> Result<Ready> {
        let (stdin, stdout) = (rustix::stdio::stdin(), rustix::stdio::stdout());
        let (waiting, shows) = (!self.input.is_empty(), !self.output.is_empty());
        let input = self.ending.is_none() && !waiting;
        let process = self.options.until.as_ref();
        let process = process.map(|until| until.process.as_fd());
        let mut wanted = PollFlags::empty();
        wanted.set(PollFlags::IN, !shows);
        wanted.set(PollFlags::OUT, waiting);
        // A hangup would be reported even if nothing is wanted.
        let master = (!wanted.is_empty()).then_some(self.master);
        let mut fds = [
            self.perhaps(master, wanted),
            PollFd::new(&self.signals, PollFlags::IN),
            self.perhaps(input.then_some(stdin), PollFlags::IN),
            self.perhaps(process, PollFlags::IN),
            self.perhaps(shows.then_some(stdout), PollFlags::OUT),
        ];
        let patience = self.ending.as_ref().and_then(Ending::patience);
        match poll(&mut fds, patience.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).context(|| "cannot wait for the terminal"),
        }
        let [master, signals, typed, ended, shown] = fds.map(|fd| fd.revents());
        let gone = PollFlags::HUP | PollFlags::ERR;
        Ok(Ready {
            written: !shows && master.intersects(PollFlags::IN | gone),
            room: waiting && master.intersects(PollFlags::OUT | gone),
            signals: !signals.is_empty(),
            typed: !typed.is_empty(),
            ended: !ended.is_empty(),
            shown: !shown.is_empty(),
        })
    }

    /// Polls nothing if there is nothing to wait for.
    fn perhaps<'a>(&'a self, fd: Option<BorrowedFd<'a>>, wanted: PollFlags) -> PollFd<'a> {
        match fd {
            Some(fd) => PollFd::from_borrowed_fd(fd, wanted),
            None => PollFd::new(&self.signals, PollFlags::empty()),
        }
    }

    fn take_signals(&mut self) -> Option<RelayEnd> {
        for signal in self.signals.next() {
            match signal {
                Signal::WINCH => pty::fit(self.master),
                Signal::HUP if self.raw.has_hung_up() => return Some(RelayEnd::HungUp),
                Signal::TSTP => {
                    (self.options.signal)(signal);
                    self.stop();
                }
                other => (self.options.signal)(other),
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

    /// Reads what the programs have written; returns whether there may be more.
    fn take_written(&mut self) -> Result<bool> {
        let mut piece = [0; PIECE];
        let length = match rustix::io::read(self.master, &mut piece) {
            Ok(0) | Err(Errno::IO) => return Ok(false),
            Ok(length) => length,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(true),
            Err(errno) => return Err(errno).context(|| "cannot read the pod's terminal"),
        };
        // If nobody looks any more, the pod keeps running all the same.
        if self.watched {
            self.output.extend_from_slice(&piece[..length]);
        }
        Ok(true)
    }

    /// Shows as much as the caller's output takes now.
    fn show(&mut self) {
        let piece = &self.output[..self.output.len().min(SHOWN)];
        match rustix::io::write(rustix::stdio::stdout(), piece) {
            Ok(length) => drop(self.output.drain(..length)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => {
                self.watched = false;
                self.output.clear();
            }
        }
    }

    fn take_typed(&mut self) -> Result<Option<RelayEnd>> {
        let mut piece = [0; PIECE];
        let typed = match rustix::io::read(rustix::stdio::stdin(), &mut piece) {
            Ok(length @ 1..) => &piece[..length],
            Err(Errno::INTR | Errno::AGAIN) => return Ok(None),
            _ if self.raw.is_terminal() => return Ok(Some(RelayEnd::HungUp)),
            _ => {
                self.ending = Some(Ending::begin());
                return Ok(None);
            }
        };
        let left = self.typed.take(typed, &mut self.input);
        self.pass_on()?;
        if !left {
            return Ok(None);
        }
        // What was read is in no log.
        let _ = Output::stdout().write_all(&self.output);
        Ok(Some(RelayEnd::Detached))
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

    /// Types the key that ends the input, if everything before it was read.
    fn end_input(&mut self) {
        if self.input.is_empty() && pty::is_drained(self.master) {
            self.input.push(pty::end_key(self.master));
        }
        if let Some(ending) = &mut self.ending {
            ending.rest();
        }
    }
}

/// How the end of the input is passed on. A terminal has none: it has a key,
/// which ends one reading from it. So the key is typed again for each program
/// that reads there, but never before the previous one was read: a shell that
/// switches to its own editing would find another character in its place.
/// Nothing tells when that is so; hence this looks, more and more rarely.
struct Ending {
    due: Instant,
    pause: Duration,
}

impl Ending {
    const FIRST: Duration = Duration::from_millis(5);
    const LAST: Duration = Duration::from_secs(1);

    fn begin() -> Self {
        Self {
            due: Instant::now(),
            pause: Self::FIRST,
        }
    }

    fn is_due(&self) -> bool {
        Instant::now() >= self.due
    }

    fn rest(&mut self) {
        self.due = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(Self::LAST);
    }

    fn patience(&self) -> Option<Timespec> {
        let left = self.due.saturating_duration_since(Instant::now());
        left.try_into().ok()
    }
}

/// What can be done without blocking.
struct Ready {
    written: bool,
    room: bool,
    signals: bool,
    typed: bool,
    ended: bool,
    shown: bool,
}
