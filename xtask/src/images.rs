//! Builds the images: those of our own programs everywhere, with nothing but
//! cargo; those of other people's userlands where Debian's tools are.

use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};

use crate::aci::{Node, Tree};
use crate::cmd::{Result, cargo, failed, find, root, say, target_dir};
use crate::{ace, debian, guest, site};

/// Where Debian's package puts the static busybox.
pub(crate) const BUSYBOX: &str = "/bin/busybox";

/// `cargo xtask images`: all that this host can build.
pub(crate) fn all(into: &Path) -> Result<()> {
    programs(into)?;
    if Path::new(BUSYBOX).exists() {
        base(into)?;
    } else {
        say("left out: nosecone-base.aci, busybox.aci (needs busybox-static)");
    }
    site::build(into)?;
    ace::build(into)?;
    guest::build(into)?;
    debian::all(into)
}

/// The images whose programs are ours: `hello`, `probe`, and `nosecone-test`,
/// which is a script.
pub(crate) fn programs(into: &Path) -> Result<()> {
    let built = build_programs(into)?;
    for name in ["hello", "probe"] {
        let program = built.join(name);
        let content = fs::read(&program).map_err(failed("read", &program))?;
        let mut tree = Tree::default();
        tree.program(name, content);
        write(into, name, &tree)?;
    }
    let mut tree = Tree::default();
    tree.add(&root().join("images/nosecone-test/rootfs"), "")?;
    write(into, "nosecone-test", &tree)
}

/// A userland: busybox under all its names.
fn base(into: &Path) -> Result<()> {
    write(into, "nosecone-base", &busybox()?)
}

/// The root file system of a busybox userland.
pub(crate) fn busybox() -> Result<Tree> {
    let program = Path::new(BUSYBOX);
    let mut tree = Tree::default();
    tree.add(&root().join("images/nosecone-base/rootfs"), "")?;
    for path in crate::cmd::cmd(program)
        .arg("--list-full")
        .quiet()
        .read()?
        .lines()
    {
        tree.put(path, Node::Symlink("/bin/busybox".to_owned()));
    }
    let content = fs::read(program).map_err(failed("read", program))?;
    tree.program("bin/busybox", content);
    tree.put("root", Node::Dir { mode: 0o700 });
    tree.put("tmp", Node::Dir { mode: 0o1777 });
    Ok(tree)
}

/// Builds the programs of `images/programs` static, and leaves them in
/// `INTO/bin`, for tests that compare what a pod sees with what the host sees.
fn build_programs(into: &Path) -> Result<PathBuf> {
    let target = host_target()?;
    // A directory of their own: other flags in a shared one would throw away
    // what the launcher's build left there.
    let dir = target_dir().join("programs");
    cargo()
        .args(["build", "--quiet", "--package", "programs"])
        .args(["--profile", "stage1", "--target", &target, "--target-dir"])
        .arg(&dir)
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static")
        .run()?;
    let bin = into.join("bin");
    fs::create_dir_all(&bin).map_err(failed("make", &bin))?;
    for name in ["hello", "probe"] {
        let from = dir.join(&target).join("stage1").join(name);
        let to = bin.join(name);
        fs::copy(&from, &to).map_err(failed("copy", &from))?;
    }
    Ok(bin)
}

pub(crate) fn write(into: &Path, name: &str, tree: &Tree) -> Result<()> {
    let bytes = tree.pack(manifest(name)?.as_bytes())?;
    let path = into.join(format!("{name}.aci"));
    fs::write(&path, bytes).map_err(failed("write", &path))?;
    say(&format!("built {}", path.display()));
    Ok(())
}

/// Reads the manifest of an image; `@ARCH@` in it is this machine.
pub(crate) fn manifest(name: &str) -> Result<String> {
    let path = root().join("images").join(name).join("manifest");
    let text = fs::read_to_string(&path).map_err(failed("read", &path))?;
    Ok(text.replace("@ARCH@", architecture(ARCH)))
}

/// Returns what the specification calls this machine.
pub(crate) fn arch() -> &'static str {
    architecture(ARCH)
}

/// Returns what the specification calls an architecture that Rust calls so.
fn architecture(name: &str) -> &str {
    match name {
        "x86_64" => "amd64",
        "x86" => "i386",
        "arm" => "armv7l",
        "powerpc64" => "ppc64",
        other => other,
    }
}

/// Returns the target that the compiler builds for by itself.
pub(crate) fn host_target() -> Result<String> {
    let version = crate::cmd::cmd("rustc").arg("-vV").quiet().read()?;
    version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| "`rustc -vV` does not name its host".to_owned())
}

/// Tells whether a tool is there, and says so if it is not.
pub(crate) fn has(tool: &str, left_out: &str) -> bool {
    let found = find(tool).is_some();
    if !found {
        say(&format!("left out: {left_out} (needs {tool})"));
    }
    found
}
