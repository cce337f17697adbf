//! The command line: `argv` becomes an [`Invocation`] in which everything has
//! been checked that can be checked without looking at the host.
//!
//! The only file that knows pico-args.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use pico_args::Arguments;

use crate::command::plan::Format;
use crate::command::{help, image, run, version};
use crate::ground::{Error, Result};
use crate::pod::reify::Request;
use crate::words::types::Uuid;

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
    /// Run an image.
    Run(run::Options),
    /// Execute a plan.
    RunPlan(PathBuf),
    /// Show the plan of an image.
    Plan(run::Options, Format),
    /// Show or change the store.
    Image(image::Verb),
    /// Check files.
    Validate(Vec<PathBuf>),
    /// Clean up after a pod that ended with this status.
    Finish(Uuid, u8),
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

/// Status of commands that exit with an app's status, when they fail themselves.
pub(crate) const OURS: u8 = 125;

/// Understands the arguments, without the program's name.
pub(crate) fn parse(mut arguments: Vec<OsString>) -> std::result::Result<Invocation, Misuse> {
    // What follows `--` is the app's, whatever it looks like.
    let rest = arguments
        .iter()
        .position(|argument| argument == "--")
        .map(|at| arguments.split_off(at).into_iter().skip(1).collect());
    let mut arguments = Arguments::from_vec(arguments);
    let dir = arguments.opt_value_from_os_str("--dir", path);
    let verb = match arguments.subcommand() {
        Ok(Some(verb)) => verb,
        _ if arguments.contains("--version") => "version".to_owned(),
        _ => "help".to_owned(),
    };
    dir.map_err(misused)
        .and_then(|dir| {
            let command = command(&verb, arguments, rest)?;
            Ok(Invocation { dir, command })
        })
        .map_err(|error| Misuse {
            error,
            status: if verb == "run" { OURS } else { USAGE },
        })
}

fn command(verb: &str, mut arguments: Arguments, rest: Option<Vec<OsString>>) -> Result<Command> {
    if arguments.contains(["-h", "--help"]) {
        let about = (verb != "help").then_some(verb);
        return Ok(Command::Say(help::text(about)?));
    }
    let command = match verb {
        "run" => parse_run(&mut arguments, rest)?,
        "plan" => {
            let format = optional(&mut arguments, "--format", format)?;
            let options = pod_options(&mut arguments, rest)?;
            Command::Plan(options, format.unwrap_or(Format::Text))
        }
        "image" => Command::Image(image_verb(&mut arguments)?),
        "validate" => Command::Validate(files(&mut arguments, rest)?),
        "help" => {
            let name: Option<String> = arguments.opt_free_from_str().map_err(misused)?;
            Command::Say(help::text(name.as_deref())?)
        }
        "version" => Command::Say(version::text()),
        "finish" => Command::Finish(
            arguments.free_from_fn(Uuid::parse).map_err(misused)?,
            arguments.free_from_str().map_err(misused)?,
        ),
        other => return Err(help::unknown(other)),
    };
    match arguments.finish().first() {
        None => Ok(command),
        Some(surplus) => Err(surplus_argument(verb, &surplus.to_string_lossy())),
    }
}

fn parse_run(arguments: &mut Arguments, rest: Option<Vec<OsString>>) -> Result<Command> {
    match arguments
        .opt_value_from_os_str("--plan", path)
        .map_err(misused)?
    {
        None => Ok(Command::Run(pod_options(arguments, rest)?)),
        Some(_) if rest.is_some() => Err(Error::usage(
            "a plan already has its arguments; `--plan` and `--` exclude each other",
        )),
        Some(file) => Ok(Command::RunPlan(file)),
    }
}

/// Takes the options that `run` and `plan` share, and the image.
fn pod_options(arguments: &mut Arguments, rest: Option<Vec<OsString>>) -> Result<run::Options> {
    let request = Request {
        hostname: optional(arguments, "--hostname", |name| Ok(name.to_owned()))?,
        arguments: rest
            .unwrap_or_default()
            .into_iter()
            .map(|word| word.into_string().map_err(|word| not_text(&word)))
            .collect::<Result<_>>()?,
        interactive: arguments.contains("--interactive"),
        no_overlay: arguments.contains("--no-overlay"),
    };
    let uuid = optional(arguments, "--uuid", Uuid::parse)?;
    let image = next_file(arguments)?
        .ok_or_else(|| Error::usage("an image is missing").hint("for instance `hello.aci`"))?;
    Ok(run::Options {
        image,
        uuid,
        request,
    })
}

fn image_verb(arguments: &mut Arguments) -> Result<image::Verb> {
    let verb = arguments.subcommand().map_err(misused)?;
    let missing = || Error::usage("an image is missing").hint("`launcher image list` lists them");
    Ok(match verb.as_deref() {
        Some("list") => image::Verb::List {
            full: arguments.contains("--full"),
            legend: !arguments.contains("--no-legend"),
            json: optional(arguments, "--format", json)?.unwrap_or(false),
        },
        Some("rm") => image::Verb::Remove(match names(arguments)? {
            names if names.is_empty() => return Err(missing()),
            names => names,
        }),
        Some("verify") => image::Verb::Verify(names(arguments)?),
        Some("cat-manifest") => image::Verb::CatManifest(name(arguments)?.ok_or_else(missing)?),
        Some(verb @ ("export" | "extract" | "render")) => {
            let image = name(arguments)?.ok_or_else(missing)?;
            let target = next_file(arguments)?;
            match (verb, target) {
                ("export", Some(file)) => image::Verb::Export(image, file),
                ("extract", Some(directory)) => image::Verb::Extract(image, directory),
                ("render", Some(directory)) => image::Verb::Render(image, directory),
                ("export", None) => return Err(Error::usage("a file is missing")),
                _ => return Err(Error::usage("a directory is missing")),
            }
        }
        Some(other) => {
            return Err(Error::usage(format!("there is no command `image {other}`"))
                .hint("`launcher help image` lists them"));
        }
        None => {
            return Err(
                Error::usage("`image` needs a command").hint("`launcher help image` lists them")
            );
        }
    })
}

fn names(arguments: &mut Arguments) -> Result<Vec<String>> {
    let mut names = Vec::new();
    while let Some(name) = name(arguments)? {
        names.push(name);
    }
    Ok(names)
}

/// Takes the next argument that is no option, as text.
fn name(arguments: &mut Arguments) -> Result<Option<String>> {
    let name = next_file(arguments)?.map(|name| name.into_os_string().into_string());
    name.transpose().map_err(|name| not_text(&name))
}

/// Reads the format of a table: is it JSON?
fn json(text: &str) -> Result<bool> {
    match text {
        "text" => Ok(false),
        "json" => Ok(true),
        other => Err(Error::usage(format!(
            "`{other}` is no format; it is `text` or `json`"
        ))),
    }
}

fn files(arguments: &mut Arguments, rest: Option<Vec<OsString>>) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    while let Some(file) = next_file(arguments)? {
        files.push(file);
    }
    files.extend(rest.into_iter().flatten().map(PathBuf::from));
    if files.is_empty() {
        return Err(Error::usage("a file is missing"));
    }
    Ok(files)
}

/// Takes the next argument that is no option.
fn next_file(arguments: &mut Arguments) -> Result<Option<PathBuf>> {
    match arguments.opt_free_from_os_str(path).map_err(misused)? {
        Some(option) if option.as_os_str().as_encoded_bytes().starts_with(b"-") => {
            Err(unknown_option(&option.to_string_lossy()))
        }
        file => Ok(file),
    }
}

fn optional<T>(
    arguments: &mut Arguments,
    name: &'static str,
    read: impl Fn(&str) -> Result<T>,
) -> Result<Option<T>> {
    let value: Option<String> = arguments.opt_value_from_str(name).map_err(misused)?;
    value.map(|value| read(&value)).transpose()
}

fn path(text: &OsStr) -> std::result::Result<PathBuf, Infallible> {
    Ok(PathBuf::from(text))
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

fn surplus_argument(verb: &str, argument: &str) -> Error {
    if argument.starts_with('-') {
        return unknown_option(argument);
    }
    let error = Error::usage(format!("`{argument}` is one argument too many"));
    match verb {
        "run" | "plan" => error.hint("arguments of the app stand behind `--`"),
        _ => error,
    }
}

fn unknown_option(option: &str) -> Error {
    Error::usage(format!("there is no option `{option}`"))
        .hint("`launcher help COMMAND` lists the options of a command")
}

fn not_text(word: &OsStr) -> Error {
    Error::usage(format!(
        "the argument `{}` is not UTF-8 text",
        word.to_string_lossy()
    ))
}

/// Says in our words what pico-args found wrong.
fn misused(error: pico_args::Error) -> Error {
    use pico_args::Error as Misused;
    match error {
        Misused::OptionWithoutAValue(name) => Error::usage(format!("`{name}` needs a value")),
        Misused::MissingArgument => Error::usage("an argument is missing"),
        Misused::NonUtf8Argument => Error::usage("an argument is not UTF-8 text"),
        Misused::Utf8ArgumentParsingFailed { value, cause } => {
            Error::usage(format!("`{value}`: {cause}"))
        }
        other => Error::usage(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                "125 `b` is one argument too many\nhint: arguments of the app stand behind `--`",
            ),
            ("run --uuid", "125 `--uuid` needs a value"),
            (
                "run --plan p -- x",
                "125 a plan already has its arguments; `--plan` and `--` exclude each other",
            ),
            (
                "plan --format xml a.aci",
                "2 `xml` is no format of plans; it is `text`, `json` or `words`",
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
        assert_eq!(options.request.arguments, ["--dir", "x", "--help", "--"]);
        assert_eq!(options.image, PathBuf::from("a.aci"));
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
