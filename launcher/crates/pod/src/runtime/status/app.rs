//! What is known of an app of a pod: what its manifest or its plan says that it
//! is, and what the report says that has become of it.

use stage1_init::{Directive, Report};

use crate::plan::text::Plan;
use crate::resolve::isolators::{Limits, limits};
use appc::digest::ImageId;
use appc::manifest::PodManifest;
use appc::manifest::isolator::Scope;
use appc::manifest::pod::{Mount, PodApp, VolumeKind};
use appc::types::{AcIdentifier, clean};
use error::Result;

/// What is known of an app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct App {
    /// What it is called.
    pub name: String,
    /// The image it runs from: what it is called, and which it is.
    pub image: Option<(Option<AcIdentifier>, ImageId)>,
    /// As which process its main program was started, as the pod counts.
    pub(crate) number: Option<u32>,
    /// Which process of the host that is, while it runs.
    pub pid: Option<u32>,
    /// How its main program ended, if it has.
    pub ending: Option<Ending>,
    /// Its volumes.
    pub mounts: Vec<Mounted>,
    /// How much it may use, as it was asked for.
    pub limits: Limits,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this status.
    Exited(u8),
    /// By the signal of this number.
    Killed(u8),
}

/// A volume in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    /// What it is called.
    pub volume: String,
    /// Where, from the root of the app.
    pub path: String,
    /// Where it is on the host; `None` if it began empty, with the pod.
    pub source: Option<String>,
    /// The app only reads.
    pub read_only: bool,
}

impl Ending {
    /// Takes a status that wait(2) gives.
    fn of(status: u32) -> Self {
        let [low, high, ..] = status.to_le_bytes();
        match low & 0x7f {
            0 => Self::Exited(high),
            signal => Self::Killed(signal),
        }
    }

    /// Returns the exit code for it, as shells have it.
    pub const fn code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Killed(signal) => 128 | signal,
        }
    }
}

/// Reads the apps, and the limits of all of them together, out of the manifest
/// of their pod.
pub(crate) fn of_manifest(text: &[u8]) -> Result<(Vec<App>, Limits)> {
    if text.is_empty() {
        // It is being written.
        return Ok(Default::default());
    }
    let pod = PodManifest::parse(text)?.value;
    let apps = pod.apps.iter().map(|app| {
        let isolators = app.app.as_ref().map(|app| &app.isolators[..]);
        App {
            name: app.name.to_string(),
            image: Some((app.image.name.clone(), app.image.id)),
            mounts: mounts(&pod, app),
            limits: limits(isolators.unwrap_or_default(), Scope::App),
            ..App::default()
        }
    });
    Ok((apps.collect(), limits(&pod.isolators, Scope::Pod)))
}

fn mounts(pod: &PodManifest, app: &PodApp) -> Vec<Mounted> {
    let read = |mount: &Mount| {
        let own = mount.app_volume.as_ref();
        let volume = own.or_else(|| pod.volume(&mount.volume))?;
        let points = app.app.iter().flat_map(|app| &app.mount_points);
        let mut here = points.filter(|point| clean(&point.path) == clean(&mount.path));
        Some(Mounted {
            volume: mount.volume.to_string(),
            path: format!("/{}", clean(&mount.path)),
            source: match &volume.kind {
                VolumeKind::Host { source, .. } => Some(source.clone()),
                VolumeKind::Empty { .. } => None,
            },
            read_only: volume.read_only == Some(true) || here.any(|point| point.read_only),
        })
    };
    app.mounts.iter().filter_map(read).collect()
}

/// Reads them out of a plan: a pod that runs from one has no manifest.
pub(crate) fn of_plan(text: &[u8]) -> Vec<App> {
    let mut apps = Vec::new();
    if let Ok(plan) = Plan::read(text) {
        plan.find(|_, directive, _| -> Option<()> {
            if let Directive::App { name } = directive {
                apps.push(App {
                    name: name.as_c_str().to_string_lossy().into_owned(),
                    ..App::default()
                });
            }
            None
        });
    }
    apps
}

/// Takes from a report what has become of apps; tells whether all were started.
pub(crate) fn tell(report: &[u8], apps: &mut [App]) -> bool {
    let mut ready = false;
    let find = |apps: &mut [App], name: &[u8], set: &dyn Fn(&mut App)| {
        let mut apps = apps.iter_mut();
        apps.find(|known| known.name.as_bytes() == name).map(set);
    };
    for line in report.split(|&byte| byte == b'\n') {
        match Report::decode(line) {
            Some(Report::Ready) => ready = true,
            Some(Report::Started { app, pid }) => {
                find(apps, app, &|app| app.number = Some(pid));
            }
            Some(Report::Exited { app, status }) => {
                find(apps, app, &|app| app.ending = Some(Ending::of(status)));
            }
            _ => {}
        }
    }
    ready
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_report_tells_how_apps_began_and_ended() {
        let app = |name: &str| App {
            name: name.to_owned(),
            ..App::default()
        };
        let mut apps = ["a", "b", "c", "d"].map(app);
        let report = b"started a 2\nready\nexited a 256\nstarted d 7\nlater 1\n\
            exited b 9\nexited c 139\nexited x 0\nexited d";
        assert!(tell(report, &mut apps));
        let (exited, killed) = (Ending::Exited, Ending::Killed);
        let endings = apps.each_ref().map(|app| app.ending);
        assert_eq!(
            endings,
            [Some(exited(1)), Some(killed(9)), Some(killed(11)), None]
        );
        let codes = endings.map(|ending| ending.map(Ending::code));
        assert_eq!(codes, [Some(1), Some(137), Some(139), None]);
        let numbers = apps.each_ref().map(|app| app.number);
        assert_eq!(numbers, [Some(2), None, None, Some(7)]);
        assert!(!tell(b"failed 1 2\n", &mut apps) && !tell(b"read", &mut apps));
    }

    #[test]
    fn who_only_reads_a_volume_is_said_by_the_volume_or_by_the_point() {
        let manifest = r#"{"acVersion": "0.8.11", "acKind": "PodManifest", "apps": [{"name": "web",
            "image": {"id": "sha512-ID"},
            "app": {"exec": ["/a"], "user": "0", "group": "0", "mountPoints": [
                {"name": "a", "path": "/a", "readOnly": true}, {"name": "b", "path": "/b"}],
                "isolators": [{"name": "resource/memory", "value": {"limit": "1Mi"}},
                    {"name": "resource/cpu", "value": {"limit": "500m"}},
                    {"name": "os/linux/cpu-shares", "value": 77}]},
            "mounts": [{"volume": "data", "path": "/a/"}, {"volume": "data", "path": "/b"},
                {"volume": "own", "path": "/c", "appVolume":
                    {"name": "own", "kind": "empty", "readOnly": true}},
                {"volume": "lost", "path": "/d"}]}],
            "volumes": [{"name": "data", "kind": "host", "source": "/srv"}],
            "isolators": [{"name": "resource/memory", "value": {"limit": "3Mi"}}]}"#;
        let manifest = manifest.replace("ID", &"0".repeat(128));
        let (apps, whole) = of_manifest(manifest.as_bytes()).unwrap();
        let mounts = apps[0].mounts.iter().map(|mount| {
            let source = mount.source.as_deref().unwrap_or("empty");
            let mode = if mount.read_only { "ro" } else { "rw" };
            format!("{} {} {source} {mode}", mount.volume, mount.path)
        });
        assert_eq!(
            mounts.collect::<Vec<_>>(),
            ["data /a /srv ro", "data /b /srv rw", "own /c empty ro"]
        );
        let expected = Limits {
            cpu: Some(500),
            cpu_shares: Some(77),
            memory: Some(1 << 20),
            ..Limits::default()
        };
        assert_eq!(apps[0].limits, expected);
        assert_eq!(whole.memory, Some(3 << 20));
    }
}
