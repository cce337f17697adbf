//! The first command of the README: from nothing to a running pod.

use crate::cmd::{Result, cmd, images_dir, is_root, say, target_dir};
use crate::{build, images};

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
