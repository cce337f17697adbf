//! A terminal, and somebody who sits at it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use crate::host::{self, Leash};
use crate::refusal;

/// How long something may take to be shown before it never will be.
const PATIENCE: Duration = Duration::from_secs(30);

/// Flags of a terminal that says what it is: see termios(3).
pub(crate) type Modes = rustix::termios::LocalModes;

/// A program with a terminal of its own, which it controls.
pub(crate) struct Seat {
    keyboard: File,
    /// Kept open, so that the terminal is there when the program has ended.
    terminal: OwnedFd,
    program: Leash,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Seat {
    /// Starts a program at a terminal of 24 rows and 80 columns.
    pub(crate) fn take(program: &Path, words: &[&str]) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags).unwrap();
        rustix::pty::grantpt(&master).unwrap();
        rustix::pty::unlockpt(&master).unwrap();
        let terminal = rustix::pty::ioctl_tiocgptpeer(&master, flags).unwrap();
        let stream = || Stdio::from(terminal.try_clone().unwrap());
        // setsid(1) makes the terminal that of a new session, and stays out of the way.
        let setsid = host::find_tool("setsid").expect("util-linux is installed");
        let mut plain = Command::new(setsid);
        plain
            .arg("--ctty")
            .arg(program)
            .args(words)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TERM", "vt100");
        let program = refusal::command(&plain, None)
            .stdin(stream())
            .stdout(stream())
            .stderr(stream())
            .spawn()
            .unwrap();
        let keyboard = File::from(master);
        let mut screen = keyboard.try_clone().unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&shown);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = screen.read(&mut buffer) {
                lines.lock().unwrap().extend_from_slice(&buffer[..length]);
            }
        });
        let seat = Self {
            keyboard,
            terminal,
            program: Leash(program),
            shown,
        };
        seat.resize(24, 80);
        seat
    }

    /// Types.
    pub(crate) fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Makes the terminal larger or smaller.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&self.keyboard, size).unwrap();
    }

    /// All that was shown so far.
    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    /// Waits until a text is shown.
    #[track_caller]
    pub(crate) fn until(&self, text: &str) {
        let begun = Instant::now();
        while !self.shown().contains(text) {
            assert!(
                begun.elapsed() < PATIENCE,
                "`{text}` is not shown, but:\n{}",
                self.shown()
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// The process number of the program.
    pub(crate) fn pid(&self) -> u32 {
        self.program.0.id()
    }

    /// Sends a signal to the program.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.program.0.id()).unwrap();
        rustix::process::kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// How the terminal treats what is typed.
    pub(crate) fn modes(&self) -> Modes {
        rustix::termios::tcgetattr(&self.terminal)
            .unwrap()
            .local_modes
    }

    /// Waits for the end; gives the status, and all that was shown.
    #[track_caller]
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.program.0.try_wait().unwrap() {
                break status;
            }
            if begun.elapsed() > PATIENCE {
                let _ = self.program.0.kill();
                panic!("it does not end; shown:\n{}", self.shown());
            }
            thread::sleep(Duration::from_millis(2));
        };
        // What was written before the end may still be on its way.
        while rustix::io::ioctl_fionread(&self.keyboard).is_ok_and(|left| left > 0) {
            thread::sleep(Duration::from_millis(2));
        }
        thread::sleep(Duration::from_millis(50));
        (status.code(), self.shown())
    }
}
