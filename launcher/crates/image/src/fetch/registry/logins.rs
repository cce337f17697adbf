//! Where logins for registries are: in the files of podman and docker, and with
//! their helper programs (containers-auth.json.5).

use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use error::{Context as _, Error, Result};
use oci::auth::{AuthFile, Helper, LIMIT, Login, Source, knows_none};
use oci::reference::Reference;
use sys::root_fd::is_absent;
use sys::small_file;

/// Finds the login for an image, in the first file that has one.
///
/// # Errors
///
/// A file cannot be read, or its login for this image is not valid; a helper fails.
pub(super) fn find(image: &Reference) -> Result<Option<Login>> {
    for path in files(&|name| std::env::var_os(name)) {
        let what = || format!("cannot read the logins in `{}`", path.display());
        let Some(text) = read(&path).context(what)? else {
            continue;
        };
        let file = AuthFile::read(&text).context(what)?;
        match file.find(image).context(what)? {
            None => {}
            Some(Source::Login(login)) => return Ok(Some(login)),
            Some(Source::Helper(helper)) => {
                if let Some(login) = ask(&helper)? {
                    return Ok(Some(login));
                }
            }
        }
    }
    Ok(None)
}

/// Returns where files can be, the most important first.
fn files(variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let path = |name: &str| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(file) = path("REGISTRY_AUTH_FILE") {
        return vec![file];
    }
    let home = path("HOME");
    let below = |directory: Option<PathBuf>, rest: &str| directory.map(|above| above.join(rest));
    let runtime = path("XDG_RUNTIME_DIR").or_else(|| {
        let user = rustix::process::geteuid();
        user.is_root().then(|| "/run/containers/0".into())
    });
    let podmans = match &runtime {
        Some(place) if place.starts_with("/run/containers") => below(runtime, "auth.json"),
        _ => below(runtime, "containers/auth.json"),
    };
    let config = path("XDG_CONFIG_HOME").or_else(|| below(home.clone(), ".config"));
    let docker = path("DOCKER_CONFIG").or_else(|| below(home, ".docker"));
    let all = [
        podmans,
        below(config, "containers/auth.json"),
        below(docker, "config.json"),
    ];
    all.into_iter().flatten().collect()
}

/// Reads a file, if it is there.
fn read(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    match File::open(path) {
        Ok(file) => small_file::read(file, LIMIT).map(Some),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Asks a helper; `None` if it knows no login.
fn ask(helper: &Helper) -> Result<Option<Login>> {
    let program = format!("docker-credential-{}", helper.name);
    let what = || format!("cannot get a login from `{program}`");
    let mut child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .context(what)?;
    if let Some(mut input) = child.stdin.take() {
        // It may have failed before it reads that.
        let _ = input.write_all(helper.server.as_bytes());
    }
    let output = child.wait_with_output().context(what)?;
    if output.status.success() {
        return Login::from_helper(&output.stdout).map(Some).context(what);
    }
    match knows_none(&String::from_utf8_lossy(&output.stdout)) {
        true => Ok(None),
        // What it says may contain a secret.
        false => Err(Error::invalid(format!(
            "{}: it failed ({})",
            what(),
            output.status
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_named_is_the_only_one() {
        let named = |name: &str| match name {
            "REGISTRY_AUTH_FILE" => Some("/a".into()),
            _ => Some("/other".into()),
        };
        assert_eq!(files(&named), [Path::new("/a")]);
    }

    #[test]
    fn podmans_files_come_before_dockers() {
        let set = |name: &str| match name {
            "XDG_RUNTIME_DIR" => Some("/run/user/7".into()),
            "HOME" => Some("/home/me".into()),
            _ => None,
        };
        let expected = [
            "/run/user/7/containers/auth.json",
            "/home/me/.config/containers/auth.json",
            "/home/me/.docker/config.json",
        ];
        assert_eq!(files(&set), expected.map(Path::new));
        let set = |name: &str| match name {
            "DOCKER_CONFIG" => Some("/d".into()),
            "XDG_CONFIG_HOME" => Some("/c".into()),
            "XDG_RUNTIME_DIR" => Some("/r".into()),
            _ => None,
        };
        let expected = [
            "/r/containers/auth.json",
            "/c/containers/auth.json",
            "/d/config.json",
        ];
        assert_eq!(files(&set), expected.map(Path::new));
    }
}
