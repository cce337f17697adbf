//! What is said about the images whose names begin with a prefix.

use appc::json::{Fields, Node};
use error::quote::quoted;
use error::{Context as _, Error, Kind, Result};

use crate::document::text;
use crate::reference::{Reference, ShortNames};

/// A table `[[registry]]`.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    /// What the names begin with: a host, perhaps with `*.` before it or a part of
    /// the rest behind it.
    pub(super) prefix: String,
    /// Whether encryption and certificates are not insisted on.
    pub(super) insecure: bool,
    /// Which file says so.
    by: String,
    /// What stands for the prefix where the images are; itself if absent.
    location: Option<String>,
    blocked: bool,
    mirrors: Vec<Mirror>,
}

/// A table `[[registry.mirror]]`.
#[derive(Clone, Debug)]
struct Mirror {
    location: String,
    insecure: bool,
    /// What it is asked for: tags, digests.
    tags: bool,
    digests: bool,
}

/// A place to fetch an image from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// What the image is called there.
    pub image: Reference,
    /// Whether plain HTTP and any certificate will do.
    pub insecure: bool,
    /// Whether it is a mirror.
    pub is_mirror: bool,
}

impl Source {
    /// The registry that the name of an image has.
    pub(super) fn itself(image: &Reference, insecure: bool) -> Self {
        Self {
            image: image.clone(),
            insecure,
            is_mirror: false,
        }
    }
}

impl Rule {
    /// Reads one of a file.
    pub(super) fn read(node: &Node<'_>, by: &str, strict: bool) -> Result<Self> {
        let mut fields = node.fields()?;
        let prefix = fields.optional("prefix", prefix)?.flatten();
        let location = fields.optional("location", location)?.flatten();
        let prefix = prefix.or_else(|| location.clone()).ok_or_else(|| {
            node.fault("it has neither `prefix` nor `location`, so it is about no image")
        })?;
        let digests_only = fields.or_default("mirror-by-digest-only", Node::bool)?;
        let mirror = |node: &Node<'_>| Mirror::read(node, digests_only, strict);
        let rule = Self {
            prefix,
            insecure: fields.or_default("insecure", Node::bool)?,
            by: by.to_owned(),
            location,
            blocked: fields.or_default("blocked", Node::bool)?,
            mirrors: fields.or_default("mirror", |node| node.items(mirror))?,
        };
        finish(fields, strict)?;
        Ok(rule)
    }

    /// Returns what follows the prefix in a name, if it begins with that.
    pub(super) fn rest<'n>(&self, whole: &'n str) -> Option<&'n str> {
        let host_end = whole.find('/').unwrap_or(whole.len());
        if let Some(domain) = self.prefix.strip_prefix('*') {
            let host = &whole[..host_end];
            let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
            let fits = host.ends_with(domain) && host.len() > domain.len();
            return fits.then_some(&whole[host_end..]);
        }
        let rest = whole.strip_prefix(&*self.prefix)?;
        // Another port is another registry; what follows a repository is a part of
        // it, a tag or a digest.
        let next: &[char] = match self.prefix.contains('/') {
            true => &['/', ':', '@'],
            false => &['/'],
        };
        (rest.is_empty() || rest.starts_with(next)).then_some(rest)
    }

    /// Checks that an image that this is about may be used.
    pub(super) fn check(&self, whole: &str) -> Result<()> {
        if !self.blocked {
            return Ok(());
        }
        let why = format!("{} blocks {}", quoted(&self.by), quoted(&self.prefix));
        let what = format!("image {} must not be used", quoted(whole));
        Err(Error::new(Kind::Failed, what).because(why))
    }

    /// Returns the places for an image that this is about, in order.
    pub(super) fn sources(&self, image: &Reference, whole: &str) -> Result<Vec<Source>> {
        let rest = self.rest(whole).unwrap_or_default();
        self.check(whole)?;
        let place = |location: &str| {
            let name = format!("{location}{rest}");
            let what = || {
                format!(
                    "cannot use what {} says of {}",
                    quoted(&self.by),
                    quoted(whole)
                )
            };
            Reference::parse(&name, &ShortNames::Refuse).context(what)
        };
        let mut sources = Vec::new();
        for mirror in &self.mirrors {
            let fits = match image.digest() {
                Some(_) => mirror.digests,
                None => mirror.tags,
            };
            if fits {
                sources.push(Source {
                    image: place(&mirror.location)?,
                    insecure: mirror.insecure,
                    is_mirror: true,
                });
            }
        }
        sources.push(match &self.location {
            Some(location) => Source {
                image: place(location)?,
                insecure: self.insecure,
                is_mirror: false,
            },
            None => Source::itself(image, self.insecure),
        });
        Ok(sources)
    }
}

impl Mirror {
    fn read(node: &Node<'_>, digests_only: bool, strict: bool) -> Result<Self> {
        let mut fields = node.fields()?;
        let place = fields.required("location", |node| match location(node)? {
            Some(place) => Ok(place),
            None => Err(node.fault("it is empty")),
        })?;
        let insecure = fields.or_default("insecure", Node::bool)?;
        let when =
            |node: &Node<'_>| match node.text()? {
                "" => Ok(None),
                _ if digests_only => Err(node
                    .fault("it contradicts `mirror-by-digest-only`, which is about all mirrors")),
                "all" => Ok(Some((true, true))),
                "digest-only" => Ok(Some((false, true))),
                "tag-only" => Ok(Some((true, false))),
                other => Err(node.fault(format!(
                    "{} is not `all`, `digest-only` or `tag-only`",
                    quoted(other)
                ))),
            };
        let when = fields.optional("pull-from-mirror", when)?.flatten();
        let (tags, digests) = when.unwrap_or((!digests_only, true));
        finish(fields, strict)?;
        Ok(Self {
            location: place,
            insecure,
            tags,
            digests,
        })
    }
}

/// Refuses fields that nobody knows, or only notes them.
pub(super) fn finish(fields: Fields<'_, '_>, strict: bool) -> Result<()> {
    match strict {
        true => fields.finish_strictly(),
        false => {
            fields.finish();
            Ok(())
        }
    }
}

/// Reads what names begin with; `None` if it is empty.
fn prefix(node: &Node<'_>) -> Result<Option<String>> {
    match node.text()?.strip_prefix("*.") {
        None => location(node),
        Some(domain) => match Reference::parse_registry(domain) {
            Ok(domain) if !domain.contains(':') => Ok(Some(format!("*.{domain}"))),
            _ => {
                let shown = quoted(node.text()?);
                Err(node.fault(format!("{shown} is not a host with `*.` before it")))
            }
        },
    }
}

/// Reads the beginning of names, down to a host alone; `None` if it is empty.
fn location(node: &Node<'_>) -> Result<Option<String>> {
    let place = text(node)?;
    let place = place.trim_end_matches('/');
    if place.is_empty() {
        return Ok(None);
    }
    let fault = |why: &str| node.fault(format!("{} {why}", quoted(place)));
    if place.contains("://") {
        return Err(fault("has a scheme; `insecure` allows plain HTTP"));
    }
    let (host, rest) = match place.split_once('/') {
        Some((host, rest)) => (host, Some(rest)),
        None => (place, None),
    };
    // A name without a dot or a port is none of a registry.
    let name = format!("{}/{}", host.to_ascii_lowercase(), rest.unwrap_or("a"));
    match Reference::parse(&name, &ShortNames::Refuse) {
        Ok(_) if rest.is_some() => Ok(Some(name)),
        Ok(_) => Ok(Some(host.to_ascii_lowercase())),
        Err(_) => Err(fault("is not the beginning of an image's whole name")),
    }
}
