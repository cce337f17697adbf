//! Shows that stage1-init builds for all the machines that its sources know,
//! and that it starts there, as far as an emulator of processes can show that.
//!
//! The compiler that builds everything else has `core` for this machine only.
//! Debian's comes with the sources of it, and builds it for the others. That is
//! no stable feature of it, so what it makes must behave as the native one does.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::cmd::{Cmd, Result, cargo, cmd, find, host_target, say, target_dir};
use crate::{build, size};

#[path = "../../stage1-init/flags.rs"]
mod flags;

/// A machine: the compiler's names for the target and the processor, and that
/// of its emulator.
struct Machine {
    target: &'static str,
    arch: &'static str,
    emulator: &'static str,
}

const MACHINES: &[Machine] = &[
    Machine {
        target: "aarch64-unknown-linux-gnu",
        arch: "aarch64",
        emulator: "qemu-aarch64",
    },
    Machine {
        target: "armv7-unknown-linux-gnueabihf",
        arch: "arm",
        emulator: "qemu-arm",
    },
    Machine {
        target: "riscv64gc-unknown-linux-gnu",
        arch: "riscv64",
        emulator: "qemu-riscv64",
    },
    Machine {
        target: "x86_64-unknown-linux-gnu",
        arch: "x86_64",
        emulator: "qemu-x86_64",
    },
];

/// What each build must do as the one for this machine does: words are told
/// apart, directives fail and are named, children are made, waited for, limited.
const CALLS: &[&str] = &[
    "--version",
    "--help",
    "plan 1 app one process umask 9",
    "plan 1 dir /dev/null/x 0755 0 0 app one process main 1 true",
    "plan 1 app one process main 1 /no/such",
    "plan 1 grace 60 app one process umask 0027 rlimit nofile 99 100 env PATH=/bin:/usr/bin \
     main 3 sh -c umask;ulimit${IFS}-n;ulimit${IFS}-Hn;exit${IFS}3",
    "-- /bin/sh -c echo${IFS}said;kill${IFS}-USR1${IFS}$$",
];

/// `cargo xtask cross`.
pub(crate) fn cross(strict: bool) -> Result<()> {
    inits(strict).map(drop)
}

/// Builds stage1-init for all machines, and returns it for each, with the
/// machine's name. Without what that needs, only that for this machine, unless
/// `strict` makes it an error.
pub(crate) fn inits(strict: bool) -> Result<Vec<(&'static str, PathBuf)>> {
    let host = host_target()?;
    let native = native(&host)?;
    let of_host = MACHINES.iter().find(|machine| machine.target == host);
    let mut inits: Vec<_> = of_host
        .map(|machine| (machine.arch, native.clone()))
        .into_iter()
        .collect();
    let compiler = match Compiler::find() {
        Ok(compiler) => compiler,
        Err(lacking) if strict => Err(lacking)?,
        Err(lacking) => {
            say(&format!(
                "skipped: stage1-init for other machines ({lacking})"
            ));
            return Ok(inits);
        }
    };
    let expected: Vec<_> = CALLS
        .iter()
        .map(|words| called(&[native.as_os_str()], words))
        .collect::<Result<_>>()?;
    for machine in MACHINES.iter().filter(|machine| machine.target != host) {
        let program = compiler.build(machine)?;
        build::check_static(&program)?;
        size::disk(machine.arch, &program)?;
        match find(machine.emulator) {
            Some(emulator) => compare(&emulator, &program, &expected)?,
            None if strict => return Err(format!("needs {} (qemu-user)", machine.emulator)),
            None => say(&format!(
                "skipped: whether it starts (needs {} of qemu-user)",
                machine.emulator
            )),
        }
        inits.push((machine.arch, program));
    }
    Ok(inits)
}

/// Builds for this machine, as it is always built.
fn native(host: &str) -> Result<PathBuf> {
    let dir = target_dir().join("cross");
    let arch = host.split('-').next().unwrap_or_default();
    build(cargo(), host)
        .arg(&dir)
        .env("CARGO_ENCODED_RUSTFLAGS", flags::flags(arch))
        .run()?;
    Ok(program(&dir, host))
}

fn build(cargo: Cmd, target: &str) -> Cmd {
    cargo
        .args(["build", "--quiet", "--package", "stage1-init"])
        .args(["--bin", "stage1-init", "--features", "freestanding"])
        .args(["--profile", "stage1", "--target", target, "--target-dir"])
}

fn program(dir: &Path, target: &str) -> PathBuf {
    dir.join(target).join("stage1/stage1-init")
}

/// Debian's compiler, called by its path: the one in PATH stays the project's.
struct Compiler {
    linker: PathBuf,
}

impl Compiler {
    const CARGO: &str = "/usr/bin/cargo";
    const RUSTC: &str = "/usr/bin/rustc";
    const SOURCE: &str = "/usr/lib/rustlib/src/rust/library/core";

    /// Finds it, or says what lacks.
    fn find() -> std::result::Result<Self, String> {
        for path in [Self::CARGO, Self::RUSTC, Self::SOURCE] {
            if !Path::new(path).exists() {
                return Err(format!(
                    "needs `{path}`; as root on Debian, `cargo xtask setup --cross` installs it"
                ));
            }
        }
        let linker = rust_lld().or_else(|| find("ld.lld"));
        let linker = linker.ok_or("needs rust-lld, which rustup brings, or the package lld")?;
        Ok(Self { linker })
    }

    fn build(&self, machine: &Machine) -> Result<PathBuf> {
        let target = machine.target;
        let variable = target.to_uppercase().replace('-', "_");
        // Away from what the other compiler builds.
        let dir = target_dir().join("cross/debian");
        build(cmd(Self::CARGO), target)
            .arg(&dir)
            .arg("--locked")
            .arg("-Zbuild-std=core,compiler_builtins")
            .arg("-Zbuild-std-features=compiler-builtins-mem")
            .env(&format!("CARGO_TARGET_{variable}_LINKER"), &self.linker)
            .env("CARGO_ENCODED_RUSTFLAGS", flags::flags(machine.arch))
            .env("RUSTC", Self::RUSTC)
            .env("RUSTC_BOOTSTRAP", "1")
            .run()?;
        Ok(program(&dir, target))
    }
}

/// The linker that comes with the compiler in PATH, and knows all machines.
fn rust_lld() -> Option<PathBuf> {
    let sysroot = cmd("rustc").args(["--print", "sysroot"]).quiet().read();
    let host = host_target().ok()?;
    let linker = Path::new(sysroot.ok()?.trim())
        .join("lib/rustlib")
        .join(host)
        .join("bin/rust-lld");
    linker.exists().then_some(linker)
}

/// Runs a build in an emulator, which must not show.
fn compare(emulator: &Path, program: &Path, expected: &[Output]) -> Result<()> {
    for (words, expected) in CALLS.iter().zip(expected) {
        let got = called(&[emulator.as_os_str(), program.as_os_str()], words)?;
        if got != *expected {
            return Err(format!(
                "`{} {}` behaves differently:\n{}\nand here:\n{}",
                program.display(),
                words,
                shown(&got),
                shown(expected)
            ));
        }
    }
    say(&format!(
        "as here in {} calls: {}",
        CALLS.len(),
        program.display()
    ));
    Ok(())
}

fn called(program: &[&OsStr], words: &str) -> Result<Output> {
    let [first, rest @ ..] = program else {
        return Err("nothing to be run".to_owned());
    };
    let mut command = cmd(first)
        .quiet()
        .args(rest)
        .args(words.split(' '))
        .into_command();
    command
        .output()
        .map_err(|error| format!("cannot run {first:?}: {error}"))
}

fn shown(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
