//! `launcher logs`: prints the output of the apps of a pod.

mod options;
mod output;
mod printer;

use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::time::Instant;

use crate::cmd::logs::output::Output;
use crate::cmd::logs::printer::Printer;
use crate::cmd::{cat_manifest, say};
use appc::types::Uuid;
use error::quote::quoted;
use error::{Context as _, Error, Kind, Result};
use pod::spec::log::Place;
use pod::state::directory::read_in;
use pod::state::lock::{self, Changes, Release};
use pod::state::log::place;
use pod::state::log::record::Record;
use pod::state::log::source::{Source, merge};
use pod::state::records::{STARTED, Started};
use sys::dirs::Dirs;
use sys::standard;

pub(crate) use crate::cmd::logs::options::{Options, Style};

/// Prints the log of a pod.
pub(crate) fn run(dir: &Path, options: &Options) -> Result<()> {
    let dirs = Dirs::look(dir)?;
    let (dirs, uuid) = options.selector.find_one(&dirs)?;
    let pod = cat_manifest::open(&dirs, uuid)?;
    let mut sources = sources(&dirs, &pod, uuid)?;
    if let Some(app) = &options.app {
        choose(&mut sources, app, uuid)?;
    }
    print(pod, sources, options, uuid)
}

/// Opens the logs of a pod's apps.
///
/// # Errors
///
/// The reason why there are none.
fn sources(dirs: &Dirs, pod: &OwnedFd, uuid: Uuid) -> Result<Vec<Source>> {
    let what = || format!("cannot read the log of pod `{uuid}`");
    let started = read_in(pod, STARTED).context(what)?;
    let log = started.and_then(|record| Started::read(&record)?.log);
    let why = match log.map(|log| log.place) {
        None => "it was not run with `--detach`",
        Some(Place::Nowhere) => "it was run with `--log=none`",
        Some(place) => match place::open(dirs, pod.as_fd(), uuid, place).context(what)? {
            Some(sources) if !sources.is_empty() => return Ok(sources),
            Some(_) => "its plan sets the output of its apps",
            None if place == Place::Memory => "it was kept in memory, and the host has restarted",
            None => "it was removed",
        },
    };
    Err(Error::invalid(format!("pod `{uuid}` has no log: {why}")))
}

/// Selects the log of one app.
fn choose(sources: &mut Vec<Source>, app: &str, uuid: Uuid) -> Result<()> {
    let names: Vec<String> = sources
        .iter()
        .map(|source| format!("`{}`", source.app))
        .collect();
    sources.retain(|source| source.app == app);
    match sources[..] {
        [] => {
            let what = format!("pod `{uuid}` has no log of app {}", quoted(app));
            let hint = format!("it has logs of {}", names.join(", "));
            Err(Error::new(Kind::NotFound, what).hint(hint))
        }
        _ => Ok(()),
    }
}

/// Prints the log, and with `--follow` what is added to it.
fn print(pod: OwnedFd, mut sources: Vec<Source>, options: &Options, uuid: Uuid) -> Result<()> {
    let what = || format!("cannot read the log of pod `{uuid}`");
    let held = lock::is_held(&pod).context(what)?;
    // Before the first read, so that no change is missed in between.
    let changes = Changes::of_all(sources.iter().map(Source::directory))?;
    if options.follow {
        for source in &mut sources {
            source.watch()?;
        }
    }
    let release = options.follow.then(|| Release::of(pod)).transpose()?;
    let (out, err) = (io::stdout(), io::stderr());
    let (mut to_out, mut to_err) = (standard::Output::stdout(), standard::Output::stderr());
    let apps = sources.iter().map(|source| source.app.clone()).collect();
    let escapes = [out.is_terminal(), err.is_terminal()].map(|terminal| terminal && !options.raw);
    let mut to_out = Output::new(&mut to_out, escapes[0]);
    let mut to_err = Output::new(&mut to_err, escapes[1]);
    let mut printer = Printer::new(apps, options, &mut to_out, &mut to_err);
    loop {
        // Checked first, so that everything written before the exit is read.
        let over = match &release {
            Some(release) => release.until(Some(Instant::now()))?,
            None => !held,
        };
        for source in &mut sources {
            if source.look().context(what)? {
                say(&[format!(
                    "part of the log of app `{}` is missing here: it was overwritten before it was read",
                    source.app
                )]);
            }
        }
        let each = &mut |app, record: &Record<'_>| printer.add(app, record);
        merge(&mut sources, over, each).context(what)?;
        let follow = release.as_ref().filter(|_| !over);
        printer.settle(follow.is_some());
        let gone = match follow {
            Some(release) if !printer.is_stopped() => {
                changes.or_gone(release, [out.as_fd(), err.as_fd()])?
            }
            _ => true,
        };
        if gone {
            return printer.result();
        }
    }
}
