//! Where logins for registries are: in the files of podman and docker, and with
//! their helper programs (containers-auth.json.5).

use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::fetch::registries;
use error::{Context as _, Error, Result};
use oci::auth::{AuthFile, Helper, Keeper, LIMIT, Login, Source, edit, knows_none};
use oci::reference::Reference;
use oci::secret::Secret;
use sys::atomic_file::AtomicFile;
use sys::root_fd::is_absent;
use sys::small_file;

/// Finds the login for an image, in the first place that has one.
///
/// # Errors
///
/// A file cannot be read, or its login for this image is not valid; a helper fails.
pub(super) fn find(image: &Reference) -> Result<Option<Login>> {
    for keeper in registries::load()?.keepers() {
        let login = match keeper {
            Keeper::Files => in_files(image)?,
            Keeper::Helper(name) => ask(&for_all(name, image.registry()))?,
        };
        if login.is_some() {
            return Ok(login);
        }
    }
    Ok(None)
}

/// A helper that is said to keep logins for all registries.
fn for_all(name: String, registry: &str) -> Helper {
    let server = registry.to_owned();
    Helper { name, server }
}

/// Finds the login for an image in the first file that has one.
fn in_files(image: &Reference) -> Result<Option<Login>> {
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

/// Keeps a login for a registry in the first place for logins. Returns what tells a
/// user where.
///
/// # Errors
///
/// A file is not valid or cannot be written; a helper fails.
pub fn keep(registry: &str, login: &Login) -> Result<String> {
    match registries::load()?.keepers().into_iter().next() {
        Some(Keeper::Helper(name)) => store(&for_all(name, registry), login),
        Some(Keeper::Files) => keep_in_file(registry, login),
        None => Err(Error::invalid(
            "`registries.conf` names no place for logins",
        )),
    }
}

/// Keeps a login with a helper program.
fn store(helper: &Helper, login: &Login) -> Result<String> {
    tell(helper, "store", &helper.stored(login))?;
    Ok(format!("with `{}`", program(helper)))
}

/// Keeps a login with the helper program that the first file names, or in that file.
fn keep_in_file(registry: &str, login: &Login) -> Result<String> {
    let all = files(&|name| std::env::var_os(name));
    let path = all.first().ok_or_else(|| {
        Error::invalid("there is no place for logins")
            .hint("`$REGISTRY_AUTH_FILE` names a file for them")
    })?;
    let what = || format!("cannot keep the login in `{}`", path.display());
    let before = read(path).context(what)?.unwrap_or_default();
    if let Some(helper) = AuthFile::read_or_empty(&before)
        .context(what)?
        .helper_of(registry)
    {
        return store(&helper, login);
    }
    let text = edit::with(&before, registry, login).context(what)?;
    write(path, &text).context(what)?;
    Ok(format!("in `{}`", path.display()))
}

/// Removes the login for a registry from all files and helpers. Returns where it
/// was.
///
/// # Errors
///
/// A file is not valid or cannot be written; a helper fails.
pub fn forget(registry: &str) -> Result<Vec<String>> {
    let mut places = Vec::new();
    for keeper in registries::load()?.keepers() {
        match keeper {
            Keeper::Files => forget_in_files(registry, &mut places)?,
            Keeper::Helper(name) => places.extend(erase(&for_all(name, registry))?),
        }
    }
    Ok(places)
}

/// Removes a login from a helper program, if that has it.
fn erase(helper: &Helper) -> Result<Option<String>> {
    if ask(helper)?.is_none() {
        return Ok(None);
    }
    tell(helper, "erase", &Secret::new(helper.server.clone()))?;
    Ok(Some(format!("with `{}`", program(helper))))
}

fn forget_in_files(registry: &str, places: &mut Vec<String>) -> Result<()> {
    for path in files(&|name| std::env::var_os(name)) {
        let what = || format!("cannot remove the login from `{}`", path.display());
        let Some(before) = read(&path).context(what)? else {
            continue;
        };
        if let Some(helper) = AuthFile::read_or_empty(&before)
            .context(what)?
            .helper_of(registry)
        {
            places.extend(erase(&helper)?);
        }
        if let Some(text) = edit::without(&before, registry).context(what)? {
            write(&path, &text).context(what)?;
            places.push(format!("in `{}`", path.display()));
        }
    }
    Ok(())
}

/// Replaces a file that only its owner may read. Where it is a link, what that leads
/// to is replaced.
fn write(path: &Path, text: &Secret) -> Result<()> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if let Some(directory) = path.parent() {
        let mut make = std::fs::DirBuilder::new();
        let made = make.recursive(true).mode(0o700).create(directory);
        made.context(|| format!("cannot create `{}`", directory.display()))?;
    }
    let file = AtomicFile::create(&path, true)?;
    let mode = std::fs::Permissions::from_mode(0o600);
    let set = file.file().set_permissions(mode);
    set.context(|| format!("cannot write `{}`", path.display()))?;
    let written = file.file().write_all(text.reveal().as_bytes());
    written.context(|| format!("cannot write `{}`", path.display()))?;
    file.publish()
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
    let what = || format!("cannot get a login from `{}`", program(helper));
    let output = run(helper, "get", &helper.server).context(what)?;
    if output.status.success() {
        return Login::from_helper(&output.stdout).map(Some).context(what);
    }
    match knows_none(&String::from_utf8_lossy(&output.stdout)) {
        true => Ok(None),
        false => Err(failed(&output)).context(what),
    }
}

/// Tells a helper something that it answers only with success.
fn tell(helper: &Helper, verb: &str, what: &Secret) -> Result<()> {
    let cannot = || format!("cannot {verb} a login with `{}`", program(helper));
    let output = run(helper, verb, what.reveal()).context(cannot)?;
    match output.status.success() {
        true => Ok(()),
        false => Err(failed(&output)).context(cannot),
    }
}

fn program(helper: &Helper) -> String {
    format!("docker-credential-{}", helper.name)
}

fn run(helper: &Helper, verb: &str, input: &str) -> std::io::Result<Output> {
    let mut child = Command::new(program(helper))
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()?;
    if let Some(mut pipe) = child.stdin.take() {
        // It may have failed before it reads that.
        let _ = pipe.write_all(input.as_bytes());
    }
    child.wait_with_output()
}

/// What a helper says may contain a secret.
fn failed(output: &Output) -> Error {
    Error::invalid(format!("it failed ({})", output.status))
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
