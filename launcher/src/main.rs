//! Nose Cone's launcher: fetches images, composes the plan of a pod, and
//! becomes `stage1-init`, which executes it.
//!
//! ```text
//! Reference --fetch--> archive --verify--> Verified --store--> Image
//!     --resolve--> Pod --compose--> Plan --exec--> stage1-init
//! ```
//!
//! Each arrow is a module with one public function, and each noun a type that
//! only its module can create: an image that was not verified cannot be stored,
//! and a pod that was not resolved cannot be planned. After the plan there are
//! no names, no JSON and no decisions.
//!
//! The libraries are separate crates, so that Cargo enforces the direction of
//! dependencies:
//!
//! | crate | what |
//! |---|---|
//! | [`error`] | the one error type, and how text from outside is shown |
//! | [`sys`] | directories, locks, paths below a root, facts about the host |
//! | [`appc`] | names, versions, digests, manifests; pure |
//! | [`image`] | discovery, fetching, trust, archives, the store |
//! | [`pod`] | what runs, the plan of it, pods on disk, pods that run |
//! | [`cmd`] | the verbs |
//! | [`cli`] | the command line |
//!
//! There is no daemon and no database. A pod's state is the directory it is in
//! and whether its lock is held; nothing can go stale. Unsafe code is only in a
//! few files of [`sys`]. A path from an image is never resolved on the host, only
//! below a root that is already open.

mod cli;
mod cmd;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use crate::cli::command::{Command, Invocation};
use crate::cmd::OURS;
use crate::cmd::exit::Exit;
use crate::cmd::mode::{Outcome, StartError};
use crate::cmd::results::{self, Format, Results};
use crate::cmd::wait::Wait;
use error::{Context as _, Error, Kind, Result};
use sys::dirs::{self};
use sys::standard::Output;
use sys::{limits, progress, secure};

fn main() -> ExitCode {
    // Before the command line and the environment, which the caller controls,
    // are read.
    if secure::is_secure() {
        return fail(&lent(), OURS);
    }
    let began = Instant::now();
    limits::raise();
    match cli::parse(std::env::args_os().skip(1).collect()) {
        Ok(invocation) => execute(invocation, began),
        Err(misuse) => fail(&misuse.error, misuse.status),
    }
}

/// Exit status for failures, in commands that do not exit with an app's status.
const FAILED: u8 = 1;

fn execute(invocation: Invocation, began: Instant) -> ExitCode {
    if invocation.timing {
        cmd::timing::begin(began);
    }
    progress::set_verbose(invocation.verbose);
    let dir = match dirs::location(invocation.dir) {
        Ok(dir) => dir,
        Err(error) => return fail(&error, FAILED),
    };
    if invocation.command.is_piped() {
        return match cmd::piped::run(std::env::args_os().skip(1)) {
            Ok(exit) => exit.code(),
            Err(error) => fail(&error, OURS),
        };
    }
    match invocation.command {
        Command::Say(text) => done(say(text.as_bytes())),
        Command::Run(options) => ran(cmd::run::run(&dir, options)),
        Command::RunPrepared(uuid, mode) => ran(cmd::run::run_prepared(&dir, &uuid, &mode)),
        Command::Prepare(options) => {
            done(cmd::prepare::run(&dir, options).and_then(|uuid| say(uuid.as_bytes())))
        }
        Command::RunPlan(file, name, mode) => ran(cmd::run::run_plan(&dir, &file, name, &mode)),
        Command::Begin(uuid, keep, log, terminal) => {
            let begun = cmd::detach::begin(&dir, uuid, keep, log, terminal);
            fail(&never(begun), OURS)
        }
        Command::Attach(attach) => match cmd::attach::run(&dir, &attach) {
            Ok(exit) => exit.code(),
            Err(error) => fail(&error, OURS),
        },
        Command::Plan(options, format) => {
            done(cmd::plan::run(&dir, options, format).and_then(|plan| say(&plan)))
        }
        Command::Fetch(options, format) => done(each(format, |results| {
            cmd::fetch::run(&dir, &options, results)
        })),
        Command::Build(build) => done(cmd::build::run(&dir, &build, &mut Output::results())),
        Command::Image(verb, format) => {
            done(cmd::image::run(&dir, &verb, format, &mut Output::results()))
        }
        Command::Trust(verb, format) => {
            done(cmd::trust::run(&dir, &verb, format, &mut Output::results()))
        }
        Command::Policy(verb, format) => done(cmd::policy::run(
            &dir,
            &verb,
            format,
            &mut Output::results(),
        )),
        Command::Login(login, format) => {
            done(each(format, |results| cmd::login::login(&login, results)))
        }
        Command::Logout(registry, format) => done(each(format, |results| {
            cmd::login::logout(&registry, results)
        })),
        Command::List(listing) => done(cmd::list::run(&dir, &listing, &mut Output::results())),
        Command::Status(options) => {
            let failed = if options.over == Wait::No && options.healthy == Wait::No {
                FAILED
            } else {
                OURS
            };
            match cmd::status::run(&dir, &options, &mut Output::results()) {
                Ok(status) => ExitCode::from(status),
                Err(error) => fail(&error, failed),
            }
        }
        Command::Wait(selector, time, format) => {
            match each(format, |results| {
                cmd::wait::run(&dir, &selector, time, results)
            }) {
                Ok(status) => ExitCode::from(status),
                Err(error) => fail(&error, OURS),
            }
        }
        Command::Port(selector, format) => done(cmd::port::run(
            &dir,
            &selector,
            format,
            &mut Output::results(),
        )),
        Command::Stats(options) => done(cmd::stats::run(&dir, &options, &mut Output::results())),
        Command::Pause(selector, format) => done(each(format, |results| {
            cmd::pause::run(&dir, &selector, results)
        })),
        Command::Resume(selector, format) => done(each(format, |results| {
            cmd::pause::resume(&dir, &selector, results)
        })),
        Command::Stop(stop, format) => {
            done(each(format, |results| cmd::stop::run(&dir, &stop, results)))
        }
        Command::Kill(selector, signal) => done(cmd::stop::kill(&dir, &selector, signal)),
        Command::Remove(selector, force, format) => done(each(format, |results| {
            cmd::remove::run(&dir, &selector, force, results)
        })),
        Command::Collect(collect, format) => done(each(format, |results| {
            cmd::collect::run(&dir, &collect, results)
        })),
        Command::CatManifest(selector) => done(cmd::cat_manifest::run(
            &dir,
            &selector,
            &mut Output::results(),
        )),
        Command::Logs(options) => done(cmd::logs::run(&dir, &options)),
        Command::Enter(options) => match cmd::enter::run(&dir, &options) {
            Ok(exit) => exit.code(),
            Err(error) => fail(&error, OURS),
        },
        Command::Entered(descriptors, status) => ended(cmd::enter::finish(descriptors, status)),
        Command::Copy(options) => done(cmd::cp::run(&dir, &options)),
        Command::Diff(options, format) => done(each(format, |results| {
            cmd::diff::run(&dir, &options, results)
        })),
        Command::Export(export) => done(cmd::export::run(&dir, &export, &mut Output::results())),
        Command::Validate(options, format) => {
            match each(format, |results| cmd::validate::run(&options, results)) {
                Ok(status) => status,
                Err(error) => fail(&error, FAILED),
            }
        }
        Command::Serve(data, uuid) => done(cmd::serve::run(&dir, data, uuid)),
        Command::Notify(data, uuid, handed) => done(cmd::notify::run(&dir, data, uuid, &handed)),
        Command::Check(data, uuid, app) => {
            let begun = cmd::check::become_check(&dir, data, uuid, &app);
            fail(&never(begun), OURS)
        }
        Command::Finish(data, uuid, handed, status) => {
            ended(cmd::finish::run(&dir, data, uuid, &handed, status))
        }
    }
}

/// The error for a launcher with more privileges than its caller: it would work
/// as root for everyone.
fn lent() -> Error {
    let what = "refusing to run with more privileges than the caller has";
    let hint = "remove the set-user-ID bit, the set-group-ID bit and the capabilities of its file";
    Error::new(Kind::Failed, what).hint(hint)
}

/// Exits with the status of a pod or a command, after the reason if it failed.
fn ended(result: std::result::Result<Exit, StartError>) -> ExitCode {
    match result {
        Ok(exit) => exit.code(),
        Err(StartError { error, status }) => fail(&error, status),
    }
}

/// Prints the UUID of a detached pod, or the reason why a pod was not started.
fn ran(result: std::result::Result<Outcome, StartError>) -> ExitCode {
    match result {
        Ok(Outcome::Detached(uuid)) => done(say(format!("{uuid}\n").as_bytes())),
        Ok(Outcome::Left) => ExitCode::SUCCESS,
        Ok(Outcome::Exited(exit)) => exit.code(),
        Err(StartError { error, status }) => fail(&error, status),
    }
}

/// Runs a command that has any number of results, and prints them.
fn each<T>(format: Format, command: impl FnOnce(&mut Results<'_>) -> Result<T>) -> Result<T> {
    results::each(format, &mut Output::results(), command)
}

/// Prints a result.
fn say(bytes: &[u8]) -> Result<()> {
    let written = Output::results().write_all(bytes);
    written.context(|| "cannot write to standard output")
}

fn done(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, FAILED),
    }
}

fn fail(error: &Error, status: u8) -> ExitCode {
    cmd::complain(error);
    ExitCode::from(status)
}

/// Returns the error of a function that returns only on failure.
fn never(result: Result<std::convert::Infallible>) -> Error {
    match result {
        Err(error) => error,
        Ok(never) => match never {},
    }
}
