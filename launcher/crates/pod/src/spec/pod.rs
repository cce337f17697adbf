//! The spec of a pod, and its file format.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::spec::connection::{Connection, Kind};
use crate::spec::defaults;
use crate::spec::health::{HealthCheck, OnUnhealthy};
use crate::spec::limits::Limits;
use crate::spec::lookup::NameFile;
use crate::spec::mounts::{Device, EmptyVolume, Mounted, Size, Tmpfs};
use crate::spec::notify::{Manager, Speaker};
use crate::spec::ports::PublishedPort;
use crate::spec::process::{ProcessSpec, Sourced};
use crate::spec::restart::Restart;
use crate::spec::sockets::ListeningSocket;
use crate::spec::text::{self, HostPath};
use appc::types::Uuid;
use error::{Context as _, Error, Result};

/// The version of the format. Any other is refused.
const VERSION: u32 = 1;

/// A pod in which everything is decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PodSpec {
    /// [`VERSION`].
    version: u32,
    /// The pod's UUID.
    #[serde(with = "text::uuid")]
    pub id: Uuid,
    /// The absolute path of the pod's directory when it runs.
    pub directory: HostPath,
    /// Its apps.
    pub apps: Vec<AppSpec>,
    /// Its host name.
    pub hostname: Sourced<String>,
    /// Its process numbers: a PID namespace.
    pub processes: Namespace,
    /// Its network.
    pub network: Namespace,
    /// How its network is connected to others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub connections: Vec<Sourced<Connection>>,
    /// Whether it runs all the same if it cannot be connected.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_be_unconnected: bool,
    /// Ports of the host that lead to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Sourced<PublishedPort>>,
    /// Who tells the service manager that it is ready.
    #[serde(default, skip_serializing_if = "Speaker::is_default")]
    pub speaker: Speaker,
    /// The service manager that has started its launcher, and is told something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<Manager>,
    /// When it is started again.
    #[serde(default, skip_serializing_if = "Restart::is_default")]
    pub restart: Restart,
    /// What to do when one of its apps becomes unhealthy.
    #[serde(default, skip_serializing_if = "OnUnhealthy::is_default")]
    pub on_unhealthy: OnUnhealthy,
    /// Its `/etc/resolv.conf`, if it needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolver: Option<NameFile>,
    /// Its `/etc/hosts`, if it is not the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<NameFile>,
    /// The id mappings of its user namespace, if it has its own.
    pub user: IdMaps,
    /// Its empty volumes.
    pub volumes: Vec<EmptyVolume>,
    /// The limits of all apps together.
    pub limits: Limits,
    /// Whether the limit of processes is the default rather than requested.
    pub processes_by_default: bool,
    /// Kernel parameters of its namespaces, and the reason for each.
    pub parameters: Parameters,
    /// How much its shared memory (`/dev/shm`) can hold, if not the default.
    #[serde(default)]
    pub shm_size: Option<Size>,
    /// Whether the pod has a plan written by hand, in its file `plan`, which is
    /// executed as it is. Otherwise the plan is composed from this spec.
    pub planned: bool,
}

/// Kernel parameters, and the reason for each.
pub type Parameters = BTreeMap<String, Sourced<String>>;

/// Whose a namespace is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Namespace {
    /// The pod's own, which the launcher makes.
    New,
    /// The pod's own, made or joined by a written plan.
    Planned,
    /// The host's.
    Host,
    /// Another one, which is there already.
    Joined(Sourced<Joined>),
}

/// A network namespace that a pod joins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Joined {
    /// The one that a file stands for (ip-netns(8)).
    File(HostPath),
    /// That of a running pod.
    Pod(#[serde(with = "text::uuid")] Uuid),
}

impl Namespace {
    /// Returns what it joins, if it does.
    pub fn joined(&self) -> Option<&Joined> {
        match self {
            Self::Joined(joined) => Some(&joined.value),
            Self::New | Self::Planned | Self::Host => None,
        }
    }
}

/// In the words of `--net`.
impl std::fmt::Display for Joined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "ns:{}", path.display()),
            Self::Pod(uuid) => write!(f, "pod:{uuid}"),
        }
    }
}

/// The id mappings of a user namespace; empty if the pod uses the host's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdMaps {
    /// Users.
    pub uids: Vec<IdMap>,
    /// Groups.
    pub gids: Vec<IdMap>,
}

/// A range of ids in a user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdMap {
    /// The first id inside.
    pub inside: u32,
    /// The first id outside.
    pub outside: u32,
    /// The number of ids.
    pub count: u32,
}

/// An app of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppSpec {
    /// Its name in the pod.
    pub name: String,
    /// Where it comes from, as the plan shows it.
    pub reason: String,
    /// The image it runs from.
    pub image: Option<ImageSource>,
    /// Its root file system; `None` if only a written plan determines it.
    pub root: Option<Root>,
    /// Its processes.
    pub process: ProcessSpec,
    /// Its limits.
    pub limits: Limits,
    /// Devices of the host that it may use.
    pub devices: Vec<Device>,
    /// Its volumes; none is mounted on another.
    pub mounts: Vec<Mounted>,
    /// Its tmpfs mounts.
    pub tmpfs: Vec<Tmpfs>,
    /// The listening sockets that it finds, or expects, when it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sockets: Vec<Sourced<ListeningSocket>>,
    /// The optional files of the standard environment that its image lacks.
    pub lacks: Vec<String>,
    /// The directories that it expects and its image lacks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub makes: Vec<Sourced<String>>,
    /// The directories that it can write to although its root is read-only: paths
    /// without links.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writable: Vec<Sourced<String>>,
    /// The signal that asks it to end, if not SIGTERM, as its image has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// How to find out whether it works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Sourced<HealthCheck>>,
    /// The path of its time zone file on the host.
    pub zone: Option<HostPath>,
}

/// The image that an app runs from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSource {
    /// Its ID in the store.
    pub id: String,
    /// What it is called.
    pub name: Option<String>,
}

/// How the writable root file system of an app is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// Root directories of the layers, topmost first.
    pub layers: Vec<HostPath>,
    /// Owner and mode of the image's root directory, which become those of the
    /// app's `/`.
    pub top: (u32, u32, u32),
    /// Whether the layers are copied into the pod instead of being mounted as
    /// an overlay.
    pub copied: bool,
    /// Whether it is read-only, and why.
    pub read_only: Option<String>,
    /// How much can be changed, if changes are in memory instead of on the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
}

impl PodSpec {
    /// Makes a pod with a name and nothing else.
    pub fn new(id: Uuid, directory: impl Into<HostPath>, hostname: Sourced<String>) -> Self {
        Self {
            version: VERSION,
            id,
            directory: directory.into(),
            apps: Vec::new(),
            hostname,
            processes: Namespace::New,
            network: Namespace::New,
            connections: Vec::new(),
            may_be_unconnected: false,
            ports: Vec::new(),
            speaker: Speaker::default(),
            manager: None,
            restart: Restart::No,
            on_unhealthy: OnUnhealthy::Nothing,
            resolver: None,
            hosts: None,
            user: IdMaps::default(),
            volumes: Vec::new(),
            limits: Limits::default(),
            processes_by_default: false,
            parameters: BTreeMap::new(),
            shm_size: None,
            planned: false,
        }
    }

    /// Formats the file.
    ///
    /// # Errors
    ///
    /// None known: all keys are text.
    pub fn text(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map_err(|error| Error::invalid(error.to_string()))
            .context(|| "cannot format the spec of the pod")
    }

    /// Parses the file.
    ///
    /// # Errors
    ///
    /// Fails if it is damaged, or of another version.
    pub fn read(text: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let damaged = |error: serde_json::Error| Error::invalid(format!("it is damaged: {error}"));
        let Versioned { version } = serde_json::from_slice(text).map_err(damaged)?;
        if version != VERSION {
            return Err(Error::invalid(format!(
                "it has version {version}, but this launcher supports version {VERSION}"
            )));
        }
        serde_json::from_slice(text).map_err(damaged)
    }

    /// Returns whether it finds other pods of its networks by name.
    pub fn names_pods(&self) -> bool {
        let mut all = self.connections.iter();
        all.any(|connection| matches!(connection.value.kind, Kind::Bridge(_)))
    }

    /// Returns its `/etc/hosts`, without other pods.
    pub fn own_hosts(&self) -> String {
        let usual = || defaults::hosts(&self.hostname.value);
        let asked = self.hosts.as_ref();
        asked.map_or_else(usual, |file| file.content.clone())
    }

    /// Returns how many bytes a second each of its interfaces may send, and receive.
    /// An app that is the only one has all of them.
    pub fn bandwidth(&self) -> Option<u64> {
        let app = match &self.apps[..] {
            [app] => app.limits.network_bandwidth,
            _ => None,
        };
        app.into_iter().chain(self.limits.network_bandwidth).min()
    }

    /// Finds an app.
    pub fn app(&self, name: &str) -> Option<&AppSpec> {
        self.apps.iter().find(|app| app.name == name)
    }

    /// Returns the service manager that its app speaks to, if there is one.
    pub fn manager_of_app(&self) -> Option<&Manager> {
        self.manager
            .as_ref()
            .filter(|_| self.speaker == Speaker::App)
    }

    /// Returns what may start it again, if anything does.
    pub fn restarted_by(&self) -> Option<String> {
        match (self.restart, self.on_unhealthy) {
            (Restart::No, OnUnhealthy::Restart) => Some("option --on-unhealthy=restart".to_owned()),
            (Restart::No, _) => None,
            (restart, _) => Some(format!("option --restart={restart}")),
        }
    }

    /// Returns whether one of its apps is checked.
    pub fn has_checks(&self) -> bool {
        self.apps.iter().any(|app| app.health.is_some())
    }

    /// Returns whether the pod is started when somebody connects.
    pub fn is_awaiting(&self) -> bool {
        let mut sockets = self.apps.iter().flat_map(|app| &app.sockets);
        sockets.any(|one| one.value.is_awaited())
    }

    /// Returns whether an app has the terminal that the launcher makes.
    pub fn has_terminal(&self) -> bool {
        self.terminal_app().is_some()
    }

    /// Returns the app that has that terminal.
    pub fn terminal_app(&self) -> Option<&AppSpec> {
        use crate::spec::process::Stdio;
        let mut apps = self.apps.iter();
        apps.find(|app| app.process.stdio == Stdio::Terminal)
    }
}

impl IdMaps {
    /// Translates ids of the pod to ids of the host; `None` if the host does
    /// not have an id.
    pub fn on_host(&self, uid: u32, gid: u32) -> (Option<u32>, Option<u32>) {
        (translate(&self.uids, uid), translate(&self.gids, gid))
    }
}

fn translate(maps: &[IdMap], id: u32) -> Option<u32> {
    let translated = maps.iter().find_map(|map| {
        let at = id.checked_sub(map.inside).filter(|&at| at < map.count)?;
        map.outside.checked_add(at)
    });
    translated.or_else(|| maps.is_empty().then_some(id))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn sample() -> PodSpec {
        let id = Uuid::parse("6f0c1d52-8f4e-4a55-9c0f-2f6f2a6f7a10").unwrap();
        PodSpec::new(id, "/d\u{e4}", Sourced::new("web".to_owned(), "default"))
    }

    #[test]
    fn another_version_is_refused() {
        let text = String::from_utf8(sample().text().unwrap()).unwrap();
        for (wrong, message) in [
            (
                "{\"version\":2}",
                "it has version 2, but this launcher supports version 1",
            ),
            (
                "{}",
                "it is damaged: missing field `version` at line 1 column 2",
            ),
        ] {
            assert_eq!(
                PodSpec::read(wrong.as_bytes()).unwrap_err().to_string(),
                message
            );
        }
        let strange = text.replace("\"planned\"", "\"plannd\"");
        assert!(PodSpec::read(strange.as_bytes()).is_err());
        assert!(PodSpec::read(&text.as_bytes()[..text.len() - 1]).is_err());
    }

    #[test]
    fn a_spec_survives_its_file() {
        assert_eq!(PodSpec::read(&sample().text().unwrap()).unwrap(), sample());
    }

    #[test]
    fn without_mappings_ids_are_those_of_the_host() {
        let map = |inside, outside, count| IdMap {
            inside,
            outside,
            count,
        };
        let maps = IdMaps {
            uids: vec![map(0, 1000, 1), map(1, 100_000, 10)],
            gids: Vec::new(),
        };
        assert_eq!(maps.on_host(0, 7), (Some(1000), Some(7)));
        assert_eq!(maps.on_host(10, 7), (Some(100_009), Some(7)));
        assert_eq!(maps.on_host(11, 7), (None, Some(7)));
    }
}
