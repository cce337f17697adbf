//! `cargo xtask bench run`: from nothing to a program that has run in a
//! cached root file system, and to nothing again.

use std::fs;
use std::path::{Path, PathBuf};

use super::Contender;
use crate::cmd::{Result, cmd, failed, find, is_root, say, show, target_dir};
use crate::{build, image};

/// What the ratios are of.
const OURS: &str = "launcher run";

/// A cached root file system runs one short program.
pub(crate) fn run(rounds: usize) -> Result<()> {
    if !is_root() {
        return Err("running pods needs root".to_owned());
    }
    let built = build::release()?;
    let dir = target_dir().join("bench");
    if dir.exists() {
        fs::remove_dir_all(&dir).map_err(failed("remove", &dir))?;
    }
    let root = dir.join("root");
    let tree = image::busybox()?;
    tree.write(&root)?;
    let image = dir.join("true.aci");
    let manifest = image::manifest("busybox")?.replace("[\"sh\"]", "[\"/bin/true\"]");
    fs::write(&image, tree.pack(manifest.as_bytes())?).map_err(failed("write", &image))?;

    let mut contenders = contenders(&built.launcher, &image, &root, &dir)?;
    // Once without the clock: the launcher unpacks, caches fill.
    for contender in &mut contenders {
        contender.once()?;
    }
    // Interleaved, so that whatever else the machine does meets all alike.
    for _ in 0..rounds.max(1) {
        for contender in &mut contenders {
            let time = contender.once()?;
            contender.times.push(time);
        }
    }
    table(&contenders);
    Ok(())
}

fn contenders(launcher: &Path, image: &Path, root: &Path, dir: &Path) -> Result<Vec<Contender>> {
    let mut all = vec![Contender::new(
        "exec alone",
        &root.join("bin/busybox"),
        &["true"],
    )];
    let store = dir.join("store");
    let words: [&Path; 4] = ["--dir".as_ref(), &store, "run".as_ref(), image];
    all.push(Contender::new(OURS, launcher, &words));
    let chrooted = |words: &[&str]| {
        let mut words: Vec<PathBuf> = words.iter().map(PathBuf::from).collect();
        words.extend(["chroot".into(), root.to_owned(), "/bin/true".into()]);
        words
    };
    if let Some(unshare) = find("unshare") {
        let words = chrooted(&["--mount", "--pid", "--fork", "--ipc", "--net", "--uts"]);
        all.push(Contender::new("unshare + chroot", &unshare, &words));
    }
    if let Some(bwrap) = find("bwrap") {
        let mut words: Vec<PathBuf> = ["--unshare-all", "--bind"].map(PathBuf::from).into();
        words.push(root.to_owned());
        let rest = ["/", "--proc", "/proc", "--dev", "/dev", "/bin/true"];
        words.extend(rest.map(PathBuf::from));
        all.push(Contender::new("bwrap", &bwrap, &words));
    }
    for name in ["crun", "runc"] {
        if let Some(runtime) = find(name) {
            all.push(bundle(name, &runtime, root, dir)?);
        }
    }
    if let Some(nspawn) = find("systemd-nspawn") {
        let mut words: Vec<PathBuf> = ["--quiet", "--register=no", "--keep-unit", "--directory"]
            .map(PathBuf::from)
            .into();
        words.extend([root.to_owned(), "/bin/true".into()]);
        all.push(Contender::new("systemd-nspawn", &nspawn, &words));
    }
    Ok(all)
}

/// Lets the runtime write its own standard configuration, and changes only
/// what is run and where.
fn bundle(name: &str, runtime: &Path, root: &Path, dir: &Path) -> Result<Contender> {
    let bundle = dir.join(name);
    fs::create_dir_all(&bundle).map_err(failed("make", &bundle))?;
    cmd(runtime).arg("spec").dir(&bundle).quiet().run()?;
    let config = bundle.join("config.json");
    let text = fs::read_to_string(&config).map_err(failed("read", &config))?;
    let text = text
        .replace("\"terminal\": true", "\"terminal\": false")
        .replace("\"sh\"", "\"/bin/true\"")
        .replace("\"rootfs\"", &format!("\"{}\"", root.display()));
    fs::write(&config, text).map_err(failed("write", &config))?;
    let mut words: Vec<PathBuf> = Vec::new();
    if name == "crun" {
        words.push("--cgroup-manager=disabled".into());
    }
    words.extend(["run", "--bundle"].map(PathBuf::from));
    words.extend([bundle, format!("nosecone-bench-{name}").into()]);
    Ok(Contender::new(name, runtime, &words))
}

fn table(contenders: &[Contender]) {
    let ours = contenders
        .iter()
        .find(|contender| contender.name == OURS)
        .map_or(1.0, |contender| contender.quantile(5));
    say("\nbusybox runs /bin/true from a cached root file system; milliseconds\n");
    show(&format!(
        "{:<18} {:>8} {:>8} {:>10}\n",
        "", "median", "p90", "x launcher"
    ));
    for contender in contenders {
        let middle = contender.quantile(5);
        show(&format!(
            "{:<18} {:>8.2} {:>8.2} {:>10.2}\n",
            contender.name,
            middle,
            contender.quantile(9),
            middle / ours
        ));
    }
}
