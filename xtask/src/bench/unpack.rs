//! `cargo xtask bench unpack`: storing an image, which is verifying, hashing,
//! unpacking and syncing it, side by side with programs that only unpack.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Child;

use super::measure::{Bench, Contender, Sample};
use crate::aci::{Node, Tree};
use crate::cmd::{Result, cmd, failed, find, say, show, target_dir};
use crate::{build, debian, image};

/// What the ratios are of.
const BASE: &str = "tar -xzf";

/// How many small files.
const FILES: usize = 30_000;

/// Unpacks two images: one of a few large files, and one of many small ones;
/// onto a disk, and into memory.
pub(crate) fn unpack(rounds: usize) -> Result<()> {
    let bench = Bench::new("unpack", rounds)?;
    let built = build::release()?;
    let dir = target_dir().join("bench");
    fs::create_dir_all(&dir).map_err(failed("make", &dir))?;
    let large = dir.join("debian.aci");
    if !large.exists() {
        debian::whole(&dir)?;
    }
    let small = dir.join("small.aci");
    if !small.exists() {
        fs::write(&small, small_files()?).map_err(failed("write", &small))?;
    }
    let server = Server::start(&dir)?;
    for (title, image) in [
        ("Debian's root file system", &large),
        ("30 000 small files", &small),
    ] {
        if !image.exists() {
            say(&format!("left out: {title} (no {})", image.display()));
            continue;
        }
        for fresh in [Place::ext4, Place::memory] {
            let place = fresh(&dir, rounds)?;
            let unpacking = Unpacking {
                bench: &bench,
                launcher: &built.launcher,
                image,
                place: &place,
                url: server.as_ref().map(|server| server.url(image)),
            };
            table(&format!("{title}, {}", place.kind), &unpacking.run(rounds)?);
        }
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
    let manifest = image::manifest("debian")?;
    tree.pack(manifest.as_bytes())
}

/// A server of files, on loopback.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    /// Starts it, if there is a busybox.
    fn start(dir: &Path) -> Result<Option<Self>> {
        let Some(busybox) = find("busybox") else {
            say("left out: images from loopback (needs busybox)");
            return Ok(None);
        };
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free
            .map_err(|error| format!("cannot find a port: {error}"))?
            .port();
        let server = cmd(busybox)
            .args(["httpd", "-f", "-p", &format!("127.0.0.1:{port}"), "-h"])
            .arg(dir);
        let process = server.into_command().spawn();
        let process = process.map_err(|error| format!("cannot start a server: {error}"))?;
        Ok(Some(Self { process, port }))
    }

    fn url(&self, file: &Path) -> String {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        format!("http://127.0.0.1:{}/{name}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is our own child, and has nothing to lose.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A fresh file system: one on which much was deleted is several times slower.
struct Place {
    kind: &'static str,
    mounted: PathBuf,
    /// What is below it: a loop device, and its file.
    disk: Option<(String, PathBuf)>,
}

impl Place {
    /// One that this machine's disk has to be written for, with room for so
    /// many rounds.
    fn ext4(dir: &Path, rounds: usize) -> Result<Self> {
        let file = dir.join("disk.img");
        // As of a disk, all its blocks are there: who syncs would have to wait
        // for the file below to grow.
        let count = 2048 + 1536 * (rounds + 1);
        cmd("dd")
            .args(["if=/dev/zero", "bs=1M", "oflag=direct", "conv=fsync"])
            .arg(format!("of={}", file.display()))
            .arg(format!("count={count}"))
            .quiet()
            .run()?;
        cmd("mkfs.ext4")
            .args(["-q", "-N", "4000000", "-E", "lazy_itable_init=0,nodiscard"])
            .arg(&file)
            .run()?;
        // With a cache of its own below ours everything would be copied twice.
        let options = ["--find", "--show", "--direct-io=on"];
        let device = cmd("losetup").args(options).arg(&file).read()?;
        let device = device.trim_end().to_owned();
        Self::mount(
            dir,
            "on a fresh ext4",
            &["ext4", &device],
            Some((device.clone(), file)),
        )
    }

    /// One in memory.
    fn memory(dir: &Path, _: usize) -> Result<Self> {
        Self::mount(dir, "in memory", &["tmpfs", "-osize=90%", "none"], None)
    }

    fn mount(
        dir: &Path,
        kind: &'static str,
        what: &[&str],
        disk: Option<(String, PathBuf)>,
    ) -> Result<Self> {
        let mounted = dir.join("disk");
        fs::create_dir_all(&mounted).map_err(failed("make", &mounted))?;
        let mount = cmd("mount").arg("-t").args(what).arg(&mounted);
        mount.run()?;
        Ok(Self {
            kind,
            mounted,
            disk,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = cmd("umount").arg(&self.mounted).quiet().run() {
            say(&error);
            return;
        }
        if let Some((device, file)) = &self.disk {
            let _ = cmd("losetup").args(["--detach", device]).quiet().run();
            let _ = fs::remove_file(file);
        }
    }
}

struct Unpacking<'a> {
    bench: &'a Bench,
    launcher: &'a Path,
    image: &'a Path,
    place: &'a Place,
    /// Where the image can be had from loopback.
    url: Option<String>,
}

impl Unpacking<'_> {
    fn run(&self, rounds: usize) -> Result<Vec<Contender>> {
        let tar = self.place.mounted.join("image.tar");
        let output = fs::File::create(&tar).map_err(failed("make", &tar))?;
        let mut unzip = cmd("gzip").args(["-dc"]).arg(self.image).into_command();
        let status = unzip.stdout(output).status();
        status.map_err(failed("decompress", self.image))?;
        let layout = self.layout(&tar)?;
        let mut results: Vec<Contender> = Vec::new();
        // The first round fills caches. Interleaved, so that whatever else the
        // machine does meets all alike.
        for round in 0..=rounds.max(1) {
            let place = self.place.mounted.join(round.to_string());
            fs::create_dir_all(&place).map_err(failed("make", &place))?;
            for contender in self.contenders(&place, &tar, layout.as_deref())? {
                // What others left to be written is written on their account.
                cmd("sync")
                    .args(["-f"])
                    .arg(&self.place.mounted)
                    .quiet()
                    .run()?;
                let sample = self.bench.once(&contender)?;
                let same = |one: &&mut Contender| one.name == contender.name;
                match results.iter_mut().find(same) {
                    Some(result) => result.samples.push(sample),
                    None => results.push(contender),
                }
            }
            // A disk does not get faster by deleting.
            if self.place.disk.is_none() {
                fs::remove_dir_all(&place).map_err(failed("remove", &place))?;
            }
        }
        Ok(results)
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
        all.push(self.ours("launcher", place, self.image.as_os_str()));
        if let Some(url) = &self.url {
            all.push(self.ours("launcher, loopback", place, url.as_ref()));
        }
        if let (Some(url), Some(_)) = (&self.url, find("curl")) {
            let directory = into("curl")?;
            let script: &Path = "curl -s \"$0\" | tar -xz -C \"$1\"".as_ref();
            let words: [&Path; 4] = ["-c".as_ref(), script, url.as_ref(), &directory];
            all.push(Contender::new("curl | tar -xz", Path::new("sh"), &words));
        }
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

    /// Storing the image, into a store of its own.
    fn ours(&self, name: &str, place: &Path, image: &OsStr) -> Contender {
        let store = place.join(name);
        let store = ["--dir".as_ref(), store.as_os_str()];
        // Nobody has signed it.
        let unsigned = "--insecure-options=image,http".as_ref();
        let words = [store[0], store[1], "fetch".as_ref(), image, unsigned];
        Contender::new(name, self.launcher, &words)
    }

    /// Makes an OCI layout of the archive, for who unpacks nothing else.
    fn layout(&self, tar: &Path) -> Result<Option<PathBuf>> {
        let Some(umoci) = find("umoci") else {
            return Ok(None);
        };
        let layout = self.place.mounted.join("layout");
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
    let wall = |sample: &Sample| sample.wall;
    let times = |contender: &Contender| [0, 5].map(|tenths| contender.quantile(wall, tenths));
    let [least, middle] = base.map_or([1.0; 2], times);
    say(&format!("\n{title}; milliseconds, times {BASE}, KiB\n"));
    let titles = ["", "min", "", "median", "", "memory"];
    let line = |words: [&str; 6]| {
        let [name, least, ratio, middle, other, memory] = words;
        show(&format!(
            "{name:<18} {least:>8} {ratio:>6} {middle:>8} {other:>6} {memory:>8}\n"
        ));
    };
    line(titles);
    for contender in contenders {
        let [min, median] = times(contender);
        line([
            &contender.name,
            &format!("{min:.0}"),
            &format!("{:.2}", min / least),
            &format!("{median:.0}"),
            &format!("{:.2}", median / middle),
            &contender.memory().to_string(),
        ]);
    }
}
