//! The command lines of pods that exist: `launcher list`, `status`, `wait`,
//! `stats`, `pause`, `resume`, `stop`, `kill`, `rm`, `gc` and `attach`.

use std::time::Duration;

use rustix::process::Signal;

use crate::cli::args::Args;
use crate::cli::command::Command;
use crate::cli::options::Options;
use crate::cli::selector::{one, several, some_or_all};
use crate::cli::spelling::boolean;
use crate::cli::values::formatted;
use crate::cmd::attach::Attach;
use crate::cmd::collect::Collect;
use crate::cmd::list::Listing;
use crate::cmd::stats;
use crate::cmd::status;
use crate::cmd::stop::Stop;
use crate::cmd::wait::Wait;
use appc::types::duration;
use error::Result;
use pod::runtime::detach_keys::Keys;
use sys::signal_names::signal;

/// How long pods may take to stop.
const STOP: Duration = Duration::from_secs(10);

/// How long to keep pods that have exited.
const GRACE: Duration = Duration::from_secs(30 * 60);

/// How long to keep prepared pods.
const EXPIRE: Duration = Duration::from_secs(24 * 3600);

/// Takes the options of `list`.
pub(super) fn list(args: &mut Args) -> Result<Command> {
    let options = &mut args.options;
    // All pods are listed anyway.
    options.flag("--all");
    Ok(Command::List(Listing {
        full: options.flag("--full"),
        legend: !options.flag("--no-legend"),
        format: formatted(options)?,
    }))
}

/// Takes the options of `status`, and a pod.
pub(super) fn status(args: &mut Args) -> Result<Command> {
    let options = &mut args.options;
    Ok(Command::Status(status::Options {
        over: perhaps(options, "--wait")?,
        ready: perhaps(options, "--wait-ready")?,
        healthy: perhaps(options, "--wait-healthy")?,
        format: formatted(options)?,
        selector: one(args)?,
    }))
}

/// Takes the options of `wait`, and pods.
pub(super) fn wait(args: &mut Args) -> Result<Command> {
    let time = args.options.value("--time", duration)?;
    let format = formatted(&mut args.options)?;
    Ok(Command::Wait(several(args)?, time, format))
}

/// Takes the options of `stats`, and pods.
pub(super) fn stats(args: &mut Args) -> Result<Command> {
    let options = &mut args.options;
    Ok(Command::Stats(stats::Options {
        legend: !options.flag("--no-legend"),
        format: formatted(options)?,
        selector: some_or_all(args)?,
    }))
}

/// Takes the options of `stop`, and pods.
pub(super) fn stop(args: &mut Args) -> Result<Command> {
    let options = &mut args.options;
    let format = formatted(options)?;
    let stop = Stop {
        time: options.value("--time", duration)?.unwrap_or(STOP),
        signal: options.value("--signal", signal)?,
        selector: several(args)?,
    };
    Ok(Command::Stop(stop, format))
}

/// Takes the options of `kill`, and pods.
pub(super) fn kill(args: &mut Args) -> Result<Command> {
    let signal = args.options.value("--signal", signal)?;
    Ok(Command::Kill(
        several(args)?,
        signal.unwrap_or(Signal::KILL),
    ))
}

/// Takes the options of `rm`, and pods.
pub(super) fn remove(args: &mut Args) -> Result<Command> {
    let force = args.options.flag("--force");
    let format = formatted(&mut args.options)?;
    Ok(Command::Remove(several(args)?, force, format))
}

/// Takes the options of `gc`.
pub(super) fn collect(args: &mut Args) -> Result<Command> {
    let options = &mut args.options;
    let collect = Collect {
        grace: options.value("--grace-period", duration)?.unwrap_or(GRACE),
        expire: options
            .value("--expire-prepared", duration)?
            .unwrap_or(EXPIRE),
        dry: options.flag("--dry-run"),
    };
    Ok(Command::Collect(collect, formatted(options)?))
}

/// Takes the options of `attach`, and a pod.
pub(super) fn attach(args: &mut Args) -> Result<Command> {
    let keys = args.options.value("--detach-keys", Keys::parse)?;
    Ok(Command::Attach(Attach {
        keys: keys.unwrap_or_default(),
        selector: one(args)?,
    }))
}

/// Takes an option with an optional duration: `--wait` or `--wait=10s`.
fn perhaps(options: &mut Options, name: &'static str) -> Result<Wait> {
    let wait = options.value(name, |text| match boolean(text) {
        // `0` and `1` are booleans here, not durations.
        Some(true) => Ok(Wait::Ever),
        Some(false) => Ok(Wait::No),
        None => duration(text).map(Wait::For),
    })?;
    Ok(wait.unwrap_or_default())
}
