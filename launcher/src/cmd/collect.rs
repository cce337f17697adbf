//! `launcher gc`: removes pods that have exited, and what interrupted commands
//! left. Safe to run at any time: a pod is only touched under its lock.

use std::path::Path;
use std::time::Duration;

use rustix::fs::FlockOperation;

use crate::cmd::last_of;
use crate::cmd::results::Results;
use appc::json::Object;
use appc::types::Uuid;
use error::{Context as _, Error, Result};
use image::store::staging;
use pod::network;
use pod::runtime::teardown;
use pod::state::directory::{self, read_in};
use pod::state::find;
use pod::state::log::memory;
use pod::state::records::{self, CREATED, Created, ENDED, Ended};
use sys::dirs::{Dirs, Part, State};

/// The options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Collect {
    /// How long to keep pods that have exited.
    pub(crate) grace: Duration,
    /// How long to keep prepared pods.
    pub(crate) expire: Duration,
    /// Only print what would be removed.
    pub(crate) dry: bool,
}

/// Removes pods, and prints which. Continues if one cannot be removed.
pub(crate) fn run(dir: &Path, collect: &Collect, results: &mut Results<'_>) -> Result<()> {
    let dirs = Dirs::look(dir)?;
    let mut failures = Vec::new();
    for place in dirs.places() {
        collect.place(&place, &mut failures, results)?;
    }
    let left = memory::orphans(&dirs);
    for &uuid in left.as_deref().unwrap_or_default() {
        let removed = match collect.dry {
            true => Ok(()),
            false => memory::remove(&dirs, uuid),
        };
        match removed {
            Ok(()) => collect.tell(uuid, results)?,
            Err(error) => failures.push(error),
        }
    }
    failures.extend(left.err());
    if !collect.dry {
        failures.extend(network::sweep().err());
        failures.extend(staging::clear(&dirs).err());
    }
    last_of(failures)
}

/// The states in which pods have locks.
const STATES: [State; 5] = [
    State::Prepare,
    State::Prepared,
    State::Run,
    State::Exited,
    State::Garbage,
];

impl Collect {
    /// Removes the pods of one directory that are due.
    fn place(
        &self,
        dirs: &Dirs,
        failures: &mut Vec<Error>,
        results: &mut Results<'_>,
    ) -> Result<()> {
        if let Some(embryos) = dirs.find(Part::Pods(State::Embryo))? {
            // Commands that create a pod hold a shared lock on this directory.
            rustix::fs::flock(&embryos, FlockOperation::LockExclusive)
                .context(|| "cannot lock the directory of pods in preparation")?;
            for uuid in find::all(dirs, &[State::Embryo])?.into_keys() {
                match self.dry {
                    true => self.tell(uuid, results)?,
                    false => failures.extend(teardown::hide(dirs, State::Embryo, uuid).err()),
                }
            }
        }
        for (uuid, state) in find::all(dirs, &STATES)? {
            match self.one(dirs, uuid, state) {
                Ok(true) => self.tell(uuid, results)?,
                Ok(false) => {}
                Err(error) => failures.push(error),
            }
        }
        Ok(())
    }

    /// Tells that a pod was removed, or would be.
    fn tell(&self, uuid: Uuid, results: &mut Results<'_>) -> Result<()> {
        let done = match self.dry {
            true => "would remove",
            false => "removed",
        };
        let object = Object::new()
            .with("uuid", uuid.to_string())
            .with("removed", !self.dry);
        results.add(&format!("{done} {uuid}"), object)
    }

    /// Removes a pod if it is due, and returns whether it was.
    fn one(&self, dirs: &Dirs, uuid: Uuid, state: State) -> Result<bool> {
        // First check without the lock: a pod that is about to run needs it.
        if !self.is_due(dirs, uuid, state)? {
            return Ok(false);
        }
        let Some(_claim) = teardown::claim(dirs, state, uuid)? else {
            return Ok(false);
        };
        if self.dry {
            return Ok(state != State::Run || self.grace.is_zero() || was_seen(dirs, uuid)?);
        }
        if state == State::Run && !self.grace.is_zero() && !was_seen(dirs, uuid)? {
            // Its exit was not recorded: the grace period starts now.
            teardown::retire(dirs, uuid, None)?;
            return Ok(false);
        }
        teardown::remove(dirs, state, uuid).map(|()| true)
    }

    /// Returns whether an unlocked pod is due.
    fn is_due(&self, dirs: &Dirs, uuid: Uuid, state: State) -> Result<bool> {
        let Some(pod) = directory::open_in(dirs, state, uuid)? else {
            return Ok(false);
        };
        let read = |name| {
            let what = || format!("cannot read `{name}` of pod `{uuid}`");
            read_in(&pod, name).context(what)
        };
        let ended = || -> Result<Option<u64>> {
            let record = read(ENDED)?.and_then(|record| Ended::read(&record));
            Ok(record.map(|ended| ended.time))
        };
        let changed = || -> Result<u64> {
            let what = || format!("cannot read the state of pod `{uuid}`");
            let status = rustix::fs::fstat(&pod).context(what)?;
            let seconds = u64::try_from(status.st_ctime).unwrap_or(0);
            Ok(seconds.saturating_mul(1_000_000_000))
        };
        Ok(match state {
            State::Embryo | State::Prepare | State::Garbage => true,
            State::Prepared => {
                let record = read(CREATED)?.and_then(|record| Created::read(&record));
                let since = record.map(|created| created.time);
                is_past(since.map_or_else(changed, Ok)?, self.expire)
            }
            State::Run => ended()?.is_none_or(|time| is_past(time, self.grace)),
            State::Exited => is_past(ended()?.map_or_else(changed, Ok)?, self.grace),
        })
    }
}

/// Returns whether the exit of a pod in `pods/run` was recorded.
fn was_seen(dirs: &Dirs, uuid: Uuid) -> Result<bool> {
    let pod = directory::open_in(dirs, State::Run, uuid)?;
    let record = pod.map(|pod| read_in(&pod, ENDED)).transpose();
    let record = record.context(|| format!("cannot read `{ENDED}` of pod `{uuid}`"))?;
    Ok(record
        .flatten()
        .is_some_and(|record| Ended::read(&record).is_some()))
}

/// Returns whether `span` has passed since `then`, in nanoseconds since 1970.
/// For a time in the future it has not: the clock was set back.
fn is_past(then: u64, span: Duration) -> bool {
    u128::from(records::now().saturating_sub(then)) >= span.as_nanos()
}
