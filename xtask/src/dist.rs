//! Packs what a host is given: both programs with licence and checksums, after
//! showing that they need nothing else. And stage1-init alone, for every machine
//! that it knows.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cmd::{Result, cmd, failed, find, host_target, is_root, root, say, target_dir};
use crate::{build, cross};

/// `cargo xtask dist`.
pub(crate) fn dist(target: Option<String>) -> Result<()> {
    let target = match target {
        Some(target) => target,
        None => best_target()?,
    };
    let built = build::with(&["--target", &target])?;
    let out = target_dir().join("dist").join(format!("nosecone-{target}"));
    fs::create_dir_all(&out).map_err(failed("make", &out))?;
    for (from, name) in [
        (&built.launcher, "launcher"),
        (&built.stage1, "stage1-init"),
        (&root().join("LICENSE"), "LICENSE"),
    ] {
        fs::copy(from, out.join(name)).map_err(failed("copy", from))?;
    }
    for name in ["launcher", "stage1-init"] {
        build::check_static(&out.join(name))?;
    }
    if target == host_target()? || is_musl_of_host(&target)? {
        run_in_empty_root(&out)?;
    } else {
        say(&format!("not run: {target} is not this machine"));
    }
    sign_off(&out, &["launcher", "stage1-init", "LICENSE"])?;
    inits()
}

/// Packs stage1-init for every machine.
fn inits() -> Result<()> {
    let out = target_dir().join("dist/stage1-init");
    fs::create_dir_all(&out).map_err(failed("make", &out))?;
    let license = root().join("LICENSE");
    let mut names = vec!["LICENSE".to_owned()];
    fs::copy(&license, out.join("LICENSE")).map_err(failed("copy", &license))?;
    for (arch, program) in cross::inits(false)? {
        let name = format!("stage1-init-{arch}");
        fs::copy(&program, out.join(&name)).map_err(failed("copy", &program))?;
        names.push(name);
    }
    sign_off(&out, &names)
}

/// The musl target of this machine where it is installed, else the machine's own.
fn best_target() -> Result<String> {
    let host = host_target()?;
    let musl = host.replace("-gnu", "-musl");
    let sysroot = cmd("rustc").args(["--print", "sysroot"]).quiet().read()?;
    let installed = Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(&musl)
        .join("lib");
    Ok(if installed.exists() { musl } else { host })
}

fn is_musl_of_host(target: &str) -> Result<bool> {
    Ok(host_target()?.replace("-gnu", "-musl") == target)
}

/// Runs both in a root directory that holds nothing but the program.
fn run_in_empty_root(out: &Path) -> Result<()> {
    let empty = target_dir().join("empty-root");
    for name in ["launcher", "stage1-init"] {
        if empty.exists() {
            fs::remove_dir_all(&empty).map_err(failed("remove", &empty))?;
        }
        fs::create_dir_all(&empty).map_err(failed("make", &empty))?;
        let program = out.join(name);
        fs::copy(&program, empty.join(name)).map_err(failed("copy", &program))?;
        let flag = if name == "launcher" {
            "version"
        } else {
            "--version"
        };
        chroot()?
            .arg(&empty)
            .arg(format!("/{name}"))
            .arg(flag)
            .run()?;
    }
    fs::remove_dir_all(&empty).map_err(failed("remove", &empty))
}

fn chroot() -> Result<crate::cmd::Cmd> {
    let program = find("chroot").ok_or("`chroot` (coreutils) is not here")?;
    Ok(if is_root() {
        cmd(program)
    } else {
        cmd("unshare")
            .args(["--user", "--map-root-user"])
            .arg(program)
    })
}

fn sign_off(out: &Path, names: &[impl AsRef<OsStr>]) -> Result<()> {
    let sums = cmd("sha256sum").args(names).dir(out).read()?;
    let path: PathBuf = out.join("SHA256SUMS");
    fs::write(&path, sums).map_err(failed("write", &path))?;
    say(&format!("packed {}", out.display()));
    Ok(())
}
