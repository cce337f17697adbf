//! The command line of `launcher logs`, and the options that say how a log is kept.

use crate::cli::line::{Line, excluded};
use crate::cli::split::Options;
use crate::cli::{Command, life};
use crate::cmd::logs::{self, Style};
use appc::types::{duration, read_time};
use error::quote::quoted;
use error::{Error, Result};
use pod::state::log::{Log, Place, Size};
use pod::state::records::now;

/// The options that say how a log is kept.
pub(super) const OPTIONS: &[&str] = &["--log", "--log-size"];

/// Takes them, for a pod that is run without its caller or with him.
pub(super) fn of_pod(pod: &Options, detached: bool) -> Result<Option<Log>> {
    let place = pod.value("--log", Place::parse)?;
    let size = pod.value("--log-size", Size::parse)?;
    log(place, size, detached)
}

/// The same, where no images are on the line.
pub(super) fn of_line(line: &mut Line, detached: bool) -> Result<Option<Log>> {
    let place = line.value("--log", named("--log", Place::parse))?;
    let size = line.value("--log-size", named("--log-size", Size::parse))?;
    log(place, size, detached)
}

/// Says which option a value is of that is wrong.
pub(super) fn named<T>(
    option: &str,
    read: impl Fn(&str) -> Result<T>,
) -> impl Fn(&str) -> Result<T> {
    move |text| read(text).map_err(|error| Error::usage(format!("`{option}`")).because(error))
}

fn log(place: Option<Place>, size: Option<Size>, detached: bool) -> Result<Option<Log>> {
    let given = place.map(|_| "--log").or(size.map(|_| "--log-size"));
    match (given, place, size) {
        (Some(option), ..) if !detached => Err(Error::usage(format!(
            "`{option}` wants `--detach`: what other pods write is not kept"
        ))),
        (_, Some(Place::Nowhere), Some(_)) => Err(excluded("--log=none", "--log-size")),
        _ => Ok(detached.then(|| Log {
            place: place.unwrap_or_default(),
            size: size.unwrap_or_default(),
        })),
    }
}

/// Takes the options of `logs`.
pub(super) fn logs(line: &mut Line) -> Result<Command> {
    let timestamps = line.flag("--timestamps");
    let style = match line.value("--format", format)?.unwrap_or(Style::Bare) {
        Style::Json if timestamps => return Err(excluded("--format=json", "--timestamps")),
        Style::Bare if timestamps => Style::Stamped,
        style => style,
    };
    let short = line.flag("-f");
    Ok(Command::Logs(logs::Options {
        raw: line.flag("--raw"),
        follow: line.flag("--follow") || short,
        app: line.value("--app", |text| Ok(text.to_owned()))?,
        since: line.value("--since", since)?.unwrap_or_default(),
        tail: line.value("--tail", count)?,
        style,
        which: life::one(line)?,
    }))
}

fn format(text: &str) -> Result<Style> {
    match text {
        "text" => Ok(Style::Bare),
        "json" => Ok(Style::Json),
        other => Err(Error::usage(format!(
            "`--format`: {} is no format of logs; it is `text` or `json`",
            quoted(other)
        ))),
    }
}

/// Reads since when: a span of time that ends now, or a point in time.
fn since(text: &str) -> Result<u64> {
    let span = duration(text).map(|span| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
    let then = span.map(|span| now().saturating_sub(span));
    then.or_else(|_| read_time(text)).map_err(|_| {
        Error::usage(format!(
            "`--since`: {} is neither a span of time nor a point in time",
            quoted(text)
        ))
        .hint("they are for instance `90s` or `1h30m`, and `2004-05-14T23:11:14Z`")
    })
}

fn count(text: &str) -> Result<usize> {
    text.parse().map_err(|_| {
        let what = format!("`--tail`: {} is no number of lines", quoted(text));
        Error::usage(what)
    })
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
    fn what_cannot_be_meant_is_refused() {
        for (line, said) in [
            (
                "run --log=disk a.aci",
                "125 `--log` wants `--detach`: what other pods write is not kept",
            ),
            (
                "run-prepared --log-size=1Mi x",
                "125 `--log-size` wants `--detach`: what other pods write is not kept",
            ),
            (
                "plan --log=disk a.aci",
                "2 `--log` wants `--detach`: what other pods write is not kept",
            ),
            (
                "run --detach --log=flash a.aci",
                "125 `--log`: `flash` is no place for a log; it is `disk`, `memory` or `none`",
            ),
            (
                "run-prepared --detach --log=flash x",
                "125 `--log`: `flash` is no place for a log; it is `disk`, `memory` or `none`",
            ),
            (
                "run --detach --log-size=1k --plan p",
                "125 `--log-size`: `1k` is less than `16Ki`, which is the least",
            ),
            (
                "run --detach --log=none --log-size=1Mi a.aci",
                "125 `--log=none` and `--log-size` exclude each other",
            ),
            (
                "prepare --log=none a.aci",
                "2 there is no option `--log`\nhint: `launcher help COMMAND` lists the options of a command",
            ),
            (
                "logs --since=yesterday x",
                "2 `--since`: `yesterday` is neither a span of time nor a point in time\n\
                 hint: they are for instance `90s` or `1h30m`, and `2004-05-14T23:11:14Z`",
            ),
            ("logs --tail=-1 x", "2 `--tail`: `-1` is no number of lines"),
            (
                "logs --format=xml x",
                "2 `--format`: `xml` is no format of logs; it is `text` or `json`",
            ),
            (
                "logs --format=json --timestamps x",
                "2 `--format=json` and `--timestamps` exclude each other",
            ),
        ] {
            assert_eq!(parsed(line).err().as_deref(), Some(said), "{line}");
        }
    }

    #[test]
    fn a_detached_pod_has_a_log_if_nobody_says_otherwise() {
        for (options, place, bytes) in [
            ("", Place::Disk, 1 << 20),
            ("--log=memory", Place::Memory, 1 << 20),
            ("--log=none", Place::Nowhere, 1 << 20),
            ("--log=disk --log-size=64Ki", Place::Disk, 64 << 10),
        ] {
            let Ok(Command::RunPrepared(_, manner)) =
                parsed(&format!("run-prepared --detach {options} x"))
            else {
                unreachable!("it is understood");
            };
            let log = manner.detached.map(|log| (log.place, log.size.bytes()));
            assert_eq!(log, Some((place, bytes)), "{options}");
        }
    }

    #[test]
    fn since_is_a_span_or_a_point_in_time() {
        for (text, expected) in [("1970-01-01T00:00:01Z", 1_000_000_000), ("9999999d", 0)] {
            assert_eq!(since(text).ok(), Some(expected), "{text}");
        }
        let hour = since("1h").unwrap_or_default();
        let ago = now().saturating_sub(hour);
        assert!(
            (3_600_000_000_000..3_700_000_000_000).contains(&ago),
            "{ago}"
        );
    }
}
