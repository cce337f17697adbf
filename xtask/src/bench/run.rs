//! `cargo xtask bench run`: from nothing to a program that has run in a
//! cached root file system, and to nothing again. `bench parallel`: many of
//! them at a time.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::measure::{Bench, Contender, Sample, table};
use crate::aci::{Node, Tree};
use crate::cmd::{Result, cmd, failed, find, show};
use crate::{build, image};

/// What the ratios are of.
const FLOOR: &str = "floor";
const PEER: &str = "bubblewrap";

/// A cached root file system runs a program that only exits.
pub(crate) fn run(rounds: usize) -> Result<()> {
    let ground = Ground::new(Bench::new("run", rounds)?)?;
    let mut contenders = ground.contenders()?;
    contenders.extend(ground.peers()?);
    let measured = ground.bench.measure(contenders)?;
    table(
        "A program that only exits runs in a cached root file system",
        &measured,
        &[FLOOR, PEER],
    );
    Ok(())
}

/// How many run at a time.
const WIDTH: usize = 20;

/// The same, many at a time.
pub(crate) fn parallel(rounds: usize) -> Result<()> {
    let ground = Ground::new(Bench::new("parallel", rounds)?.at_a_time(WIDTH))?;
    let measured = ground.bench.measure(ground.contenders()?)?;
    let title = format!("{WIDTH} at a time run the program that only exits");
    table(&title, &measured, &[FLOOR, PEER]);
    show("\nper second\n");
    let wall = |sample: &Sample| sample.wall;
    for contender in &measured {
        let number = f64::from(u16::try_from(WIDTH).unwrap_or(u16::MAX));
        let throughput = number * 1e3 / contender.quantile(wall, 5);
        show(&format!("{:<32} {throughput:>7.0}\n", contender.name));
    }
    Ok(())
}

/// The same program, image and root file system for all.
pub(super) struct Ground {
    pub(super) bench: Bench,
    pub(super) launcher: PathBuf,
    /// The data directory.
    pub(super) store: PathBuf,
    /// The image, and the same as a directory.
    pub(super) image: PathBuf,
    pub(super) root: PathBuf,
    floor: PathBuf,
}

impl Ground {
    pub(super) fn new(bench: Bench) -> Result<Self> {
        let launcher = build::release()?.launcher;
        let dir = &bench.dir;
        let floor = bench.helper("floor", &["-static"])?;
        let exits = bench.helper("true", &["-static", "-nostdlib"])?;
        let exits = fs::read(&exits).map_err(failed("read", &exits))?;
        let mut tree = image::busybox()?;
        tree.program("bin/exits", exits);
        // Where the floor mounts what others make by themselves.
        for name in ["dev", "proc", "sys"] {
            tree.put(name, Node::Dir { mode: 0o755 });
        }
        let (root, place) = (dir.join("root"), dir.join("place"));
        tree.write(&root)?;
        fs::create_dir_all(&place).map_err(failed("make", &place))?;
        Ok(Self {
            image: pack(dir, "bench", &tree)?,
            store: dir.join("store"),
            root,
            floor,
            launcher,
            bench,
        })
    }

    /// The launcher with words.
    pub(super) fn ours(&self, name: &str, words: &[&str]) -> Contender {
        let mut all: Vec<OsString> = vec!["--dir".into(), self.store.clone().into()];
        all.extend(words.iter().map(OsString::from));
        Contender::new(name, &self.launcher, &all)
    }

    /// The launcher and what it is measured against.
    fn contenders(&self) -> Result<Vec<Contender>> {
        let floor = |name: &str, place: &str| {
            let paths = [self.bench.dir.join("place"), self.root.clone()];
            let mut words: Vec<OsString> = vec![place.into()];
            words.extend(paths.map(OsString::from));
            words.push(EXITS.into());
            Contender::new(name, &self.floor, &words)
        };
        let image = self.image.to_string_lossy();
        let mut all = vec![
            self.ours("launcher run", &["run", &image]),
            floor(FLOOR, "memory"),
            floor("floor, upper on disk", "disk"),
        ];
        let help = cmd(&self.launcher).args(["run", "--help"]).quiet().read()?;
        if help.contains("--writable") {
            let words = ["run", "--writable=memory", &image];
            all.insert(1, self.ours("launcher run --writable=memory", &words));
        }
        all.extend(self.bubblewrap()?);
        Ok(all)
    }

    /// With the same namespaces and the filter of the floor, which it reads
    /// from its standard input.
    fn bubblewrap(&self) -> Result<Option<Contender>> {
        let Some(bwrap) = find("bwrap") else {
            return Ok(None);
        };
        let filter = self.bench.dir.join("filter");
        let output = fs::File::create(&filter).map_err(failed("make", &filter))?;
        let mut print = cmd(&self.floor).arg("filter").quiet().into_command();
        let status = print.stdout(output).status();
        status.map_err(failed("run", &self.floor))?;
        let mut words: Vec<OsString> = ["pid", "net", "uts", "ipc", "cgroup"]
            .iter()
            .map(|kind| format!("--unshare-{kind}").into())
            .collect();
        words.extend(["--cap-drop", "ALL", "--hostname", "bench", "--bind"].map(OsString::from));
        words.push(self.root.clone().into());
        let rest = [
            "/",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "--mqueue",
            "/dev/mqueue",
            "--ro-bind",
            "/sys",
            "/sys",
            "--seccomp",
            "0",
            EXITS,
        ];
        words.extend(rest.map(OsString::from));
        Ok(Some(Contender::new(PEER, &bwrap, &words).input(&filter)))
    }

    /// What else there is to compare with.
    fn peers(&self) -> Result<Vec<Contender>> {
        let busybox = self.root.join("bin/busybox");
        let mut all = vec![
            Contender::new(
                "exec of a program without libc",
                &self.root.join("bin/exits"),
                &[""; 0],
            ),
            Contender::new("exec of a static busybox", &busybox, &["true"]),
            self.ours("launcher version", &["version"]),
        ];
        if let Some(unshare) = find("unshare") {
            let words = [
                "--mount", "--pid", "--fork", "--ipc", "--net", "--uts", "chroot",
            ];
            let mut words: Vec<OsString> = words.map(OsString::from).into();
            words.extend([self.root.clone().into(), EXITS.into()]);
            all.push(Contender::new("unshare + chroot", &unshare, &words));
        }
        for name in ["crun", "runc"] {
            if let Some(runtime) = find(name) {
                let alone = self.bundle(name, &runtime)?;
                all.extend(name.eq("crun").then(|| without_cgroup2(&alone)).flatten());
                all.push(alone);
            }
        }
        if let Some(nspawn) = find("systemd-nspawn") {
            let words = ["--quiet", "--register=no", "--keep-unit", "--directory"];
            let mut words: Vec<OsString> = words.map(OsString::from).into();
            words.extend([self.root.clone().into(), EXITS.into()]);
            all.push(Contender::new("systemd-nspawn", &nspawn, &words));
        }
        Ok(all)
    }

    /// Lets the runtime write its own standard configuration, and changes only
    /// what is run and where.
    fn bundle(&self, name: &str, runtime: &Path) -> Result<Contender> {
        let bundle = self.bench.dir.join(name);
        fs::create_dir_all(&bundle).map_err(failed("make", &bundle))?;
        cmd(runtime).arg("spec").dir(&bundle).quiet().run()?;
        let config = bundle.join("config.json");
        let text = fs::read_to_string(&config).map_err(failed("read", &config))?;
        let text = text
            .replace("\"terminal\": true", "\"terminal\": false")
            .replace("\"sh\"", &format!("\"{EXITS}\""))
            .replace("\"rootfs\"", &format!("\"{}\"", self.root.display()));
        fs::write(&config, text).map_err(failed("write", &config))?;
        let mut words: Vec<OsString> = Vec::new();
        if name == "crun" {
            words.push("--cgroup-manager=disabled".into());
        }
        words.extend(["run", "--bundle"].map(OsString::from));
        words.extend([bundle.into(), format!("nosecone-bench-{name}").into()]);
        Ok(Contender::new(name, runtime, &words))
    }
}

/// crun refuses a host with both versions of cgroups: the same with only the
/// first, in a mount namespace that a shell prepares.
fn without_cgroup2(crun: &Contender) -> Option<Contender> {
    const BOTH: &str = "/sys/fs/cgroup/unified";
    let unshare = find("unshare").filter(|_| Path::new(BOTH).exists())?;
    let script = format!("umount {BOTH} && exec \"$0\" \"$@\"");
    let mut words: Vec<OsString> = ["--mount", "sh", "-c", &script].map(OsString::from).into();
    words.extend(crun.words());
    Some(Contender::new("crun, behind a shell", &unshare, &words))
}

/// The program that only exits, in the root file system.
pub(super) const EXITS: &str = "/bin/exits";

/// Packs an image of that program.
pub(super) fn pack(dir: &Path, name: &str, tree: &Tree) -> Result<PathBuf> {
    let path = dir.join(format!("{name}.aci"));
    let manifest = image::manifest("busybox")?.replace("[\"sh\"]", &format!("[\"{EXITS}\"]"));
    let manifest = manifest.replace("/busybox\"", &format!("/{name}\""));
    fs::write(&path, tree.pack(manifest.as_bytes())?).map_err(failed("write", &path))?;
    Ok(path)
}
