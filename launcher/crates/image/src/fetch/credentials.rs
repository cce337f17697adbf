//! Credentials for servers, from files that the operator has written.
//!
//! Each file `*.json` in a directory `auth.d` is one object:
//!
//! ```json
//! {
//!     "kind": "auth",
//!     "domains": ["example.com", "example.org:8443"],
//!     "type": "basic",
//!     "credentials": { "user": "me", "password": "secret" }
//! }
//! ```
//!
//! or has `"type": "oauth"` and `"credentials": { "token": "..." }`. A domain
//! is a single host without its subdomains; without a port, it stands for ports
//! 443 and 80. Files written for rkt (`"rktKind": "auth", "rktVersion": "v1"`)
//! differ only in that line, and are also read from rkt's directory. Later
//! [`directories`] override earlier ones, domain by domain; within a directory,
//! a domain may occur only once.
//!
//! # Invariants
//!
//! 1. A file that everybody can read is rejected.
//! 2. No message and no `Debug` output shows a password or token, so messages
//!    about these files show only names of fields and domains.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use appc::json::{self, Value};
use error::quote::quoted;
use error::{Context as _, Error, Result};

/// Largest file, in bytes.
const LIMIT: u64 = 1 << 20;

/// The header field to send to each host.
#[derive(Clone, Debug, Default)]
pub struct Credentials(BTreeMap<String, Header>);

/// A header field with credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: &'static str,
    /// Its value, which is secret.
    pub value: String,
}

/// Without the secret.
impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ...", self.name)
    }
}

/// Returns the directories with credentials; later ones override earlier ones.
pub fn directories() -> Vec<PathBuf> {
    let absolute = |name| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let home = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")));
    let mut directories = vec![
        PathBuf::from("/etc/rkt/auth.d"),
        PathBuf::from("/etc/nosecone/auth.d"),
    ];
    directories.extend(home.map(|home| home.join("nosecone/auth.d")));
    directories
}

impl Credentials {
    /// Reads all files in these directories. Missing directories are
    /// skipped.
    ///
    /// # Errors
    ///
    /// A file is not valid, or everybody can read it.
    pub(crate) fn load(directories: &[PathBuf]) -> Result<Self> {
        let mut all = BTreeMap::new();
        for directory in directories {
            all.extend(layer(directory)?);
        }
        Ok(Self(all))
    }

    /// Returns the field to send to a host.
    pub(crate) fn for_host(&self, host: &str, port: u16) -> Option<Header> {
        let host = host.to_ascii_lowercase();
        let exact = self.0.get(&format!("{host}:{port}"));
        let plain = || {
            matches!(port, 443 | 80)
                .then(|| self.0.get(&host))
                .flatten()
        };
        exact.or_else(plain).cloned()
    }
}

/// Reads one directory.
fn layer(directory: &Path) -> Result<BTreeMap<String, Header>> {
    let mut found = BTreeMap::new();
    let what = || format!("cannot read credentials in `{}`", directory.display());
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if passed_over(&error) => return Ok(found),
        Err(error) => return Err(error).context(what),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.context(what)?.path();
        if path.extension().is_some_and(|end| end == "json") && path.is_file() {
            files.push(path);
        }
    }
    // The order within a directory is arbitrary.
    files.sort();
    for path in files {
        let what = || format!("cannot use credentials in `{}`", path.display());
        let Some(text) = read(&path).context(what)? else {
            continue;
        };
        for (domain, header) in parse(&text).context(what)? {
            if found.insert(domain.clone(), header).is_some() {
                let twice = format!("another file also has credentials for {}", quoted(&domain));
                return Err(Error::invalid(twice)).context(what);
            }
        }
    }
    Ok(found)
}

/// Ordinary users skip files they cannot read, which are root's; missing files
/// are skipped, too.
fn passed_over(error: &std::io::Error) -> bool {
    match error.kind() {
        std::io::ErrorKind::NotFound => true,
        std::io::ErrorKind::PermissionDenied => !rustix::process::geteuid().is_root(),
        _ => false,
    }
}

/// Reads a file that others cannot read.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let what = || "it cannot be read";
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if passed_over(&error) => return Ok(None),
        Err(error) => return Err(error).context(what),
    };
    let mode = file.metadata().context(what)?.mode();
    if mode & 0o006 != 0 {
        return Err(
            Error::invalid("every user on this machine can read or change it").hint(format!(
                "run `chmod o-rw {}`, and change the password",
                path.display()
            )),
        );
    }
    let mut text = Vec::new();
    let length = file.take(LIMIT + 1).read_to_end(&mut text).context(what)?;
    if u64::try_from(length).is_ok_and(|length| length > LIMIT) {
        return Err(Error::invalid(format!("it has more than {LIMIT} bytes")));
    }
    Ok(Some(text))
}

/// Parses a file: domains, and the field to send to them.
fn parse(text: &[u8]) -> Result<Vec<(String, Header)>> {
    let Ok(document) = json::parse(text) else {
        // The parser's message would contain a line of the file.
        return Err(Error::invalid("it is not JSON"));
    };
    if document.get("rktKind").is_some() {
        constant(&document, "rktKind", "auth")?;
        constant(&document, "rktVersion", "v1")?;
    } else {
        constant(&document, "kind", "auth")?;
    }
    let header = Header {
        name: "Authorization",
        value: authorization(&document)?,
    };
    let Some(Value::List(domains)) = document.get("domains") else {
        return Err(Error::invalid("field `domains` is not a list"));
    };
    if domains.is_empty() {
        return Err(Error::invalid("field `domains` is empty"));
    }
    let mut found = Vec::new();
    for item in domains {
        let Value::Text(name) = item else {
            return Err(Error::invalid(
                "field `domains` contains something other than text",
            ));
        };
        let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if name.is_empty() || !name.chars().all(sound) {
            return Err(Error::invalid(format!(
                "{} is not a valid domain: expected `HOST` or `HOST:PORT`",
                quoted(name)
            )));
        }
        let name = name.to_ascii_lowercase();
        if found.iter().any(|(other, _)| *other == name) {
            return Err(Error::invalid(format!(
                "field `domains` has {} twice",
                quoted(&name)
            )));
        }
        found.push((name, header.clone()));
    }
    Ok(found)
}

/// Returns the value of the field `Authorization` (RFC 7617, RFC 6750).
fn authorization(document: &Value) -> Result<String> {
    let nothing = Value::Null;
    let secrets = document.get("credentials").unwrap_or(&nothing);
    match text(document, "type")? {
        "basic" => {
            let user = secret(secrets, "user")?;
            if user.contains(':') {
                return Err(Error::invalid("field `credentials.user` contains a `:`"));
            }
            let login = format!("{user}:{}", secret(secrets, "password")?);
            Ok(format!("Basic {}", base64(login.as_bytes())))
        }
        "oauth" => Ok(format!("Bearer {}", secret(secrets, "token")?)),
        other => Err(Error::invalid(format!(
            "field `type` is {}; supported are `basic` and `oauth`",
            quoted(other)
        ))),
    }
}

fn constant(object: &Value, name: &str, expected: &str) -> Result<()> {
    match text(object, name)? {
        text if text == expected => Ok(()),
        text => Err(Error::invalid(format!(
            "field `{name}` is {}, not `{expected}`",
            quoted(text)
        ))),
    }
}

fn text<'a>(object: &'a Value, name: &str) -> Result<&'a str> {
    match object.get(name) {
        Some(Value::Text(text)) => Ok(text),
        Some(_) => Err(Error::invalid(format!("field `{name}` is not text"))),
        None => Err(Error::invalid(format!("field `{name}` is missing"))),
    }
}

/// Reads a secret, which must not contain line breaks.
fn secret<'a>(object: &'a Value, name: &str) -> Result<&'a str> {
    let what = |why: &str| Error::invalid(format!("field `credentials.{name}` {why}"));
    match object.get(name) {
        Some(Value::Text(text)) if text.chars().any(char::is_control) => {
            Err(what("contains a control character"))
        }
        Some(Value::Text(text)) => Ok(text),
        Some(_) => Err(what("is not text")),
        None => Err(what("is missing")),
    }
}

/// Encodes a user and password (RFC 4648, section 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
#[path = "credentials_tests.rs"]
mod tests;
