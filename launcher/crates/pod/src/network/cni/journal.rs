//! What plugins were asked to do for a pod, and what came of it: a file in the
//! pod's directory to which lines of JSON are added, so that whoever finds a
//! pod that was killed, even by a power cut, can undo it. It says all that is
//! needed for that: configurations may be others by then.
//!
//! It is locked while plugins work, and they inherit the lock: a launcher that is
//! killed does not take its plugins with it, and they are not to be undone
//! before they are done.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::network::cni::configuration::Configuration;
use appc::json::{self, Object, Value};
use sys::small_file;

/// The file in the directory of a pod.
pub(super) const FILE: &str = "cni";

/// The file beside it that plugins print their results to: whoever undoes what they
/// have made may be the first to read it.
const OUTPUT: &str = "cni-output";

/// What plugins were asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    /// The name of the link in the pod.
    pub(super) interface: String,
    /// The network.
    pub(super) configuration: Configuration,
    /// `CNI_ARGS`.
    pub(super) arguments: String,
    /// Values of capabilities.
    pub(super) capabilities: Vec<(String, Value)>,
    /// `CNI_PATH`.
    pub(super) path: String,
    /// The descriptor of the pod's network namespace, in the process that waits
    /// for the pod.
    pub(super) descriptor: u32,
    /// The inode of that namespace.
    pub(super) inode: u64,
}

impl Asked {
    fn to_json(&self) -> Value {
        Object::new()
            .with("interface", self.interface.as_str())
            .with("configuration", self.configuration.to_json())
            .with("arguments", self.arguments.as_str())
            .with("capabilities", Value::Object(self.capabilities.clone()))
            .with("path", self.path.as_str())
            .with("descriptor", self.descriptor)
            .with("inode", self.inode)
            .into()
    }

    fn read(line: &Value) -> Option<Self> {
        Some(Self {
            interface: line.text("interface")?,
            configuration: Configuration::read(line.get("configuration")?).ok()?,
            arguments: line.text("arguments")?,
            capabilities: match line.get("capabilities")? {
                Value::Object(capabilities) => capabilities.clone(),
                _ => return None,
            },
            path: line.text("path")?,
            descriptor: u32::try_from(line.number("descriptor")?).ok()?,
            inode: line.number("inode")?,
        })
    }
}

/// What has to be undone.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pending {
    /// What was asked for.
    pub(super) asked: Asked,
    /// The last result of its plugins.
    pub(super) result: Option<Value>,
    /// How often it could not be undone.
    pub(super) failures: usize,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event<'a> {
    /// A plugin has done its part.
    Result(&'a Value),
    /// It could not be undone.
    Failed,
    /// It is undone, or given up.
    Gone,
}

/// The file, locked, and what plugins print.
pub(super) struct Journal {
    file: OwnedFd,
    output: File,
}

/// How long, and how often, to wait for plugins of a launcher that was killed.
const PAUSE: Duration = Duration::from_millis(10);
const PAUSES: usize = 500;

impl Journal {
    /// Makes the file in the directory of a pod, or opens it.
    pub(super) fn make(pod: BorrowedFd<'_>) -> rustix::io::Result<Self> {
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::APPEND;
        Self::open(pod, flags, FlockOperation::LockExclusive)
    }

    /// Opens it; `None` if there is none. What still runs after a few seconds is
    /// not waited for.
    pub(super) fn find(pod: impl AsFd) -> rustix::io::Result<Option<Self>> {
        let flags = OFlags::RDWR | OFlags::APPEND;
        for pause in 0.. {
            let lock = match pause {
                PAUSES => FlockOperation::Unlock,
                _ => FlockOperation::NonBlockingLockExclusive,
            };
            match Self::open(&pod, flags, lock) {
                Err(Errno::NOENT) => break,
                Err(Errno::WOULDBLOCK) => thread::sleep(PAUSE),
                opened => return opened.map(Some),
            }
        }
        Ok(None)
    }

    fn open(pod: impl AsFd, flags: OFlags, lock: FlockOperation) -> rustix::io::Result<Self> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = rustix::fs::openat(&pod, FILE, flags, mode)?;
        rustix::fs::flock(&file, lock)?;
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let output = rustix::fs::openat(pod, OUTPUT, flags, mode)?.into();
        Ok(Self { file, output })
    }

    /// Returns what the next plugin prints to, empty.
    pub(super) fn output(&self) -> std::io::Result<&File> {
        self.output.set_len(0)?;
        rustix::fs::seek(&self.output, rustix::fs::SeekFrom::Start(0))?;
        Ok(&self.output)
    }

    /// Returns what plugins are to inherit.
    pub(super) fn lock(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Adds what is about to be asked, so that a power cut does not lose it.
    pub(super) fn ask(&self, asked: &Asked) -> rustix::io::Result<()> {
        self.add(&asked.to_json())?;
        rustix::fs::fdatasync(&self.file)
    }

    /// Adds what came of it.
    pub(super) fn tell(&self, interface: &str, event: &Event<'_>) -> rustix::io::Result<()> {
        let line = Object::new().with("interface", interface);
        let line = match event {
            Event::Result(result) => line.with("result", (*result).clone()),
            Event::Failed => line.with("failed", true),
            Event::Gone => line.with("gone", true),
        };
        self.add(&line.into())
    }

    fn add(&self, line: &Value) -> rustix::io::Result<()> {
        let text = format!("{line}\n");
        match rustix::io::write(&self.file, text.as_bytes())? == text.len() {
            true => Ok(()),
            false => Err(Errno::NOSPC),
        }
    }

    /// Returns what has to be undone, in the order in which it was done.
    pub(super) fn pending(&self) -> std::io::Result<Vec<Pending>> {
        let whole = |file: BorrowedFd<'_>| {
            rustix::fs::seek(file, rustix::fs::SeekFrom::Start(0))?;
            small_file::read(file, usize::MAX)
        };
        let mut pending = read(&whole(self.file.as_fd())?);
        // The launcher may have been killed before it could add this.
        let printed = json::parse(&whole(self.output.as_fd())?).ok();
        if let (Some(last), Some(result @ Value::Object(_))) = (pending.last_mut(), printed) {
            last.result = Some(result);
        }
        Ok(pending)
    }
}

/// Reads the lines; one that is damaged or unfinished counts as missing.
fn read(text: &[u8]) -> Vec<Pending> {
    let mut all: Vec<Pending> = Vec::new();
    let lines = text.split(|&byte| byte == b'\n');
    for line in lines.filter_map(|line| json::parse(line).ok()) {
        if let Some(asked) = Asked::read(&line) {
            all.push(Pending {
                asked,
                result: None,
                failures: 0,
            });
            continue;
        }
        let of = line.text("interface");
        let Some(at) = all
            .iter()
            .rposition(|one| Some(&one.asked.interface) == of.as_ref())
        else {
            continue;
        };
        if let Some(result) = line.get("result") {
            all[at].result = Some(result.clone());
        } else if line.get("failed").is_some() {
            all[at].failures += 1;
        } else if line.get("gone").is_some() {
            all.remove(at);
        }
    }
    all
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn asked(interface: &str) -> Asked {
        let text = format!(r#"{{"name":"n","cniVersion":"1.0.0","type":"for-{interface}"}}"#);
        Asked {
            interface: interface.to_owned(),
            configuration: Configuration::parse(text.as_bytes(), "n").unwrap().unwrap(),
            arguments: "A=1".to_owned(),
            capabilities: vec![("mac".to_owned(), Value::from("02:00:00:00:00:01"))],
            path: "/a:/b".to_owned(),
            descriptor: 7,
            inode: 4_026_531_840,
        }
    }

    #[test]
    fn what_was_asked_is_undone_until_it_is_gone() {
        let root = std::env::temp_dir().join(format!("nosecone-cni-{}", std::process::id()));
        std::fs::create_dir(&root).unwrap();
        let pod = std::fs::File::open(&root).unwrap();
        assert!(Journal::find(&pod).unwrap().is_none());
        let journal = Journal::make(pod.as_fd()).unwrap();
        let pending = || {
            let pending = journal.pending().unwrap().into_iter();
            let pending = pending.map(|one| (one.asked, one.result, one.failures));
            pending.collect::<Vec<_>>()
        };
        assert_eq!(pending(), []);
        let [first, second] = ["eth0", "eth1"].map(asked);
        journal.ask(&first).unwrap();
        let result = Value::from("result");
        journal.tell("eth0", &Event::Result(&Value::Null)).unwrap();
        journal.tell("eth0", &Event::Result(&result)).unwrap();
        journal.ask(&second).unwrap();
        journal.tell("eth1", &Event::Failed).unwrap();
        // What a power cut has left of a line.
        rustix::io::write(&journal.file, b"{\"interface\":\"eth1\",\"go\n\n").unwrap();
        let expected = [(first, Some(result), 0), (second.clone(), None, 1)];
        assert_eq!(pending(), expected);
        journal.tell("eth0", &Event::Gone).unwrap();
        assert_eq!(pending(), [(second.clone(), None, 1)]);
        // What a plugin had printed when its launcher was killed.
        rustix::io::write(journal.output().unwrap(), b"{\"ips\":[]}\n").unwrap();
        let printed = json::parse(b"{\"ips\":[]}").unwrap();
        assert_eq!(pending(), [(second, Some(printed), 1)]);
        journal.tell("eth1", &Event::Gone).unwrap();
        assert_eq!(pending(), []);
        drop(journal);
        let found = Journal::find(&pod).unwrap().unwrap();
        assert_eq!(found.pending().unwrap(), []);
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn no_end_of_a_journal_is_an_error() {
        let text = format!("{}\n{}\n", asked("eth0").to_json(), asked("eth1").to_json());
        for end in 0..text.len() {
            assert!(read(&text.as_bytes()[..end]).len() <= 2);
        }
        assert_eq!(read(text.as_bytes()).len(), 2);
    }
}
