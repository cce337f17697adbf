//! Where certificates for registries are: in directories `certs.d/HOST[:PORT]` of
//! podman and docker, in which `NAME.crt` is an authority, and `NAME.cert` our own
//! certificate with the key `NAME.key` (containers-certs.d.5).

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::fetch::http::{Certificates, Url};
use error::{Context as _, Error, Result};
use sys::root_fd::is_absent;

/// Finds the certificates for a registry, in the first directory that has a place for
/// it.
///
/// # Errors
///
/// A directory cannot be read; a certificate of ours has no key, or a key no
/// certificate.
pub(super) fn find(server: &Url) -> Result<Option<Certificates>> {
    for directory in directories(&|name| std::env::var_os(name)) {
        for place in names(server) {
            let place = directory.join(place);
            let listed = match std::fs::read_dir(&place) {
                Err(error) if is_absent(&error) => continue,
                listed => listed,
            };
            let what = || format!("cannot read `{}`", place.display());
            let mut files = Vec::new();
            for entry in listed.context(what)? {
                files.push(entry.context(what)?.path());
            }
            files.sort();
            return sort(server, &files).map(Some);
        }
    }
    Ok(None)
}

/// Returns the directories that are looked in, the most important first.
fn directories(variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let home = variable("HOME").filter(|home| !home.is_empty());
    let own = home.map(|home| Path::new(&home).join(".config/containers/certs.d"));
    let usual = ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(PathBuf::from);
    own.into_iter().chain(usual).collect()
}

/// Returns what a registry is called there: with its port, and without if that is the
/// usual one.
fn names(server: &Url) -> Vec<String> {
    const HTTPS: u16 = 443;
    let host = match server.host.contains(':') {
        true => format!("[{}]", server.host),
        false => server.host.clone(),
    };
    let mut names = vec![format!("{host}:{}", server.port)];
    if server.port == HTTPS {
        names.push(host);
    }
    names
}

/// Sorts files by what they are.
fn sort(server: &Url, files: &[PathBuf]) -> Result<Certificates> {
    let is = |file: &&PathBuf, kind: &str| file.extension() == Some(OsStr::new(kind));
    let of = |kind: &'static str| files.iter().filter(move |file| is(file, kind)).cloned();
    let mut own = None;
    for certificate in of("cert") {
        let key = certificate.with_extension("key");
        if !files.contains(&key) {
            return Err(alone(&certificate, "key", &key));
        }
        own = own.or(Some((certificate, key)));
    }
    for key in of("key") {
        let certificate = key.with_extension("cert");
        if !files.contains(&certificate) {
            return Err(alone(&key, "certificate", &certificate));
        }
    }
    Ok(Certificates {
        server: server.clone(),
        authorities: of("crt").collect(),
        own,
    })
}

fn alone(file: &Path, what: &str, missing: &Path) -> Error {
    let (file, missing) = (file.display(), missing.display());
    Error::invalid(format!(
        "cannot use `{file}`: its {what} `{missing}` is missing"
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_certificate_without_a_key_is_refused_and_a_key_without_a_certificate() {
        let server = url("https://a.example/");
        for alone in ["/c/me.cert", "/c/me.key"] {
            let files = ["/c/ca.crt", alone].map(PathBuf::from);
            let error = sort(&server, &files).unwrap_err().to_string();
            assert!(
                error.contains(alone) && error.contains("is missing"),
                "{error}"
            );
        }
    }

    #[test]
    fn files_are_what_their_names_end_in() {
        let server = url("https://a.example/");
        let files = ["a.crt", "b.crt", "me.cert", "me.key", "notes.txt"].map(PathBuf::from);
        let found = sort(&server, &files).unwrap();
        assert_eq!(found.authorities, files[..2]);
        assert_eq!(found.own, Some((files[2].clone(), files[3].clone())));
        assert!(found.are_for(&url("https://a.example/v2/x")));
        for other in [
            "https://b.example/",
            "https://a.example:5000/",
            "http://a.example/",
        ] {
            assert!(!found.are_for(&url(other)), "{other}");
        }
    }

    #[test]
    fn a_registry_is_found_by_its_port_and_the_usual_one_need_not_be_said() {
        assert_eq!(
            names(&url("https://a.example/")),
            ["a.example:443", "a.example"]
        );
        assert_eq!(names(&url("https://[::1]:5000/")), ["[::1]:5000"]);
    }
}
