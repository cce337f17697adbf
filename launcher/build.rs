//! Builds `stage1-init` for the target of the launcher and hands its path to
//! the compiler, which embeds it; and compiles the default filter of system
//! calls, which is embedded likewise, so that no run has to.
//!
//! The init takes a nested cargo build, because the two programs need opposite
//! things: the init links no libc and no std, so it cannot share a dependency
//! graph (whose features are unified) or a profile with the launcher.

use std::env;
use std::path::PathBuf;
use std::process::Command;

#[path = "src/pod/seccomp/calls.rs"]
mod calls;
#[path = "src/pod/seccomp/default.rs"]
mod default;
#[path = "src/pod/seccomp/errno.rs"]
#[allow(dead_code, reason = "here only the default filter is compiled")]
mod errno;
#[path = "src/pod/seccomp/listing.rs"]
mod listing;
#[path = "src/pod/seccomp/program.rs"]
#[allow(dead_code, reason = "here only the default filter is compiled")]
mod program;

/// Names a stage1-init built elsewhere, for distributors who build it themselves.
const PREBUILT: &str = "NOSE_STAGE1";

fn main() {
    compile_filter();
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
}

/// Writes the default filter, and what it does, into files for `pod::seccomp`.
fn compile_filter() {
    println!("cargo:rerun-if-changed=src/pod/seccomp");
    let directory = PathBuf::from(variable("OUT_DIR"));
    let circumstances = default::Circumstances {
        has: &|word| word == default::BY_DEFAULT,
        ptrace: true,
    };
    // Elsewhere there is no stage1-init to install it, either.
    let filter = calls::Arch::named(&variable("CARGO_CFG_TARGET_ARCH"))
        .map(|arch| default::filter(arch, &circumstances));
    let bytes = filter.as_ref().map(program::Filter::bytes);
    let summary = filter.as_ref().map(listing::listing);
    for (name, content) in [
        ("default.bpf", bytes.unwrap_or_default()),
        ("default.txt", summary.unwrap_or_default().into_bytes()),
    ] {
        std::fs::write(directory.join(name), content)
            .expect("cargo made the directory for what build scripts write");
    }
}

fn build() -> PathBuf {
    let source = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("../stage1-init");
    for input in [
        "src",
        "Cargo.toml",
        "build.rs",
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
        .env("CARGO_ENCODED_RUSTFLAGS", flags());
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

/// 32-bit ARM has two sets of instructions. In the one that compilers choose
/// the init would be a third larger.
fn flags() -> &'static str {
    match variable("CARGO_CFG_TARGET_ARCH").as_str() {
        "arm" => "-Ctarget-feature=+thumb-mode",
        _ => "",
    }
}

fn variable(name: &str) -> String {
    env::var(name).expect("cargo sets it for build scripts")
}
