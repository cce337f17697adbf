//! Small records in a pod's directory, each written once, when what it describes
//! happens.
//!
//! ```text
//! UUID/created   when, and the pod's name
//! UUID/prepared  what is listed of it from then on
//! UUID/started   when, by which process, whether to keep the pod when it has
//!                exited, and where its log is
//! UUID/restarts  how often it was started again, and how it had ended before
//! UUID/ended     when, with which status, and what is listed of it from then on
//! ```
//!
//! What is listed of a pod is in its other files, too; see `status::resting`.
//!
//! They record history, not state: only the lock says whether a pod is running.
//! An unreadable record counts as missing, as after a power failure.

use std::os::fd::AsFd;
use std::time::Duration;

use crate::spec::log::{Log, Place, Size};
use appc::json::{self, Object, Value};
use appc::types::AcName;
use sys::small_file;

/// The names of the records in the directory of a pod.
pub const CREATED: &str = "created";
/// See [`CREATED`].
pub const PREPARED: &str = "prepared";
/// See [`CREATED`].
pub const STARTED: &str = "started";
/// See [`CREATED`].
pub const ENDED: &str = "ended";

/// See [`CREATED`]. This one is replaced each time.
pub const RESTARTS: &str = "restarts";

/// When a pod was made, and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// When, in nanoseconds since 1970.
    pub time: u64,
    /// The pod's name.
    pub name: Option<AcName>,
}

/// How a pod was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// When, in nanoseconds since 1970.
    pub time: u64,
    /// Whether it is kept when it has exited.
    pub keep: bool,
    /// How its log is kept, if it runs detached.
    pub log: Option<Log>,
    /// Whether the output of its apps is discarded.
    pub silent: bool,
    /// Whether stage1-init may remove the pod by itself; see `UNDO`.
    pub undone: bool,
    /// That process's descriptor of the master side of the pod's terminal, if
    /// there is one.
    pub terminal: Option<u32>,
    /// The process that holds its lock and waits for it.
    pub process: Process,
}

/// The identity of a process, which is never reused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it started after boot, in clock ticks.
    pub ticks: u64,
    /// The boot id: /proc/sys/kernel/random/boot_id.
    pub boot: String,
}

/// How a pod ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// When, in nanoseconds since 1970; if nobody saw it, when it was noticed.
    pub time: u64,
    /// The exit status, if it is known.
    pub status: Option<u8>,
}

/// How often a pod was started again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restarts {
    /// So often.
    pub count: u32,
    /// The pause before that.
    pub pause: Duration,
    /// When that was over, or is, by a clock that counts from the boot.
    pub began: Duration,
    /// The status with which the pod had ended before that, if it has run before.
    pub status: Option<u8>,
    /// What was reported of that run.
    pub report: String,
}

impl Restarts {
    /// Formats the record.
    pub fn text(&self) -> Vec<u8> {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let record = Object::new()
            .with("count", self.count)
            .with("pause", nanoseconds(self.pause))
            .with("began", nanoseconds(self.began))
            .with_some("status", self.status.map(u32::from))
            .with("report", self.report.as_str());
        spell(record).into_bytes()
    }

    /// Parses the record.
    pub fn read(text: &[u8]) -> Option<Self> {
        let record = json::parse(text).ok()?;
        let time = |name| Some(Duration::from_nanos(number(record.get(name)?)?));
        Some(Self {
            count: number(record.get("count")?)?,
            pause: time("pause")?,
            began: time("began")?,
            status: match record.get("status") {
                Some(status) => Some(number(status)?),
                None => None,
            },
            report: string(record.get("report")?)?.to_owned(),
        })
    }

    /// Reads it in the directory of a pod: one that has none was not started again.
    ///
    /// # Errors
    ///
    /// The disk refuses.
    pub fn of(pod: impl AsFd) -> std::io::Result<Self> {
        let text = small_file::find(pod, RESTARTS, usize::MAX)?;
        Ok(text.and_then(|text| Self::read(&text)).unwrap_or_default())
    }
}

impl Created {
    /// Formats the record.
    pub fn text(&self) -> String {
        spell(self.record())
    }

    /// Returns the record as an object.
    pub(crate) fn record(&self) -> Object {
        let name = self.name.as_ref().map(AcName::as_str);
        Object::new()
            .with("time", self.time)
            .with_some("name", name)
    }

    /// Parses the record.
    pub fn read(text: &[u8]) -> Option<Self> {
        Self::of(&json::parse(text).ok()?)
    }

    /// Decodes the object.
    pub(crate) fn of(record: &Value) -> Option<Self> {
        let name = match record.get("name") {
            Some(name) => Some(AcName::parse(string(name)?).ok()?),
            None => None,
        };
        let time = number(record.get("time")?)?;
        Some(Self { time, name })
    }
}

impl Started {
    /// Formats the record.
    pub fn text(&self) -> String {
        spell(self.record())
    }

    /// Returns the record as an object.
    pub(crate) fn record(&self) -> Object {
        Object::new()
            .with("time", self.time)
            .with("keep", self.keep)
            .with_some("log", self.log.map(|log| log.place.word()))
            .with_some("log-size", self.log.map(|log| log.size.bytes()))
            .with_some("silent", self.silent.then_some(true))
            .with_some("undone", self.undone.then_some(true))
            .with_some("terminal", self.terminal)
            .with("pid", self.process.pid)
            .with("ticks", self.process.ticks)
            .with("boot", self.process.boot.as_str())
    }

    /// Parses the record.
    pub fn read(text: &[u8]) -> Option<Self> {
        Self::of(&json::parse(text).ok()?)
    }

    /// Decodes the object.
    pub(crate) fn of(record: &Value) -> Option<Self> {
        let process = Process {
            pid: number(record.get("pid")?)?,
            ticks: number(record.get("ticks")?)?,
            boot: string(record.get("boot")?)?.to_owned(),
        };
        Some(Self {
            time: number(record.get("time")?)?,
            keep: *record.get("keep")? == Value::Bool(true),
            log: match record.get("log") {
                Some(place) => Some(Log {
                    place: Place::parse(string(place)?).ok()?,
                    size: Size::new(number(record.get("log-size")?)?)?,
                }),
                None => None,
            },
            silent: record.get("silent") == Some(&Value::Bool(true)),
            undone: record.get("undone") == Some(&Value::Bool(true)),
            terminal: record.get("terminal").and_then(number),
            process,
        })
    }
}

impl Ended {
    /// Formats the record.
    pub fn text(&self) -> String {
        let status = self.status.map(u32::from);
        spell(
            Object::new()
                .with("time", self.time)
                .with_some("status", status),
        )
    }

    /// Parses the record.
    pub fn read(text: &[u8]) -> Option<Self> {
        let record = json::parse(text).ok()?;
        let status = match record.get("status") {
            Some(status) => Some(number(status)?),
            None => None,
        };
        let time = number(record.get("time")?)?;
        Some(Self { time, status })
    }
}

pub use sys::clock::nanoseconds as now;

fn spell(record: Object) -> String {
    format!("{}\n", Value::from(record))
}

fn number<T: TryFrom<i128>>(value: &Value) -> Option<T> {
    match value {
        Value::Integer(number) => T::try_from(*number).ok(),
        _ => None,
    }
}

fn string(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn incomplete_records_count_as_missing() {
        let created = Created {
            time: 1,
            name: Some(AcName::parse("web").unwrap()),
        };
        let started = Started {
            time: 2,
            keep: true,
            log: Some(Log {
                place: Place::Memory,
                size: Size::default(),
            }),
            silent: true,
            undone: true,
            terminal: Some(8),
            process: Process {
                pid: 3,
                ticks: 4,
                boot: "five".to_owned(),
            },
        };
        let ended = Ended {
            time: 6,
            status: Some(7),
        };
        let whole = [created.text(), started.text(), ended.text()];
        for text in &whole {
            // Without its newline a record is still complete.
            for length in 0..text.len() - 1 {
                let part = &text.as_bytes()[..length];
                assert_eq!(Created::read(part), None);
                assert_eq!(Started::read(part), None);
                assert_eq!(Ended::read(part), None);
            }
        }
        assert_eq!(Created::read(whole[0].as_bytes()), Some(created));
        assert_eq!(Started::read(whole[1].as_bytes()), Some(started));
        assert_eq!(Ended::read(whole[2].as_bytes()), Some(ended));
        assert_eq!(
            whole[1],
            "{\"time\":2,\"keep\":true,\"log\":\"memory\",\"log-size\":1048576,\"silent\":true,\"undone\":true,\"terminal\":8,\"pid\":3,\"ticks\":4,\"boot\":\"five\"}\n"
        );
    }

    #[test]
    fn malformed_numbers_count_as_missing() {
        for text in [
            "{\"time\":-1}",
            "{\"time\":1,\"status\":256}",
            "{\"time\":\"1\"}",
            "[]",
        ] {
            assert_eq!(Ended::read(text.as_bytes()), None, "{text}");
        }
    }
}
