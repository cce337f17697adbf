//! The command line: turns `argv` into an [`Invocation`], in which everything
//! is checked that can be checked without looking at the host.
//!
//! The [`table`] lists all commands and options. Each family of commands has a
//! file that takes its options.

mod args;
mod build;
pub(crate) mod command;
mod completion;
mod cp;
mod diff;
mod enter;
mod export;
mod fetch;
mod help;
mod image;
mod image_args;
mod log_options;
mod logins;
mod logs;
mod man;
mod names;
mod nearest;
mod options;
mod pod_args;
mod pods;
mod policy;
mod run;
mod selector;
mod separated;
mod spelling;
mod table;
mod text;
mod trust;
mod typed;
mod values;

use std::ffi::OsString;
use std::vec::IntoIter;

use crate::cli::args::{Args, Until, global};
use crate::cli::command::{Command, Invocation, Misuse};
use crate::cli::pod_args::PodArgs;
use crate::cli::table::spec::CommandSpec;
use crate::cli::table::{COMMANDS, general, visible};
use crate::cli::typed::Typed;
use crate::cli::values::formatted;
use crate::cmd::notify::{Handed, Sockets};
use crate::cmd::policy::Verb;
use crate::cmd::results::Format;
use crate::cmd::{ONCE_MORE, OURS, version};
use appc::types::Uuid;
use error::{Error, Result};
use pod::runtime::again::Kept;

/// Exit status for wrong usage, in commands that do not exit with an app's
/// status.
const USAGE: u8 = 2;

/// Parses the arguments, without the program's name.
pub(crate) fn parse(arguments: Vec<OsString>) -> std::result::Result<Invocation, Misuse> {
    let mut words = arguments.into_iter();
    let once_more = words
        .as_slice()
        .first()
        .is_some_and(|word| word == ONCE_MORE);
    if once_more {
        words.next();
    }
    let mut typed = Typed::default();
    let command = front(&mut words, &mut typed);
    let runs = matches!(command, Ok(Front::Command(spec)) if spec.runs);
    command
        .and_then(|front| match front {
            Front::Say(text) => Ok((Command::Say(text), typed)),
            Front::Command(spec) => command_of(spec, words.collect(), typed, once_more),
        })
        .map(|(command, typed)| Invocation {
            dir: typed.dir,
            verbose: typed.verbose,
            timing: typed.timing,
            command,
        })
        .map_err(|error| Misuse {
            error,
            status: if runs { OURS } else { USAGE },
        })
}

/// The front of a command line: a text to print, or a command.
enum Front {
    Say(String),
    Command(&'static CommandSpec),
}

/// Reads the options before the command, and its name. Replaces an alias by
/// what it stands for.
fn front(words: &mut IntoIter<OsString>, typed: &mut Typed) -> Result<Front> {
    let all: Vec<_> = general::GLOBAL.options.iter().collect();
    let (mut wants_help, mut wants_version) = (false, false);
    while words
        .as_slice()
        .first()
        .is_some_and(|word| spelling::is_option(word))
    {
        let Some(word) = words.next() else { break };
        for given in spelling::read(&word, words, &all, typed)? {
            wants_version |= given.option.name == "--version";
            wants_help |= global(&given, typed)?;
        }
    }
    let Some(word) = words.next() else {
        return Ok(Front::Say(match wants_version && !wants_help {
            true => version::spell(Format::Text),
            false => help::overview(),
        }));
    };
    let name = spelling::text(word)?;
    let alias = table::alias(&name);
    if let Some([_, more @ ..]) = alias {
        let more = more.iter().map(OsString::from);
        *words = more.chain(words.by_ref()).collect::<Vec<_>>().into_iter();
    }
    let verb = alias.map_or(&*name, |words| words[0]);
    let mut spec = table::find(COMMANDS, verb)
        .ok_or_else(|| typed.unknown_command(&name, &visible(COMMANDS).collect::<Vec<_>>()))?;
    typed.command = name;
    if let Some(below) = words.as_slice().first().and_then(|word| word.to_str())
        && let Some(below) = table::find(spec.commands, below)
    {
        words.next();
        if alias.is_none() {
            typed.command = format!("{} {}", typed.command, below.name);
        }
        spec = below;
    }
    Ok(match wants_help {
        true => Front::Say(help::of(spec)),
        false => Front::Command(spec),
    })
}

/// Parses what follows the name of a command.
fn command_of(
    spec: &'static CommandSpec,
    words: Vec<OsString>,
    typed: Typed,
    once_more: bool,
) -> Result<(Command, Typed)> {
    let help = |typed| Ok((Command::Say(help::of(spec)), typed));
    let parent = table::parent(spec);
    if parent.is_none() && matches!(spec.name, "run" | "prepare" | "plan") {
        let Some(args) = PodArgs::read(words, spec, typed.clone())? else {
            return help(typed);
        };
        let typed = args.typed.clone();
        let mut command = match spec.name {
            "run" => run::run(args)?,
            "prepare" => run::prepare(args)?,
            _ => run::plan(args)?,
        };
        if once_more {
            command.unpiped();
        }
        return Ok((command, typed));
    }
    let until = match spec.name {
        "enter" => Until::Word(enter::INSTEAD),
        "build" => Until::Command,
        _ => Until::Dashes,
    };
    let Some(mut args) = Args::read(words, spec, until, typed.clone())? else {
        return help(typed);
    };
    let typed = args.typed.clone();
    let command = match parent {
        Some("image") if spec.name == "build" => Command::Build(build::build(&mut args)?),
        Some("image") => {
            // The format of an export is another one, which is taken first.
            let verb = image::verb(spec.name, &mut args)?;
            Command::Image(verb, formatted(&mut args.options)?)
        }
        Some("policy") => {
            let format = formatted(&mut args.options)?;
            Command::Policy(policy::verb(spec.name, &mut args)?, format)
        }
        Some(_) => {
            let format = formatted(&mut args.options)?;
            Command::Trust(trust::verb(spec.name, &mut args)?, format)
        }
        None => simple(spec, &mut args, once_more)?,
    };
    args.finish()?;
    Ok((command, typed))
}

fn simple(spec: &'static CommandSpec, args: &mut Args, once_more: bool) -> Result<Command> {
    Ok(match spec.name {
        "run-prepared" => {
            let mut command = run::run_prepared(args)?;
            if once_more {
                command.unpiped();
            }
            command
        }
        "fetch" => Command::Fetch(fetch::fetch(args)?, formatted(&mut args.options)?),
        "trust" => Command::Trust(trust::add(args)?, formatted(&mut args.options)?),
        "policy" => Command::Policy(Verb::Show, formatted(&mut args.options)?),
        "login" => Command::Login(logins::login(args)?, formatted(&mut args.options)?),
        "logout" => Command::Logout(logins::registry(args)?, formatted(&mut args.options)?),
        "list" => pods::list(args)?,
        "status" => pods::status(args)?,
        "wait" => pods::wait(args)?,
        "stats" => pods::stats(args)?,
        "port" => Command::Port(selector::one(args)?, formatted(&mut args.options)?),
        "pause" => Command::Pause(selector::several(args)?, formatted(&mut args.options)?),
        "resume" => Command::Resume(selector::several(args)?, formatted(&mut args.options)?),
        "stop" => pods::stop(args)?,
        "kill" => pods::kill(args)?,
        "rm" => pods::remove(args)?,
        "gc" => pods::collect(args)?,
        "cat-manifest" => Command::CatManifest(selector::one(args)?),
        "logs" => logs::logs(args)?,
        "attach" => pods::attach(args)?,
        "cp" => cp::cp(args)?,
        "diff" => diff::diff(args)?,
        "export" => export::export(args)?,
        "enter" => enter::enter(args, once_more)?,
        "entered" => enter::entered(args)?,
        "validate" => Command::Validate(image::validate(args)?, formatted(&mut args.options)?),
        "help" => Command::Say(help::about(&args.all()?, &args.typed)?),
        "man" => Command::Say(man::page(args.word()?.as_deref())?),
        "completion" => Command::Say(completion::script(args.word()?.as_deref())?),
        "version" => Command::Say(version::spell(formatted(&mut args.options)?)),
        "begin" => {
            let keep = args.options.flag("--keep");
            let log = log_options::take(&mut args.options, true)?;
            let terminal = args.options.flag("--terminal");
            Command::Begin(uuid(args)?, keep, log.unwrap_or_default(), terminal)
        }
        "finish" => {
            let data = args.word()?.and_then(|number| number.parse().ok());
            let (data, uuid) = (data.ok_or_else(missing)?, uuid(args)?);
            let mut handed = Handed::default();
            loop {
                let word = args.word()?.ok_or_else(missing)?;
                let mut numbers = || args.word()?.ok_or_else(missing);
                match &*word {
                    "told" => {
                        let told = told_by(&numbers()?);
                        handed.told = Some(told.ok_or_else(missing)?);
                    }
                    "kept" => {
                        let kept = Kept::parse(&numbers()?);
                        handed.kept = Some(kept.ok_or_else(missing)?);
                    }
                    "others" => handed.others = Some(number(&numbers()?)?),
                    "checks" => handed.checks = Some(number(&numbers()?)?),
                    "check" => break Command::Check(data, uuid, numbers()?),
                    "demand" => {
                        break match handed.told.is_some() || handed.checks.is_some() {
                            false => Command::Serve(data, uuid),
                            true => Command::Notify(data, uuid, handed),
                        };
                    }
                    status => {
                        let status = status.parse().map_err(|_| missing())?;
                        break Command::Finish(data, uuid, handed, status);
                    }
                }
            }
        }
        // `image`, which only has subcommands.
        _ => {
            let below: Vec<_> = visible(spec.commands).collect();
            return Err(match args.word()? {
                Some(name) => args.typed.unknown_command(&name, &below),
                None => Error::usage(format!("`{}` needs a command", spec.name))
                    .hint(format!("{} lists all commands", args.typed.help())),
            });
        }
    })
}

fn uuid(args: &mut Args) -> Result<Uuid> {
    Uuid::parse(&args.word()?.ok_or_else(missing)?)
}

fn number(word: &str) -> Result<u32> {
    word.parse().map_err(|_| missing())
}

fn missing() -> Error {
    Error::usage("an argument is missing")
}

/// Parses the descriptors of what the service manager is told: `TOLD[,OTHERS]`.
fn told_by(numbers: &str) -> Option<Sockets> {
    let (told, others) = match numbers.split_once(',') {
        Some((told, others)) => (told, Some(others.parse().ok()?)),
        None => (numbers, None),
    };
    Some(Sockets {
        told: told.parse().ok()?,
        others,
    })
}

#[cfg(test)]
mod tests;
