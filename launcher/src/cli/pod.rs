//! The command lines of `launcher run` and `launcher plan`.

use super::line::{self, Line};
use super::{Command, fetch};
use crate::command::plan::Format;
use crate::command::run;
use crate::ground::{Error, Result};
use crate::pod::reify::Request;
use crate::words::types::Uuid;

/// Takes the options of `run`.
pub(super) fn run(line: &mut Line) -> Result<Command> {
    match line.path("--plan")? {
        None => Ok(Command::Run(options(line)?)),
        Some(_) if line.has_rest() => Err(Error::usage(
            "a plan already has its arguments; `--plan` and `--` exclude each other",
        )),
        Some(file) => Ok(Command::RunPlan(file)),
    }
}

/// Takes the options of `plan`.
pub(super) fn plan(line: &mut Line) -> Result<Command> {
    let format = line.value("--format", format)?;
    let options = options(line)?;
    Ok(Command::Plan(options, format.unwrap_or(Format::Text)))
}

/// Takes the options that both share, and the image.
fn options(line: &mut Line) -> Result<run::Options> {
    let request = Request {
        hostname: line.value("--hostname", |name| Ok(name.to_owned()))?,
        arguments: line
            .rest()
            .into_iter()
            .map(line::text)
            .collect::<Result<_>>()?,
        interactive: line.flag("--interactive"),
        no_overlay: line.flag("--no-overlay"),
    };
    let uuid = line.value("--uuid", Uuid::parse)?;
    let fetch = fetch::options(line)?;
    let image = fetch::reference(line)?
        .ok_or_else(|| Error::usage("an image is missing").hint("for instance `hello.aci`"))?;
    Ok(run::Options {
        image,
        fetch,
        uuid,
        request,
    })
}

fn format(text: &str) -> Result<Format> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        "words" => Ok(Format::Words),
        other => Err(Error::usage(format!(
            "`{other}` is no format of plans; it is `text`, `json` or `words`"
        ))),
    }
}
