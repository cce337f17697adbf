//! What commands are swept on, and what must be true of it afterwards.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{images, server};
use crate::host::{self, Call, Ran, Scratch};
use crate::network::Site;
use crate::{cgroups, kernel};

/// A directory of images and pods.
pub(super) struct Ground {
    pub(super) scratch: Scratch,
    /// How the UUIDs begin that it gives to pods.
    mark: String,
    given: Cell<u64>,
    /// A host of its own, if pods change its network.
    site: Option<Site>,
}

/// A pod, as `list` tells of it.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) uuid: String,
    pub(super) state: String,
}

impl Ground {
    pub(super) fn new(networked: bool) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let scratch = Scratch::new();
        scratch.write("image.aci", images::library());
        scratch.write("dependent.aci", images::dependent());
        scratch.write("quiet.aci", images::quiet());
        images::layout(&scratch.join("layered"), &images::layered(false));
        Self {
            scratch,
            mark: format!("{:04x}{:04x}", std::process::id() & 0xffff, number & 0xffff),
            given: Cell::new(0),
            site: networked.then(Site::new),
        }
    }

    /// A program, on this host.
    pub(super) fn call(&self, program: &Path) -> Call {
        match &self.site {
            Some(site) => site.host.call(program),
            None => host::call(program),
        }
    }

    /// Where images and pods are.
    pub(super) fn dir(&self) -> PathBuf {
        self.scratch.join("dir")
    }

    /// A directory to build an image of: each time the same one.
    pub(super) fn tree(&self) -> String {
        let root = self.scratch.join("root");
        std::fs::create_dir_all(root.join("bin")).unwrap();
        std::fs::write(root.join("bin/program"), "program").unwrap();
        std::fs::write(root.join("sparse"), vec![0; 2 << 20]).unwrap();
        for name in ["bin/program", "bin", "sparse", ""] {
            let file = std::fs::File::open(root.join(name)).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        }
        root.display().to_string()
    }

    /// `launcher WORDS`, to its end.
    pub(super) fn run(&self, words: &str) -> Ran {
        let launcher = self.call(&host::program());
        let launcher = launcher.arg("--dir").arg(self.dir());
        launcher.args(self.words(words, "")).run()
    }

    /// What a command prints that must succeed.
    #[track_caller]
    pub(super) fn says(&self, words: &str) -> String {
        self.run(words).exits(0).stdout.trim_end().to_owned()
    }

    /// Words of a command line, in which PROBE and BUSYBOX stand for those
    /// images, FILE for one of the tests' own and DEPENDENT for one that needs
    /// it, LAYERED for one of several layers, QUIET for one whose program needs nothing,
    /// SERVER for where that is to be had, OUT for another file, KEY for the key of the
    /// site, ASK for a script that asks the metadata service, TWICE for one that succeeds
    /// the second time, NEW for a new UUID, and IT for what the command is about.
    pub(super) fn words(&self, words: &str, it: &str) -> Vec<String> {
        let shown = |path: PathBuf| path.display().to_string();
        let word = |word: &str| match word {
            "PROBE" => shown(host::image("probe")),
            "BUSYBOX" => shown(host::image("busybox")),
            "FILE" => shown(self.scratch.join("image.aci")),
            "LAYERED" => format!("oci:{}", shown(self.scratch.join("layered"))),
            "QUIET" => shown(self.scratch.join("quiet.aci")),
            "DEPENDENT" => shown(self.scratch.join("dependent.aci")),
            "OUT" => shown(self.scratch.join("out.aci")),
            "KEY" => shown(host::images().join("site/key.asc")),
            "ASK" => "timeout 1 wget -q -O - $AC_METADATA_URL/acMetadata/v1/pod/uuid || \
                      echo nothing >&2"
                .to_owned(),
            "TWICE" => "test -e /begun || { touch /begun; exit 1; }".to_owned(),
            "NEW" => self.uuid(),
            "IT" => it.to_owned(),
            word => word.replace("SERVER", server::address()),
        };
        words.split_whitespace().map(word).collect()
    }

    fn uuid(&self) -> String {
        self.given.set(self.given.get() + 1);
        format!("{}-0000-4000-8000-{:012x}", self.mark, self.given.get())
    }

    /// All pods.
    pub(super) fn list(&self) -> Result<Vec<Listed>, String> {
        let said = self.clean("list --format=json")?;
        let pods = said.split("{\"uuid\":\"").skip(1);
        let state = |pod: &str| {
            Some(
                pod.split_once("\"state\":\"")?
                    .1
                    .split_once('"')?
                    .0
                    .to_owned(),
            )
        };
        let pods = pods.map(|pod| Listed {
            uuid: pod[..36].to_owned(),
            state: state(pod).expect("a state"),
        });
        Ok(pods.collect())
    }

    /// The state of a pod, if it is listed.
    pub(super) fn state(&self, uuid: &str) -> Option<String> {
        let pods = self.list().ok()?.into_iter();
        let mut pods = pods.filter(|pod| pod.uuid == uuid);
        pods.next().map(|pod| pod.state)
    }

    /// What a command says that must work without a word of complaint.
    pub(super) fn clean(&self, words: &str) -> Result<String, String> {
        let ran = self.run(words);
        match ran.succeeded() && ran.stderr.is_empty() {
            true => Ok(ran.stdout),
            false => Err(format!("afterwards: {ran:?}")),
        }
    }

    /// What is listed can be done with what it is said to be.
    pub(super) fn holds(&self) -> Result<(), String> {
        for Listed { uuid, state } in self.list()? {
            match state.as_str() {
                "running" | "paused" => self.run(&format!("stop --time=0 {uuid}")),
                "prepared" => self.run(&format!("run-prepared {uuid}")),
                "deleting" => {
                    // Whoever is at it is quick, or was killed.
                    while self.state(&uuid).is_some_and(|state| state == "deleting") {}
                    continue;
                }
                _ => self.run(&format!("status --wait {uuid}")),
            };
            let ran = self.run(&format!("status {uuid}"));
            let gone = self.state(&uuid).is_none();
            let runs = ["running", "paused"].map(|state| format!("state={state}\n"));
            if runs.iter().any(|runs| ran.stdout.starts_with(runs)) {
                return Err(format!("it cannot be stopped: {ran:?}"));
            }
            if state == "prepared" && !gone {
                return Err(format!(
                    "it was listed as prepared and cannot be run: {ran:?}"
                ));
            }
        }
        self.clean("image verify").map(|_| ())
    }

    /// What is there when all that is over was collected.
    pub(super) fn collected(&self, images: bool) -> Result<BTreeSet<String>, String> {
        self.clean("gc --grace-period=0 --expire-prepared=0")?;
        if images {
            self.clean("image gc")?;
        }
        let mut left = self.files();
        let traces = self.site.as_ref().map(Site::traces);
        left.extend(
            traces
                .iter()
                .flat_map(|traces| traces.lines())
                .map(str::to_owned),
        );
        Ok(left)
    }

    /// Every path in the directory, but those in images and layers, and but downloads:
    /// what is kept of them goes when it is a day old.
    fn files(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut waiting = vec![self.dir()];
        while let Some(directory) = waiting.pop() {
            for name in host::names(&directory) {
                let path = directory.join(name);
                if path == self.dir().join("downloads") {
                    continue;
                }
                let within = path.strip_prefix(self.dir()).unwrap();
                found.insert(within.display().to_string());
                let others = ["images", "layers"].map(|name| self.dir().join(name));
                if path.is_dir() && !path.is_symlink() && !others.contains(&directory) {
                    waiting.push(path);
                }
            }
        }
        found
    }

    /// What the kernel still has of it: mounts, cgroups of its pods, locks. Of
    /// what was killed it clears these up a moment later.
    pub(super) fn kept_by_the_kernel(&self) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let mut kept = kernel::mounts(self.scratch.path());
            kept.extend(kernel::locks(&self.dir()));
            kept.extend(cgroups::said(&self.mark));
            if kept.is_empty() || begun.elapsed() > Duration::from_secs(2) {
                return kept;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}
