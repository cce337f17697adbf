//! The guest: a kernel for virtual machines, and an initial file system that
//! finds the guest's disk. `tests/guest.rs` makes the disk, and boots them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::aci::{Node, Tree};
use crate::cmd::{Cmd, Result, cmd, failed, find, root, say, target_dir};
use crate::debian::is_younger;
use crate::image::{self, has};

/// The package of Debian's that depends on the newest kernel of that kind.
const NEWEST: &str = "linux-image-cloud-amd64";

/// What the kernel needs for a disk, and for overlays; the rest is built in.
const MODULES: [&str; 3] = ["virtio_pci", "virtio_blk", "overlay"];

/// The first program of the guest, and where its source is.
const INIT: &str = include_str!("guest/init.sh");
const SOURCE: &str = "xtask/src/guest/init.sh";

/// Newer releases have modules that busybox cannot read.
const UNPACK: &str = "dpkg -x *.deb package && find package -name '*.ko.xz' -exec xz -d {} +";

/// The directory as it stands becomes a file that the kernel unpacks.
const PACK: &str = "find . | cpio --quiet -R 0:0 -o -H newc > \"$1\"";

/// Builds `INTO/guest`: `kernel` and `initramfs`. That takes a network, so what
/// is there stays, as long as it is younger than what it is made from.
pub(crate) fn build(into: &Path) -> Result<()> {
    if image::arch() != "amd64" {
        say("left out: the guest (needs amd64)");
        return Ok(());
    }
    for tool in ["apt-get", "dpkg", "depmod", "modprobe", "cpio", "busybox"] {
        if !has(tool, "the guest") {
            return Ok(());
        }
    }
    let guest = into.join("guest");
    if is_younger(&guest.join("initramfs"), &root().join(SOURCE)) {
        say(&format!("kept  {}", guest.display()));
        return Ok(());
    }
    let work = target_dir().join("guest");
    let unpacked = match unpack(&work) {
        Ok(unpacked) => unpacked,
        Err(error) => {
            say(&format!("left out: the guest ({error})"));
            return Ok(());
        }
    };
    fs::create_dir_all(&guest).map_err(failed("make", &guest))?;
    let kernel = unpacked.kernel();
    fs::copy(&kernel, guest.join("kernel")).map_err(failed("copy", &kernel))?;
    initramfs(&unpacked)?.write(&work.join("tree"))?;
    let unfinished = fs::canonicalize(&guest).map_err(failed("find", &guest))?;
    let unfinished = unfinished.join(".initramfs");
    cmd("sh")
        .args(["-c", PACK, "sh"])
        .arg(&unfinished)
        .dir(&work.join("tree"))
        .run()?;
    let built = guest.join("initramfs");
    fs::rename(&unfinished, &built).map_err(failed("publish", &built))?;
    say(&format!("built {}", guest.display()));
    fs::remove_dir_all(&work).map_err(failed("remove", &work))
}

/// A tool of the administrator's, for anybody.
fn tool(name: &str) -> Cmd {
    cmd(find(name).unwrap_or_else(|| name.into()))
}

/// A package of a kernel, unpacked.
struct Unpacked {
    directory: PathBuf,
    version: String,
}

/// Fetches the package and unpacks it; nothing is installed, nobody is root.
fn unpack(work: &Path) -> Result<Unpacked> {
    if work.exists() {
        fs::remove_dir_all(work).map_err(failed("remove", work))?;
    }
    fs::create_dir_all(work).map_err(failed("make", work))?;
    let depends = cmd("apt-cache").args(["depends", NEWEST]).quiet().read()?;
    let package = depends
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: linux-image-"));
    let version = package.ok_or_else(|| format!("apt-cache knows no kernel of {NEWEST}"))?;
    cmd("apt-get")
        .args(["--quiet=2", "--option=APT::Sandbox::User=root", "download"])
        .arg(format!("linux-image-{version}"))
        .dir(work)
        .run()?;
    let directory = work.join("package");
    cmd("sh").args(["-c", UNPACK]).dir(work).run()?;
    // Which module needs which is otherwise found out at installation.
    tool("depmod")
        .arg("-b")
        .arg(&directory)
        .arg(version)
        .run()?;
    Ok(Unpacked {
        directory,
        version: version.to_owned(),
    })
}

impl Unpacked {
    fn kernel(&self) -> PathBuf {
        let version = &self.version;
        self.directory.join(format!("boot/vmlinuz-{version}"))
    }

    /// The files of a module and of those that it needs, in their order.
    fn modules(&self, name: &str) -> Result<Vec<PathBuf>> {
        let listed = tool("modprobe")
            .quiet()
            .arg("-d")
            .arg(&self.directory)
            .args(["-S", &self.version, "--show-depends", name])
            .read()?;
        let files = listed
            .lines()
            .filter_map(|line| line.strip_prefix("insmod "));
        Ok(files.map(|file| PathBuf::from(file.trim())).collect())
    }
}

fn initramfs(unpacked: &Unpacked) -> Result<Tree> {
    let read = |path: &Path| fs::read(path).map_err(failed("read", path));
    let mut tree = Tree::default();
    tree.program("init", INIT.as_bytes().to_vec());
    tree.program("bin/busybox", read(Path::new(image::BUSYBOX))?);
    for directory in ["dev", "root"] {
        tree.put(directory, Node::Dir { mode: 0o755 });
    }
    let mut modules: Vec<PathBuf> = Vec::new();
    for name in MODULES {
        for module in unpacked.modules(name)? {
            if !modules.contains(&module) {
                modules.push(module);
            }
        }
    }
    for (number, module) in (10..).zip(modules) {
        let content = read(&module)?;
        tree.put(
            &format!("modules/{number}"),
            Node::File {
                mode: 0o644,
                content,
            },
        );
    }
    Ok(tree)
}
