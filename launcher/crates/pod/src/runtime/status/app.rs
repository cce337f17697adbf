//! The status of an app: what its spec says, and what the report says has
//! become of it.

use serde::{Deserialize, Serialize};
use stage1_init::Report;

use crate::cgroup::oom::OomKills;
use crate::runtime::status::health::Health;
use crate::spec::limits::Limits;
use crate::spec::mounts::Mounted;
use crate::spec::pod::{AppSpec, ImageSource, PodSpec};

/// The status of an app.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// Its name.
    pub name: String,
    /// The image it runs from.
    pub image: Option<ImageSource>,
    /// The number of its main process in the pod.
    #[serde(skip)]
    pub(crate) number: Option<u32>,
    /// The number of its main process on the host, while it runs.
    #[serde(skip)]
    pub pid: Option<u32>,
    /// How it is, while it runs, if it is checked.
    #[serde(skip)]
    pub health: Option<Health>,
    /// How its main program ended, if it has.
    pub ending: Option<Ending>,
    /// How many of its processes were killed because memory had run out, as far
    /// as that is known of it and not only of the pod.
    pub oom_kills: u64,
    /// Its volumes.
    pub mounts: Vec<Mounted>,
    /// The limits that were requested for it.
    #[serde(default, skip_serializing_if = "Limits::is_empty")]
    pub limits: Limits,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// It exited with this status.
    Exited(u8),
    /// It was killed by this signal.
    Killed(u8),
}

impl Ending {
    /// Decodes a status of wait(2).
    fn of(status: u32) -> Self {
        let [low, high, ..] = status.to_le_bytes();
        match low & 0x7f {
            0 => Self::Exited(high),
            signal => Self::Killed(signal),
        }
    }

    /// Returns the exit code, as shells report it.
    pub const fn code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Killed(signal) => 128 | signal,
        }
    }
}

/// Returns the apps of a spec.
pub(crate) fn of_spec(spec: &PodSpec) -> Vec<App> {
    let app = |app: &AppSpec| App {
        name: app.name.clone(),
        image: app.image.clone(),
        mounts: app.mounts.clone(),
        limits: app.limits.clone(),
        ..App::default()
    };
    spec.apps.iter().map(app).collect()
}

/// Tells how the apps ended that PID 1 of their pod could not report any more,
/// because it was killed: the kernel killed them with it
/// (pid_namespaces(7)).
pub(crate) fn end_with_init(apps: &mut [App]) {
    let running = |app: &&mut App| app.number.is_some() && app.ending.is_none();
    for app in apps.iter_mut().filter(running) {
        app.ending = Some(Ending::Killed(KILL));
    }
}

/// The number of SIGKILL.
const KILL: u8 = 9;

/// The status of an init that was killed.
pub(crate) const KILLED: u8 = Ending::Killed(KILL).code();

/// Returns the exit status of a pod of which all processes have ended: that of
/// the first app that failed. `None` if the report does not say.
pub(crate) fn overall(report: &[u8]) -> Option<u8> {
    let mut running = 0_usize;
    let mut status = None;
    for line in report.split(|&byte| byte == b'\n') {
        match Report::decode(line) {
            // The app that it belongs to has another status, or none.
            Some(Report::Failed { .. }) => return None,
            Some(Report::Started { .. }) => running += 1,
            Some(Report::Exited { status: ended, .. }) => {
                running = running.saturating_sub(1);
                status = status
                    .filter(|&code| code != 0)
                    .or(Some(Ending::of(ended).code()));
            }
            _ => {}
        }
    }
    match running {
        0 => status,
        _ => status.filter(|&code| code != 0).or(Some(KILLED)),
    }
}

/// Attributes kills to the apps: if there is only one, all are its own.
pub(crate) fn attribute(kills: &OomKills, apps: &mut [App]) {
    match apps {
        [only] => only.oom_kills = kills.pod,
        several => {
            for app in several {
                app.oom_kills = kills.apps.get(&app.name).copied().unwrap_or(0);
            }
        }
    }
}

/// Reads from a report what has become of the apps; returns whether all were
/// started.
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
    use crate::plan::directives::Plan;
    use crate::plan::written;
    use appc::types::Uuid;

    #[test]
    fn a_report_says_how_apps_started_and_ended() {
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
    fn a_pod_has_the_status_of_the_first_app_that_failed() {
        for (report, expected) in [
            (&b""[..], None),
            (b"started a 2\nready\nexited a 0\n", Some(0)),
            (
                b"started a 2\nstarted b 3\nexited a 0\nexited b 768\n",
                Some(3),
            ),
            (
                b"started a 2\nstarted b 3\nexited b 768\nexited a 9\n",
                Some(3),
            ),
            (b"started a 2\nstarted b 3\nexited b 0\n", Some(137)),
            (b"started a 2\nfailed 1 2\nexited a 15\n", None),
        ] {
            assert_eq!(overall(report), expected);
        }
    }

    #[test]
    fn apps_that_ran_when_the_init_was_killed_were_killed() {
        let app = |name: &str| App {
            name: name.to_owned(),
            ..App::default()
        };
        let mut apps = ["a", "b", "c"].map(app);
        tell(b"started a 2\nstarted b 3\nexited a 256\n", &mut apps);
        end_with_init(&mut apps);
        let endings = apps.map(|app| app.ending);
        let expected = [Some(Ending::Exited(1)), Some(Ending::Killed(9)), None];
        assert_eq!(endings, expected);
    }

    #[test]
    fn kills_in_a_pod_with_one_app_are_that_apps() {
        let app = |name: &str| App {
            name: name.to_owned(),
            ..App::default()
        };
        let kills = OomKills::read(b"oom-kills 3\noom-kills web 2\n");
        let attributed = |apps: &mut [App]| {
            attribute(&kills, apps);
            apps.iter().map(|app| app.oom_kills).collect::<Vec<_>>()
        };
        assert_eq!(attributed(&mut [app("any")]), [3]);
        assert_eq!(attributed(&mut [app("db"), app("web")]), [0, 2]);
    }

    #[test]
    fn apps_are_read_from_a_spec() {
        let plan = b"plan 1\napp a\nprocess\nmain 1 /x\napp b\nprocess\nmain 1 /x\n";
        let plan = Plan::read(plan).unwrap();
        let id = Uuid::parse("6f0c1d52-8f4e-4a55-9c0f-2f6f2a6f7a10").unwrap();
        let mut spec = written::spec(&plan, id, "/pod");
        let bare = |name: &str| App {
            name: name.to_owned(),
            ..App::default()
        };
        assert_eq!(of_spec(&spec), ["a", "b"].map(bare));
        let expected = App {
            image: Some(ImageSource {
                id: "sha512-00".to_owned(),
                name: Some("example.com/b".to_owned()),
            }),
            mounts: vec![Mounted {
                name: "data".to_owned(),
                source: "/srv".into(),
                directory: true,
                ours: false,
                target: "/data".to_owned(),
                read_only: true,
                recursive: true,
                reason: String::new(),
            }],
            limits: Limits {
                cpu: Some(500),
                memory: Some(1 << 20),
                ..Limits::default()
            },
            ..bare("b")
        };
        let b = &mut spec.apps[1];
        b.image.clone_from(&expected.image);
        b.mounts.clone_from(&expected.mounts);
        b.limits.clone_from(&expected.limits);
        assert_eq!(of_spec(&spec), [bare("a"), expected]);
    }
}
