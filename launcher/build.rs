//! Builds `stage1-init` for the target of the launcher and hands its path to
//! the compiler, which embeds it.
//!
//! The init takes a nested cargo build, because the two programs need opposite
//! things: the init links no libc and no std, so it cannot share a dependency
//! graph (whose features are unified) or a profile with the launcher.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

#[path = "../stage1-init/flags.rs"]
mod flags;

/// Names a stage1-init built elsewhere, for distributors who build it themselves.
const PREBUILT: &str = "NOSE_STAGE1";

fn main() {
    println!("cargo:rerun-if-env-changed={PREBUILT}");
    let init = match env::var_os(PREBUILT) {
        Some(path) => {
            let path = PathBuf::from(path);
            println!("cargo:rerun-if-changed={}", path.display());
            path
        }
        None => build(),
    };
    println!("cargo:rustc-env=STAGE1_INIT={}", init.display());
    if variable("PROFILE") == "release" {
        leave_out_unwinding();
        pack_relocations();
    }
}

/// Leaves the tables for unwinding out of what is released, a tenth of it:
/// a panic aborts. Those of the start files are referred to, and stay.
fn leave_out_unwinding() {
    let script = PathBuf::from(variable("OUT_DIR")).join("no-unwinding.ld");
    let text = "SECTIONS {\n  /DISCARD/ : {\n    \
                *(EXCLUDE_FILE(*crtbegin*.o *crtend*.o) .eh_frame)\n    \
                *(.gcc_except_table .gcc_except_table.*)\n  }\n} INSERT AFTER .rodata;\n";
    fs::write(&script, text).expect("cargo's directory can be written to");
    println!("cargo:rustc-link-arg-bins=-Wl,-T,{}", script.display());
}

/// Packs the relocations of a program that may lie anywhere in memory, a
/// twentieth of it. The libc that is linked must read them: glibc does since
/// 2.36, and of another machine's nothing is known.
fn pack_relocations() {
    if variable("CARGO_CFG_TARGET_ENV") != "gnu" || variable("HOST") != variable("TARGET") {
        return;
    }
    let asked = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let answer = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    if answer.is_ok_and(|answer| glibc(&answer) >= Some((2, 36))) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version in `glibc 2.36`, as getconf(1) prints it.
fn glibc(answer: &str) -> Option<(u32, u32)> {
    let (major, minor) = answer.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn build() -> PathBuf {
    let source = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("../stage1-init");
    for input in [
        "src",
        "Cargo.toml",
        "build.rs",
        "flags.rs",
        "../Cargo.toml",
        "../Cargo.lock",
    ] {
        println!("cargo:rerun-if-changed={}", source.join(input).display());
    }
    let target = variable("TARGET");
    let directory = PathBuf::from(variable("OUT_DIR")).join("stage1");
    let mut cargo = Command::new(variable("CARGO"));
    cargo
        .current_dir(&source)
        .args([
            "build",
            "--quiet",
            "--profile",
            "stage1",
            "--bin",
            "stage1-init",
        ])
        .args([
            "--features",
            "freestanding",
            "--target",
            &target,
            "--target-dir",
        ])
        .arg(&directory)
        // Set, it overrides the flags of every configuration file and of the
        // outer build: crt-static, coverage or a CPU are not for the init.
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            flags::flags(&variable("CARGO_CFG_TARGET_ARCH")),
        );
    for unwanted in [
        "RUSTFLAGS",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_BUILD_TARGET",
        "CARGO_TARGET_DIR",
    ] {
        cargo.env_remove(unwanted);
    }
    let status = cargo
        .status()
        .expect("cargo, which runs this, can be run again");
    assert!(
        status.success(),
        "stage1-init does not build; see the messages above"
    );
    directory.join(target).join("stage1/stage1-init")
}

fn variable(name: &str) -> String {
    env::var(name).expect("cargo sets it for build scripts")
}
