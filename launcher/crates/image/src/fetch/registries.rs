//! Where operators say how registries are asked: `registries.conf`, where podman has
//! it (containers-registries.conf.5), and `registries.json` of ours, which overrides
//! that.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use error::{Context as _, Error, Result};
use oci::reference::{Asked, Reference};
use oci::registries::{LIMIT, Registries};
use sys::root_fd::is_absent;
use sys::small_file;

/// What the directories of podman's have at the end of their names.
const PODMANS: &str = "containers/registries.conf";

/// Reads all files.
///
/// # Errors
///
/// One cannot be read or is not valid; `$CONTAINERS_REGISTRIES_CONF` is not there.
pub(crate) fn load() -> Result<Registries> {
    let variable = |name: &str| std::env::var_os(name);
    let mut all = Registries::default();
    for place in places(&variable, &|path| path.exists()) {
        for path in place.files()? {
            let what = || format!("cannot use `{}`", path.display());
            let text = match File::open(&path) {
                Err(error) if is_absent(&error) && !place.is_named() => continue,
                file => file.and_then(|file| small_file::read(file, LIMIT + 1)),
            };
            let (text, by) = (text.context(what)?, path.display().to_string());
            let read = match path.extension().is_some_and(|kind| kind == "json") {
                true => Registries::read_json(&text, &by),
                false => Registries::read_toml(&text, &by),
            };
            all.add(read.context(what)?);
        }
    }
    Ok(all)
}

/// Returns which images a reference stands for, in the order in which registries are
/// to be asked for them.
///
/// # Errors
///
/// It has no registry, and that is refused; as for the files.
pub fn named(asked: &Asked) -> Result<Vec<Reference>> {
    match asked.short() {
        None => Ok(vec![asked.usual().clone()]),
        Some(_) => load()?.named(asked),
    }
}

/// Returns the one image that a reference stands for.
///
/// # Errors
///
/// As for [`named`]; it could be one of several.
pub fn one(asked: &Asked) -> Result<Reference> {
    let images = named(asked)?;
    match &*images {
        [image] => Ok(image.clone()),
        _ => Err(Error::usage(format!(
            "image `{asked}` does not name a registry"
        ))),
    }
}

/// A file, or a directory of files.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// One that need not be there.
    File(PathBuf),
    /// One that a variable names.
    Named(PathBuf),
    /// All files `*.conf` in it, in the order of their names.
    Directory(PathBuf),
}

impl Place {
    fn is_named(&self) -> bool {
        matches!(self, Self::Named(_))
    }

    fn files(&self) -> Result<Vec<PathBuf>> {
        let directory = match self {
            Self::File(path) | Self::Named(path) => return Ok(vec![path.clone()]),
            Self::Directory(directory) => directory,
        };
        let what = || format!("cannot read `{}`", directory.display());
        let listed = match std::fs::read_dir(directory) {
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            listed => listed.context(what)?,
        };
        let mut files = Vec::new();
        for entry in listed {
            let path = entry.context(what)?.path();
            if path.extension().is_some_and(|kind| kind == "conf") {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }
}

/// Returns where files can be; later ones override earlier ones. A user who has a
/// `registries.conf` has no other one of podman's.
fn places(
    variable: &dyn Fn(&str) -> Option<OsString>,
    is_there: &dyn Fn(&Path) -> bool,
) -> Vec<Place> {
    let path = |name: &str| {
        let value = variable(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    let own = path("XDG_CONFIG_HOME").or_else(|| Some(path("HOME")?.join(".config")));
    let own_file = own.as_ref().map(|own| own.join(PODMANS));
    let etc = Path::new("/etc");
    let with_d = |file: PathBuf| {
        let mut name = file.into_os_string();
        name.push(".d");
        Place::Directory(name.into())
    };
    let mut places = match (path("CONTAINERS_REGISTRIES_CONF"), &own_file) {
        (Some(named), _) => vec![Place::Named(named), with_d(etc.join(PODMANS))],
        (None, Some(file)) if is_there(file) => vec![Place::File(file.clone())],
        (None, _) => vec![Place::File(etc.join(PODMANS)), with_d(etc.join(PODMANS))],
    };
    places.extend(own_file.map(with_d));
    let ours = [Some(etc.to_owned()), own];
    let ours = ours.into_iter().flatten();
    places.extend(ours.map(|place| Place::File(place.join("nosecone/registries.json"))));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(variable: &dyn Fn(&str) -> Option<OsString>, own: bool) -> Vec<String> {
        let places = places(variable, &|_| own).into_iter();
        let shown = places.map(|place| match place {
            Place::File(path) => path.display().to_string(),
            Place::Named(path) => format!("{}!", path.display()),
            Place::Directory(path) => format!("{}/", path.display()),
        });
        shown.collect()
    }

    #[test]
    fn the_file_of_a_user_replaces_those_of_the_host_and_ours_come_last() {
        let at_home = |name: &str| (name == "HOME").then(|| "/me".into());
        let usual = [
            "/etc/containers/registries.conf",
            "/etc/containers/registries.conf.d/",
        ];
        let own = ["/me/.config/containers/registries.conf"];
        let last = [
            "/me/.config/containers/registries.conf.d/",
            "/etc/nosecone/registries.json",
            "/me/.config/nosecone/registries.json",
        ];
        assert_eq!(shown(&at_home, false), [&usual[..], &last].concat());
        assert_eq!(shown(&at_home, true), [&own[..], &last].concat());
        let named = |name: &str| match name {
            "CONTAINERS_REGISTRIES_CONF" => Some("/a".into()),
            "XDG_CONFIG_HOME" => Some("/me/.config".into()),
            _ => None,
        };
        let first = ["/a!", "/etc/containers/registries.conf.d/"];
        assert_eq!(shown(&named, true), [&first[..], &last].concat());
        let nobody = |_: &str| None;
        let ours = ["/etc/nosecone/registries.json"];
        assert_eq!(shown(&nobody, false), [&usual[..], &ours].concat());
    }
}
