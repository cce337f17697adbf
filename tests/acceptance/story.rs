//! A story: what is done with pods, one step after the other, and all that is
//! expected of each step.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::{Said, Table, UUID, expected};
use crate::cgroups;
use crate::host::{self, Scratch, launcher};

/// Another UUID, of the same beginning.
pub(super) const OTHER: &str = "3c1d9a52-70c5-4f0a-8a7e-0d8d1f1f6b02";

/// UUIDs of pods with cgroups: those cannot have one name in two directories.
const LIMITED: &str = "4d2e0b63-70c5-4f0a-8a7e-0d8d1f1f6b03";
const PAUSED: &str = "5e3f1c74-70c5-4f0a-8a7e-0d8d1f1f6b04";

/// A step of a story. In its texts stand `PROBE`, `BUSYBOX` and `HERE` as in
/// other tables; `ONE`, `OTHER`, `LIMITED` and `PAUSED` for UUIDs, `IMAGE` for
/// the ID of the probe's image, and `SHORT` for what is shown of that.
#[derive(Clone, Copy)]
pub(super) enum Step<'t> {
    /// `launcher WORDS`: status, standard output, and under which title its
    /// standard error stands among the messages, if there is any.
    Do(&'t str, i32, Said<'t>, &'t str),
    /// `launcher WORDS` is called until it says this.
    Until(&'t str, &'t str),
    /// What is in the directories of pods, as STATE/UUID.
    Pods(&'t [&'t str]),
    /// Whether any cgroup is named after the pod.
    Groups(&'t str, bool),
    /// The pod's init is killed, from outside, and with it the pod.
    Killed(&'t str),
    /// The same, and the kernel is another: the host was restarted.
    Reboot(&'t str),
    /// All images are gone, past what keeps them.
    Lost,
}

/// A claim, and what shows it.
pub(super) type Story<'t> = (&'t str, &'t [Step<'t>]);

/// Each story has a directory of its own.
#[track_caller]
pub(super) fn check(stories: &[Story<'_>]) {
    let mut wrong = String::new();
    for (claim, steps) in stories {
        let table = Table::new(&[]);
        for (at, step) in steps.iter().enumerate() {
            if let Err(what) = take(&table, step) {
                wrong += &format!("{claim}: step {at}: {what}\n");
                break;
            }
        }
        // Nobody has to be stopped by hand.
        for uuid in [UUID, OTHER, LIMITED, PAUSED] {
            let _ = table.launch(&["rm", "--force"], uuid);
        }
        let _ = table.launch(&["gc"], "--grace-period=0 --expire-prepared=0");
    }
    assert!(wrong.is_empty(), "stories that are not so:\n{wrong}");
}

#[track_caller]
fn take(table: &Table, step: &Step<'_>) -> Result<(), String> {
    match step {
        Step::Do(line, status, said, title) => {
            let ran = table.launch(&[], &filled(line));
            let fits = match said {
                Said::Is(text) => ran.stdout == of(table, text),
                Said::Has(text) => {
                    let text = of(table, text);
                    ran.stdout.lines().any(|each| each == text)
                }
                Said::Lacks(text) => ran.stdout.lines().all(|each| each != *text),
            };
            let told = anonymous(&table.anonymous(&ran.told()));
            let complained = expected(title, &told);
            match fits && ran.exited() == Some(*status) && told == complained {
                true => Ok(()),
                false => Err(format!(
                    "{line}: expected {status} and {complained:?}, got {ran:#?}"
                )),
            }
        }
        Step::Until(line, text) => {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(60) {
                if table.launch(&[], &filled(line)).stdout == *text {
                    return Ok(());
                }
            }
            Err(format!("{line}: never {text:?}"))
        }
        Step::Pods(expected) => {
            let mut found = Vec::new();
            let states = table.scratch.join("dir/pods");
            for state in host::names(&states) {
                let pods = host::names(&states.join(&state));
                found.extend(pods.iter().map(|pod| format!("{state}/{pod}")));
            }
            let expected: Vec<String> = expected.iter().map(|pod| of(table, pod)).collect();
            match found == expected {
                true => Ok(()),
                false => Err(format!("pods: {found:?}, not {expected:?}")),
            }
        }
        Step::Groups(pod, expected) => {
            let found = cgroups::of_pod(&filled(pod));
            match found.is_empty() != *expected {
                true => Ok(()),
                false => Err(format!("groups: {found:?}")),
            }
        }
        Step::Killed(pod) => killed(table, &filled(pod)),
        Step::Reboot(pod) => {
            let uuid = filled(pod);
            killed(table, &uuid)?;
            let record = table
                .scratch
                .join("dir/pods/run")
                .join(uuid)
                .join("started");
            let text = std::fs::read_to_string(&record).unwrap();
            let (start, _) = text.split_once("\"boot\":").unwrap();
            let boot = "01234567-89ab-cdef-0123-456789abcdef";
            std::fs::write(&record, format!("{start}\"boot\":\"{boot}\"}}\n")).unwrap();
            Ok(())
        }
        Step::Lost => {
            for part in ["images", "layers"] {
                std::fs::remove_dir_all(table.scratch.join("dir").join(part)).unwrap();
            }
            Ok(())
        }
    }
}

fn killed(table: &Table, uuid: &str) -> Result<(), String> {
    let status = table.launch(&["status"], uuid);
    let mut lines = status.stdout.lines();
    let pid = lines.find_map(|line| line.strip_prefix("pid="));
    let pid = pid.ok_or_else(|| format!("it does not run: {status:?}"))?;
    let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    table.launch(&["status", "--wait"], uuid);
    Ok(())
}

fn of(table: &Table, text: &str) -> String {
    let here = table.scratch.path().display().to_string();
    filled(text).replace("HERE", &here)
}

/// Puts in what stands in a text for UUIDs and the image.
pub(super) fn filled(text: &str) -> String {
    let id = image();
    let short: String = id.chars().take(39).collect();
    let text = text.replace("ONE", UUID).replace("OTHER", OTHER);
    let text = text.replace("LIMITED", LIMITED).replace("PAUSED", PAUSED);
    let text = text.replace("IMAGE", id);
    text.replace("SHORT", &short)
}

/// What was said, with the words that stand for UUIDs and the image.
fn anonymous(text: &str) -> String {
    let id = image();
    let text = text.replace(UUID, "ONE").replace(OTHER, "OTHER");
    let text = text.replace(LIMITED, "LIMITED").replace(PAUSED, "PAUSED");
    text.replace(id, "IMAGE").replace(&id[..39], "SHORT")
}

/// The ID of the probe's image.
pub(super) fn image() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| {
        let scratch = Scratch::new();
        let dir = scratch.join("dir");
        let prepare = launcher(&dir).arg("prepare").arg(host::image("probe"));
        prepare.run().exits(0);
        let words = ["image", "list", "--full", "--no-legend", "--fields=id"];
        let listed = launcher(&dir).args(words).run().exits(0);
        listed.stdout.trim_end().to_owned()
    })
}
