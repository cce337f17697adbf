//! The processes of a running pod, as the host sees them: its init, and the
//! main process of each app.
//!
//! A process number can be reused before we use it. So the directory of a
//! process in procfs is opened once, and everything is read through that
//! descriptor: it refers to this process or, when it has ended, to none
//! (proc(5)).

use std::fs;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Signal;
use stage1_init::Report;

use crate::runtime::process::boot;
use crate::runtime::procfs::{Stat, interfaces};
use crate::state::records::Process;
use error::{Context as _, Result};
use sys::small_file;

/// A process of a pod.
#[derive(Debug)]
pub struct PodProcess {
    directory: OwnedFd,
    number: u32,
}

/// Finds the process that was recorded for a pod. `None` if it has ended.
///
/// # Errors
///
/// Fails if the kernel refuses.
pub fn outer(recorded: &Process) -> Result<Option<PodProcess>> {
    let Some(outer) = PodProcess::open(recorded.pid)? else {
        return Ok(None);
    };
    let began = outer.stat()?.map(|stat| stat.began);
    let is = began == Some(recorded.ticks) && boot()? == recorded.boot;
    Ok(is.then_some(outer))
}

/// Finds the init of a pod that has its own PID namespace: the child of the
/// recorded process that is in a deeper namespace. `None` if it has ended.
///
/// # Errors
///
/// Fails if the kernel refuses.
pub fn init(outer: &PodProcess) -> Result<Option<PodProcess>> {
    let Some(around) = outer.status()? else {
        return Ok(None);
    };
    // There can be another child, which serves metadata.
    outer.child(&|inner| inner.numbers.len() > around.numbers.len())
}

/// Finds the main process of an app by its number in the pod. `None` if it has
/// ended.
///
/// # Errors
///
/// Fails if the kernel refuses.
pub fn main_process(init: &PodProcess, number: u32) -> Result<Option<PodProcess>> {
    let Some(above) = init.status()? else {
        return Ok(None);
    };
    // Only the number in the pod's own namespace identifies it: an app chooses
    // the numbers in namespaces below.
    let Some(level) = above.numbers.len().checked_sub(1) else {
        return Ok(None);
    };
    init.child(&|child| child.numbers.get(level) == Some(&number))
}

/// Kills a child of this process that runs a command, and all that has come from
/// it. The child and its own, which are `stage1-init`, are stopped first: they
/// adopt what has lost its parents, and now neither reap it nor end.
pub fn kill_all_of(child: u32) {
    const ROUNDS: u32 = 200;
    const ROUND: Duration = Duration::from_millis(1);
    let open = || PodProcess::open(child).ok().flatten();
    let Some(top) = open() else { return };
    let _ = top.signal(Signal::STOP);
    let inner = top.all_children();
    for process in &inner {
        let _ = process.signal(Signal::STOP);
    }
    for _ in 0..ROUNDS {
        let mut below: Vec<_> = inner.iter().flat_map(PodProcess::all_children).collect();
        if below.is_empty() {
            break;
        }
        while let Some(process) = below.pop() {
            below.extend(process.all_children());
            let _ = process.signal(Signal::KILL);
        }
        std::thread::sleep(ROUND);
    }
    for process in inner.iter().chain([&top]) {
        let _ = process.signal(Signal::KILL);
    }
}

impl PodProcess {
    /// Returns its number on the host, which may have been reused by now.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Returns the names of its network interfaces, or `host`.
    ///
    /// # Errors
    ///
    /// Fails if the kernel refuses.
    pub fn networks(&self) -> Result<Vec<String>> {
        let own = rustix::fs::stat("/proc/self/ns/net").ok();
        let theirs = self
            .namespace("net")?
            .and_then(|fd| rustix::fs::fstat(fd).ok());
        let inode = |status: rustix::fs::Stat| (status.st_dev, status.st_ino);
        if own.is_some() && own.map(inode) == theirs.map(inode) {
            return Ok(vec!["host".to_owned()]);
        }
        Ok(interfaces(&self.read("net/dev")?.unwrap_or_default()))
    }

    /// Opens the directory of a process, if the process exists.
    fn open(number: u32) -> Result<Option<Self>> {
        // Not O_PATH: pidfd_send_signal(2) accepts this descriptor, too.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(format!("/proc/{number}"), flags, Mode::empty());
        let directory = there(opened).context(|| format!("cannot open process {number}"))?;
        Ok(directory.map(|directory| Self { directory, number }))
    }

    /// Reads one of its files; `None` if it has ended.
    ///
    /// # Errors
    ///
    /// Fails if the kernel refuses.
    pub fn read(&self, name: &str) -> Result<Option<String>> {
        let what = || format!("cannot read `{name}` of process {}", self.number);
        let Some(file) = there(self.file(name)).context(what)? else {
            return Ok(None);
        };
        // Files in a directory below are lists, which are read a page at a time.
        let read = match name.contains('/') {
            true => small_file::read_list(file),
            false => small_file::read(file, usize::MAX),
        };
        let text = read.map(|content| String::from_utf8_lossy(&content).into_owned());
        match text {
            Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => Ok(None),
            text => text.map(Some).context(what),
        }
    }

    /// Opens one of its namespaces; `None` if it has ended, or the kernel does
    /// not have this kind.
    ///
    /// # Errors
    ///
    /// Fails if the kernel refuses.
    pub fn namespace(&self, kind: &str) -> Result<Option<OwnedFd>> {
        let opened = there(self.file(&format!("ns/{kind}")));
        // The kernel returns this error for a process that has ended, too.
        if matches!(opened, Err(Errno::ACCESS)) && self.status()?.is_none() {
            return Ok(None);
        }
        opened
            .context(|| "cannot open its namespaces")
            .map_err(|error| error.hint("this requires CAP_SYS_PTRACE"))
    }

    /// Opens its root directory, whose content the process controls.
    ///
    /// # Errors
    ///
    /// Fails if the kernel refuses.
    pub fn root(&self) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(self.directory(), "root", flags, Mode::empty())
    }

    /// Returns whether both processes are alive, and this one is a child of the
    /// other.
    ///
    /// # Errors
    ///
    /// Fails if the kernel refuses.
    pub fn is_child_of(&self, parent: &Self) -> Result<bool> {
        self.status()?
            .map_or(Ok(false), |status| status.is_child_of(parent))
    }

    /// Sends it a signal; not an error if it has ended.
    ///
    /// # Errors
    ///
    /// Fails if the kernel refuses.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        there(rustix::process::pidfd_send_signal(&self.directory, signal))
            .context(|| format!("cannot send a signal to process {}", self.number))
            .map(|_| ())
    }

    /// Returns whether it is exiting, even if it still waits for others to
    /// exit.
    ///
    /// # Errors
    ///
    /// Fails if the kernel refuses.
    pub fn is_ending(&self) -> Result<bool> {
        Ok(self.stat()?.is_none_or(|stat| stat.is_ending()))
    }

    fn stat(&self) -> Result<Option<Stat>> {
        Ok(self.read("stat")?.as_deref().and_then(Stat::read))
    }

    fn file(&self, name: &str) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        rustix::fs::openat(self.directory(), name, flags, Mode::empty())
    }

    fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Reads its status; `None` if it has ended, even if nobody has waited for
    /// it.
    fn status(&self) -> Result<Option<Status>> {
        let text = self.read("status")?;
        Ok(text
            .as_deref()
            .and_then(status)
            .filter(|status| !status.dead))
    }

    /// Finds the first child that matches.
    fn child(&self, is_meant: &dyn Fn(&Status) -> bool) -> Result<Option<Self>> {
        for number in self.children()? {
            let Some(child) = Self::open(number)? else {
                continue;
            };
            let status = child.status()?.filter(is_meant);
            if status.map_or(Ok(false), |status| status.is_child_of(self))? {
                return Ok(Some(child));
            }
        }
        Ok(None)
    }

    /// Finds all children that are alive.
    fn all_children(&self) -> Vec<Self> {
        let mut all = Vec::new();
        for number in self.children().unwrap_or_default() {
            let child = Self::open(number).ok().flatten();
            let is_alive = |child: &Self| {
                let status = child.status().ok().flatten();
                status.is_some_and(|status| status.is_child_of(self).unwrap_or(false))
            };
            all.extend(child.filter(is_alive));
        }
        all
    }

    /// Lists the numbers of its children or, where the kernel cannot
    /// (`CONFIG_PROC_CHILDREN`), of all processes.
    fn children(&self) -> Result<Vec<u32>> {
        let number = self.number;
        if let Some(text) = self.read(&format!("task/{number}/children"))? {
            return Ok(text.split_whitespace().flat_map(str::parse).collect());
        }
        let entries = fs::read_dir("/proc").context(|| "cannot list the processes")?;
        let names = entries.flatten().map(|entry| entry.file_name());
        Ok(names
            .filter_map(|name| name.to_str()?.parse().ok())
            .collect())
    }
}

/// Turns the errors that mean that a process has ended into `None`.
fn there<T>(result: rustix::io::Result<T>) -> rustix::io::Result<Option<T>> {
    match result {
        Err(Errno::NOENT | Errno::SRCH) => Ok(None),
        result => result.map(Some),
    }
}

/// The content of /proc/PID/status (proc_pid_status(5)).
#[derive(Debug, PartialEq, Eq)]
struct Status {
    /// Whether it has ended.
    dead: bool,
    /// The number of its parent.
    parent: u32,
    /// Its numbers: on the host, and in the PID namespaces below.
    numbers: Vec<u32>,
}

impl Status {
    /// Returns whether this is the status of a child of a process that is alive.
    fn is_child_of(&self, parent: &PodProcess) -> Result<bool> {
        // As long as the parent is alive its number is not reused.
        Ok(self.parent == parent.number && parent.status()?.is_some())
    }
}

fn status(text: &str) -> Option<Status> {
    let value = |key: &str| {
        let mut values = text.lines().filter_map(|line| line.strip_prefix(key));
        values.next()?.strip_prefix(":\t")
    };
    let numbers = value("NSpid")?.split('\t').map(str::parse);
    Some(Status {
        dead: value("State")?.starts_with(['Z', 'X']),
        parent: value("PPid")?.parse().ok()?,
        numbers: numbers.collect::<std::result::Result<_, _>>().ok()?,
    })
}

/// What a report says about the main program of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MainProgram {
    /// It has not been executed yet.
    NotStarted,
    /// It is running, with this number in the pod.
    Running(u32),
    /// It has ended.
    Ended,
}

/// Finds out from a report what has become of an app.
pub fn main_program(report: &[u8], app: &str) -> MainProgram {
    let mut program = MainProgram::NotStarted;
    for line in report.split(|&byte| byte == b'\n') {
        match Report::decode(line) {
            Some(Report::Started { app: name, pid }) if name == app.as_bytes() => {
                program = MainProgram::Running(pid);
            }
            Some(Report::Exited { app: name, .. }) if name == app.as_bytes() => {
                program = MainProgram::Ended;
            }
            _ => {}
        }
    }
    program
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn an_ended_process_is_not_confused_with_another() {
        let mut shell = std::process::Command::new("sh")
            .args([
                "-c",
                "sleep 600 & echo $!; read line; kill $!; exec sleep 600",
            ])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let stdout = shell.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut said).unwrap();
        let number = said.trim().parse().unwrap();
        let stat = fs::read_to_string(format!("/proc/{}/stat", shell.id())).unwrap();
        let recorded = Process {
            pid: shell.id(),
            ticks: Stat::read(&stat).unwrap().began,
            boot: boot().unwrap(),
        };
        let later = Process {
            ticks: recorded.ticks + 1,
            ..recorded.clone()
        };
        let other_boot = Process {
            boot: "01234567-89ab-cdef-0123-456789abcdef".to_owned(),
            ..recorded.clone()
        };
        for process in [later, other_boot] {
            assert!(outer(&process).unwrap().is_none());
        }
        let parent = outer(&recorded).unwrap().unwrap();
        assert!(init(&parent).unwrap().is_none());
        assert!(main_process(&parent, shell.id()).unwrap().is_none());
        let child = main_process(&parent, number).unwrap().unwrap();
        assert!(child.is_child_of(&parent).unwrap() && !child.is_ending().unwrap());
        // It exits, and nobody waits for it.
        drop(shell.stdin.take());
        // It is ending before its status says so.
        while child.is_child_of(&parent).unwrap() {
            std::thread::yield_now();
        }
        assert!(child.is_ending().unwrap());
        assert!(main_process(&parent, number).unwrap().is_none());
        shell.kill().unwrap();
        shell.wait().unwrap();
        assert_eq!(parent.read("status").unwrap(), None);
        assert!(parent.namespace("mnt").unwrap().is_none());
    }

    #[test]
    fn a_malformed_status_is_none() {
        let text = "Name:\tPPid:\nState:\tS (sleeping)\nPPid:\t7\nNSpid:\t310\t2\n";
        assert_eq!(
            status(text),
            Some(Status {
                dead: false,
                parent: 7,
                numbers: vec![310, 2],
            })
        );
        assert!(status(&text.replace('S', "Z")).is_none());
        assert!(status(&text.replace("S (", "Z (")).unwrap().dead);
        for text in [
            "",
            "State:\tS\nPPid:\t7\n",
            "State:\tS\nPPid:\t7\nNSpid:\tx\n",
        ] {
            assert_eq!(status(text), None, "{text}");
        }
    }

    #[test]
    fn the_last_line_about_an_app_counts() {
        for (report, expected) in [
            ("", MainProgram::NotStarted),
            (
                "ready\nstarted web 3\nexited other 0",
                MainProgram::Running(3),
            ),
            ("started other 2\nready\n", MainProgram::NotStarted),
            ("started web 3\nready\nexited web 9\n", MainProgram::Ended),
            (
                "started web\nstarted web x\nfailed 1 2\n",
                MainProgram::NotStarted,
            ),
        ] {
            assert_eq!(main_program(report.as_bytes(), "web"), expected, "{report}");
        }
    }
}
