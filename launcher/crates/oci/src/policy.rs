//! Whose images are accepted, and what must have signed them: the file `policy.json`
//! that podman, skopeo and others read (containers-policy.json.5).
//!
//! The file is read strictly, as they do: what is not known here, a requirement as
//! well as a field, makes the whole file invalid, and so nothing is accepted.
//!
//! One kind of `signedIdentity` is ours: `matchDigest` takes a signature for the
//! manifest's digest alone, whatever name it has. The bundles of cosign 3 say no name.

pub mod identity;
pub mod place;

use std::collections::BTreeMap;
use std::fmt;

use appc::json::Node;
use error::Result;
use error::quote::quoted;

use crate::base64::decode;
use crate::document;
use crate::exact::{Exact, exact};
use crate::policy::identity::Identity;
use crate::policy::place::{Place, check_scope};

/// Most bytes of a file.
pub const LIMIT: usize = 1 << 20;

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What counts where nothing else does.
    default: Vec<Requirement>,
    /// By transport, then by scope.
    transports: BTreeMap<String, BTreeMap<String, Vec<Requirement>>>,
}

/// What must be true of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Nothing.
    Accept,
    /// What never is.
    Reject,
    /// A key must have signed it.
    Signed(Signed),
}

/// Which key must have signed an image, and under which name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// How it is signed.
    pub scheme: Scheme,
    /// The keys, of which one is enough.
    pub keys: Keys,
    /// The name that must be signed.
    pub identity: Identity,
}

/// How images are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// Simple signing, with OpenPGP (containers-signature.5).
    OpenPgp,
    /// With a key of sigstore's cosign.
    Sigstore,
}

/// Where keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// In files.
    Files(Vec<String>),
    /// In the policy.
    Data(Vec<Vec<u8>>),
}

impl Scheme {
    /// Returns the word for it in a policy.
    pub const fn word(self) -> &'static str {
        match self {
            Self::OpenPgp => "signedBy",
            Self::Sigstore => "sigstoreSigned",
        }
    }
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    ///
    /// It is not valid; the error names the field.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        document::read(bytes, LIMIT, |node| {
            exact(node, |fields| {
                Ok(Self {
                    default: fields.required("default", requirements)?,
                    transports: fields
                        .optional("transports", transports)?
                        .unwrap_or_default(),
                })
            })
        })
    }

    /// Returns the requirements for an image, and which ones they are.
    pub fn requirements(&self, place: &Place) -> (&[Requirement], Which) {
        let transport = self.transports.get(place.transport());
        let mut scopes = place.scopes().chain([""]);
        let found =
            transport.and_then(|scoped| scopes.find_map(|scope| scoped.get_key_value(scope)));
        match found {
            Some((scope, requirements)) => (
                requirements,
                Which::Scope(place.transport().to_owned(), scope.clone()),
            ),
            None => (&self.default, Which::Default),
        }
    }

    /// Returns all requirements with what they are for.
    pub fn all(&self) -> impl Iterator<Item = (Which, &[Requirement])> {
        let scoped = self.transports.iter().flat_map(|(transport, scopes)| {
            scopes.iter().map(move |(scope, requirements)| {
                let which = Which::Scope(transport.clone(), scope.clone());
                (which, requirements.as_slice())
            })
        });
        scoped.chain([(Which::Default, self.default.as_slice())])
    }
}

/// The part of a policy that counts for an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// What counts where nothing else does.
    Default,
    /// A scope of a transport.
    Scope(String, String),
}

/// As a user finds it in the file.
impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Scope(transport, scope) if scope.is_empty() => f.write_str(transport),
            Self::Scope(transport, scope) => write!(f, "{transport}:{scope}"),
        }
    }
}

fn transports(node: &Node<'_>) -> Result<BTreeMap<String, BTreeMap<String, Vec<Requirement>>>> {
    let mut transports = BTreeMap::new();
    for (transport, node) in distinct(node)? {
        let mut scopes = BTreeMap::new();
        for (scope, node) in distinct(&node)? {
            node.attributed(check_scope(transport, scope))?;
            scopes.insert(scope.to_owned(), requirements(&node)?);
        }
        transports.insert(transport.to_owned(), scopes);
    }
    Ok(transports)
}

/// Returns the entries of an object whose keys are names.
fn distinct<'a>(node: &Node<'a>) -> Result<Vec<(&'a str, Node<'a>)>> {
    Exact::new(node)?;
    node.entries()
}

/// Reads the requirements for one scope. A list without any would accept everything.
fn requirements(node: &Node<'_>) -> Result<Vec<Requirement>> {
    match node.items(requirement)? {
        list if list.is_empty() => Err(node.fault("it has no requirement")),
        list => Ok(list),
    }
}

fn requirement(node: &Node<'_>) -> Result<Requirement> {
    exact(node, |fields| {
        let kind = fields.required("type", |node| node.text())?;
        Ok(match kind {
            "insecureAcceptAnything" => Requirement::Accept,
            "reject" => Requirement::Reject,
            "signedBy" => {
                fields.required("keyType", |node| match node.text()? {
                    "GPGKeys" => Ok(()),
                    other => Err(node.fault(format!("{} is not a kind of key", quoted(other)))),
                })?;
                signed(node, fields, Scheme::OpenPgp)?
            }
            "sigstoreSigned" => {
                for name in ["fulcio", "pki"] {
                    if let Some(field) = fields.take(name) {
                        return Err(field.fault("signatures are checked with keys alone"));
                    }
                }
                let logged = ["rekorPublicKeyPath", "rekorPublicKeyData"];
                let logged = logged
                    .into_iter()
                    .chain(["rekorPublicKeyPaths", "rekorPublicKeyDatas"]);
                for name in logged {
                    if let Some(field) = fields.take(name) {
                        return Err(field.fault("logs of signatures are not checked"));
                    }
                }
                signed(node, fields, Scheme::Sigstore)?
            }
            other => {
                let why = format!("there is no requirement {}", quoted(other));
                return Err(node.fault(why));
            }
        })
    })
}

fn signed<'a>(node: &Node<'a>, fields: &mut Exact<'_, 'a>, scheme: Scheme) -> Result<Requirement> {
    let path = |node: &Node<'_>| match node.text()? {
        path if path.starts_with('/') => Ok(path.to_owned()),
        path => Err(node.fault(format!("{} is not an absolute path", quoted(path)))),
    };
    let data = |node: &Node<'_>| {
        let data = decode(node.text()?).filter(|data| !data.is_empty());
        data.ok_or_else(|| node.fault("it is not Base64"))
    };
    let given = [
        fields.optional("keyPath", |node| Ok(Keys::Files(vec![path(node)?])))?,
        fields.optional("keyPaths", |node| node.items(path).map(Keys::Files))?,
        fields.optional("keyData", |node| Ok(Keys::Data(vec![data(node)?])))?,
        fields.optional("keyDatas", |node| node.items(data).map(Keys::Data))?,
    ];
    let mut given = given.into_iter().flatten();
    let (Some(keys), None) = (given.next(), given.next()) else {
        return Err(
            node.fault("it must have one of `keyPath`, `keyPaths`, `keyData` and `keyDatas`")
        );
    };
    let has_none = match &keys {
        Keys::Files(files) => files.is_empty(),
        Keys::Data(data) => data.is_empty(),
    };
    if has_none {
        return Err(node.fault("it names no key"));
    }
    let identity = fields.optional("signedIdentity", Identity::read)?;
    Ok(Requirement::Signed(Signed {
        scheme,
        keys,
        identity: identity.unwrap_or_default(),
    }))
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
