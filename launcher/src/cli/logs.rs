//! The command line of `launcher logs`.

use crate::cli::args::Args;
use crate::cli::command::Command;
use crate::cli::selector::one;
use crate::cli::spelling::excluded;
use crate::cmd::logs::{self, Style};
use appc::types::{duration, read_time};
use error::quote::quoted;
use error::{Error, Result};
use pod::state::records::now;

/// Takes the options of `logs`, and a pod.
pub(super) fn logs(args: &mut Args) -> Result<Command> {
    let options = &mut args.options;
    let timestamps = options.flag("--timestamps");
    let style = match options.value("--format", format)?.unwrap_or(Style::Bare) {
        Style::Json if timestamps => return Err(excluded("--format=json", "--timestamps")),
        Style::Bare if timestamps => Style::Stamped,
        style => style,
    };
    Ok(Command::Logs(logs::Options {
        raw: options.flag("--raw"),
        follow: options.flag("--follow"),
        app: options.value("--app", |text| Ok(text.to_owned()))?,
        since: options.value("--since", since)?.unwrap_or_default(),
        tail: options.value("--tail", count)?,
        style,
        selector: one(args)?,
    }))
}

fn format(text: &str) -> Result<Style> {
    match text {
        "text" => Ok(Style::Bare),
        "json" => Ok(Style::Json),
        other => Err(Error::usage(format!(
            "{} is not a format of logs: use `text` or `json`",
            quoted(other)
        ))),
    }
}

/// Reads an age or a date.
fn since(text: &str) -> Result<u64> {
    let span = duration(text).map(|span| u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
    let then = span.map(|span| now().saturating_sub(span));
    then.or_else(|_| read_time(text)).map_err(|_| {
        Error::usage(format!("{} is neither an age nor a date", quoted(text)))
            .hint("use an age such as `90s` or `1h30m`, or a date such as `2004-05-14T23:11:14Z`")
    })
}

fn count(text: &str) -> Result<usize> {
    text.parse()
        .map_err(|_| Error::usage(format!("{} is not a number of lines", quoted(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

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
