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
//! Files of another kind or version, such as rkt's `dockerAuth`, are not for us,
//! and are skipped, as are those that an ordinary user cannot read. A file for us
//! with a fault stops only what it concerns: requests to its domains. If even
//! these cannot be read, there is a warning.
//!
//! # Invariants
//!
//! 1. A file that everybody can read is rejected.
//! 2. No message and no `Debug` output shows a password or token, so messages
//!    about these files show only names of fields and domains.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use appc::json::{self, Value};
use error::quote::quoted;
use error::{Context as _, Error, Result};
use oci::secret::Secret;
use sys::size;

/// Largest file, in bytes.
const LIMIT: u64 = 1 << 20;

/// The header field to send to each host.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    domains: BTreeMap<String, Usable>,
    /// Faults of files whose domains cannot be read.
    unclear: Vec<Error>,
    /// The files that are not for us, and why.
    skipped: Vec<String>,
}

/// The field for a domain, or why it is not used.
type Usable = std::result::Result<Header, Fault>;

/// What is wrong with a file, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The sentence.
    pub(crate) what: String,
    /// What to do.
    pub(crate) hint: Option<String>,
}

/// A header field with credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its value.
    pub(crate) value: Secret,
}

/// Returns the directories with credentials; later ones override earlier ones.
pub(crate) fn directories() -> Vec<PathBuf> {
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
    /// A directory cannot be read.
    pub(crate) fn load(directories: &[PathBuf]) -> Result<Self> {
        let mut all = Self::default();
        for directory in directories {
            let domains = layer(directory, &mut all)?;
            all.domains.extend(domains);
        }
        Ok(all)
    }

    /// Returns the faults of files of which nobody knows what they are for.
    pub(crate) fn unclear(&self) -> &[Error] {
        &self.unclear
    }

    /// Returns which files are not for us, and why.
    pub(crate) fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// Returns the field to send to a host; an IPv6 address is in brackets.
    ///
    /// # Errors
    ///
    /// What is wrong with the file that has it.
    pub(crate) fn for_host(
        &self,
        host: &str,
        port: u16,
    ) -> std::result::Result<Option<&Header>, &Fault> {
        let host = host.to_ascii_lowercase();
        let exact = self.domains.get(&format!("{host}:{port}"));
        let plain = || {
            matches!(port, 443 | 80)
                .then(|| self.domains.get(&host))
                .flatten()
        };
        exact.or_else(plain).map(Usable::as_ref).transpose()
    }
}

/// Reads one directory.
fn layer(directory: &Path, all: &mut Credentials) -> Result<BTreeMap<String, Usable>> {
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
        let mut skip = |why| {
            let line = format!("Skipped: {}: {why}", path.display());
            all.skipped.push(line);
        };
        let (text, open) = match read(&path).context(what) {
            Ok(Some(file)) => file,
            Ok(None) => {
                skip("this user cannot read it");
                continue;
            }
            Err(error) => {
                all.unclear.push(error);
                continue;
            }
        };
        let (domains, header) = match parse(&text).context(what) {
            Ok(Some(file)) => file,
            Ok(None) => {
                skip("it is not for Nose Cone");
                continue;
            }
            Err(error) => {
                all.unclear.push(error);
                continue;
            }
        };
        let header = match open {
            false => header,
            true => Err(Fault {
                what: "every user on this machine can read or change it".to_owned(),
                hint: Some(format!(
                    "run `chmod o-rw {}`, and change the password",
                    path.display()
                )),
            }),
        };
        for domain in domains {
            let header = match found.contains_key(&domain) {
                true => Err(Fault {
                    what: format!("{} has credentials twice", quoted(&domain)),
                    hint: None,
                }),
                false => header.clone(),
            };
            let header = header.map_err(|fault| Fault {
                what: format!("{}: {}", what(), fault.what),
                ..fault
            });
            found.insert(domain, header);
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

/// Reads a file, and tells whether everybody can; `None` if it is not for us to
/// read.
fn read(path: &Path) -> Result<Option<(Vec<u8>, bool)>> {
    let what = || "it cannot be read";
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if passed_over(&error) => return Ok(None),
        Err(error) => return Err(error).context(what),
    };
    let open = file.metadata().context(what)?.mode() & 0o006 != 0;
    let mut text = Vec::new();
    let length = file.take(LIMIT + 1).read_to_end(&mut text).context(what)?;
    if u64::try_from(length).is_ok_and(|length| length > LIMIT) {
        return Err(Error::invalid(format!(
            "it is larger than {}",
            size::spell(LIMIT)
        )));
    }
    Ok(Some((text, open)))
}

/// Parses a file: domains, and the field to send to them. `None` if it is not
/// for us.
///
/// # Errors
///
/// It is not known for which domains the file is.
fn parse(text: &[u8]) -> Result<Option<(Vec<String>, Usable)>> {
    let Ok(document) = json::parse(text) else {
        // The parser's message would contain a line of the file.
        return Err(Error::invalid("it is not JSON"));
    };
    if !is_ours(&document)? {
        return Ok(None);
    }
    let Some(Value::List(names)) = document.get("domains") else {
        return Err(Error::invalid("field `domains` is not a list"));
    };
    let mut domains = Vec::new();
    let mut fault = None;
    for name in names {
        match domain(name) {
            Ok(name) if domains.contains(&name) => {
                let twice = format!("field `domains` has {} twice", quoted(&name));
                fault = fault.or(Some(Error::invalid(twice)));
            }
            Ok(name) => domains.push(name),
            Err(error) => fault = fault.or(Some(error)),
        }
    }
    if domains.is_empty() {
        return Err(fault.unwrap_or_else(|| Error::invalid("field `domains` is empty")));
    }
    let header = match fault {
        Some(fault) => Err(fault),
        None => authorization(&document),
    };
    let header = header.map(|value| Header {
        name: "Authorization",
        value,
    });
    let header = header.map_err(|error| Fault {
        what: error.to_string(),
        hint: None,
    });
    Ok(Some((domains, header)))
}

/// Tells whether a file has credentials for us.
fn is_ours(document: &Value) -> Result<bool> {
    if document.get("rktKind").is_some() {
        let version = document.text("rktVersion");
        return Ok(text(document, "rktKind")? == "auth" && version.as_deref() == Some("v1"));
    }
    Ok(text(document, "kind")? == "auth")
}

/// Reads the name of a domain.
fn domain(item: &Value) -> Result<String> {
    let Value::Text(name) = item else {
        return Err(Error::invalid(
            "field `domains` contains something other than text",
        ));
    };
    let sound =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    if name.is_empty() || !name.chars().all(sound) {
        return Err(Error::invalid(format!(
            "{} is not a valid domain: expected `HOST` or `HOST:PORT`",
            quoted(name)
        )));
    }
    Ok(name.to_ascii_lowercase())
}

/// Returns the value of the field `Authorization` (RFC 7617, RFC 6750).
fn authorization(document: &Value) -> Result<Secret> {
    let nothing = Value::Null;
    let secrets = document.get("credentials").unwrap_or(&nothing);
    match text(document, "type")? {
        "basic" => {
            let user = secret(secrets, "user")?;
            if user.contains(':') {
                return Err(Error::invalid("field `credentials.user` contains a `:`"));
            }
            let login = format!("{user}:{}", secret(secrets, "password")?);
            Ok(Secret::new(format!("Basic {}", base64(login.as_bytes()))))
        }
        "oauth" => Ok(Secret::new(format!("Bearer {}", secret(secrets, "token")?))),
        other => Err(Error::invalid(format!(
            "field `type` is {}; supported are `basic` and `oauth`",
            quoted(other)
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
