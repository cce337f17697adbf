//! What the caller asks of a pod, on the command line or in a pod manifest.
//! Both express the same things, and are treated alike from here on.

use std::collections::BTreeMap;

use crate::resolve::BY_MANIFEST;
use crate::resolve::devices::DeviceRequest;
use crate::resolve::grant::Grant;
use crate::resolve::health::HealthRequest;
use crate::resolve::lookup::{Dns, HostNames, HostsEntry};
use crate::resolve::network::Network;
use crate::resolve::ports::PortRequest;
use crate::resolve::settings::Setting;
use crate::resolve::sockets::Passed;
use crate::resolve::volumes::Requested;
use crate::spec::environment::Variable;
use crate::spec::health::OnUnhealthy;
use crate::spec::mounts::{Size, Tmpfs};
use crate::spec::notify::{Manager, Speaker};
use crate::spec::process::{ResourceLimit, Sourced};
use crate::spec::restart::Restart;
use appc::manifest::PodManifest;
use appc::manifest::app::App;
use appc::manifest::isolator::Isolator;
use appc::manifest::pod::{ExposedPort, Mount};
use appc::types::{AcName, Annotations};
use error::{Error, Result};
use sys::timezone::Zone;

/// The requested pod.
#[derive(Debug, Default)]
pub struct Request {
    /// Its apps, in their order.
    pub apps: Vec<AppRequest>,
    /// The pod's host name, instead of its UUID.
    pub hostname: Option<String>,
    /// Its network.
    pub network: Network,
    /// Who says so; `None` if nobody did.
    pub network_by: Option<String>,
    /// Which servers its apps ask for names.
    pub dns: Dns,
    /// More entries of their `/etc/hosts`.
    pub hosts: Vec<HostsEntry>,
    /// What the host has of both, as far as it is needed.
    pub host_names: HostNames,
    /// Whether the app takes over the terminal.
    pub interactive: bool,
    /// Whether to copy the images' files even where an overlay is possible.
    pub no_overlay: bool,
    /// Where the apps' changes to their files go.
    pub writable: Writable,
    /// Whether to refuse to run if something cannot be enforced.
    pub strict: bool,
    /// Volumes that the apps can mount.
    pub volumes: Vec<Requested>,
    /// Variables of the caller, which the images' override.
    pub inherited: Vec<Sourced<Variable>>,
    /// Variables that override the images'; later ones take precedence.
    pub variables: Vec<Sourced<Variable>>,
    /// The time zone of the apps.
    pub zone: Option<Zone>,
    /// Annotations of the pod.
    pub annotations: Annotations,
    /// The pod's isolators, from a pod manifest.
    pub isolators: Vec<Isolator>,
    /// The pod's limits, from options.
    pub settings: Vec<Setting>,
    /// How much shared memory the pod has, if not the default.
    pub shm_size: Option<Size>,
    /// The URL of the pod's metadata service; empty if there is none, as in the
    /// host's network.
    pub metadata: String,
    /// Ports to make reachable from outside, from a pod manifest.
    pub ports: Vec<ExposedPort>,
    /// Ports to make reachable from outside, from options.
    pub published: Vec<PortRequest>,
    /// Ports on which the launcher listens until somebody connects.
    pub sockets: Vec<ExposedPort>,
    /// Whether it is run later, and may be passed sockets then.
    pub prepared: bool,
    /// Who tells the service manager that the pod is ready, if not by default.
    pub speaker: Option<Speaker>,
    /// The service manager that has started the launcher.
    pub manager: Option<Manager>,
    /// When it is started again.
    pub restart: Restart,
    /// What to do when one of its apps becomes unhealthy.
    pub on_unhealthy: OnUnhealthy,
    /// Sockets that the caller passes.
    pub passed: Vec<Passed>,
    /// Annotations for people and their tools.
    pub user_annotations: BTreeMap<String, String>,
    /// Labels for people and their tools.
    pub user_labels: BTreeMap<String, String>,
}

/// Where the changes of apps to the files of their images go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Writable {
    /// To the disk.
    #[default]
    Disk,
    /// To a file system in memory of this size, one for each app.
    Memory(Size),
    /// Nowhere: no file can be changed.
    None,
}

/// A requested app. Its image provides whatever is absent or empty.
#[derive(Debug, Default)]
pub struct AppRequest {
    /// Its name in the pod.
    pub name: Option<AcName>,
    /// Replaces the image's `app` section as a whole.
    pub section: Option<App>,
    /// A program that replaces the command and its arguments.
    pub exec: Option<String>,
    /// Arguments to append to the command.
    pub arguments: Vec<String>,
    /// A name, a number, or a path whose owner is used.
    pub user: Option<String>,
    /// A name, a number, or a path whose group is used.
    pub group: Option<String>,
    /// The supplementary groups.
    pub supplementary_gids: Option<Vec<u32>>,
    /// The working directory.
    pub working_directory: Option<String>,
    /// Variables that override all others.
    pub environment: Vec<Variable>,
    /// Limits and rights that override its image's.
    pub settings: Vec<Setting>,
    /// Which isolators of its image may exceed the default.
    pub grant: Grant,
    /// Devices of the host.
    pub devices: Vec<DeviceRequest>,
    /// Its tmpfs mounts.
    pub tmpfs: Vec<Tmpfs>,
    /// Its resource limits.
    pub resources: Vec<ResourceLimit>,
    /// Whether its root is read-only, and why.
    pub read_only: Option<&'static str>,
    /// How to find out whether it works.
    pub health: HealthRequest,
    /// Its mounts.
    pub mounts: Vec<Sourced<Mount>>,
    /// Annotations that override its image's.
    pub annotations: Annotations,
    /// Annotations for people and their tools.
    pub user_annotations: BTreeMap<String, String>,
    /// Labels for people and their tools.
    pub user_labels: BTreeMap<String, String>,
}

/// Variables that Nose Cone sets for every app.
pub(crate) const OURS: [&str; 3] = ["AC_APP_NAME", "AC_METADATA_URL", "container"];

/// Refuses a variable that the operator may not set.
pub fn check_variable(variable: &Variable) -> Result<()> {
    let name = &variable.name;
    match OURS.contains(&name.as_str()) {
        true => Err(Error::usage(format!(
            "variable `{name}` cannot be set: Nose Cone sets it itself"
        ))),
        false => Ok(()),
    }
}

impl Request {
    /// Returns whether the host's servers matter to the pod.
    pub fn asks_host_for_servers(&self) -> bool {
        self.dns.asks_host(&self.network)
    }

    /// Adds what a pod manifest says. The caller finds the images of its apps.
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
