//! The command lines of pods that are there: `launcher list`, `status`,
//! `stats`, `pause`, `resume`, `stop`, `kill`, `rm`, `gc`, `attach` and
//! `cat-manifest`.

use std::time::Duration;

use rustix::process::Signal;

use crate::cli::Command;
use crate::cli::image::format;
use crate::cli::line::{Line, excluded};
use crate::cli::log::named;
use crate::cli::pod::KEYS;
use crate::cli::split::boolean;
use crate::cmd::attach::Attach;
use crate::cmd::collect::Collect;
use crate::cmd::list::Listing;
use crate::cmd::stats;
use crate::cmd::status::{self, Wait};
use crate::cmd::stop::Stop;
use crate::cmd::table::Format;
use crate::cmd::which::Which;
use appc::types::duration;
use error::{Error, Result};
use pod::runtime::detach_keys::Keys;
use sys::signal_names::signal;

/// How long a pod may take to stop.
const STOP: Duration = Duration::from_secs(10);

/// How long a pod is kept that is over.
const GRACE: Duration = Duration::from_secs(30 * 60);

/// How long a pod stays prepared.
const EXPIRE: Duration = Duration::from_secs(24 * 3600);

/// Takes the options of `list`.
pub(super) fn list(line: &mut Line) -> Result<Command> {
    Ok(Command::List(Listing {
        full: line.flag("--full"),
        legend: !line.flag("--no-legend"),
        format: line.value("--format", format)?.unwrap_or(Format::Text),
    }))
}

/// Takes the options of `status`.
pub(super) fn status(line: &mut Line) -> Result<Command> {
    Ok(Command::Status(status::Options {
        over: wait(line, "--wait")?,
        ready: wait(line, "--wait-ready")?,
        format: line.value("--format", format)?.unwrap_or(Format::Text),
        which: one(line)?,
    }))
}

/// Takes the options of `stats`.
pub(super) fn stats(line: &mut Line) -> Result<Command> {
    let legend = !line.flag("--no-legend");
    let format = line.value("--format", format)?.unwrap_or(Format::Text);
    let file = line.path("--uuid-file")?;
    let words = line.words()?;
    let which = match (&words[..], &file) {
        ([], None) => Which::default(),
        _ => which(words, file)?,
    };
    Ok(Command::Stats(stats::Options {
        which,
        legend,
        format,
    }))
}

/// Takes the options of `stop`.
pub(super) fn stop(line: &mut Line) -> Result<Command> {
    Ok(Command::Stop(Stop {
        time: line.value("--time", duration)?.unwrap_or(STOP),
        signal: line.value("--signal", signal)?.unwrap_or(Signal::TERM),
        which: several(line)?,
    }))
}

/// Takes the options of `kill`.
pub(super) fn kill(line: &mut Line) -> Result<Command> {
    let signal = line.value("--signal", signal)?.unwrap_or(Signal::KILL);
    Ok(Command::Kill(several(line)?, signal))
}

/// Takes the options of `rm`.
pub(super) fn remove(line: &mut Line) -> Result<Command> {
    let force = line.flag("--force");
    Ok(Command::Remove(several(line)?, force))
}

/// Takes the options of `gc`.
pub(super) fn collect(line: &mut Line) -> Result<Command> {
    Ok(Command::Collect(Collect {
        grace: line.value("--grace-period", duration)?.unwrap_or(GRACE),
        expire: line.value("--expire-prepared", duration)?.unwrap_or(EXPIRE),
        dry: line.flag("--dry-run"),
    }))
}

/// Takes the options of `attach`.
pub(super) fn attach(line: &mut Line) -> Result<Command> {
    let keys = line.value(KEYS, named(KEYS, Keys::parse))?;
    Ok(Command::Attach(Attach {
        keys: keys.unwrap_or_default(),
        which: one(line)?,
    }))
}

/// Takes one pod.
pub(super) fn one(line: &mut Line) -> Result<Which> {
    let file = line.path("--uuid-file")?;
    let words: Vec<String> = line.word()?.into_iter().collect();
    which(words, file)
}

/// Takes pods.
pub(super) fn several(line: &mut Line) -> Result<Which> {
    let file = line.path("--uuid-file")?;
    which(line.words()?, file)
}

pub(super) fn which(words: Vec<String>, file: Option<std::path::PathBuf>) -> Result<Which> {
    match (&words[..], &file) {
        ([], None) => {
            Err(Error::usage("the UUID of a pod is missing").hint("`launcher list` lists all pods"))
        }
        ([uuid, ..], Some(_)) => Err(excluded("--uuid-file", uuid)),
        _ => Ok(Which { words, file }),
    }
}

/// Takes an option that can have a span of time: `--wait` or `--wait=10s`.
fn wait(line: &mut Line, name: &'static str) -> Result<Wait> {
    if line.flag(name) {
        return Ok(Wait::Ever);
    }
    let wait = line.value(name, |text| match boolean(text) {
        // A span of no time is none: `0` and `1` are truth values, too.
        Some(true) => Ok(Wait::Ever),
        Some(false) => Ok(Wait::No),
        None => duration(text).map(Wait::For),
    })?;
    Ok(wait.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    fn parsed(line: &str) -> std::result::Result<Command, String> {
        let words = line.split_whitespace().map(OsString::from).collect();
        crate::cli::parse(words)
            .map(|invocation| invocation.command)
            .map_err(|misuse| format!("{} {}", misuse.status, misuse.error))
    }

    #[test]
    fn a_pod_that_is_missing_or_said_twice_is_wrong_usage() {
        for verb in [
            "status",
            "pause",
            "resume",
            "stop",
            "kill",
            "rm",
            "cat-manifest",
            "logs",
        ] {
            assert_eq!(
                parsed(verb).err(),
                Some(
                    "2 the UUID of a pod is missing\nhint: `launcher list` lists all pods"
                        .to_owned()
                )
            );
            assert_eq!(
                parsed(&format!("{verb} web --uuid-file f")).err(),
                Some("2 `--uuid-file` and `web` exclude each other".to_owned())
            );
        }
        assert_eq!(
            parsed("status a b").err(),
            Some("2 `b` is one argument too many".to_owned())
        );
        assert_eq!(
            parsed("run-prepared --rm --keep x").err(),
            Some("125 `--keep` and `--rm` exclude each other".to_owned())
        );
    }

    #[test]
    fn without_a_pod_all_are_measured() {
        for (line, all) in [("stats --no-legend", true), ("stats web", false)] {
            let Ok(Command::Stats(options)) = parsed(line) else {
                unreachable!("it is understood");
            };
            assert_eq!(options.which.is_empty(), all, "{line}");
        }
        assert_eq!(
            parsed("stats web --uuid-file f").err(),
            Some("2 `--uuid-file` and `web` exclude each other".to_owned())
        );
    }

    #[test]
    fn waiting_is_for_ever_or_for_a_span_of_time() {
        for (options, over, ready) in [
            ("", Wait::No, Wait::No),
            ("--wait", Wait::Ever, Wait::No),
            ("--wait=true --wait-ready=false", Wait::Ever, Wait::No),
            ("--wait-ready", Wait::No, Wait::Ever),
            (
                "--wait=2m --wait-ready=3s",
                Wait::For(Duration::from_secs(120)),
                Wait::For(Duration::from_secs(3)),
            ),
        ] {
            let Ok(Command::Status(status)) = parsed(&format!("status {options} web")) else {
                unreachable!("it is understood");
            };
            assert_eq!((status.over, status.ready), (over, ready), "{options}");
            assert_eq!(status.which.words, ["web"]);
        }
    }
}
