//! The resource usage of pods, from their groups if they have any, otherwise
//! from their processes.

use crate::cgroup::oom::OomKills;
use crate::cgroup::{Groups, record, usage};
use crate::runtime::pod_process::{self, PodProcess};
use crate::runtime::snapshot::{Snapshot, file};
use crate::runtime::status::{App, Status};
use crate::state::directory::{self, read_in};
use appc::types::Uuid;
use error::{Context as _, Result};
use sys::dirs::{Dirs, State};

pub use crate::cgroup::usage::Usage;

/// The resource usage of a pod.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Its UUID.
    pub uuid: Uuid,
    /// Its name.
    pub name: Option<String>,
    /// The usage of the whole pod.
    pub whole: Usage,
    /// The name and usage of each app, in order. With several apps this does
    /// not add up to the whole: PID 1, and processes that apps left behind,
    /// belong to none.
    pub apps: Vec<(String, Usage)>,
}

/// Measures a running pod that was [observed](crate::runtime::status::observe).
///
/// # Errors
///
/// Fails if the record of its groups cannot be read.
pub fn measure(dirs: &Dirs, pod: &Status, processes: &Snapshot) -> Result<Measured> {
    let groups = groups(dirs, pod.uuid)?;
    let outer = pod.started.as_ref().map(|started| &started.process);
    let outer = outer.map(pod_process::outer).transpose()?.flatten();
    let init = outer.as_ref().map(pod_process::init).transpose()?.flatten();
    let all: Vec<u32> = match &init {
        Some(init) => {
            let all = processes.of_pod(init).into_iter();
            all.filter(|one| one.alive).map(|one| one.pid).collect()
        }
        None => Vec::new(),
    };
    let whole = Usage::of(groups.tops()).or(sum(&all, processes));
    let apps = match &pod.apps[..] {
        // If a pod has only one app, the pod's groups are the app's.
        [only] => vec![(only.name.clone(), whole.clone())],
        several => {
            let app = |app: &App| {
                let own = of_app(app, &init, &all, processes);
                let places = groups.tops().iter().map(|top| top.join(&app.name));
                let groups: Vec<_> = places.filter(|place| place.is_dir()).collect();
                (
                    app.name.clone(),
                    Usage::of(&groups).or(sum(&own, processes)),
                )
            };
            several.iter().map(app).collect()
        }
    };
    Ok(Measured {
        uuid: pod.uuid,
        name: pod.name().map(ToString::to_string),
        whole,
        apps,
    })
}

/// Returns how many processes of a pod in `pods/run` were killed because memory
/// had run out.
///
/// # Errors
///
/// Fails if the record of its groups cannot be read.
pub fn oom_kills(dirs: &Dirs, uuid: Uuid) -> Result<OomKills> {
    Ok(OomKills::of(groups(dirs, uuid)?.tops()))
}

/// Returns the groups that the pod was started with. Groups made later, to
/// pause it, do not account for all its usage.
fn groups(dirs: &Dirs, uuid: Uuid) -> Result<Groups> {
    let what = || format!("cannot read the cgroups of pod `{uuid}`");
    let pod = directory::open_in(dirs, State::Run, uuid)?;
    let text = pod.map(|pod| read_in(pod, record::FILE)).transpose();
    let text = text.context(what)?.flatten().unwrap_or_default();
    let groups = record::read(&String::from_utf8_lossy(&text), uuid)?;
    Ok(groups)
}

/// Returns the main process of an app and its descendants.
fn of_app(app: &App, init: &Option<PodProcess>, all: &[u32], processes: &Snapshot) -> Vec<u32> {
    let (Some(main), Some(init)) = (app.pid, init) else {
        return Vec::new();
    };
    let below = |pid: &&u32| {
        let mut line = processes
            .line(**pid)
            .take_while(|&pid| pid != init.number());
        line.any(|pid| pid == main)
    };
    all.iter().filter(below).copied().collect()
}

fn sum(pids: &[u32], processes: &Snapshot) -> Usage {
    let used = pids.iter().filter_map(|&pid| processes.get(pid));
    let used = used.map(|stat| stat.used).fold(0, u64::saturating_add);
    usage::of_processes(pids, used, &file)
}
