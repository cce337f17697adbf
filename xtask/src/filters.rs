//! The default filter of system calls, side by side with the default profiles
//! of other runners, as Debian's packages have them. A package that is not
//! installed is only unpacked: Docker's would bring half of its sources' world.

use std::fs;
use std::path::Path;

use crate::cmd::{Result, cargo, cmd, failed, target_dir};

/// The packages, and their profiles.
const PROFILES: &[(&str, &str)] = &[
    (
        "golang-github-containers-common",
        "usr/share/containers/seccomp.json",
    ),
    (
        "golang-github-docker-docker-dev",
        "usr/share/gocode/src/github.com/docker/docker/profiles/seccomp/default.json",
    ),
];

/// `cargo xtask filters`.
pub(crate) fn filters() -> Result<()> {
    let place = target_dir().join("profiles");
    fs::create_dir_all(&place).map_err(failed("make", &place))?;
    for (package, profile) in PROFILES {
        if !Path::new("/").join(profile).exists() && !place.join(profile).exists() {
            unpack(package, &place)?;
        }
    }
    let words = ["test", "--quiet", "--package", "pod", "--lib"];
    cargo()
        .args(words)
        .args(["profiles::", "--", "--nocapture", "--test-threads", "1"])
        .env("PROFILES", &place)
        .run()
}

fn unpack(package: &str, place: &Path) -> Result<()> {
    cmd("apt-get")
        .args(["download", package])
        .dir(place)
        .run()?;
    let entries = fs::read_dir(place).map_err(failed("list", place))?;
    let archive = entries.flatten().map(|entry| entry.path()).find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&format!("{package}_"))
    });
    let archive = archive.ok_or_else(|| format!("apt-get did not download {package}"))?;
    cmd("dpkg-deb").arg("-x").arg(archive).arg(place).run()
}
