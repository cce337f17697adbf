//! How a pod that is made begins to run: its plan is executed, in this process
//! or in one of its own.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags};
use stage1_init::Directive;

use crate::cmd::STAGE1_INIT;
use crate::cmd::detach::{self, Manner, NotRun, Ran, Shown};
use crate::cmd::interactive;
use appc::types::Uuid;
use error::{Context as _, Result};
use pod::cgroup::{self, Groups, record};
use pod::plan::descriptors::{MASTER, NETWORK, Named, number_of};
use pod::plan::text::Plan;
use pod::runtime::exec::{self, Handover};
use pod::runtime::filters;
use pod::runtime::metadata;
use pod::runtime::{process, terminal};
use pod::state::directory::{self, PodDirectory};
use pod::state::lock;
use pod::state::log::{Log, capture, place};
use pod::state::records::{self, Started};
use sys::dirs::Dirs;
use sys::netns;

/// Where the streams of a pod's apps lead.
pub(super) enum Streams {
    /// To where the caller's do.
    Callers,
    /// Nowhere.
    Nowhere,
    /// Into a log; and to a terminal, if somebody has made one already.
    Log(Log, Option<OwnedFd>),
}

/// Runs a pod, as somebody wants it run.
pub(super) fn launch(
    dirs: &Dirs,
    directory: PodDirectory<'_>,
    plan: &Plan,
    manner: &Manner,
) -> std::result::Result<Ran, NotRun> {
    if manner.shown == Shown::Marked {
        crate::cmd::mark();
    }
    match manner.detached {
        Some(log) => detach::start(dirs, directory, plan, manner.keep, log),
        None if terminal::is_in(plan) => interactive::start(dirs, directory, plan, manner),
        None => {
            let streams = match manner.shown {
                Shown::Hidden => Streams::Nowhere,
                Shown::Plainly | Shown::Marked => Streams::Callers,
            };
            match start(dirs, &directory, plan, manner.keep, streams)? {}
        }
    }
}

/// Becomes the init of a pod; returns only if that failed.
pub(super) fn start(
    dirs: &Dirs,
    directory: &PodDirectory<'_>,
    plan: &Plan,
    keep: bool,
    streams: Streams,
) -> Result<Infallible> {
    let uuid = directory.uuid();
    let (log, silent) = match streams {
        Streams::Callers => (None, false),
        Streams::Nowhere => (None, true),
        Streams::Log(log, _) => (Some(log), false),
    };
    // Before it counts as started: then whoever looks finds the log.
    let (plan, mut named) = with_streams(dirs, directory, plan, streams)?;
    let started = Started {
        time: records::now(),
        keep,
        log,
        silent,
        terminal: named
            .contains_key(&MASTER)
            .then(|| number_of(&named, MASTER)),
        process: process::own()?,
    };
    directory.write(records::STARTED, started.text().as_bytes())?;
    let finally = [
        OsString::from("launcher"),
        OsString::from("--dir"),
        dirs.path().as_os_str().to_owned(),
        OsString::from("finish"),
        OsString::from(uuid.to_string()),
    ];
    let (groups, entrances) = groups(dirs, uuid)?;
    let _made = groups.make()?;
    named.extend(filters::open(directory.fd(), &plan)?);
    let mut demand = None;
    if joins_network(&plan) {
        let network = netns::make(metadata::PORT)?;
        named.insert(NETWORK, network.namespace);
        // Of a plan that somebody wrote there is nothing to tell.
        if directory::find(dirs, uuid, "pod")?.is_some() {
            demand = Some(network.listener.into());
        }
    }
    for (label, group) in entrances {
        named.insert(label, cgroup::entrance(&group)?);
    }
    exec::exec(Handover {
        program: STAGE1_INIT,
        plan: exec::sealed("plan", &plan.words_with(&named))?.as_fd(),
        report: directory.append("report")?.as_fd(),
        held: &[directory.fd()],
        lock: Some(lock::of_init(directory.fd())?.as_fd()),
        named: named.into_values().collect(),
        demand,
        detached: log.is_some(),
        finally: &finally,
    })
}

/// Leads the apps' streams to where they belong: in the plan, and by what it
/// names for that.
fn with_streams(
    dirs: &Dirs,
    directory: &PodDirectory<'_>,
    plan: &Plan,
    streams: Streams,
) -> Result<(Plan, Named)> {
    match streams {
        Streams::Callers => {
            capture::give_pipes(plan);
            Ok((plan.clone(), Named::new()))
        }
        Streams::Nowhere => {
            let (plan, label) = capture::silence(plan);
            let flags = OFlags::RDWR | OFlags::CLOEXEC;
            let null = rustix::fs::open("/dev/null", flags, Mode::empty())
                .context(|| "cannot open `/dev/null`")?;
            Ok((plan, Named::from([(label, null)])))
        }
        Streams::Log(log, master) => {
            let captured = capture::capture(plan, log);
            let place = place::make(dirs, directory.fd(), directory.uuid(), log.place)?;
            let mut named = match place {
                Some(place) => captured.open(place.as_fd())?,
                None => Named::new(),
            };
            if let Some(user) = terminal::user(plan) {
                named.extend(terminal::open(directory.fd(), user, master)?);
            }
            Ok((captured.plan, named))
        }
    }
}

/// Tells whether a plan wants the network that we make, rather than one that
/// its writer has open.
fn joins_network(plan: &Plan) -> bool {
    let joins = plan.find(|_, directive, _| match directive {
        Directive::Join { fd: NETWORK, .. } => Some(()),
        _ => None,
    });
    joins.is_some()
}

/// Reads which groups a pod needs.
fn groups(dirs: &Dirs, uuid: Uuid) -> Result<(Groups, Vec<(u32, PathBuf)>)> {
    let record = directory::find(dirs, uuid, "groups")?.unwrap_or_default();
    record::read(&String::from_utf8_lossy(&record), uuid)
}
