//! `cargo xtask bench unpack`: storing an image, which is verifying, hashing,
//! unpacking and syncing it, side by side with programs that only unpack.

use std::fs;
use std::path::{Path, PathBuf};

use super::Contender;
use crate::aci::{Node, Tree};
use crate::cmd::{Result, cmd, failed, find, images_dir, is_root, say, show, target_dir};
use crate::{build, images};

/// What the ratios are of.
const BASE: &str = "tar -xzf";

/// How many small files.
const FILES: usize = 30_000;

/// Unpacks two images: one of a few large files, and one of many small ones.
pub(crate) fn unpack(rounds: usize) -> Result<()> {
    if !is_root() {
        return Err("keeping owners and mounting a fresh file system need root".to_owned());
    }
    let built = build::release()?;
    let debian = images_dir().join("debian.aci");
    if !debian.exists() {
        images::all(&images_dir())?;
    }
    let dir = target_dir().join("bench");
    fs::create_dir_all(&dir).map_err(failed("make", &dir))?;
    let small = dir.join("small.aci");
    if !small.exists() {
        fs::write(&small, small_files()?).map_err(failed("write", &small))?;
    }
    let disk = Disk::make(&dir)?;
    for (title, image, runs) in [
        ("Debian's root file system", &debian, true),
        ("30 000 small files", &small, false),
    ] {
        if !image.exists() {
            say(&format!("left out: {title} (no {})", image.display()));
            continue;
        }
        let bench = Bench {
            launcher: &built.launcher,
            image,
            runs,
            disk: &disk.mounted,
        };
        bench.run(title, rounds)?;
    }
    Ok(())
}

/// Files of 3 KiB on average, a hundred to a directory.
fn small_files() -> Result<Vec<u8>> {
    say("making an image of small files");
    let mut tree = Tree::default();
    let mut state = 1_u32;
    for number in 0..FILES {
        let mut content = Vec::new();
        let length = 200 + number * 7919 % 5600;
        while content.len() < length {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Text compresses to a third or so; these words do, too.
            content.extend_from_slice(format!("word{} ", state >> 22).as_bytes());
        }
        let path = format!("data/{:03}/file{number:05}", number / 100);
        tree.put(
            &path,
            Node::File {
                mode: 0o644,
                content,
            },
        );
    }
    let manifest = images::manifest("debian")?;
    tree.pack(manifest.as_bytes())
}

/// A fresh file system: one on which much was deleted is several times slower.
struct Disk {
    mounted: PathBuf,
    file: PathBuf,
}

impl Disk {
    fn make(dir: &Path) -> Result<Self> {
        let disk = Self {
            mounted: dir.join("disk"),
            file: dir.join("disk.img"),
        };
        fs::create_dir_all(&disk.mounted).map_err(failed("make", &disk.mounted))?;
        let file = fs::File::create(&disk.file).map_err(failed("make", &disk.file))?;
        file.set_len(16 << 30).map_err(failed("make", &disk.file))?;
        cmd("mkfs.ext4")
            .args(["-q", "-N", "4000000", "-E", "lazy_itable_init=0,nodiscard"])
            .arg(&disk.file)
            .run()?;
        let loops = cmd("mount").args(["-o", "loop"]).arg(&disk.file);
        loops.arg(&disk.mounted).run()?;
        Ok(disk)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = cmd("umount").arg(&self.mounted).quiet().run() {
            say(&error);
            return;
        }
        let _ = fs::remove_file(&self.file);
    }
}

struct Bench<'a> {
    launcher: &'a Path,
    image: &'a Path,
    /// The image has an app, which is started when the image is stored.
    runs: bool,
    disk: &'a Path,
}

impl Bench<'_> {
    fn run(&self, title: &str, rounds: usize) -> Result<()> {
        let tar = self.disk.join("image.tar");
        let output = fs::File::create(&tar).map_err(failed("make", &tar))?;
        let mut unzip = cmd("gzip").args(["-dc"]).arg(self.image).into_command();
        let status = unzip.stdout(output).status();
        status.map_err(failed("decompress", self.image))?;
        let layout = self.layout(&tar)?;
        let mut results: Vec<Contender> = Vec::new();
        let mut number = 0;
        // The first round counts memory, not time. Interleaved, so that
        // whatever else the machine does meets all alike.
        for round in 0..=rounds.max(1) {
            number += 1;
            let place = self
                .disk
                .join(format!("{title} {number}").replace(' ', "-"));
            fs::create_dir_all(&place).map_err(failed("make", &place))?;
            for mut contender in self.contenders(&place, &tar, layout.as_deref())? {
                // What others left to be written is written on their account.
                cmd("sync").args(["-f"]).arg(self.disk).quiet().run()?;
                if round == 0 {
                    contender.watched()?;
                    results.push(contender);
                    continue;
                }
                let time = contender.once()?;
                let same = |one: &&mut Contender| one.name == contender.name;
                if let Some(result) = results.iter_mut().find(same) {
                    result.times.push(time);
                }
            }
        }
        table(title, &results);
        Ok(())
    }

    fn contenders(
        &self,
        place: &Path,
        tar: &Path,
        layout: Option<&Path>,
    ) -> Result<Vec<Contender>> {
        let into = |name: &str| -> Result<PathBuf> {
            let path = place.join(name);
            fs::create_dir_all(&path).map_err(failed("make", &path))?;
            Ok(path)
        };
        let mut all = Vec::new();
        let directory = into("tar")?;
        let words: [&Path; 4] = ["-xzf".as_ref(), self.image, "-C".as_ref(), &directory];
        all.push(Contender::new(BASE, Path::new("tar"), &words));
        let directory = into("synced")?;
        let script: &Path = "tar -xzf \"$0\" -C \"$1\" && sync -f \"$1\"".as_ref();
        let words: [&Path; 4] = ["-c".as_ref(), script, self.image, &directory];
        // What an image's tree must be before it counts as stored: on the disk.
        all.push(Contender::new("tar -xzf, sync", Path::new("sh"), &words));
        let store = place.join("store");
        let mut words: Vec<PathBuf> = vec!["--dir".into(), store, "run".into()];
        words.push(self.image.to_owned());
        if self.runs {
            words.extend(["--", "-c", "true"].map(PathBuf::from));
        }
        let mut ours = Contender::new("launcher", self.launcher, &words);
        ours.command.stderr(std::process::Stdio::null());
        // There is no shell in the other image.
        ours.status = if self.runs { 0 } else { 125 };
        all.push(ours);
        if let Some(bsdtar) = find("bsdtar") {
            let directory = into("bsdtar")?;
            let words: [&Path; 4] = ["-xpf".as_ref(), self.image, "-C".as_ref(), &directory];
            all.push(Contender::new("bsdtar", &bsdtar, &words));
        }
        if let (Some(umoci), Some(layout)) = (find("umoci"), layout) {
            let image = format!("{}:image", layout.display());
            let words = ["raw", "unpack", "--image", &image].map(PathBuf::from);
            let mut words = Vec::from(words);
            words.push(place.join("umoci"));
            all.push(Contender::new("umoci", &umoci, &words));
        }
        let words: [&Path; 1] = [tar];
        let hash = Contender::new("sha512sum (tar)", Path::new("sha512sum"), &words);
        all.push(hash);
        Ok(all)
    }

    /// Makes an OCI layout of the archive, for who unpacks nothing else.
    fn layout(&self, tar: &Path) -> Result<Option<PathBuf>> {
        let Some(umoci) = find("umoci") else {
            return Ok(None);
        };
        let layout = self.disk.join("layout");
        let _ = fs::remove_dir_all(&layout);
        let image = format!("{}:image", layout.display());
        let umoci = || cmd(&umoci).quiet();
        umoci().args(["init", "--layout"]).arg(&layout).run()?;
        umoci().args(["new", "--image", &image]).run()?;
        let add = umoci().args(["raw", "add-layer", "--image", &image]);
        add.arg(tar).run()?;
        Ok(Some(layout))
    }
}

fn table(title: &str, contenders: &[Contender]) {
    let base = contenders.iter().find(|contender| contender.name == BASE);
    let base = base.map_or(1.0, |contender| contender.quantile(5));
    say(&format!("\n{title}, on a fresh ext4; milliseconds, KiB\n"));
    let titles = ["", "min", "median", "x tar -xzf", "memory"];
    let [name, least, median, ratio, memory] = titles;
    show(&format!(
        "{name:<18} {least:>8} {median:>8} {ratio:>10} {memory:>8}\n"
    ));
    for contender in contenders {
        let middle = contender.quantile(5);
        show(&format!(
            "{:<18} {:>8.0} {:>8.0} {:>10.2} {:>8}\n",
            contender.name,
            contender.quantile(0),
            middle,
            middle / base,
            contender.memory
        ));
    }
}
