//! The Debian packages that the fuller tests want. Nothing here is needed to
//! build, to run a pod, or for the tests that use our own images.

use std::path::Path;

use crate::cmd::{Result, cmd, find, is_root, say};

/// A package, what shows that it is there (a program, or a path), and what
/// wants it.
struct Package(&'static str, &'static str, &'static str);

const PACKAGES: &[Package] = &[
    Package(
        "busybox-static",
        "/bin/busybox",
        "busybox.aci, nosecone-base.aci",
    ),
    Package("mmdebstrap", "mmdebstrap", "debian.aci"),
    Package(
        "appc-spec",
        "actool",
        "busybox.aci, debian.aci, and agreement with the reference validator",
    ),
    Package("golang-go", "go", "the specification's conformance program"),
    Package(
        "golang-github-appc-spec-dev",
        "/usr/share/gocode/src/github.com/appc/spec/ace",
        "the specification's conformance program",
    ),
    Package("zsh", "zsh", "tests of completion"),
    Package("fish", "fish", "tests of completion"),
    Package("groff-base", "groff", "tests of man pages"),
    Package("strace", "strace", "tests that make system calls fail"),
    Package(
        "btrfs-progs",
        "mkfs.btrfs",
        "tests of files that share blocks",
    ),
    Package("util-linux", "unshare", "tests in namespaces of their own"),
    Package("xz-utils", "xz", "tests of compressed images"),
    Package("bzip2", "bzip2", "tests of compressed images"),
    Package("zstd", "zstd", "tests of compressed images"),
    Package(
        "libarchive-tools",
        "bsdtar",
        "agreement with other readers of archives",
    ),
    Package("umoci", "umoci", "agreement with other unpackers"),
    Package("docker-registry", "docker-registry", "tests of registries"),
    Package("skopeo", "skopeo", "tests of registries"),
    Package("bubblewrap", "bwrap", "benchmarks"),
    Package("crun", "crun", "benchmarks"),
    Package("runc", "runc", "benchmarks"),
    Package("nginx-light", "/usr/sbin/nginx", "nginx.aci"),
    Package("wrk", "wrk", "benchmarks"),
    Package(
        "podman",
        "podman",
        "agreement with other runners, benchmarks",
    ),
    Package("buildah", "buildah", "images of other builders"),
    Package("netavark", "/usr/lib/podman/netavark", "benchmarks"),
    Package("gpg", "gpg", "tests of signatures"),
    Package("openssl", "openssl", "tests of HTTPS"),
    Package("stunnel4", "stunnel", "tests of HTTPS"),
    Package(
        "ca-certificates",
        "/etc/ssl/certs/ca-certificates.crt",
        "tests of HTTPS",
    ),
    Package(
        "python3",
        "python3",
        "agreement with other readers of archives, servers that misbehave",
    ),
    Package("iproute2", "ip", "tests of networks"),
    Package("nftables", "nft", "tests of networks"),
    Package("iptables", "iptables", "tests of networks"),
    Package(
        "containernetworking-plugins",
        "/usr/lib/cni/bridge",
        "tests of networks",
    ),
    Package(
        "golang-github-containers-common",
        "/usr/share/containers/seccomp.json",
        "comparison with another runner's filter",
    ),
    Package(
        "qemu-system-x86",
        "qemu-system-x86_64",
        "tests in virtual machines",
    ),
    Package(
        "systemd",
        "systemd-analyze",
        "tests of the examples for systemd",
    ),
    Package("cpio", "cpio", "tests in virtual machines"),
    Package("kmod", "depmod", "tests in virtual machines"),
    Package("e2fsprogs", "mke2fs", "tests in virtual machines"),
    Package("apparmor", "apparmor_parser", "tests in virtual machines"),
    Package("checkpolicy", "checkpolicy", "tests in virtual machines"),
];

/// What `cargo xtask cross` wants. It weighs more than all the others together,
/// so nobody gets it who does not ask for it.
const CROSS: &[Package] = &[
    Package("rustc-web", "/usr/bin/rustc", "builds for other machines"),
    Package("cargo-web", "/usr/bin/cargo", "builds for other machines"),
    Package(
        "rust-web-src",
        "/usr/lib/rustlib/src/rust/library/core",
        "builds for other machines",
    ),
    Package("qemu-user", "qemu-aarch64", "builds for other machines"),
];

/// `cargo xtask setup`: installs what lacks, or says what lacks and what for.
/// Tells whether all is there in the end.
pub(crate) fn setup(cross: bool) -> Result<bool> {
    let wanted = PACKAGES.iter().chain(if cross { CROSS } else { &[] });
    install(wanted)
}

/// Installs these packages and no others, or says which of them lack. Tells
/// whether all are there in the end.
pub(crate) fn only(names: &[&str]) -> Result<bool> {
    install(PACKAGES.iter().filter(|package| names.contains(&package.0)))
}

fn install<'a>(wanted: impl Iterator<Item = &'a Package>) -> Result<bool> {
    let missing: Vec<_> = wanted.filter(|package| !package.is_here()).collect();
    if missing.is_empty() {
        return Ok(true);
    }
    if is_root() && Path::new("/etc/debian_version").exists() {
        let noninteractive = |words: &[&str]| {
            cmd("apt-get")
                .args(["--quiet=2", "--option=Dpkg::Use-Pty=0"])
                .args(words)
                .env("DEBIAN_FRONTEND", "noninteractive")
        };
        noninteractive(&["update"]).run()?;
        noninteractive(&["install", "--yes", "--no-install-recommends"])
            .args(missing.iter().map(|package| package.0))
            .run()?;
        return Ok(true);
    }
    for Package(name, _, wanted_by) in missing {
        say(&format!("missing: {name}, for {wanted_by}"));
    }
    say(
        "Tests that want these are skipped, and say so. As root on Debian, `cargo xtask setup` installs them.",
    );
    Ok(false)
}

impl Package {
    fn is_here(&self) -> bool {
        if self.1.starts_with('/') {
            Path::new(self.1).exists()
        } else {
            find(self.1).is_some()
        }
    }
}
