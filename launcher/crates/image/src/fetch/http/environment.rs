//! Environment variables that libraries read by themselves.
//!
//! Two settings can only be changed through the environment: which authorities
//! are trusted (`SSL_CERT_FILE`, `SSL_CERT_DIR`), and which proxy is used,
//! because minreq does not support `no_proxy`. Changing the environment of a
//! running program is unsound, so the program executes itself again with
//! another one.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use error::{Context as _, Error, Kind, Result};

/// Prefix of variables that are hidden from the libraries.
const HIDDEN: &str = "NOSECONE_";

/// Set when the program has executed itself again.
const GUARD: &str = "NOSECONE_CA_FILE";

/// The proxy variables that minreq reads.
const PROXIES: [&str; 5] = [
    "https_proxy",
    "HTTPS_PROXY",
    "http_proxy",
    "all_proxy",
    "ALL_PROXY",
];

/// Where distributions keep certificates of authorities.
const STORES: [&str; 3] = [
    "/etc/ssl/certs",
    "/etc/pki/tls/certs",
    "/etc/ca-certificates/extracted",
];

/// Reads a variable, even if it is hidden.
pub(crate) fn variable(name: &str) -> Option<String> {
    let value = env::var_os(format!("{HIDDEN}{name}")).or_else(|| env::var_os(name));
    value.map(|value| value.to_string_lossy().into_owned())
}

/// Executes the program again so that authorities in `ca_file` are trusted in
/// addition to the system's. Call it before any other work.
///
/// Returns `None` if they are trusted already, and an error if it fails.
pub fn reexec_with_ca(ca_file: &Path) -> Option<Error> {
    let file = match certificates(ca_file) {
        Ok(file) => file,
        Err(error) => return Some(error),
    };
    if env::var_os("SSL_CERT_FILE").is_some_and(|set| set == *file) {
        return reexec_for_proxies();
    }
    if env::var_os(GUARD).is_some() {
        return Some(Error::new(
            Kind::Failed,
            format!("`SSL_CERT_FILE` cannot be set to `{}`", file.display()),
        ));
    }
    let store = STORES.iter().map(Path::new).find(|store| store.is_dir());
    Some(reexec(trusting(&file, store, |name| env::var_os(name))))
}

/// Executes the program again if the environment has proxies, so that they are
/// used with their exceptions. Call it before any other work.
///
/// Returns `None` if there is nothing to do, and an error if it fails.
pub fn reexec_for_proxies() -> Option<Error> {
    match hidden(|name| env::var_os(name)) {
        changes if changes.is_empty() => None,
        changes => Some(reexec(changes)),
    }
}

type Changes = Vec<(OsString, Option<OsString>)>;

/// Returns the changes that add a file of authorities to the system's `store`.
fn trusting(
    file: &Path,
    store: Option<&Path>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Changes {
    let mut changes = hidden(&variable);
    // If these variables were set, the system's authorities were
    // deliberately replaced.
    let chosen = ["SSL_CERT_FILE", "SSL_CERT_DIR"].map(&variable);
    if let ([None, None], Some(store)) = (chosen, store) {
        changes.push(("SSL_CERT_DIR".into(), Some(store.into())));
    }
    changes.push(("SSL_CERT_FILE".into(), Some(file.into())));
    changes.push((GUARD.into(), Some(file.into())));
    changes
}

/// Returns the changes that hide the proxies from minreq.
fn hidden(variable: impl Fn(&str) -> Option<OsString>) -> Changes {
    let mut changes = Changes::new();
    for name in PROXIES {
        if let Some(value) = variable(name) {
            changes.push((format!("{HIDDEN}{name}").into(), Some(value)));
            changes.push((name.into(), None));
        }
    }
    changes
}

/// Returns the absolute path of a file with certificates.
fn certificates(path: &Path) -> Result<PathBuf> {
    let what = || format!("cannot use `{}` as certificate authorities", path.display());
    let path = std::path::absolute(path).context(what)?;
    let text = std::fs::read(&path).context(what)?;
    let mark: &[u8] = b"-----BEGIN CERTIFICATE-----";
    if !text.windows(mark.len()).any(|window| window == mark) {
        // The library would silently trust nobody.
        return Err(Error::invalid(what()).because("it contains no certificate in PEM format"));
    }
    Ok(path)
}

/// Executes this program with the same arguments; returns only on failure.
fn reexec(changes: Changes) -> Error {
    let mut arguments = env::args_os();
    let mut command = Command::new("/proc/self/exe");
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments);
    for (name, value) in changes {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    Error::new(
        Kind::Failed,
        "cannot restart `launcher` with another environment",
    )
    .because(command.exec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_no_authority() {
        let directory = env::temp_dir().join(format!("ca-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory");
        let file = directory.join("key.pem");
        let message = |file: &Path| certificates(file).expect_err("refused").to_string();
        let missing = format!(
            "cannot use `{}` as certificate authorities: No such file or directory",
            file.display()
        );
        assert_eq!(message(&file), missing);
        std::fs::write(&file, "-----BEGIN PRIVATE KEY-----\n").expect("a file");
        let wrong = format!(
            "cannot use `{}` as certificate authorities: it contains no certificate in PEM format",
            file.display()
        );
        assert_eq!(message(&file), wrong);
        std::fs::remove_dir_all(&directory).expect("removed");
    }

    /// `NAME=VALUE`, or `NAME` for what is taken away.
    fn shown(changes: Changes) -> Vec<String> {
        let text = |text: OsString| text.to_string_lossy().into_owned();
        let show = |(name, value): (OsString, Option<OsString>)| match value {
            Some(value) => format!("{}={}", text(name), text(value)),
            None => text(name),
        };
        changes.into_iter().map(show).collect()
    }

    fn trusted(set: &[(&str, &str)]) -> Vec<String> {
        let store = Some(Path::new("/store"));
        shown(trusting(Path::new("/ca.pem"), store, |name| {
            let found = set.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.into())
        }))
    }

    #[test]
    fn authorities_that_were_chosen_are_not_widened_to_the_systems() {
        let own = ["SSL_CERT_FILE=/ca.pem", "NOSECONE_CA_FILE=/ca.pem"];
        assert_eq!(trusted(&[("SSL_CERT_DIR", "/mine")]), own);
        assert_eq!(trusted(&[("SSL_CERT_FILE", "/mine.pem")]), own);
        let besides = ["SSL_CERT_DIR=/store", own[0], own[1]];
        assert_eq!(trusted(&[]), besides);
    }

    #[test]
    fn no_proxy_is_left_where_exceptions_do_not_count() {
        for name in PROXIES {
            let changes = shown(hidden(|asked| (asked == name).then(|| "p:1".into())));
            assert_eq!(changes, [format!("NOSECONE_{name}=p:1"), name.to_owned()]);
        }
        assert!(hidden(|_| None).is_empty());
    }
}
