//! Files with logins for registries: podman's `auth.json` and docker's
//! `config.json` (containers-auth.json.5), and what their helper programs answer
//! (docker-credential-helpers).
//!
//! No message shows what is in a file but the names of fields and registries.

pub mod edit;

use std::collections::BTreeMap;

use appc::json::Node;
use error::quote::quoted;
use error::{Error, Result};

use crate::base64::decode;
use crate::document::{read_secret, secret};
use crate::reference::{DOCKER_HUB, Reference};
use crate::secret::Secret;

/// Most bytes of a file.
pub const LIMIT: usize = 1 << 20;

/// Docker Hub's key, from the time of the first protocol.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// The user whose password is an identity token.
const TOKEN_USER: &str = "<token>";

/// What proves who somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// A user and a password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// What the server that issues tokens takes for one.
    IdentityToken(Secret),
    /// A token for the registry itself.
    RegistryToken(Secret),
}

/// Where a login is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the file.
    Login(Login),
    /// With a program, which has to be asked.
    Helper(Helper),
}

/// A program that knows logins: `docker-credential-NAME get`, which reads the
/// server and answers with what [`Login::from_helper`] reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helper {
    /// Its name, without the `docker-credential-` before it. It has no `/`.
    pub name: String,
    /// What it is asked for.
    pub server: String,
}

/// Where logins are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// The files with logins.
    Files,
    /// The helper program of this name.
    Helper(String),
}

impl Keeper {
    /// The name that stands for the files.
    const FILES: &str = "containers-auth.json";

    /// Reads the name of a keeper; nobody has none.
    pub(crate) fn read(node: &Node<'_>) -> Result<Option<Self>> {
        Ok(helper(node)?.map(|name| match &*name {
            Self::FILES => Self::Files,
            _ => Self::Helper(name),
        }))
    }
}

/// A file with logins.
#[derive(Clone, Debug, Default)]
pub struct AuthFile {
    /// By registry, or registry and repository. A login that is not valid only
    /// matters to whom it is for.
    auths: BTreeMap<String, std::result::Result<Login, String>>,
    /// Names of helpers for some registries.
    helpers: BTreeMap<String, String>,
    /// The name of the helper for all others.
    store: Option<String>,
}

impl AuthFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It is too large or is not valid. A single login that is not valid is
    /// reported by [`find`](Self::find).
    pub fn read(bytes: &[u8]) -> Result<Self> {
        read_secret(bytes, LIMIT, |node| {
            let mut fields = node
                .fields()
                .map_err(|_| Error::invalid("it is not an object"))?;
            Ok(Self {
                auths: fields.or_default("auths", logins)?,
                helpers: fields.or_default("credHelpers", helpers)?,
                store: fields.optional("credsStore", helper)?.flatten(),
            })
        })
    }

    /// Reads a file that may be empty.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    pub fn read_or_empty(bytes: &[u8]) -> Result<Self> {
        match bytes.trim_ascii().is_empty() {
            true => Ok(Self::default()),
            false => Self::read(bytes),
        }
    }

    /// Finds the login for an image: that for its repository, a part of it, or
    /// its registry. A helper for the registry comes before what is in the file,
    /// and that before the helper for all.
    ///
    /// # Errors
    ///
    /// There is one, and it is not valid.
    pub fn find(&self, image: &Reference) -> Result<Option<Source>> {
        let helper = |name: &String, server: &str| {
            Some(Source::Helper(Helper {
                name: name.clone(),
                server: server.to_owned(),
            }))
        };
        if let Some((key, name)) = matching(&self.helpers, image) {
            return Ok(helper(name, key));
        }
        if let Some((key, login)) = matching(&self.auths, image) {
            let login = login.clone().map_err(|why| {
                Error::invalid(format!("the login for {} is not valid: {why}", quoted(key)))
            });
            return login.map(Source::Login).map(Some);
        }
        Ok(self.usual_helper(image.registry()).map(Source::Helper))
    }

    /// Returns the helper that keeps the login for a whole registry, if one does.
    pub fn helper_of(&self, registry: &str) -> Option<Helper> {
        match self.helpers.get(registry) {
            Some(name) => Some(Helper {
                name: name.clone(),
                server: registry.to_owned(),
            }),
            None => self.usual_helper(registry),
        }
    }

    fn usual_helper(&self, registry: &str) -> Option<Helper> {
        let server = match registry {
            DOCKER_HUB => HUB_KEY,
            registry => registry,
        };
        self.store.as_ref().map(|name| Helper {
            name: name.clone(),
            server: server.to_owned(),
        })
    }
}

/// Returns the entry whose key fits an image best.
fn matching<'a, T>(map: &'a BTreeMap<String, T>, image: &Reference) -> Option<(&'a str, &'a T)> {
    let registry = image.registry();
    let whole = format!("{registry}/{}", image.repository());
    // From the whole name to the registry, a part less each time.
    let names = std::iter::successors(Some(&*whole), |name| Some(name.rsplit_once('/')?.0));
    let exact = names.filter_map(|name| map.get_key_value(name)).next();
    let hosts: &[&str] = match registry {
        DOCKER_HUB => &[DOCKER_HUB, "index.docker.io", "registry-1.docker.io"],
        _ => &[registry],
    };
    let legacy = || {
        map.iter().find(|(key, _)| {
            let host = host_of(key);
            host.is_some_and(|host| hosts.iter().any(|one| one.eq_ignore_ascii_case(host)))
        })
    };
    let found = exact.or_else(legacy);
    found.map(|(key, value)| (key.as_str(), value))
}

/// Returns the host of a key that stands for a whole registry: a URL, or a host
/// with the version of a protocol behind it.
fn host_of(key: &str) -> Option<&str> {
    let schemes = ["https://", "http://"];
    let url = schemes.iter().find_map(|scheme| key.strip_prefix(scheme));
    let (host, path) = url
        .unwrap_or(key)
        .split_once('/')
        .unwrap_or((url.unwrap_or(key), ""));
    let whole = url.is_some() || matches!(path.trim_end_matches('/'), "" | "v1" | "v2");
    whole.then_some(host)
}

fn logins(node: &Node<'_>) -> Result<BTreeMap<String, std::result::Result<Login, String>>> {
    let entries = entries(node)?;
    let read = entries.into_iter().filter_map(|(key, node)| {
        let login = login(&node)
            .map_err(|error| error.to_string())
            .transpose()?;
        Some((key.to_owned(), login))
    });
    Ok(read.collect())
}

/// Reads a login; `None` if there is none, which says that a helper has it.
fn login(node: &Node<'_>) -> Result<Option<Login>> {
    if *node.value() == appc::json::Value::Null {
        return Ok(None);
    }
    let mut fields = node
        .fields()
        .map_err(|_| node.fault("it is not an object"))?;
    let mut text = |name| Ok::<_, Error>(fields.optional(name, secret)?.flatten());
    let (identity, registry) = (text("identitytoken")?, text("registrytoken")?);
    let (auth, user, password) = (text("auth")?, text("username")?, text("password")?);
    if let Some(token) = identity {
        return Ok(Some(Login::IdentityToken(Secret::new(token))));
    }
    if let Some(token) = registry {
        return Ok(Some(Login::RegistryToken(Secret::new(token))));
    }
    let Some(auth) = auth else {
        return Ok(user.zip(password).map(|(user, password)| Login::Password {
            user,
            password: Secret::new(password),
        }));
    };
    let fault = || node.fault("`auth` is not the Base64 of `USER:PASSWORD`");
    let decoded = decode(&auth).and_then(|bytes| String::from_utf8(bytes).ok());
    let decoded = decoded.ok_or_else(fault)?;
    // Docker pads what it encodes.
    let decoded = decoded.trim_end_matches('\0');
    let (user, password) = decoded.split_once(':').ok_or_else(fault)?;
    match decoded.contains(char::is_control) {
        true => Err(fault()),
        false => Ok(Some(Login::Password {
            user: user.to_owned(),
            password: Secret::new(password),
        })),
    }
}

fn helpers(node: &Node<'_>) -> Result<BTreeMap<String, String>> {
    let mut helpers = BTreeMap::new();
    for (key, node) in entries(node)? {
        if let Some(name) = helper(&node)? {
            helpers.insert(key.to_owned(), name);
        }
    }
    Ok(helpers)
}

/// Reads the name of a helper, which becomes part of the name of a program.
fn helper(node: &Node<'_>) -> Result<Option<String>> {
    let name = secret(node)?;
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match name {
        Some(name) if !name.chars().all(sound) => {
            Err(node.fault("it is not the name of a credential helper"))
        }
        name => Ok(name),
    }
}

fn entries<'a>(node: &Node<'a>) -> Result<Vec<(&'a str, Node<'a>)>> {
    node.entries()
        .map_err(|_| node.fault("it is not an object"))
}

impl Login {
    /// Reads what a helper has answered.
    ///
    /// # Errors
    ///
    /// It is not a login.
    pub fn from_helper(bytes: &[u8]) -> Result<Self> {
        read_secret(bytes, LIMIT, |node| {
            let mut fields = node
                .fields()
                .map_err(|_| Error::invalid("it is not an object"))?;
            let user = fields.optional("Username", secret)?.flatten();
            let password = fields.optional("Secret", secret)?.flatten();
            match (user, password) {
                (Some(user), Some(token)) if user == TOKEN_USER => {
                    Ok(Self::IdentityToken(Secret::new(token)))
                }
                (Some(user), Some(password)) => Ok(Self::Password {
                    user,
                    password: Secret::new(password),
                }),
                _ => Err(Error::invalid("it has no `Username` or no `Secret`")),
            }
        })
    }
}

/// Tells whether a helper failed only because it knows no login.
pub fn knows_none(output: &str) -> bool {
    let output = output.trim();
    output.starts_with("credentials not found")
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
