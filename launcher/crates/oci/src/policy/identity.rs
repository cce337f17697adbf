//! Which name a signature must be for: `signedIdentity` of a policy.

use appc::json::Node;
use error::Result;
use error::quote::quoted;

use crate::exact::exact;
use crate::reference::{Reference, ShortNames, tag_of};

/// Which name must be signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// That of the image: the same tag or the same digest.
    Exact,
    /// That of the image or, if it is asked for by digest, of its repository.
    #[default]
    RepositoryDigestOrExact,
    /// That of its repository, with any tag.
    Repository,
    /// This name.
    ExactReference(String),
    /// This repository, with any tag.
    ExactRepository(String),
    /// As if a prefix of the image's name were another one.
    Remap {
        /// The prefix.
        prefix: String,
        /// What is signed in its place.
        signed: String,
    },
    /// Any, or none: only the digest counts.
    Digest,
}

impl Identity {
    /// Reads it.
    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        exact(node, |fields| {
            Ok(match fields.required("type", |node| node.text())? {
                "matchExact" => Self::Exact,
                "matchRepoDigestOrExact" => Self::RepositoryDigestOrExact,
                "matchRepository" => Self::Repository,
                "matchDigest" => Self::Digest,
                "exactReference" => {
                    Self::ExactReference(fields.required("dockerReference", |node| {
                        let claim = node.parsed(Claim::parse)?;
                        match claim.rest {
                            Rest::None => Err(node.fault("it has neither tag nor digest")),
                            _ => node.text().map(str::to_owned),
                        }
                    })?)
                }
                "exactRepository" => {
                    Self::ExactRepository(fields.required("dockerRepository", |node| {
                        let claim = node.parsed(Claim::parse)?;
                        match claim.rest {
                            Rest::None => Ok(claim.repository),
                            _ => Err(node.fault("it has a tag or a digest")),
                        }
                    })?)
                }
                "remapIdentity" => Self::Remap {
                    prefix: fields.required("prefix", prefix)?,
                    signed: fields.required("signedPrefix", prefix)?,
                },
                other => {
                    let why = format!("there is no `signedIdentity` {}", quoted(other));
                    return Err(node.fault(why));
                }
            })
        })
    }

    /// Tells whether a name that is signed, if there is one, is the right one for an
    /// image. One that is not from a registry has no name.
    pub fn fits(&self, signed: Option<&str>, image: Option<&Reference>) -> bool {
        if *self == Self::Digest {
            return true;
        }
        let claim = |text: &str| Claim::parse(text).ok();
        let Some(signed) = signed.and_then(claim) else {
            return false;
        };
        let own = image.map(Claim::of);
        match self {
            Self::Exact => own.is_some_and(|own| own.is_exactly(&signed)),
            Self::RepositoryDigestOrExact => own.is_some_and(|own| own.covers(&signed)),
            Self::Repository => own.is_some_and(|own| own.repository == signed.repository),
            Self::ExactReference(name) => claim(name).is_some_and(|name| name.is_exactly(&signed)),
            Self::ExactRepository(name) => *name == signed.repository,
            Self::Remap { prefix, signed: to } => own.is_some_and(|mut own| {
                if let Some(rest) = own.repository.strip_prefix(prefix.as_str())
                    && (rest.is_empty() || rest.starts_with('/'))
                {
                    own.repository = format!("{to}{rest}");
                }
                own.covers(&signed)
            }),
            Self::Digest => true,
        }
    }

    /// Returns the word for it in a policy.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Exact => "matchExact",
            Self::RepositoryDigestOrExact => "matchRepoDigestOrExact",
            Self::Repository => "matchRepository",
            Self::ExactReference(_) => "exactReference",
            Self::ExactRepository(_) => "exactRepository",
            Self::Remap { .. } => "remapIdentity",
            Self::Digest => "matchDigest",
        }
    }
}

/// Reads a prefix of names: a host, or a repository or the beginning of one.
fn prefix(node: &Node<'_>) -> Result<String> {
    let text = node.text()?;
    let below = format!("{}/x", text.trim_end_matches('/'));
    let is_prefix = Claim::parse(&below).is_ok_and(|claim| claim.repository == below);
    match is_prefix && !text.ends_with('/') {
        true => Ok(text.to_owned()),
        false => Err(node.fault(format!(
            "{} is not a prefix of names of images",
            quoted(text)
        ))),
    }
}

/// A name that is signed, in which nothing was completed but the registry.
struct Claim {
    repository: String,
    rest: Rest,
}

#[derive(PartialEq, Eq)]
enum Rest {
    None,
    Tag(String),
    /// With the tag, if there is one.
    Digest(String),
}

impl Claim {
    fn parse(text: &str) -> Result<Self> {
        let image = Reference::parse(text, &ShortNames::default())?;
        let tag = tag_of(text).filter(|_| image.tag().is_some());
        let claim = Self::of(&image);
        Ok(match (image.digest(), tag) {
            (None, None) => Self {
                rest: Rest::None,
                ..claim
            },
            (Some(digest), Some(tag)) => Self {
                rest: Rest::Digest(format!("{tag}@{digest}")),
                ..claim
            },
            _ => claim,
        })
    }

    /// Of an image that is asked for. Beside a digest, nobody has checked a tag.
    fn of(image: &Reference) -> Self {
        Self {
            repository: format!("{}/{}", image.registry(), image.repository()),
            rest: match image.digest() {
                Some(digest) => Rest::Digest(digest.to_string()),
                None => Rest::Tag(image.wanted()),
            },
        }
    }

    fn is_exactly(&self, signed: &Self) -> bool {
        self.repository == signed.repository && self.rest == signed.rest && self.rest != Rest::None
    }

    fn covers(&self, signed: &Self) -> bool {
        match self.rest {
            Rest::Digest(_) => self.repository == signed.repository,
            _ => self.is_exactly(signed),
        }
    }
}
