//! The first command of the README: from nothing to a running pod.

use std::fs;

use crate::cmd::{Result, cmd, failed, images_dir, is_root, root, say, target_dir};
use crate::{build, images, setup};

/// The packages that it needs: a userland for the image, and what a site is
/// made of.
const TOOLS: &[&str] = &[
    "busybox-static",
    "ca-certificates",
    "gpg",
    "openssl",
    "stunnel4",
    "util-linux",
];

/// `cargo xtask demo --discovery`: the image of a name, found, fetched and
/// verified over HTTPS, with the image that it needs, and run.
pub(crate) fn discovery() -> Result<()> {
    if !is_root() {
        return Err("namespaces in which nosecone.net is this host need root".to_owned());
    }
    setup::only(TOOLS)?;
    let built = build::release()?;
    images::discovery(&images_dir())?;
    let site = images_dir().join("site");
    if !site.exists() {
        return Err("the site could not be built; see above".to_owned());
    }
    let dir = target_dir().join("demo-discovery");
    if dir.exists() {
        // Else nothing would be fetched.
        fs::remove_dir_all(&dir).map_err(failed("remove", &dir))?;
    }
    let launcher = || cmd(&built.launcher).arg("--dir").arg(&dir);
    launcher()
        .args(["trust", "--prefix=nosecone.net/example", "--yes"])
        .arg(site.join("key.asc"))
        .run()?;
    cmd("unshare")
        .args(["--mount", "--pid", "--fork", "--kill-child", "--net"])
        .args(["--mount-proc", "sh"])
        .arg(root().join("images/site/inside.sh"))
        .arg(&site)
        .arg("simple")
        .arg(&built.launcher)
        .arg("--dir")
        .arg(&dir)
        .args(["run", "--ca-file"])
        .arg(site.join("ca.pem"))
        .arg("nosecone.net/example/test")
        .run()
}

/// `cargo xtask demo`.
pub(crate) fn demo() -> Result<()> {
    let built = build::release()?;
    images::programs(&images_dir())?;
    let image = images_dir().join("hello.aci");
    let dir = target_dir().join("demo");
    if !is_root() {
        say("\nEverything is built. Running a pod needs root; this is the command:\n");
        say(&format!(
            "  sudo {} --dir {} run {}\n",
            built.launcher.display(),
            dir.display(),
            image.display()
        ));
        return Err("not root, so nothing was run".to_owned());
    }
    cmd(&built.launcher)
        .arg("--dir")
        .arg(dir)
        .arg("run")
        .arg(image)
        .run()
}
