//! Pseudo terminals (pty(7)) and the caller's own terminal.

use std::io::{IsTerminal as _, stdin};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, Winsize};

use crate::root_fd;
use error::{Context as _, Error, Kind, Result};

/// How the side that programs use is opened.
const FLAGS: OpenptFlags = OpenptFlags::RDWR
    .union(OpenptFlags::NOCTTY)
    .union(OpenptFlags::CLOEXEC);

/// Opens a pseudo terminal; returns the master, from which the output of
/// programs is read.
pub fn open() -> Result<OwnedFd> {
    let what = || "cannot create a terminal";
    let master = rustix::pty::openpt(FLAGS).context(what)?;
    unlocked(master).context(what)
}

/// Opens a pseudo terminal of the devpts mounted on /dev/pts below a root, so
/// that programs there know its other side by name. Others can change that
/// root, so only a pts(4) multiplexer is accepted.
///
/// # Errors
///
/// There is no multiplexer, or it is something else.
pub fn open_below(root: impl AsFd) -> std::io::Result<OwnedFd> {
    /// `DEVPTS_SUPER_MAGIC`, from the kernel's `magic.h`.
    const DEVPTS: rustix::fs::FsWord = 0x1cd1;
    let path = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let maker = root_fd::open(root, Path::new("dev/pts/ptmx"), path)?;
    let device = rustix::fs::makedev(5, 2);
    let is = rustix::fs::fstatfs(&maker)?.f_type == DEVPTS;
    if !is || rustix::fs::fstat(&maker)?.st_rdev != device {
        return Err(Errno::NODEV.into());
    }
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let again = format!("/proc/self/fd/{}", maker.as_raw_fd());
    let master = rustix::fs::open(again, flags, Mode::empty())?;
    Ok(unlocked(master)?)
}

/// Makes a user the owner of a terminal, so that it can also be opened by name.
pub fn give(terminal: impl AsFd, uid: u32) {
    // Everything else works without it.
    let _ = rustix::fs::fchown(terminal, Some(Uid::from_raw(uid)), None);
}

fn unlocked(master: OwnedFd) -> rustix::io::Result<OwnedFd> {
    rustix::pty::grantpt(&master)?;
    rustix::pty::unlockpt(&master)?;
    Ok(master)
}

/// Opens the other side of a master. It is opened through the master, because a
/// path could lead elsewhere (CVE-2025-52565).
pub fn peer(master: impl AsFd) -> Result<OwnedFd> {
    rustix::pty::ioctl_tiocgptpeer(master, FLAGS).context(|| "cannot open a terminal")
}

/// Tells whether a descriptor is a master as [`open`] returns it.
pub(crate) fn is_master(fd: impl AsFd) -> bool {
    rustix::pty::ptsname(fd, Vec::new()).is_ok()
}

/// Returns whether programs have read all that was typed on a terminal,
/// including the key that ends the input. What was typed of a line is read with
/// the rest of the line.
pub fn is_drained(master: impl AsFd) -> bool {
    let Ok(terminal) = peer(master) else {
        return false;
    };
    let mut polled = [PollFd::new(&terminal, PollFlags::IN)];
    rustix::event::poll(&mut polled, Some(&Timespec::default())) == Ok(0)
}

/// Returns the key that ends the input of programs on a terminal: usually
/// Ctrl-D.
pub fn end_key(master: impl AsFd) -> u8 {
    const CTRL_D: u8 = 4;
    let attributes = rustix::termios::tcgetattr(master);
    attributes.map_or(CTRL_D, |attributes| {
        attributes.special_codes[SpecialCodeIndex::VEOF]
    })
}

/// Returns the size of the caller's terminal, if there is one.
pub fn size() -> Option<Winsize> {
    rustix::termios::tcgetwinsize(stdin()).ok()
}

/// Sets a terminal to the size of the caller's. Programs are notified if that
/// changes it.
pub fn fit(master: impl AsFd) {
    if let Some(size) = size() {
        // A terminal of the wrong size is still useful.
        let _ = rustix::termios::tcsetwinsize(master, size);
    }
}

/// Makes the programs of a terminal redraw, by changing its size.
pub fn redraw(master: impl AsFd) {
    if let Some(mut size) = size() {
        size.ws_row = size.ws_row.saturating_add(1);
        let _ = rustix::termios::tcsetwinsize(&master, size);
    }
    fit(master);
}

/// The caller's terminal in raw mode. Dropping it restores the previous mode.
pub struct Raw(Option<Termios>);

impl Raw {
    /// Switches to raw mode if standard input is a terminal.
    pub fn begin() -> Result<Self> {
        let stdin = stdin();
        if !stdin.is_terminal() {
            return Ok(Self(None));
        }
        let what = || "cannot use the terminal";
        let before = rustix::termios::tcgetattr(&stdin).context(what)?;
        let raw = Self(Some(before));
        raw.again().context(what)?;
        Ok(raw)
    }

    /// Tells whether standard input is a terminal.
    pub const fn is_terminal(&self) -> bool {
        self.0.is_some()
    }

    /// Tells whether standard input was a terminal, which is gone.
    pub fn has_hung_up(&self) -> bool {
        self.is_terminal() && rustix::termios::tcgetattr(stdin()).is_err()
    }

    /// Restores the previous mode for a while.
    pub fn pause(&self) {
        if let Some(before) = &self.0 {
            set(before);
        }
    }

    /// Switches to raw mode again.
    pub fn again(&self) -> rustix::io::Result<()> {
        let Some(before) = &self.0 else {
            return Ok(());
        };
        let mut raw = before.clone();
        raw.make_raw();
        rustix::termios::tcsetattr(stdin(), OptionalActions::Now, &raw)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.pause();
    }
}

/// The terminal may be gone, and then there is nothing to restore.
fn set(attributes: &Termios) {
    while rustix::termios::tcsetattr(stdin(), OptionalActions::Drain, attributes)
        == Err(Errno::INTR)
    {}
}

/// The caller's terminal without an echo of what is typed. Dropping it restores the
/// previous mode.
pub struct Hidden(Termios);

impl Hidden {
    /// Turns the echo off.
    ///
    /// # Errors
    ///
    /// Standard input is not a terminal.
    pub fn begin() -> rustix::io::Result<Self> {
        let before = rustix::termios::tcgetattr(stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        rustix::termios::tcsetattr(stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        set(&self.0);
    }
}

/// Duplicates a descriptor of another process: the master of its terminal.
///
/// # Errors
///
/// The kernel is older than Linux 5.6 or does not allow it; the descriptor is
/// not a master.
pub fn take(process: impl AsFd, number: u32) -> Result<OwnedFd> {
    let what = || "cannot reach the terminal of the pod";
    let number = i32::try_from(number).unwrap_or(i32::MAX);
    let flags = rustix::process::PidfdGetfdFlags::empty();
    let fd = match rustix::process::pidfd_getfd(process, number, flags) {
        Err(Errno::NOSYS) => {
            return Err(Error::new(Kind::Failed, what())
                .because(std::io::Error::from(Errno::NOSYS))
                .hint("this requires Linux 5.6"));
        }
        taken => taken.context(what)?,
    };
    match is_master(&fd) {
        true => Ok(fd),
        false => Err(Error::new(Kind::Failed, what())),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_on_one_side_is_read_on_the_other() {
        let master = open().unwrap();
        let terminal = peer(&master).unwrap();
        assert!(is_master(&master) && !is_master(&terminal));
        rustix::io::write(&terminal, b"x").unwrap();
        let mut read = [0; 8];
        assert_eq!(rustix::io::read(&master, &mut read), Ok(1));
        drop(terminal);
        assert_eq!(rustix::io::read(&master, &mut read), Err(Errno::IO));
    }

    #[test]
    fn a_terminal_is_drained_when_the_end_of_its_input_was_read() {
        let master = open().unwrap();
        let terminal = peer(&master).unwrap();
        assert!(is_drained(&master));
        for (typed, read) in [(&b"a\n"[..], 2), (&[end_key(&master)], 0)] {
            rustix::io::write(&master, typed).unwrap();
            assert!(!is_drained(&master));
            assert_eq!(rustix::io::read(&terminal, &mut [0; 8]), Ok(read));
            assert!(is_drained(&master));
        }
        rustix::io::write(&master, b"half a line").unwrap();
        assert!(is_drained(&master));
    }
}
