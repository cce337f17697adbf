//! Builds the images: those of our own programs everywhere, with nothing but
//! cargo; those of other people's userlands where Debian's tools are.

use std::fs;
use std::path::{Path, PathBuf};

use crate::aci::Tree;
use crate::cmd::{Result, cargo, failed, host_target, root, say, target_dir};
use crate::image::{BUSYBOX, busybox, write};
use crate::{ace, debian, guest, nginx, site};

/// `cargo xtask images`: all that this host can build.
pub(crate) fn all(into: &Path) -> Result<()> {
    programs(into)?;
    base(into)?;
    site::build(into)?;
    ace::build(into)?;
    guest::build(into)?;
    nginx::build(into)?;
    debian::all(into)
}

/// What the demonstration of discovery shows, and nothing else.
pub(crate) fn discovery(into: &Path) -> Result<()> {
    fs::create_dir_all(into).map_err(failed("make", into))?;
    script(into)?;
    base(into)?;
    site::build(into)
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
    script(into)
}

/// An image that is a script, and needs the userland below.
fn script(into: &Path) -> Result<()> {
    let mut tree = Tree::default();
    tree.add(&root().join("images/nosecone-test/rootfs"), "")?;
    write(into, "nosecone-test", &tree)
}

/// A userland: busybox under all its names.
fn base(into: &Path) -> Result<()> {
    if !Path::new(BUSYBOX).exists() {
        say("left out: nosecone-base.aci, busybox.aci (needs busybox-static)");
        return Ok(());
    }
    write(into, "nosecone-base", &busybox()?)
}

/// Builds the programs of `images/programs` static, and leaves them in
/// `INTO/bin`, for tests that compare what a pod sees with what the host sees.
fn build_programs(into: &Path) -> Result<PathBuf> {
    let target = host_target()?;
    cargo()
        .args(["build", "--quiet", "--package", "programs"])
        .args(["--profile", "stage1", "--target", &target])
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static")
        .run()?;
    let bin = into.join("bin");
    fs::create_dir_all(&bin).map_err(failed("make", &bin))?;
    for name in ["hello", "probe"] {
        let from = target_dir().join(&target).join("stage1").join(name);
        let to = bin.join(name);
        fs::copy(&from, &to).map_err(failed("copy", &from))?;
    }
    Ok(bin)
}
