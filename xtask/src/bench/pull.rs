//! `cargo xtask bench pull`: an image of Debian in layers, from a registry on loopback
//! into an empty store, side by side with podman, and with skopeo and umoci; another tag
//! that shares its layers; and a run of it, side by side with one layer of the same
//! files.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::measure::{Bench, Contender, table};
use crate::build;
use crate::cmd::{Result, cmd, failed, find, say, target_dir};

/// What is in the layers above that of Debian: files of this host, many and small.
const ABOVE: [&str; 2] = ["usr/share/perl", "usr/include"];

/// Measures it.
pub(crate) fn pull(rounds: usize) -> Result<()> {
    let bench = Bench::new("pull", rounds)?;
    let built = build::release()?;
    for tool in ["docker-registry", "skopeo", "umoci", "mmdebstrap"] {
        if find(tool).is_none() {
            return Err(format!("{tool} is missing; see `cargo xtask setup`"));
        }
    }
    let registry = Registry::start(&bench.dir)?;
    let tags = image(&bench.dir)?;
    for tag in &tags {
        registry.push(&bench.dir, tag)?;
    }
    let pulling = Pulling {
        bench: &bench,
        launcher: &built.launcher,
        registry: &registry,
    };
    let bases = ["podman pull", "skopeo, umoci"];
    table(
        "An image into an empty store",
        &pulling.whole(rounds)?,
        &bases,
    );
    let second = pulling.second(rounds)?;
    table(
        "Its second tag, with one more layer",
        &second,
        &["launcher"],
    );
    table(
        "A run of what is stored",
        &pulling.stored()?,
        &["one layer"],
    );
    fs::remove_dir_all(&bench.dir).map_err(failed("remove", &bench.dir))
}

/// A registry on loopback.
struct Registry {
    process: Child,
    host: String,
}

impl Registry {
    fn start(dir: &Path) -> Result<Self> {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let host = free.map_err(|error| format!("cannot find a port: {error}"))?;
        let host = host.to_string();
        let file = dir.join("registry.yml");
        let place = dir.join("registry");
        let text = format!(
            "version: 0.1\nhttp: {{addr: \"{host}\"}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\n",
            place.display()
        );
        fs::write(&file, text).map_err(failed("write", &file))?;
        let serve = cmd("docker-registry").arg("serve").arg(&file).quiet();
        let mut serve = serve.into_command();
        let process = serve.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.map_err(|error| format!("cannot start a registry: {error}"))?;
        let registry = Self { process, host };
        let end = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(&registry.host).is_err() {
            if Instant::now() > end {
                return Err("the registry does not listen after 30 seconds".to_owned());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(registry)
    }

    fn push(&self, dir: &Path, tag: &str) -> Result<()> {
        let from = format!("oci:{}:{tag}", dir.join("layout").display());
        let how = ["copy", "--quiet", "--dest-tls-verify=false", &from];
        cmd("skopeo").args(how).arg(self.reference(tag)).run()
    }

    fn reference(&self, tag: &str) -> String {
        format!("docker://{}/debian:{tag}", self.host)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It is our own child, and has nothing to lose.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Makes a layout with two images, of which the second has a layer more.
fn image(dir: &Path) -> Result<[&'static str; 2]> {
    let base = target_dir().join("bench").join("debian.tar");
    if !base.exists() {
        say("making a root file system of Debian");
        let how = ["--quiet", "--variant=minbase", "--format=tar", "bookworm"];
        cmd("mmdebstrap").args(how).arg(&base).run()?;
    }
    let layout = dir.join("layout");
    let umoci = || cmd("umoci").quiet();
    umoci().args(["init", "--layout"]).arg(&layout).run()?;
    let add = |tag: &str, tar: &Path, then: &str| -> Result<()> {
        let image = format!("{}:{tag}", layout.display());
        let how = ["raw", "add-layer", "--image", &image, "--tag", then];
        umoci().args(how).arg(tar).run()
    };
    let none = format!("{}:none", layout.display());
    umoci().args(["new", "--image", &none]).run()?;
    add("none", &base, "base")?;
    let tags = ["one", "two"];
    for (before, (tag, path)) in ["base", "one"].iter().zip(tags.iter().zip(ABOVE)) {
        let tar = dir.join(format!("{tag}.tar"));
        let pack = cmd("tar").args(["-C", "/", "--hard-dereference", "-cf"]);
        pack.arg(&tar).arg(path).run()?;
        add(before, &tar, tag)?;
    }
    Ok(tags)
}

struct Pulling<'a> {
    bench: &'a Bench,
    launcher: &'a Path,
    registry: &'a Registry,
}

impl Pulling<'_> {
    /// Measures contenders that each round makes anew, after a first one that fills
    /// caches. What cannot run on this host is left out. Nothing is removed in between:
    /// ext4 looks long for inodes that were not in use a minute ago.
    fn rounds(
        &self,
        what: &str,
        rounds: usize,
        make: impl Fn(&Path) -> Result<Vec<Contender>>,
    ) -> Result<Vec<Contender>> {
        let mut all: Vec<Contender> = Vec::new();
        let mut unable: Vec<String> = Vec::new();
        for round in 0..=rounds.max(1) {
            let place = self.bench.dir.join(format!("{what}-{round}"));
            fs::create_dir_all(&place).map_err(failed("make", &place))?;
            for contender in make(&place)? {
                if unable.contains(&contender.name) {
                    continue;
                }
                // What others left to be written is written on their account.
                cmd("sync").arg("-f").arg(&place).quiet().run()?;
                let sample = match self.bench.once(&contender) {
                    Ok(sample) => sample,
                    Err(error) => {
                        say(&format!("left out: {error}"));
                        unable.push(contender.name);
                        continue;
                    }
                };
                let same = |one: &&mut Contender| one.name == contender.name;
                match all.iter_mut().find(same) {
                    Some(known) if round > 0 => known.samples.push(sample),
                    Some(_) => {}
                    None => all.push(contender),
                }
            }
        }
        Ok(all)
    }

    fn fetch(&self, name: &str, store: &Path, tag: &str) -> Contender {
        let reference = self.registry.reference(tag);
        let words = [
            "--dir".as_ref(),
            store.as_os_str(),
            "fetch".as_ref(),
            reference.as_ref(),
        ];
        Contender::new(name, self.launcher, &words)
    }

    fn whole(&self, rounds: usize) -> Result<Vec<Contender>> {
        let reference = self.registry.reference("two");
        self.rounds("whole", rounds, |place| {
            let mut all = vec![self.fetch("launcher", &place.join("ours"), "two")];
            if let Some(podman) = find("podman") {
                let (root, run) = (place.join("podman"), place.join("podman-run"));
                let words = [
                    "--root".as_ref(),
                    root.as_os_str(),
                    "--runroot".as_ref(),
                    run.as_os_str(),
                    "--cgroup-manager=cgroupfs".as_ref(),
                    "--events-backend=none".as_ref(),
                    // Else it leaves that mounted.
                    "--storage-opt=overlay.skip_mount_home=true".as_ref(),
                    "pull".as_ref(),
                    "--quiet".as_ref(),
                    "--tls-verify=false".as_ref(),
                    reference.as_ref(),
                ];
                all.push(Contender::new("podman pull", &podman, &words));
            }
            let script: &Path = "skopeo copy --quiet --src-tls-verify=false \"$0\" oci:\"$1\":it \
                                 && umoci unpack --image \"$1\":it \"$2\""
                .as_ref();
            let (layout, bundle) = (place.join("layout"), place.join("bundle"));
            let words: [&Path; 5] = ["-c".as_ref(), script, reference.as_ref(), &layout, &bundle];
            all.push(Contender::new("skopeo, umoci", Path::new("sh"), &words));
            Ok(all)
        })
    }

    /// The second tag, with the first one there, and without.
    fn second(&self, rounds: usize) -> Result<Vec<Contender>> {
        self.rounds("second", rounds, |place| {
            let store = place.join("shared");
            self.bench.once(&self.fetch("", &store, "one"))?;
            Ok(vec![
                self.fetch("launcher", &place.join("ours"), "two"),
                self.fetch("launcher, shared", &store, "two"),
            ])
        })
    }

    /// A run of the image, and of an App Container image with the same files.
    fn stored(&self) -> Result<Vec<Contender>> {
        let store = self.bench.dir.join("store");
        self.bench.once(&self.fetch("", &store, "two"))?;
        let ours = || cmd(self.launcher).arg("--dir").arg(&store).quiet();
        let reference = self.registry.reference("two");
        let archive = self.bench.dir.join("one-layer.aci");
        let name = reference.trim_start_matches("docker://");
        let export = ours().args(["image", "export", "--format=aci", name]);
        export.arg(&archive).run()?;
        // It says which ID the image has.
        ours().arg("fetch").arg(&archive).read()?;
        let run = |name: &str, image: PathBuf| {
            let words = [
                "--dir".as_ref(),
                store.as_os_str(),
                "run".as_ref(),
                image.as_os_str(),
                "--exec=/bin/true".as_ref(),
            ];
            Contender::new(name, self.launcher, &words)
        };
        let layers = run("three layers", PathBuf::from(&reference));
        self.bench.measure(vec![run("one layer", archive), layers])
    }
}
