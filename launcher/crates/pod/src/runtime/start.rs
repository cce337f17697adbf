//! Starts a pod: opens what its plan names, and becomes its init.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::epoll;

use crate::cgroup::{Cgroups, record};
use crate::plan::compose::{Composed, compose};
use crate::plan::descriptors::{FILES, MASTER};
use crate::plan::directives::Plan;
use crate::plan::streams::Streams;
use crate::plan::written;
use crate::runtime::again::Kept;
use crate::runtime::claim::PodDirectory;
use crate::runtime::descriptors::{self, Provided, number_of};
use crate::runtime::exec::{self, Handover};
use crate::runtime::status::health::Record;
use crate::runtime::{notify, process, streams, timer, undo};
use crate::spec::defaults::RESOLVER;
use crate::spec::notify::Speaker;
use crate::spec::pod::PodSpec;
use crate::state::directory::{self, PLAN, REPORT};
use crate::state::lock;
use crate::state::log::place;
use crate::state::records::{self, STARTED, Started};
use appc::types::Uuid;
use error::{Context as _, Error, Result};
use sys::dirs::{Dirs, State};
use sys::host::Host;

/// How a pod is started.
pub struct Start<'a> {
    /// The stage1-init program.
    pub program: &'a [u8],
    /// Whether to keep the pod when it has exited.
    pub keep: bool,
    /// Where the streams of its apps go.
    pub streams: Streams,
    /// A terminal that the caller has already made.
    pub master: Option<OwnedFd>,
    /// Called with what the caller should know, and does not keep the pod from
    /// running.
    pub tell: &'a dyn Fn(&Error),
    /// If the phases of the run are timed, reports those of this process.
    pub timing: Option<&'a dyn Fn()>,
}

/// What a pod runs: a spec, from which the plan is composed, or a plan written
/// by hand.
#[derive(Clone, Debug)]
pub struct Runnable {
    /// The spec.
    pub spec: PodSpec,
    /// The plan, if it was written by hand.
    pub written: Option<Plan>,
}

impl Runnable {
    /// Reads it from the directory of a pod.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be read.
    pub fn read(dirs: &Dirs, state: State, uuid: Uuid) -> Result<Self> {
        let spec = directory::spec(dirs, state, uuid)?;
        let written = spec.planned.then(|| {
            let text = directory::read(dirs, state, uuid, PLAN)?;
            Plan::read(&text).context(|| format!("cannot read the plan of pod `{uuid}`"))
        });
        let written = written.transpose()?;
        Ok(Self { spec, written })
    }

    /// Returns the plan to execute.
    ///
    /// # Errors
    ///
    /// As for [`compose`].
    pub fn compose(&self, host: &Host, streams: Streams) -> Result<Composed> {
        match &self.written {
            Some(plan) => Ok(written::compose(plan, &self.spec, streams)),
            None => {
                let mut composed = compose(&self.spec, host, &Cgroups::default(), streams)?;
                undo::compose(&mut composed, &self.spec)?;
                Ok(composed)
            }
        }
    }

    /// Does the same, with a plan that tells how long its parts take.
    ///
    /// # Errors
    ///
    /// As for [`Self::compose`].
    pub fn compose_timed(&self, host: &Host, streams: Streams) -> Result<Composed> {
        let mut composed = self.compose(host, streams)?;
        composed.plan = composed.plan.timed();
        Ok(composed)
    }
}

/// Becomes the init of a pod; returns only on failure.
///
/// # Errors
///
/// Fails if the kernel refuses.
pub fn start(
    dirs: &Dirs,
    directory: &mut PodDirectory<'_>,
    runnable: &Runnable,
    host: &Host,
    start: Start<'_>,
) -> Result<Infallible> {
    let timed = start.timing.is_some();
    let mut composed = match timed {
        true => runnable.compose_timed(host, start.streams)?,
        false => runnable.compose(host, start.streams)?,
    };
    let spec = &runnable.spec;
    let log = match start.streams {
        Streams::Logged(log) => Some(log),
        Streams::Silent => None,
        Streams::Inherited => {
            streams::give_pipes(spec);
            None
        }
    };
    let may_undo = !start.keep && !timed && log.is_none();
    if !may_undo && runnable.written.is_none() {
        undo::leave_out(&mut composed);
    }
    directory.hold_scratch(spec)?;
    // Before the pod counts as started, so that whoever looks finds the log.
    let kept = log.map(|log| place::make(dirs, directory.fd(), spec.id, log.place));
    let place = Provided {
        connected: Some(spec).filter(|spec| !spec.connections.is_empty()),
        tell: start.tell,
        pod: directory.fd(),
        dirs,
        log: kept.transpose()?.flatten(),
        master: start.master,
    };
    if !composed.groups.is_empty() {
        let record = record::write(&composed.groups);
        directory.write(record::FILE, record.as_bytes())?;
    }
    let _made = composed.groups.make()?;
    let opened = descriptors::open(&composed.needed, place)?;
    let named = opened.named;
    let undone = may_undo && undo::is_in(&composed.plan);
    if undone {
        directory.let_undo()?;
    }
    let started = Started {
        time: records::now(),
        keep: start.keep,
        log,
        silent: start.streams == Streams::Silent,
        undone,
        terminal: named
            .contains_key(&MASTER)
            .then(|| number_of(&named, MASTER)),
        process: process::own()?,
    };
    directory.write(STARTED, started.text().as_bytes())?;
    let data = dirs.root()?;
    let held = [data, directory.fd()]
        .into_iter()
        .chain(directory.scratch())
        .chain(opened.held.iter().map(|lock| lock.as_fd()));
    let mut held = numbers(held)?;
    let told = match &spec.manager {
        Some(manager) if spec.speaker == Speaker::Launcher => {
            let what = || "cannot notify the service manager";
            if spec.is_awaiting() {
                // Its apps are not started before somebody connects.
                let waits = format!("READY=1\nSTATUS=Pod {} waits for a connection", spec.id);
                let _ = notify::tell(manager, &waits, None);
                None
            } else {
                Some(notify::alarm().context(what)?)
            }
        }
        _ => opened.told,
    };
    // A plan written by hand has no metadata to serve.
    let checks = spec
        .has_checks()
        .then(|| begin_checks(spec, directory.fd()));
    let checks = checks.transpose()?;
    let others = demand(opened.listener.filter(|_| !spec.planned), opened.ports)?;
    let other = others.last().map(AsRawFd::as_raw_fd);
    let mut finally = finally(dirs, data, spec.id, timed);
    if let Some(told) = &told {
        let numbers = [Some(told.as_raw_fd()), other].into_iter().flatten();
        let numbers: Vec<_> = numbers.map(|number| number.to_string()).collect();
        finally.extend(["told".into(), numbers.join(",").into()]);
    } else if let (Some(_), Some(other)) = (&checks, other) {
        finally.extend(["others".into(), other.to_string().into()]);
    }
    let timer = checks.as_ref().map(exec::inherit).transpose()?;
    if let Some(timer) = timer {
        finally.extend(["checks".into(), timer.to_string().into()]);
    }
    let mut plan = composed.plan;
    if let (Some(content), Some(true)) = (
        &opened.resolver,
        spec.resolver.as_ref().map(|file| file.by_network),
    ) {
        plan.rewrite(RESOLVER, content)?;
    }
    // One of those that are held, so that no directive has to name it.
    let files = directory.scratch().unwrap_or(directory.fd());
    let plan = plan.renumbered(&|label| match label {
        FILES => files.as_raw_fd().unsigned_abs(),
        label => number_of(&named, label),
    });
    let plan = exec::sealed("plan", &plan)?;
    let named_by_plan = numbers(named.values())?;
    let served = with(with(others, told)?, checks)?;
    let demand = numbers(&served)?;
    if let Some(delay) = &opened.delay {
        let kept = Kept {
            plan: exec::inherit(&plan)?,
            delay: exec::inherit(delay)?,
            held: held.clone(),
            demand: demand.clone(),
            timer,
        };
        let kept = kept.holding(&named_by_plan);
        finally.extend(["kept".into(), kept.to_string().into()]);
        held = kept.held;
    }
    exec::exec(Handover {
        program: start.program,
        plan: plan.as_fd(),
        report: directory.append(REPORT)?.as_fd(),
        held: &held,
        lock: Some(lock::of_init(directory.fd())?.as_fd()),
        demand: &demand,
        timer,
        detached: log.is_some(),
        finally: &finally,
        timing: start.timing,
    })
}

/// Makes the timer for when apps have to be checked, and notes that they begin.
fn begin_checks(spec: &PodSpec, pod: BorrowedFd<'_>) -> Result<OwnedFd> {
    let what = || "cannot check the health of the pod";
    let record = Record::begin(spec, timer::now());
    record.write(pod).context(what)?;
    timer::running(record.rest().unwrap_or_default()).context(what)
}

/// Lets descriptors be inherited, and returns their numbers.
fn numbers(all: impl IntoIterator<Item: AsFd>) -> Result<Vec<u32>> {
    all.into_iter().map(exec::inherit).collect()
}

/// Returns what the launcher serves on demand. If that is more than one socket,
/// the last descriptor is readable whenever one of them is.
fn demand(listener: Option<OwnedFd>, ports: Vec<OwnedFd>) -> Result<Vec<OwnedFd>> {
    let mut all: Vec<OwnedFd> = listener.into_iter().chain(ports).collect();
    if all.len() > 1 {
        all.push(any_of(all.iter())?);
    }
    Ok(all)
}

/// Adds the socket by which the service manager is told something, or the timer of
/// checks.
fn with(mut others: Vec<OwnedFd>, told: Option<OwnedFd>) -> Result<Vec<OwnedFd>> {
    if let Some(told) = told {
        let any = any_of(others.last().into_iter().chain([&told]))?;
        others.extend([told, any]);
    }
    Ok(others)
}

/// Returns what can be read whenever one of these can.
fn any_of<'a>(sockets: impl Iterator<Item = &'a OwnedFd>) -> Result<OwnedFd> {
    let what = || "cannot watch the sockets of the pod";
    let any = epoll::create(epoll::CreateFlags::CLOEXEC).context(what)?;
    for (at, socket) in (0..).zip(sockets) {
        let data = epoll::EventData::new_u64(at);
        epoll::add(&any, socket, data, epoll::EventFlags::IN).context(what)?;
    }
    Ok(any)
}

/// Returns the command that the init executes when the pod has exited. It finds
/// the data directory by its descriptor, since the path may be another one's then.
fn finally(dirs: &Dirs, data: BorrowedFd<'_>, uuid: Uuid, timed: bool) -> Vec<OsString> {
    let mut words = vec![
        OsString::from("launcher"),
        OsString::from("--dir"),
        dirs.path().as_os_str().to_owned(),
    ];
    words.extend(timed.then(|| OsString::from("--timing")));
    words.extend([
        OsString::from("finish"),
        OsString::from(data.as_raw_fd().to_string()),
        OsString::from(uuid.to_string()),
    ]);
    words
}
