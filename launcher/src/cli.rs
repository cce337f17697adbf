//! The command line: `argv` becomes an [`Invocation`] in which everything has
//! been checked that can be checked without looking at the host.
//!
//! Here are the commands; how each family of them is spelt is in a file of its own.

mod enter;
mod export;
mod fetch;
mod image;
mod life;
mod line;
mod log;
mod pod;
mod split;
mod trust;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::line::Line;

use crate::cmd::detach::Manner;
use crate::cmd::plan::Format;
use crate::cmd::which::Which;
use crate::cmd::{OURS, collect, help, list, logs, run, stats, status, stop, version};
use ::pod::state::log::Log;
use appc::types::{AcName, Uuid};
use error::{Error, Result};

/// What was asked for.
pub(crate) struct Invocation {
    /// Where images and pods are, if the caller said it.
    pub(crate) dir: Option<PathBuf>,
    /// What to do.
    pub(crate) command: Command,
}

/// A command with its options.
pub(crate) enum Command {
    /// Print this.
    Say(String),
    /// Run a pod.
    Run(run::Options),
    /// Make a pod, to be run later.
    Prepare(run::Options),
    /// Run the pod whose UUID begins so.
    RunPrepared(String, Manner),
    /// Execute a plan, in a pod that may have a name.
    RunPlan(PathBuf, Option<AcName>, Manner),
    /// Run a pod whose lock is the standard input, keep it in the end or not, and
    /// its log so; its terminal can be the standard output.
    Begin(Uuid, bool, Log, bool),
    /// Attend to the terminal of a pod.
    Attach(crate::cmd::attach::Attach),
    /// Show the plan of a pod.
    Plan(run::Options, Format),
    /// Fetch images.
    Fetch(crate::cmd::fetch::Options),
    /// Show or change the store.
    Image(crate::cmd::image::Verb),
    /// Say whose signatures count.
    Trust(crate::cmd::trust::Verb),
    /// List pods.
    List(list::Listing),
    /// Tell of a pod.
    Status(status::Options),
    /// Tell how much pods use.
    Stats(stats::Options),
    /// Pause pods.
    Pause(Which),
    /// Let pods go on.
    Resume(Which),
    /// Stop pods.
    Stop(stop::Stop),
    /// Send a signal to pods.
    Kill(Which, rustix::process::Signal),
    /// Remove pods, also those that run.
    Remove(Which, bool),
    /// Remove what is left of pods.
    Collect(collect::Collect),
    /// Print the manifest of a pod.
    CatManifest(Which),
    /// Print what the apps of a pod have written.
    Logs(logs::Options),
    /// Run a command in a pod.
    Enter(crate::cmd::enter::Options),
    /// Say why a command was not executed of which these are open, and which
    /// has this status.
    Entered([u32; 3], u8),
    /// Make an image of an app of a pod.
    Export(crate::cmd::export::Export),
    /// Check files.
    Validate(Vec<PathBuf>),
    /// Clean up after a pod that ended with this status.
    Finish(Uuid, u8),
    /// Serve the metadata of a pod to who connected to the standard input.
    Serve(Uuid),
}

impl Command {
    /// Tells whether pipes are wanted before the caller's streams.
    pub(crate) fn is_piped(&self) -> bool {
        match self {
            Self::Run(options) => options.manner.piped,
            Self::RunPrepared(_, manner) | Self::RunPlan(_, _, manner) => manner.piped,
            _ => false,
        }
    }
}

/// A command line that is not understood: why, and the status to exit with.
pub(crate) struct Misuse {
    /// Why.
    pub(crate) error: Error,
    /// Usage errors of commands that exit with an app's status must not look
    /// like one.
    pub(crate) status: u8,
}

/// Status of wrong usage, where no app's status could be meant.
const USAGE: u8 = 2;

/// Understands the arguments, without the program's name.
pub(crate) fn parse(arguments: Vec<OsString>) -> std::result::Result<Invocation, Misuse> {
    let mut line = match enter::command(&arguments) {
        Some(at) => Line::until(at, arguments),
        None => Line::new(arguments),
    };
    let dir = line.path("--dir");
    let verb = match line.verb() {
        Ok(Some(verb)) => verb,
        _ if line.flag("--version") => "version".to_owned(),
        _ => "help".to_owned(),
    };
    dir.and_then(|dir| {
        let command = command(&verb, line)?;
        Ok(Invocation { dir, command })
    })
    .map_err(|error| Misuse {
        error,
        status: match verb.as_str() {
            "run" | "run-prepared" | "attach" | "enter" => OURS,
            _ => USAGE,
        },
    })
}

fn command(verb: &str, mut line: Line) -> Result<Command> {
    if line.flag("--help") || line.flag("-h") {
        let about = (verb != "help").then_some(verb);
        return Ok(Command::Say(help::text(about)?));
    }
    let command = match verb {
        "run" => pod::run(&mut line)?,
        "prepare" => pod::prepare(&mut line)?,
        "run-prepared" => pod::run_prepared(&mut line)?,
        "plan" => pod::plan(&mut line)?,
        "fetch" => Command::Fetch(fetch::fetch(&mut line)?),
        "image" => Command::Image(image::verb(&mut line)?),
        "trust" => Command::Trust(trust::verb(&mut line)?),
        "list" => life::list(&mut line)?,
        "status" => life::status(&mut line)?,
        "stats" => life::stats(&mut line)?,
        "pause" => Command::Pause(life::several(&mut line)?),
        "resume" => Command::Resume(life::several(&mut line)?),
        "stop" => life::stop(&mut line)?,
        "kill" => life::kill(&mut line)?,
        "rm" => life::remove(&mut line)?,
        "gc" => life::collect(&mut line)?,
        "cat-manifest" => Command::CatManifest(life::one(&mut line)?),
        "logs" => log::logs(&mut line)?,
        "attach" => life::attach(&mut line)?,
        "export" => export::export(&mut line)?,
        "enter" => enter::enter(&mut line)?,
        "entered" => enter::entered(&mut line)?,
        "validate" => Command::Validate(files(&mut line)?),
        "help" => Command::Say(help::text(line.word()?.as_deref())?),
        "version" => Command::Say(version::text()),
        "begin" => {
            let (keep, log) = (line.flag("--keep"), log::of_line(&mut line, true)?);
            let terminal = line.flag("--terminal");
            let uuid = line.word()?;
            let uuid = uuid.ok_or_else(|| Error::usage("an argument is missing"))?;
            Command::Begin(Uuid::parse(&uuid)?, keep, log.unwrap_or_default(), terminal)
        }
        "finish" => {
            let (uuid, status) = (line.word()?, line.word()?);
            let missing = || Error::usage("an argument is missing");
            let uuid = Uuid::parse(&uuid.ok_or_else(missing)?)?;
            match status.as_deref() {
                Some("demand") => Command::Serve(uuid),
                status => {
                    let status = status.and_then(|status| status.parse().ok());
                    Command::Finish(uuid, status.ok_or_else(missing)?)
                }
            }
        }
        other => return Err(help::unknown(other)),
    };
    line.finish()?;
    Ok(command)
}

fn files(line: &mut Line) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    while let Some(file) = line.argument()? {
        files.push(file);
    }
    files.extend(line.rest().into_iter().map(PathBuf::from));
    if files.is_empty() {
        return Err(Error::usage("a file is missing"));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use appc::reference::Reference;

    fn command(line: &str) -> std::result::Result<Command, String> {
        let words = line.split_whitespace().map(OsString::from).collect();
        parse(words)
            .map(|invocation| invocation.command)
            .map_err(|misuse| format!("{} {}", misuse.status, misuse.error))
    }

    fn message(line: &str) -> String {
        command(line).err().unwrap_or_default()
    }

    #[test]
    fn wrong_usage_is_named_and_never_looks_like_an_apps_status() {
        for (line, expected) in [
            (
                "fly",
                "2 there is no command `fly`\nhint: `launcher help` lists all commands",
            ),
            (
                "run",
                "125 an image is missing\nhint: for instance `hello.aci`",
            ),
            (
                "run --fast a.aci",
                "125 there is no option `--fast`\nhint: `launcher help COMMAND` lists the options of a command",
            ),
            (
                "run a.aci b",
                "125 `b` is one argument too many\nhint: arguments of the app stand behind `--`, another app behind `---`",
            ),
            ("run --uuid", "125 `--uuid` needs a value"),
            (
                "run --plan p -- x",
                "125 a plan already has its arguments; `--plan` and `--` exclude each other",
            ),
            (
                "plan --format xml a.aci",
                "2 `--format`: `xml` is no format of plans; it is `text`, `json` or `words`",
            ),
            ("validate", "2 a file is missing"),
            ("version now", "2 `now` is one argument too many"),
            ("validate --dir", "2 `--dir` needs a value"),
        ] {
            assert_eq!(message(line), expected, "{line}");
        }
    }

    #[test]
    fn what_stands_behind_the_dashes_is_the_apps() {
        let Ok(Command::Run(options)) = command("run a.aci -- --dir x --help --") else {
            unreachable!("it is understood");
        };
        let [app] = &options.request.apps[..] else {
            unreachable!("it is one app");
        };
        assert_eq!(app.arguments, ["--dir", "x", "--help", "--"]);
        assert_eq!(options.images, [Reference::Path("a.aci".into())]);
    }

    #[test]
    fn help_is_found_wherever_it_is_asked_for() {
        for line in [
            "",
            "help",
            "--help",
            "-h",
            "help help",
            "run --help",
            "plan x.aci -h",
        ] {
            assert!(
                matches!(command(line), Ok(Command::Say(text)) if text.contains("Usage")),
                "{line}"
            );
        }
    }
}
