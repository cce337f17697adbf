//! Cleans up when a pod has exited. `stage1-init` becomes the launcher again
//! for this, and still holds the pod's lock. This is an internal command.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::cmd::exit::Exit;
use crate::cmd::failure::{explained, failed, init_was_killed, out_of_memory};
use crate::cmd::mode::StartError;
use crate::cmd::notify::{self, Handed};
use crate::cmd::{STAGE1_INIT, check, timing};
use appc::types::Uuid;
use error::{Error, Result};
use pod::plan::streams::Streams;
use pod::runtime::again::{self, Kept, Run};
use pod::runtime::start::Runnable;
use pod::runtime::{stats, status, teardown};
use pod::state::directory::REPORT;
use pod::state::records::{self, Restarts, STARTED, Started};
use pod::state::{directory, find};
use stage1_init::Report;
use sys::dirs::{Dirs, State};
use sys::host::Host;

/// Starts the pod again, if that is wanted. Otherwise keeps or removes it, as its
/// options say, and explains why if its plan failed, or if memory ran out. A pod that
/// never ran is not kept. `data` is the descriptor of the data directory, which may
/// have been moved while the pod ran.
/// Returns how the pod has ended.
///
/// # Errors
///
/// The explanation. It is the pod's error, and comes with the pod's status.
pub(crate) fn run(
    dir: &Path,
    data: u32,
    uuid: Uuid,
    handed: &Handed,
    mut status: u8,
) -> std::result::Result<Exit, StartError> {
    let with_status = |error| StartError { error, status };
    let dirs = Dirs::inherited(data, dir).map_err(with_status)?;
    if let Some(place) = find::undone_place(&dirs, uuid) {
        // stage1-init has begun, since there is nothing to explain, and has found
        // something that the app has written.
        teardown::remove(&place, State::Garbage, uuid).map_err(with_status)?;
        return Ok(Exit::with(status));
    }
    let dirs = &find::running_place(&dirs, uuid);
    time_pod(dirs, uuid);
    let mut again = Ok(());
    if let Some(kept) = &handed.kept {
        match start_again(dirs, uuid, kept, status) {
            Ok(last) => status = last,
            Err(error) => again = Err(error),
        }
    }
    let with_status = |error| StartError { error, status };
    let told = told(dirs, uuid, status);
    if let (Some(sockets), Ok((report, _))) = (handed.told, &told) {
        let spec = directory::spec(dirs, State::Run, uuid);
        if let Ok(spec) = spec {
            notify::last(&spec, report, sockets);
        }
    }
    let began = !matches!(&told, Ok((report, _)) if !status::is_ready(report));
    let explained = told
        .map_err(with_status)
        .and_then(|(report, failure)| match failure {
            Some(failure) => Err(failure),
            // The init has already reported or printed its own failures.
            None if !began && status > SIGNALLED => match ended_waiting(dirs, uuid, status) {
                true => Ok(Exit::signalled(status)),
                false => Err(with_status(init_was_killed())),
            },
            None => match killed(dirs, uuid, &report, status) {
                Some(error) => Err(with_status(error)),
                None => Ok(Exit::reported(status, &report)),
            },
        });
    let status = match &explained {
        Ok(exit) => exit.status,
        Err(failure) => failure.status,
    };
    let concluded = match began || has_run_before(dirs, uuid) {
        true => teardown::conclude(dirs, uuid, Some(status)),
        false => teardown::remove(dirs, State::Run, uuid),
    };
    timing::end("undo");
    timing::report();
    let exit = explained?;
    concluded.and(again).map_err(with_status)?;
    Ok(exit)
}

/// Starts a pod again, if that is wanted and it has run at all. Returns its status
/// otherwise: if it was asked to end before it was started again, the one of
/// before.
fn start_again(dirs: &Dirs, uuid: Uuid, kept: &Kept, status: u8) -> Result<u8> {
    let Some(pod) = directory::open_in(dirs, State::Run, uuid)? else {
        return Ok(status);
    };
    let spec = directory::spec(dirs, State::Run, uuid)?;
    let report = directory::read(dirs, State::Run, uuid, REPORT)?;
    let has_run = has_run_before(dirs, uuid);
    let was_killed = has_run && status == KILLED && !directory::is_stopped(&pod);
    if report.is_empty() && !was_killed {
        let last = again::last_status(&pod)?;
        return Ok(last.unwrap_or(status));
    }
    let hung_up = Exit::of_report(&report).status == HUNG_UP && !is_detached(dirs, uuid)?;
    let ran = status::is_ready(&report) || has_run;
    if !ran || hung_up {
        return Ok(status);
    }
    let mut words: Vec<_> = std::env::args_os().collect();
    // It ends with the status.
    words.pop();
    let run = Run {
        report: &report,
        status,
        wanted: directory::take_unhealthy(&pod),
    };
    match again::start(&pod, kept, &spec, run, STAGE1_INIT, &words)? {
        None => Ok(status),
        Some(never) => match never {},
    }
}

/// Tells whether this is not the first run of a pod.
fn has_run_before(dirs: &Dirs, uuid: Uuid) -> bool {
    let pod = directory::open_in(dirs, State::Run, uuid).ok().flatten();
    let noted = pod.and_then(|pod| Restarts::of(&pod).ok());
    noted.is_some_and(|noted| noted.count > 0)
}

/// The status of an app whose terminal has gone: nobody is there any more for whom
/// it could be started again.
const HUNG_UP: u8 = SIGNALLED + 1;

fn is_detached(dirs: &Dirs, uuid: Uuid) -> Result<bool> {
    let record = directory::find(dirs, uuid, STARTED)?;
    let started = record.and_then(|record| Started::read(&record));
    Ok(started.is_some_and(|started| started.log.is_some()))
}

/// Returns whether a pod has ended that was waiting for somebody to connect: by a
/// signal that asked it to, since PID 1 can die of none of these.
fn ended_waiting(dirs: &Dirs, uuid: Uuid, status: u8) -> bool {
    let ending = [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM];
    let signal = i32::from(status - SIGNALLED);
    let spec = directory::spec(dirs, State::Run, uuid);
    ending.iter().any(|one| one.as_raw() == signal) && spec.is_ok_and(|spec| spec.is_awaiting())
}

/// Times what the pod did, if somebody asks for it: what it has reported.
fn time_pod(dirs: &Dirs, uuid: Uuid) {
    if !timing::is_on() {
        return;
    }
    let read = |name| directory::find(dirs, uuid, name).ok().flatten();
    let Some(started) = read(STARTED).and_then(|record| Started::read(&record)) else {
        return;
    };
    let report = read(REPORT).unwrap_or_default();
    let lines = report.split(|&byte| byte == b'\n');
    let times = lines.filter_map(|line| match Report::decode(line)? {
        Report::Time { time, .. } => {
            let [seconds, rest] = time.map(u64::from);
            Some(seconds * 1_000_000_000 + rest)
        }
        _ => None,
    });
    let mut last = started.time;
    let ends = times.chain([records::now()]);
    for (phase, end) in ["namespaces", "mounts", "app"].into_iter().zip(ends) {
        timing::add(phase, Duration::from_nanos(end.saturating_sub(last)));
        last = end;
    }
}

/// Statuses above this one mean that a signal ended the app.
const SIGNALLED: u8 = 128;

/// Reads the report, and explains it if a directive failed.
fn told(dirs: &Dirs, uuid: Uuid, status: u8) -> Result<(Vec<u8>, Option<StartError>)> {
    let report = directory::read(dirs, State::Run, uuid, REPORT)?;
    if failed(&report).is_none() {
        return Ok((report, None));
    }
    let runnable = Runnable::read(dirs, State::Run, uuid)?;
    let (host, streams) = (Host::observe(), streams(dirs, uuid)?);
    let failure = explained(&runnable, &host, streams, &report, status);
    Ok((report, failure))
}

/// Explains that memory ran out, or an app was unhealthy, if so. This only improves
/// what is said, so nothing depends on it.
fn killed(dirs: &Dirs, uuid: Uuid, report: &[u8], status: u8) -> Option<Error> {
    let kills = stats::oom_kills(dirs, uuid).ok();
    let kills = kills.filter(|kills| !kills.is_none());
    if kills.is_none() && status != KILLED {
        return None;
    }
    let spec = directory::spec(dirs, State::Run, uuid).ok()?;
    let explained = kills.and_then(|kills| out_of_memory(&spec, report, &kills));
    explained.or_else(|| {
        let pod = directory::open_in(dirs, State::Run, uuid).ok()??;
        check::unhealthy(&spec, &pod).filter(|_| !directory::is_stopped(&pod))
    })
}

/// The status of a pod that was killed.
const KILLED: u8 = SIGNALLED + 9;

/// Returns where the output of a pod goes; the plan has extra directives for
/// some destinations.
fn streams(dirs: &Dirs, uuid: Uuid) -> Result<Streams> {
    let record = directory::find(dirs, uuid, STARTED)?;
    let started = record.and_then(|record| Started::read(&record));
    Ok(match started {
        Some(Started { log: Some(log), .. }) => Streams::Logged(log),
        Some(Started { silent: true, .. }) => Streams::Silent,
        _ => Streams::Inherited,
    })
}
