//! What a pod's groups have used, read from the files of both versions. A value
//! whose file is missing or has no number in it is unknown.

use std::path::{Path, PathBuf};

use crate::runtime::procfs;

/// Resource usage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time, in nanoseconds.
    pub cpu: Option<u64>,
    /// Bytes of memory, including the page cache.
    pub memory: Option<u64>,
    /// The limit of memory, in bytes.
    pub memory_limit: Option<u64>,
    /// The highest memory usage so far, in bytes.
    pub memory_peak: Option<u64>,
    /// The number of processes.
    pub processes: Option<u64>,
    /// Bytes read from block devices.
    pub read: Option<u64>,
    /// Bytes written to block devices.
    pub written: Option<u64>,
}

impl Usage {
    /// Reads the usage from the groups of one pod or app, one for each
    /// hierarchy.
    pub fn of(groups: &[PathBuf]) -> Self {
        let of = |group: &PathBuf| Self::of_one(&|name| read(&group.join(name)));
        groups.iter().map(of).fold(Self::default(), Self::or)
    }

    fn of_one(file: &dyn Fn(&str) -> Option<String>) -> Self {
        let first = file("cpuacct.usage").and_then(|text| whole(&text));
        let second = || file("cpu.stat").and_then(|text| cpu(&text));
        let either = |names: [&str; 2]| names.into_iter().find_map(file);
        let number = |names| either(names).and_then(|text| whole(&text));
        let limit = either(["memory.limit_in_bytes", "memory.max"]);
        let throttled = file("blkio.throttle.io_service_bytes_recursive");
        let disks = match throttled {
            Some(text) => Some(throttle(&text)),
            None => file("io.stat").map(|text| io(&text)),
        };
        Self {
            cpu: first.or_else(second),
            memory: number(["memory.usage_in_bytes", "memory.current"]),
            memory_limit: limit.and_then(|text| bounded(&text)),
            memory_peak: number(["memory.max_usage_in_bytes", "memory.peak"]),
            processes: None,
            read: disks.map(|(read, _)| read),
            written: disks.map(|(_, written)| written),
        }
    }

    /// Fills in from another what is unknown here.
    pub fn or(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.or(other.cpu),
            memory: self.memory.or(other.memory),
            memory_limit: self.memory_limit.or(other.memory_limit),
            memory_peak: self.memory_peak.or(other.memory_peak),
            processes: self.processes.or(other.processes),
            read: self.read.or(other.read),
            written: self.written.or(other.written),
        }
    }
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// Parses a file that consists of one number.
fn whole(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Parses a limit. No limit is `max` in version 2, and in version 1 the largest
/// multiple of the page size.
fn bounded(text: &str) -> Option<u64> {
    const LARGEST_PAGE: u64 = 1 << 16;
    let unbounded = i64::MAX.cast_unsigned() - LARGEST_PAGE;
    whole(text).filter(|&limit| limit < unbounded)
}

/// Parses `cpu.stat` of version 2. That of version 1 has other contents.
fn cpu(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("usage_usec "));
    whole(line?)?.checked_mul(1000)
}

/// Parses lines such as `8:0 Read 4096`; returns the bytes read and written.
fn throttle(text: &str) -> (u64, u64) {
    let sum = |kind: &str| {
        let number = |line: &str| {
            let mut words = line.split_ascii_whitespace().skip(1);
            whole(words.find(|word| *word == kind).and(words.next())?)
        };
        text.lines().filter_map(number).fold(0, u64::saturating_add)
    };
    (sum("Read"), sum("Write"))
}

/// Parses lines such as `8:0 rbytes=4096 wbytes=0 rios=1`; returns the bytes
/// read and written.
fn io(text: &str) -> (u64, u64) {
    let sum = |key: &str| {
        let words = text.split_ascii_whitespace();
        let numbers = words.filter_map(|word| whole(word.strip_prefix(key)?));
        numbers.fold(0, u64::saturating_add)
    };
    (sum("rbytes="), sum("wbytes="))
}

/// Adds up the usage of single processes, where no group accounts for them.
/// `file` returns the content of a file of a process; `used` is their processor
/// time, in hundredths of a second.
pub(crate) fn of_processes(pids: &[u32], used: u64, file: &dyn Fn(u32, &str) -> String) -> Usage {
    let sum = |figure: &dyn Fn(u32) -> Option<u64>| {
        let figures = pids.iter().filter_map(|&pid| figure(pid));
        figures.reduce(u64::saturating_add)
    };
    let io = |key: &'static str| move |pid| procfs::number(&file(pid, "io"), key);
    Usage {
        cpu: (!pids.is_empty()).then_some(used.saturating_mul(10_000_000)),
        // Shared memory counts once, where the kernel reports proportional
        // sizes.
        memory: sum(&|pid| {
            let shared = procfs::size(&file(pid, "smaps_rollup"), "Pss");
            shared.or_else(|| procfs::size(&file(pid, "status"), "VmRSS"))
        }),
        memory_limit: None,
        memory_peak: None,
        processes: u64::try_from(pids.len()).ok(),
        read: sum(&io("read_bytes")),
        written: sum(&io("write_bytes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(files: &[(&str, &str)]) -> Usage {
        Usage::of_one(&|name| {
            let mut files = files.iter();
            let found = files.find(|(known, _)| *known == name);
            found.map(|(_, text)| (*text).to_owned())
        })
    }

    #[test]
    fn missing_files_mean_unknown_values() {
        assert_eq!(usage(&[]), Usage::default());
        assert_eq!(
            usage(&[
                (
                    "cpu.stat",
                    "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n"
                ),
                ("memory.max", "max\n"),
                ("memory.peak", ""),
                ("memory.current", "-1\n"),
            ]),
            Usage::default()
        );
        for none in [
            "9223372036854771712\n",
            "9223372036854710272",
            "max",
            "",
            "x",
        ] {
            assert_eq!(bounded(none), None, "{none}");
        }
        assert_eq!(cpu("usage_usec 18446744073709551615\n"), None);
        assert_eq!(throttle("8:0 Read\nRead\nTotal 5\n8:0 Read x\n"), (0, 0));
        assert_eq!(io("8:0 rbytes= wbytes=x rios=7\n"), (0, 0));
    }

    #[test]
    fn both_versions_report_the_same() {
        let first = usage(&[
            ("cpuacct.usage", "1500\n"),
            ("memory.usage_in_bytes", "4096\n"),
            ("memory.limit_in_bytes", "65536\n"),
            ("memory.max_usage_in_bytes", "8192\n"),
            (
                "blkio.throttle.io_service_bytes_recursive",
                "8:0 Read 1\n8:0 Write 2\n8:0 Sync 3\n254:0 Read 10\n254:0 Write 20\nTotal 33\n",
            ),
        ]);
        let second = usage(&[
            ("cpu.stat", "usage_usec 1\nuser_usec 1\nsystem_usec 0\n"),
            ("memory.current", "4096\n"),
            ("memory.max", "65536\n"),
            ("memory.peak", "8192\n"),
            (
                "io.stat",
                "8:0 rbytes=1 wbytes=2 rios=1 wios=1\n254:0 rbytes=10 wbytes=20\n",
            ),
        ]);
        assert_eq!(first.cpu, Some(1500));
        assert_eq!(second.cpu, Some(1000));
        let numbers = |one: &Usage| {
            [
                one.memory,
                one.memory_limit,
                one.memory_peak,
                one.read,
                one.written,
            ]
        };
        assert_eq!(numbers(&first), [4096, 65536, 8192, 11, 22].map(Some));
        assert_eq!(numbers(&second), numbers(&first));
    }

    #[test]
    fn an_unused_controller_reports_zero_not_unknown() {
        let empty = usage(&[("io.stat", "")]);
        assert_eq!((empty.read, empty.written), (Some(0), Some(0)));
    }

    #[test]
    fn processes_are_added_up_and_one_that_has_ended_is_left_out() {
        let file = |pid, name: &str| match (pid, name) {
            (1, "smaps_rollup") => "Rss: 9 kB\nPss: 3 kB\n".to_owned(),
            (2, "status") => "VmRSS:\t 4 kB\n".to_owned(),
            (1 | 2, "io") => "read_bytes: 5\nwrite_bytes: 6\n".to_owned(),
            _ => String::new(),
        };
        let all = of_processes(&[1, 2, 3], 7, &file);
        assert_eq!(
            all,
            Usage {
                cpu: Some(70_000_000),
                memory: Some(7 << 10),
                processes: Some(3),
                read: Some(10),
                written: Some(12),
                ..Usage::default()
            }
        );
        let silent = of_processes(&[1], 7, &|_, _| String::new());
        assert_eq!((silent.memory, silent.read), (None, None));
    }
}
