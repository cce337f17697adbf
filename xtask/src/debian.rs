//! Builds the images that are made of Debian by Debian's tools: they are the
//! real input that our own reader of images is measured against.

use std::fs;
use std::path::Path;

use crate::cmd::{Result, cmd, failed, is_root, root, say, target_dir};
use crate::image::{busybox, has, manifest};

/// The release that `debian.aci` is.
const SUITE: &str = "bookworm";

/// `busybox.aci` and `debian.aci`, as far as this host can.
pub(crate) fn all(into: &Path) -> Result<()> {
    if !has("actool", "busybox.aci, debian.aci") {
        return Ok(());
    }
    if Path::new("/bin/busybox").exists() {
        busybox_image(into)?;
    }
    if has("mmdebstrap", "debian.aci") {
        debian_image(into)?;
    }
    Ok(())
}

fn busybox_image(into: &Path) -> Result<()> {
    let layout = fresh_layout("busybox")?;
    busybox()?.write(&layout.join("rootfs"))?;
    actool(&layout, into, "busybox")
}

/// Takes a network and half a minute, so an image that is there stays, as long
/// as it is younger than what it is made from.
fn debian_image(into: &Path) -> Result<()> {
    let image = into.join("debian.aci");
    if is_younger(&image, &root().join("images/debian/manifest")) {
        say(&format!("kept  {}", image.display()));
        return Ok(());
    }
    if !is_root() {
        say("left out: debian.aci (mmdebstrap keeps owners and devices only as root)");
        return Ok(());
    }
    let rubbish =
        ["doc", "man", "locale"].map(|name| format!("--dpkgopt=path-exclude=/usr/share/{name}/*"));
    bootstrap(into, "essential", &rubbish)
}

/// Builds a `debian.aci` with all that a package brings along, which others
/// measure with as well; as root, with a network.
pub(crate) fn whole(into: &Path) -> Result<()> {
    match has("actool", "debian.aci") && has("mmdebstrap", "debian.aci") {
        true => bootstrap(into, "minbase", &[]),
        false => Ok(()),
    }
}

fn bootstrap(into: &Path, variant: &str, options: &[String]) -> Result<()> {
    let layout = fresh_layout("debian")?;
    cmd("mmdebstrap")
        .args(["--quiet", &format!("--variant={variant}")])
        .args(options)
        .arg(SUITE)
        .arg(layout.join("rootfs"))
        .run()?;
    // actool opens what it packs: reading the console it would wait for ever.
    let dev = layout.join("rootfs/dev");
    fs::remove_dir_all(&dev).map_err(failed("empty", &dev))?;
    fs::create_dir(&dev).map_err(failed("make", &dev))?;
    actool(&layout, into, "debian")
}

/// Makes an empty directory with the manifest in it, as `actool build` wants it.
fn fresh_layout(name: &str) -> Result<std::path::PathBuf> {
    let layout = target_dir().join("layouts").join(name);
    if layout.exists() {
        fs::remove_dir_all(&layout).map_err(failed("remove", &layout))?;
    }
    fs::create_dir_all(&layout).map_err(failed("make", &layout))?;
    let path = layout.join("manifest");
    fs::write(&path, manifest(name)?).map_err(failed("write", &path))?;
    Ok(layout)
}

fn actool(layout: &Path, into: &Path, name: &str) -> Result<()> {
    let image = into.join(format!("{name}.aci"));
    // actool wants the name to end in `.aci`, also while it is unfinished.
    let unfinished = into.join(format!(".{name}.aci"));
    cmd("actool")
        .args(["build", "--overwrite"])
        .arg(layout)
        .arg(&unfinished)
        .run()?;
    fs::rename(&unfinished, &image).map_err(failed("publish", &image))?;
    fs::remove_dir_all(layout).map_err(failed("remove", layout))?;
    say(&format!("built {}", image.display()));
    Ok(())
}

/// Tells whether a file is there and newer than another.
pub(crate) fn is_younger(path: &Path, than: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified());
    matches!((changed(path), changed(than)), (Ok(path), Ok(than)) if path > than)
}
