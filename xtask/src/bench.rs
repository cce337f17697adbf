//! Compares with the peers that are installed, in one run: absolute times move
//! from machine to machine and from hour to hour, so read the ratios.

mod run;
mod unpack;

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::cmd::Result;

pub(crate) use run::run;
pub(crate) use unpack::unpack;

/// One way to do what is compared.
struct Contender {
    name: String,
    command: Command,
    times: Vec<Duration>,
    /// Most memory that it and its children took at a time, in KiB.
    memory: u64,
}

impl Contender {
    fn new<W: AsRef<std::ffi::OsStr>>(name: &str, program: &Path, words: &[W]) -> Self {
        let mut command = Command::new(program);
        command.args(words);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Self {
            name: name.to_owned(),
            command,
            times: Vec::new(),
            memory: 0,
        }
    }

    /// Runs to the end, and returns how long that took.
    fn once(&mut self) -> Result<Duration> {
        let start = Instant::now();
        let status = self.command.status().map_err(|error| self.cannot(&error))?;
        let time = start.elapsed();
        self.check(status)?;
        Ok(time)
    }

    /// Runs to the end, and looks all the time at the memory that is taken.
    fn watched(&mut self) -> Result<()> {
        let mut child = self.command.spawn().map_err(|error| self.cannot(&error))?;
        let status = loop {
            self.memory = self.memory.max(memory_of(&child));
            if let Some(status) = child.try_wait().map_err(|error| self.cannot(&error))? {
                break status;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        self.check(status)
    }

    fn check(&self, status: ExitStatus) -> Result<()> {
        match status.success() {
            true => Ok(()),
            false => Err(format!("{} fails: {status}", self.name)),
        }
    }

    fn cannot(&self, error: &std::io::Error) -> String {
        format!("cannot run {}: {error}", self.name)
    }

    /// Returns the time, in milliseconds, that so many tenths of all stay below.
    fn quantile(&self, tenths: usize) -> f64 {
        let mut times = self.times.clone();
        times.sort_unstable();
        let last = times.len().saturating_sub(1);
        let index = (times.len() * tenths / 10).min(last);
        times.get(index).map_or(0.0, Duration::as_secs_f64) * 1000.0
    }
}

/// Peaks of a process and of its children, in KiB, as far as they live.
fn memory_of(child: &Child) -> u64 {
    let peak = |pid: &str| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|text| text.split_whitespace().next()?.parse().ok());
        peak.unwrap_or(0_u64)
    };
    let pid = child.id().to_string();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    peak(&pid) + children.split_whitespace().map(peak).sum::<u64>()
}
