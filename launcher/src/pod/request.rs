//! What the caller wishes of a pod: from the command line, or from a pod
//! manifest. Both say the same things, and are the same from here on.

use std::collections::BTreeMap;

use super::devices::Wanted;
use super::grant::Grant;
use super::tmpfs::Tmpfs;
use super::volume::Requested;
use crate::ground::zone::Zone;
use crate::ground::{Error, Result};
use crate::words::manifest::PodManifest;
use crate::words::manifest::app::{App, Variable};
use crate::words::manifest::isolator::{self, Isolator};
use crate::words::manifest::pod::{ExposedPort, Mount};
use crate::words::types::{AcName, Annotations};

/// A value, and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sourced<T> {
    /// What.
    pub(crate) value: T,
    /// Why, as the plan will say.
    pub(crate) reason: String,
}

impl<T> Sourced<T> {
    /// Puts both together.
    pub(crate) fn new(value: T, reason: impl Into<String>) -> Self {
        Self {
            value,
            reason: reason.into(),
        }
    }
}

/// What is wished of a pod.
#[derive(Debug, Default)]
pub(crate) struct Request {
    /// Its apps, in their order.
    pub(crate) apps: Vec<AppRequest>,
    /// Host name of the pod, instead of its UUID.
    pub(crate) hostname: Option<String>,
    /// The app takes over the terminal.
    pub(crate) interactive: bool,
    /// The images' files are copied, even where overlayfs could lay them under.
    pub(crate) no_overlay: bool,
    /// What cannot be enforced is a reason not to run.
    pub(crate) strict: bool,
    /// What the apps mount.
    pub(crate) volumes: Vec<Requested>,
    /// Variables of the caller: the images' own count more.
    pub(crate) inherited: Vec<Sourced<Variable>>,
    /// Variables that count more than the images', the later ones most.
    pub(crate) variables: Vec<Sourced<Variable>>,
    /// The time zone of the apps.
    pub(crate) zone: Option<Zone>,
    /// What the pod says about itself.
    pub(crate) annotations: Annotations,
    /// What bounds all of it.
    pub(crate) isolators: Vec<Isolator>,
    /// Where the pod's metadata service is; empty if there is none.
    pub(crate) metadata: String,
    /// What is to be reachable from outside.
    pub(crate) ports: Vec<ExposedPort>,
    /// For people and their tools.
    pub(crate) user_annotations: BTreeMap<String, String>,
    /// For people and their tools.
    pub(crate) user_labels: BTreeMap<String, String>,
}

/// What is wished of an app. What is absent or empty is for its image to say.
#[derive(Debug, Default)]
pub(crate) struct AppRequest {
    /// What it is called in the pod.
    pub(crate) name: Option<AcName>,
    /// Stands in the place of the image's `app`, as a whole.
    pub(crate) section: Option<App>,
    /// The program, instead of all words of the command.
    pub(crate) exec: Option<String>,
    /// Words that are appended to the command.
    pub(crate) arguments: Vec<String>,
    /// A name, a number, or a path whose owner it is.
    pub(crate) user: Option<String>,
    /// A name, a number, or a path whose group it is.
    pub(crate) group: Option<String>,
    /// The only groups besides.
    pub(crate) supplementary_gids: Option<Vec<u32>>,
    /// Where it starts.
    pub(crate) working_directory: Option<String>,
    /// Variables that count most.
    pub(crate) environment: Vec<Variable>,
    /// Bounds in the place of the image's of the same name.
    pub(crate) isolators: Vec<Isolator>,
    /// Which of the image's go beyond the default.
    pub(crate) grant: Grant,
    /// Devices of the host.
    pub(crate) devices: Vec<Wanted>,
    /// File systems in memory.
    pub(crate) tmpfs: Vec<Tmpfs>,
    /// Its root cannot be written to, and why not.
    pub(crate) read_only: Option<&'static str>,
    /// What is mounted where.
    pub(crate) mounts: Vec<Sourced<Mount>>,
    /// Set over those of its image.
    pub(crate) annotations: Annotations,
    /// For people and their tools.
    pub(crate) user_annotations: BTreeMap<String, String>,
    /// For people and their tools.
    pub(crate) user_labels: BTreeMap<String, String>,
}

/// Variables that say of every app what is so.
pub(super) const OURS: [&str; 3] = ["AC_APP_NAME", "AC_METADATA_URL", "container"];

/// Refuses a variable that the operator wants to set and nobody can.
pub(crate) fn check_variable(variable: &Variable) -> Result<()> {
    let name = &variable.name;
    match OURS.contains(&name.as_str()) {
        true => Err(Error::usage(format!(
            "variable `{name}` cannot be set: Nose Cone says with it what is so"
        ))),
        false => Ok(()),
    }
}

/// Where something comes from that a pod manifest says.
pub(crate) const BY_MANIFEST: &str = "pod manifest";

impl Request {
    /// Adds what a pod manifest says. Which images its apps run from is for
    /// the caller to find out.
    pub(crate) fn add_manifest(&mut self, manifest: PodManifest) {
        let volumes = manifest.volumes.into_iter();
        self.volumes.extend(volumes.map(Requested::by_manifest));
        self.annotations = manifest.annotations;
        let options = std::mem::replace(&mut self.isolators, manifest.isolators);
        for option in options {
            isolator::replace(&mut self.isolators, option);
        }
        self.ports = manifest.ports;
        self.user_annotations = manifest.user_annotations;
        self.user_labels = manifest.user_labels;
        self.apps = manifest
            .apps
            .into_iter()
            .map(|app| AppRequest {
                name: Some(app.name),
                section: app.app,
                read_only: app.read_only_rootfs.then_some(BY_MANIFEST),
                mounts: app
                    .mounts
                    .into_iter()
                    .map(|mount| Sourced::new(mount, BY_MANIFEST))
                    .collect(),
                annotations: app.annotations,
                ..AppRequest::default()
            })
            .collect();
    }
}
