//! Where an image comes from, as scopes of a policy call it.

use std::fmt;

use error::quote::quoted;
use error::{Error, Result};

use crate::reference::{Reference, ShortNames};

/// Where an image comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    transport: String,
    /// Whole names, the most exact first.
    scopes: Vec<String>,
    image: Option<Reference>,
}

/// The transport of registries.
const DOCKER: &str = "docker";

impl Place {
    /// An image in a registry.
    pub fn registry(image: &Reference) -> Self {
        let (registry, repository) = (image.registry(), image.repository());
        let name = format!("{registry}/{repository}");
        let whole = match image.digest() {
            Some(digest) => format!("{name}@{digest}"),
            None => format!("{name}:{}", image.wanted()),
        };
        let above = |name: &String| name.rsplit_once('/').map(|(above, _)| above.to_owned());
        let names = std::iter::successors(Some(name), above);
        let mut scopes: Vec<String> = std::iter::once(whole).chain(names).collect();
        // The domains above the host.
        let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
        let domains = host.match_indices('.').map(|(dot, _)| &host[dot + 1..]);
        scopes.extend(domains.map(|domain| format!("*.{domain}")));
        Self {
            transport: DOCKER.to_owned(),
            scopes,
            image: Some(image.clone()),
        }
    }

    /// An image in a file or a directory, of which `path` is absolute and has no
    /// links.
    pub fn file(transport: &str, path: &str, image: Option<&str>) -> Self {
        let whole = image.map(|image| format!("{path}:{image}"));
        let above = |path: &String| {
            let (above, _) = path.rsplit_once('/')?;
            (!above.is_empty()).then(|| above.to_owned())
        };
        let paths = std::iter::successors(Some(path.to_owned()), above);
        Self {
            transport: transport.to_owned(),
            scopes: whole.into_iter().chain(paths).collect(),
            image: None,
        }
    }

    /// Reads what [`Display`](fmt::Display) writes of an image in a registry, or in a
    /// file without naming one of several.
    ///
    /// # Errors
    ///
    /// It is neither.
    pub fn parse(text: &str) -> Result<Self> {
        let fault = || Error::invalid(format!("{} is not where an image is", quoted(text)));
        let (transport, rest) = text.split_once(':').ok_or_else(fault)?;
        match rest.strip_prefix("//").filter(|_| transport == DOCKER) {
            Some(name) => {
                Reference::parse(name, &ShortNames::Refuse).map(|image| Self::registry(&image))
            }
            None if !rest.starts_with('/') => Err(fault()),
            None => {
                let (path, image) = match rest.rsplit_once(':') {
                    Some((path, image)) if !image.contains('/') => (path, Some(image)),
                    _ => (rest, None),
                };
                Ok(Self::file(transport, path, image))
            }
        }
    }

    /// Returns the transport.
    pub fn transport(&self) -> &str {
        &self.transport
    }

    /// Returns the scopes that it is in, the most exact first, without that of all.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scopes.iter().map(String::as_str)
    }

    /// Returns the name of the image, if it is in a registry.
    pub fn image(&self) -> Option<&Reference> {
        self.image.as_ref()
    }
}

/// As it is written on a command line.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.scopes.first().map_or("", String::as_str);
        match &self.image {
            Some(_) => write!(f, "{DOCKER}://{whole}"),
            None => write!(f, "{}:{whole}", self.transport),
        }
    }
}

/// Checks that a scope can be that of an image: one that never is, is a slip.
pub(crate) fn check_scope(transport: &str, scope: &str) -> Result<()> {
    let is = |what: &str| Err(Error::invalid(format!("{} is not {what}", quoted(scope))));
    match transport {
        _ if scope.is_empty() => Ok(()),
        DOCKER => docker(scope),
        "docker-archive" => is("a scope: all images in such files are in the scope ``"),
        "dir" | "oci" | "oci-archive" => {
            let is_path = scope.starts_with('/') && !scope.ends_with('/');
            let mut parts = scope.split('/').skip(1);
            match is_path && parts.all(|part| !matches!(part, "" | "." | "..")) {
                true => Ok(()),
                false => is("an absolute path below `/`, without `.`, `..` and `/` at its end"),
            }
        }
        // No image of ours comes from there.
        _ => Ok(()),
    }
}

fn docker(scope: &str) -> Result<()> {
    if let Some(domain) = scope.strip_prefix("*.") {
        let fault = |error| no_reference(scope, error);
        return Reference::parse_registry(domain).map(drop).map_err(fault);
    }
    if !scope.contains('/') {
        let is_host = Reference::parse_registry(scope).is_ok_and(|host| host == scope);
        return match is_host && (scope.contains(['.', ':']) || scope == "localhost") {
            true => Ok(()),
            false => Err(incomplete(scope)),
        };
    }
    let last = scope.rsplit('/').next().unwrap_or_default();
    let example = match last.contains([':', '@']) {
        true => scope.to_owned(),
        false => format!("{scope}/x"),
    };
    let image = Reference::parse(&example, &ShortNames::Refuse);
    let image = image.map_err(|error| no_reference(scope, error))?;
    match Place::registry(&image).scopes().any(|name| name == scope) {
        true => Ok(()),
        false => Err(incomplete(scope)),
    }
}

/// The error for a scope that is not a name.
fn no_reference(text: &str, cause: Error) -> Error {
    Error::invalid(format!("{} is not the name of an image", quoted(text))).because(cause)
}

fn incomplete(scope: &str) -> Error {
    Error::invalid(format!("{} is not a whole name", quoted(scope)))
        .hint("names in a policy have everything: `docker.io/library/alpine`, not `alpine`")
}
