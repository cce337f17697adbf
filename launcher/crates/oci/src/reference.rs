//! References to images in registries: `REGISTRY/REPOSITORY:TAG@DIGEST`
//! (distribution-spec, "Pulling manifests"; for what may be left out, the
//! `reference` package of distribution).
//!
//! ```text
//! alpine                          docker.io/library/alpine:latest
//! grafana/loki:3                  docker.io/grafana/loki:3
//! ghcr.io/org/app@sha256:0c6d...  by digest, whatever the tags say
//! localhost:5000/app              a registry is known by a dot, a port, or the
//!                                 name `localhost`
//! ```
//!
//! Elsewhere, upper case makes a registry of the first part, too. Here it is
//! refused, since it is nearly always a slip.

use std::fmt;

use error::quote::quoted;
use error::{Error, Result};

use crate::digest::Digest;

/// The registry that people mean who name none.
pub const DOCKER_HUB: &str = "docker.io";

/// Where Docker Hub has what it needs no prefix for.
const LIBRARY: &str = "library/";

/// The tag if none is given.
const LATEST: &str = "latest";

/// Longest registry and repository together.
const LONGEST: usize = 255;

/// Longest tag.
const LONGEST_TAG: usize = 128;

/// What a name without a registry means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShortNames {
    /// An image in this registry.
    In(String),
    /// Nothing: it is refused.
    Refuse,
}

/// Docker Hub, as everywhere.
impl Default for ShortNames {
    fn default() -> Self {
        Self::In(DOCKER_HUB.to_owned())
    }
}

/// A reference to an image in a registry, with nothing left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// Parses a reference, and completes it.
    ///
    /// # Errors
    ///
    /// It is not a reference, or it has no registry and `short` refuses that.
    pub fn parse(text: &str, short: &ShortNames) -> Result<Self> {
        let what = format!("{} is not a valid image reference", quoted(text));
        let fault = |why: &str| Error::usage(format!("{what}: {why}"));
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let digest = Digest::parse(digest).map_err(|error| error.at(&what))?;
                (rest, Some(digest))
            }
            None => (text, None),
        };
        // A colon before the last slash is that of a port.
        let path_at = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[path_at..].split_once(':') {
            Some((last, tag)) => (&rest[..path_at + last.len()], Some(tag)),
            None => (rest, None),
        };
        if let Some(tag) = tag
            && !is_tag(tag)
        {
            return Err(fault(
                "the tag must be made of at most 128 letters, digits, `_`, `.` and `-`, and not begin with `.` or `-`",
            ));
        }
        let (registry, repository) = split(name);
        if registry.is_none() && name.len() == 64 && name.bytes().all(|c| c.is_ascii_hexdigit()) {
            return Err(
                fault("it is the ID of an image, not a name").hint("write an ID as `sha256:ID`")
            );
        }
        let registry = match registry {
            Some(registry) if !is_registry(registry) => {
                let why = format!("{} is not a registry", quoted(registry));
                return Err(fault(&why));
            }
            // Host names have no case.
            Some(registry) => Some(registry.to_ascii_lowercase()),
            None => None,
        };
        check_repository(repository).map_err(|why| fault(&why))?;
        let registry = match (registry, short) {
            (Some(registry), _) => registry,
            (None, ShortNames::In(registry)) => registry.clone(),
            (None, ShortNames::Refuse) => {
                return Err(fault("it does not name a registry")
                    .hint("write the registry, for example `docker.io/library/alpine`"));
            }
        };
        let is_hub = matches!(&*registry, DOCKER_HUB | "index.docker.io");
        let repository = match is_hub && !repository.contains('/') {
            true => format!("{LIBRARY}{repository}"),
            false => repository.to_owned(),
        };
        let registry = if is_hub {
            DOCKER_HUB.to_owned()
        } else {
            registry
        };
        if registry.len() + 1 + repository.len() > LONGEST {
            return Err(fault(
                "registry and repository are longer than 255 characters",
            ));
        }
        let latest = digest.is_none().then_some(LATEST);
        Ok(Self {
            registry,
            repository,
            tag: tag.or(latest).map(str::to_owned),
            digest,
        })
    }

    /// Parses the name of a registry; returns it as [`registry`](Self::registry)
    /// does.
    ///
    /// # Errors
    ///
    /// It is not one.
    pub fn parse_registry(text: &str) -> Result<String> {
        let host = text.strip_prefix("https://").unwrap_or(text);
        let host = host.strip_suffix('/').unwrap_or(host).to_ascii_lowercase();
        match &*host {
            "index.docker.io" => Ok(DOCKER_HUB.to_owned()),
            host if is_registry(host) => Ok(host.to_owned()),
            _ => Err(Error::usage(format!("{} is not a registry", quoted(text)))
                .hint("a registry is a host, with the port if it has one: `ghcr.io`")),
        }
    }

    /// Returns the registry by its name: a host, with the port if it has one.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Returns where the registry answers: its name, but for Docker Hub.
    pub fn host(&self) -> &str {
        host(&self.registry)
    }

    /// Returns the repository.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns the tag. Without a digest there always is one; with a digest it
    /// is only for people, and nobody has checked it.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the digest, which counts if there is one.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Returns what the registry is asked for: the digest, or else the tag.
    pub fn wanted(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => LATEST.to_owned(),
        }
    }

    /// Returns the reference to what was found under it.
    #[must_use]
    pub fn pinned(&self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// Returns it without its digest, if it has a tag.
    #[must_use]
    pub fn by_tag(&self) -> Option<Self> {
        self.tag.as_ref()?;
        Some(Self {
            digest: None,
            ..self.clone()
        })
    }

    /// Returns the shortest form that means the same by default: `alpine:3`.
    pub fn familiar(&self) -> String {
        let full = self.to_string();
        let Some(rest) = full.strip_prefix("docker.io/") else {
            return full;
        };
        // `library/a/b` is not short for anything.
        let short = self.repository.strip_prefix(LIBRARY);
        match short.is_some_and(|short| !short.contains('/')) {
            true => rest[LIBRARY.len()..].to_owned(),
            false => rest.to_owned(),
        }
    }
}

/// A reference as somebody has typed it, perhaps without a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The name without registry, tag and digest, if it has no registry.
    short: Option<String>,
    image: Reference,
}

impl Asked {
    /// Parses a reference.
    ///
    /// # Errors
    ///
    /// It is not one.
    pub fn parse(text: &str) -> Result<Self> {
        let image = Reference::parse(text, &ShortNames::default())?;
        let end = text.find([':', '@']).unwrap_or(text.len());
        let short = split(text).0.is_none().then(|| text[..end].to_owned());
        Ok(Self { short, image })
    }

    /// Returns what everybody means by it who has configured nothing else.
    pub fn usual(&self) -> &Reference {
        &self.image
    }

    /// Returns the name without tag and digest, if it has no registry.
    pub fn short(&self) -> Option<&str> {
        self.short.as_deref()
    }

    /// Returns it with another name for registry and repository.
    ///
    /// # Errors
    ///
    /// That is no name.
    pub fn called(&self, name: &str) -> Result<Reference> {
        let named = Reference::parse(name, &ShortNames::Refuse)?;
        Ok(Reference {
            registry: named.registry,
            repository: named.repository,
            ..self.image.clone()
        })
    }
}

/// As it can be typed.
impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.short {
            Some(_) => f.write_str(&self.image.familiar()),
            None => write!(f, "{}", self.image),
        }
    }
}

/// The whole reference.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// Tells whether two texts are the same reference.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    let parse = |text| Reference::parse(text, &ShortNames::default()).ok();
    parse(one).is_some_and(|one| parse(other) == Some(one))
}

/// Returns the tag of a reference that says it.
pub(crate) fn tag_of(text: &str) -> Option<&str> {
    let name = text.split('@').next().unwrap_or_default();
    let (_, tag) = name.rsplit_once(':')?;
    is_tag(tag).then_some(tag)
}

/// Splits a name into the registry, if there is one, and the repository.
fn split(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((first, rest)) if looks_like_registry(first) => (Some(first), rest),
        _ => (None, name),
    }
}

/// Tells whether the first part of a name is a registry.
fn looks_like_registry(first: &str) -> bool {
    first.eq_ignore_ascii_case("localhost") || first.contains(['.', ':'])
}

/// Tells whether a text is a host, with or without a port.
fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        // In brackets, the colons are those of an IPv6 address.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_port = |port: &str| {
        let digits = port.bytes().all(|digit| digit.is_ascii_digit());
        digits && port.parse().is_ok_and(|port: u16| port > 0)
    };
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let is_host = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(is_label),
    };
    is_host && port.is_none_or(is_port)
}

/// Returns where a registry answers: its name, but for Docker Hub.
pub fn host(registry: &str) -> &str {
    match registry {
        DOCKER_HUB => "registry-1.docker.io",
        registry => registry,
    }
}

/// Tells whether a text is a part of a host name (RFC 1123, section 2.1).
fn is_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || c == b'-')
}

fn is_tag(text: &str) -> bool {
    let is_word = |c: u8| c.is_ascii_alphanumeric() || c == b'_';
    let begins = text.bytes().next().is_some_and(is_word);
    let sound = |c: u8| is_word(c) || matches!(c, b'.' | b'-');
    begins && text.len() <= LONGEST_TAG && text.bytes().all(sound)
}

fn check_repository(repository: &str) -> std::result::Result<(), String> {
    if repository.is_empty() {
        return Err("it has no repository".to_owned());
    }
    if repository.contains(|c: char| c.is_ascii_uppercase()) {
        return Err(format!(
            "repository {} is not in lower case",
            quoted(repository)
        ));
    }
    match repository.split('/').find(|part| !is_component(part)) {
        None => Ok(()),
        Some("") => Err(format!(
            "repository {} has an empty part",
            quoted(repository)
        )),
        Some(part) => Err(format!(
            "{} is not made of lower-case letters and digits, with `.`, `_`, `__` or `-` between",
            quoted(part)
        )),
    }
}

/// Tells whether a text is a part of a repository: letters and digits, and
/// single separators between them; `__` and any number of `-` are one.
fn is_component(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separators = text
        .split(is_plain)
        .filter(|separator| !separator.is_empty());
    let sound = |separator: &str| {
        matches!(separator, "." | "_" | "__") || separator.bytes().all(|c| c == b'-')
    };
    text.starts_with(is_plain) && text.ends_with(is_plain) && separators.into_iter().all(sound)
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
