//! A pod whose files a command uses.

use std::os::fd::OwnedFd;

use crate::cmd::export::claim;
use crate::cmd::selector;
use appc::types::Uuid;
use error::{Context as _, Error, Result};
use pod::runtime::status::{self, Phase};
use pod::spec::pod::{AppSpec, PodSpec};
use pod::state::directory::{self, SPEC, read_in};
use sys::dirs::{Dirs, State};

/// The pod, and which of its apps is meant.
pub(crate) struct PodFiles {
    /// Its directory. A pod that does not run is locked, so that it is neither
    /// run nor removed in the meantime.
    pub(crate) pod: OwnedFd,
    /// Whether it runs.
    pub(crate) runs: bool,
    /// What it was made from.
    pub(crate) spec: PodSpec,
    at: usize,
}

impl PodFiles {
    /// Opens a pod; `app` names one of its apps, and need not if it has only one.
    /// An error says that the pod cannot be used in this way: `cannot VERB pod`.
    pub(crate) fn open(dirs: &Dirs, uuid: Uuid, app: Option<&str>, verb: &str) -> Result<Self> {
        let phase = status::read(dirs, uuid)?.map(|pod| pod.phase);
        let running = match phase {
            Some(Phase::Running) => directory::open_in(dirs, State::Run, uuid)?,
            _ => None,
        };
        let runs = running.is_some();
        let pod = running.map_or_else(|| claim(dirs, uuid, verb), Ok)?;
        let what = || format!("cannot {verb} pod `{uuid}`");
        let spec = read_in(&pod, SPEC).context(what)?;
        let spec = spec.ok_or_else(|| Error::invalid(format!("{}: it has no spec", what())))?;
        let spec = PodSpec::read(&spec).context(what)?;
        let names: Vec<String> = spec.apps.iter().map(|app| app.name.clone()).collect();
        let at = selector::app(uuid, &names, app)?;
        Ok(Self {
            pod,
            runs,
            spec,
            at,
        })
    }

    /// Returns the app.
    pub(crate) fn app(&self) -> &AppSpec {
        &self.spec.apps[self.at]
    }
}
