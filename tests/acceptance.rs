//! What operators of App Containers are used to, as tables: a row is a case,
//! the command line that shows it, and all that is expected of it.
//!
//! Cases that an earlier runner of such images had and that are no rows here:
//!
//! - not there yet: entering a pod; networks that the host takes part in, with
//!   ports, name servers and entries of `/etc/hosts`; the choice of an IPC
//!   namespace, for every pod has its own; user namespaces; a network whose
//!   name is wrong, so that another failure inside the pod stands for it;
//! - not meant: units of systemd, its sockets and what is passed on from them;
//!   Docker's images and volumes that are filled from them; apps put into a pod
//!   that runs; switches that give up protected paths, capabilities or the
//!   filter of system calls, each of which has an option of its own where it
//!   can be had at all; a group of users who may write to the store; limits read
//!   inside a pod, where no cgroups are mounted; the kernel's configuration
//!   hidden, for it is no secret;
//! - shown elsewhere, as no table could: signals to the launcher (`run`, `pods`),
//!   mounts below a volume (`pods::volumes`), the specification's own program
//!   (`ace`).
//!
//! Some rows are deliberately not what that runner did: statuses are 125, 126
//! and 127 where no app had one; handlers run as their app's user; a user who is
//! not root has no capabilities; a volume that no app mounts is refused.

/// What an app cannot see, do, or use up.
mod isolation;
/// The life of pods: collected, removed, stopped, listed.
mod life;
/// Pod manifests: what they say is what is run.
mod manifests;
/// What runs: programs, words, variables, users, handlers; how it ends.
mod running;
/// Steps that are taken one after the other.
mod story;
/// What is mounted, where, and who may write to it.
mod volumes;

use crate::aci::{Aci, manifest};
use crate::golden;
use crate::host::{self, Ran, Scratch, launcher};

/// What an app says on standard output.
#[derive(Clone, Copy)]
enum Said<'t> {
    /// This, and nothing else.
    Is(&'t str),
    /// Among other lines, this one.
    Has(&'t str),
    /// Several lines, and not this one.
    Lacks(&'t str),
}

/// The claim; the words behind `launcher run`; status and standard output of the
/// run; under which title its standard error stands among the messages, if there
/// is any. In words and texts stand for what is prepared:
///
/// - `PROBE`, `BUSYBOX`: these images;
/// - `NAME.aci`: the image of that name of the table;
/// - `HERE`: a directory of the table's own;
/// - `UUID`: that of the pod, and `HOST-ipc`: the namespace of the tests.
///
/// Words with blanks stand in `'`.
type Case<'t> = (&'t str, &'t str, i32, Said<'t>, &'t str);

/// The UUID of pods whose row names it.
const UUID: &str = "3c1d9a52-70c5-4f0a-8a7e-0d8d1f1f6b01";

/// How a row is run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// `launcher run`.
    Run,
    /// `launcher prepare`, then `launcher run-prepared`.
    Prepared,
}

const RUN: &[Way] = &[Way::Run];
const BOTH: &[Way] = &[Way::Run, Way::Prepared];

/// A directory of pods, and beside it what rows name.
struct Table {
    scratch: Scratch,
}

impl Table {
    /// Makes images of these names whose apps are these pieces of JSON; an
    /// empty one is an image without an app.
    fn new(images: &[(&str, &str)]) -> Self {
        let scratch = Scratch::new();
        let probe = std::fs::read(host::probe()).unwrap();
        for (name, app) in images {
            let text = match *app {
                "" => manifest("null").replace(",\n  \"app\": null", ""),
                app => manifest(app),
            };
            let text = text.replace("example.com/sample", &format!("example.com/{name}"));
            let image = Aci::new(&text)
                .file("rootfs/probe", 0o755, &probe)
                .link("rootfs/probe-link", "probe")
                .dir("rootfs/bin")
                .link("rootfs/bin/named", "../probe")
                .file("rootfs/script", 0o755, "#!/none/sh\n")
                .file("rootfs/text", 0o644, "no program\n")
                .dir("rootfs/etc")
                .file("rootfs/etc/passwd", 0o644, "user1:x:1000:7:::\n")
                .file("rootfs/etc/group", 0o644, "group1:x:100:\n")
                .dir("rootfs/dir1")
                .file("rootfs/dir1/file", 0o644, "dir1\n")
                .dir("rootfs/dir2")
                .link("rootfs/dir1/link_abs", "/dir2")
                .link("rootfs/dir1/link_rel", "../dir2")
                .link("rootfs/dir1/link_up", "/../../../dir2")
                .link("rootfs/dir1/link_deep", "/dir1/../../dir2")
                .link("rootfs/dangling", "/nowhere/made")
                .odd(tar::EntryType::Regular, "rootfs/owned", b"", |header| {
                    header.set_uid(1000);
                    header.set_gid(100);
                });
            scratch.write(&format!("{name}.aci"), image.bytes());
        }
        Self { scratch }
    }

    /// Writes a file that rows name as `HERE/NAME`.
    fn file(self, name: &str, content: &str) -> Self {
        let path = self.scratch.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    fn filled(&self, text: &str) -> String {
        let here = self.scratch.path().display().to_string();
        let mut text = text.replace("HERE", &here).replace("UUID", UUID);
        for kind in ["ipc", "mnt", "net", "pid", "uts"] {
            let link = std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap();
            text = text.replace(&format!("HOST-{kind}"), &link.display().to_string());
        }
        text
    }

    /// What was said, with `HERE` for the directory of the table.
    fn anonymous(&self, text: &str) -> String {
        text.replace(&self.scratch.path().display().to_string(), "HERE")
    }

    fn launch(&self, words: &[&str], line: &str) -> Ran {
        let words = words.iter().map(|word| (*word).to_owned());
        let words = words.chain(split(line).into_iter().map(|word| match word.as_str() {
            "PROBE" => host::image("probe").display().to_string(),
            "BUSYBOX" => host::image("busybox").display().to_string(),
            word if word.ends_with(".aci") => self.filled(&format!("HERE/{word}")),
            word => self.filled(word),
        }));
        launcher(&self.scratch.join("dir"))
            .args(words)
            .env("CALLER", "caller")
            .env("A", "caller")
            .env("TERM", "vt52")
            .input("Saluton\n")
            .run()
    }

    /// Status, standard output, standard error; those of `prepare` and of
    /// `run-prepared` together. A failure to prepare counts as one to run.
    fn outcome(&self, line: &str, way: Way) -> (Option<i32>, String, String) {
        if way == Way::Run {
            let ran = self.launch(&["run"], line);
            return (ran.exited(), ran.stdout, ran.stderr);
        }
        let prepared = self.launch(&["prepare"], line);
        match prepared.exited() {
            Some(0) => {
                let ran = self.launch(&["run-prepared", prepared.stdout.trim_end()], "");
                (ran.exited(), ran.stdout, prepared.stderr + &ran.stderr)
            }
            Some(1 | 2) => (Some(125), prepared.stdout, prepared.stderr),
            other => (other, prepared.stdout, prepared.stderr),
        }
    }

    /// Fails if a row is not as it says; shows all rows that are not.
    #[track_caller]
    fn check(&self, ways: &[Way], cases: &[Case<'_>]) {
        let mut wrong = String::new();
        for (claim, line, status, said, title) in cases {
            for way in ways {
                let (exited, stdout, stderr) = self.outcome(line, *way);
                let complained = expected(title, &self.anonymous(&stderr));
                let fits = match said {
                    Said::Is(text) => stdout == self.filled(text),
                    Said::Has(text) => stdout.lines().any(|each| each == self.filled(text)),
                    Said::Lacks(text) => {
                        let text = self.filled(text);
                        stdout.lines().count() > 1 && stdout.lines().all(|each| each != text)
                    }
                };
                if !fits || exited != Some(*status) || self.anonymous(&stderr) != complained {
                    wrong += &format!(
                        "{way:?}: {claim}: {line}\n{exited:?}, not {status}\n\
                         --- stdout ---\n{stdout}\n--- stderr ---\n{stderr}\n\
                         --- not ---\n{complained}\n---\n"
                    );
                }
            }
        }
        assert!(wrong.is_empty(), "rows that are not so:\n{wrong}");
    }
}

/// What stands under a title; nothing, where there is none.
#[track_caller]
fn expected(title: &str, got: &str) -> String {
    match title {
        "" => String::new(),
        title => golden::written(title, got),
    }
}

/// Splits at blanks, but not between `'` and `'`.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        match index % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}
