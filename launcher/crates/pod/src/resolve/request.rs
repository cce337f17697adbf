//! What the caller wishes of a pod: from the command line, or from a pod
//! manifest. Both say the same things, and are the same from here on.

use std::collections::BTreeMap;

use crate::resolve::BY_MANIFEST;
use crate::resolve::devices::Wanted;
use crate::resolve::grant::Grant;
use crate::resolve::settings::Setting;
use crate::resolve::volumes::Requested;
use crate::spec::environment::Variable;
use crate::spec::mounts::Tmpfs;
use crate::spec::process::Sourced;
use appc::manifest::PodManifest;
use appc::manifest::app::App;
use appc::manifest::isolator::Isolator;
use appc::manifest::pod::{ExposedPort, Mount};
use appc::types::{AcName, Annotations};
use error::{Error, Result};
use sys::timezone::Zone;

/// What is wished of a pod.
#[derive(Debug, Default)]
pub struct Request {
    /// Its apps, in their order.
    pub apps: Vec<AppRequest>,
    /// Host name of the pod, instead of its UUID.
    pub hostname: Option<String>,
    /// The app takes over the terminal.
    pub interactive: bool,
    /// The images' files are copied, even where overlayfs could lay them under.
    pub no_overlay: bool,
    /// What cannot be enforced is a reason not to run.
    pub strict: bool,
    /// What the apps mount.
    pub volumes: Vec<Requested>,
    /// Variables of the caller: the images' own count more.
    pub inherited: Vec<Sourced<Variable>>,
    /// Variables that count more than the images', the later ones most.
    pub variables: Vec<Sourced<Variable>>,
    /// The time zone of the apps.
    pub zone: Option<Zone>,
    /// What the pod says about itself.
    pub annotations: Annotations,
    /// What bounds all of it, as a pod manifest says.
    pub isolators: Vec<Isolator>,
    /// What bounds all of it, as options say.
    pub settings: Vec<Setting>,
    /// Where the pod's metadata service is; empty if there is none.
    pub metadata: String,
    /// What is to be reachable from outside.
    pub ports: Vec<ExposedPort>,
    /// For people and their tools.
    pub user_annotations: BTreeMap<String, String>,
    /// For people and their tools.
    pub user_labels: BTreeMap<String, String>,
}

/// What is wished of an app. What is absent or empty is for its image to say.
#[derive(Debug, Default)]
pub struct AppRequest {
    /// What it is called in the pod.
    pub name: Option<AcName>,
    /// Stands in the place of the image's `app`, as a whole.
    pub section: Option<App>,
    /// The program, instead of all words of the command.
    pub exec: Option<String>,
    /// Words that are appended to the command.
    pub arguments: Vec<String>,
    /// A name, a number, or a path whose owner it is.
    pub user: Option<String>,
    /// A name, a number, or a path whose group it is.
    pub group: Option<String>,
    /// The only groups besides.
    pub supplementary_gids: Option<Vec<u32>>,
    /// Where it starts.
    pub working_directory: Option<String>,
    /// Variables that count most.
    pub environment: Vec<Variable>,
    /// Bounds in the place of its image's.
    pub settings: Vec<Setting>,
    /// Which of the image's go beyond the default.
    pub grant: Grant,
    /// Devices of the host.
    pub devices: Vec<Wanted>,
    /// File systems in memory.
    pub tmpfs: Vec<Tmpfs>,
    /// Its root cannot be written to, and why not.
    pub read_only: Option<&'static str>,
    /// What is mounted where.
    pub mounts: Vec<Sourced<Mount>>,
    /// Set over those of its image.
    pub annotations: Annotations,
    /// For people and their tools.
    pub user_annotations: BTreeMap<String, String>,
    /// For people and their tools.
    pub user_labels: BTreeMap<String, String>,
}

/// Variables that say of every app what is so.
pub(crate) const OURS: [&str; 3] = ["AC_APP_NAME", "AC_METADATA_URL", "container"];

/// Refuses a variable that the operator wants to set and nobody can.
pub fn check_variable(variable: &Variable) -> Result<()> {
    let name = &variable.name;
    match OURS.contains(&name.as_str()) {
        true => Err(Error::usage(format!(
            "variable `{name}` cannot be set: Nose Cone says with it what is so"
        ))),
        false => Ok(()),
    }
}

impl Request {
    /// Adds what a pod manifest says. Which images its apps run from is for
    /// the caller to find out.
    pub fn add_manifest(&mut self, manifest: PodManifest) {
        let volumes = manifest.volumes.into_iter();
        self.volumes.extend(volumes.map(Requested::by_manifest));
        self.annotations = manifest.annotations;
        self.isolators = manifest.isolators;
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
