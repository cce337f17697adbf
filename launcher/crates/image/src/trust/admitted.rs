//! Why an image may be stored and run, as it is kept with the image.

use crate::digest::Digest;
use crate::trust::verify::{Grounds, Verified};
use appc::json::{Object, Value};
use oci::policy::Scheme;

/// An image that a policy has let in, under one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    /// Where it comes from, as [`oci::policy::place::Place`] spells it.
    pub place: String,
    /// The digest of what was found there.
    pub digest: Option<String>,
    /// Why it was let in.
    pub grounds: Grounds,
    /// Who vouches for it.
    pub by: String,
    /// The signatures that were needed, and were right.
    pub signatures: Vec<Signature>,
}

/// A signature that was right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// How it is made.
    pub scheme: Scheme,
    /// The fingerprint of the key.
    pub key: String,
    /// The name that is signed.
    pub name: Option<String>,
}

impl Admitted {
    /// An image that the operator has built under a name, which no policy is about.
    pub(crate) fn built(name: &str) -> Self {
        Self {
            place: format!("docker://{name}"),
            grounds: Grounds::Built,
            by: "the operator, who built it".to_owned(),
            ..Self::default()
        }
    }

    /// The image that was let in: its configuration has the digest that is its ID, and
    /// its layers have those that the configuration says.
    pub(crate) fn verified(&self, id: Digest, size: u64) -> Verified {
        Verified::by_digests(id, self.grounds, self.by.clone(), size)
    }

    /// Encodes it.
    pub(crate) fn json(&self) -> Object {
        let signatures = self.signatures.iter().map(|signature| {
            Object::new()
                .with("kind", signature.scheme.word())
                .with("key", signature.key.as_str())
                .with_some("name", signature.name.as_deref())
        });
        Object::new()
            .with("place", self.place.as_str())
            .with_some("digest", self.digest.as_deref())
            .with("grounds", self.grounds.word())
            .with("by", self.by.as_str())
            .with_items("signatures", signatures)
    }

    /// Decodes it. What is missing is unknown, and proves nothing.
    pub(crate) fn read(value: &Value) -> Self {
        let signature = |value: &Value| {
            let kind = value.text("kind")?;
            let schemes = [Scheme::OpenPgp, Scheme::Sigstore];
            Some(Signature {
                scheme: schemes.into_iter().find(|scheme| scheme.word() == kind)?,
                key: value.text("key")?,
                name: value.text("name"),
            })
        };
        let signatures = match value.get("signatures") {
            Some(Value::List(list)) => list.iter().filter_map(signature).collect(),
            _ => Vec::new(),
        };
        let grounds = value.text("grounds");
        Self {
            place: value.text("place").unwrap_or_default(),
            digest: value.text("digest"),
            grounds: grounds
                .and_then(|word| Grounds::parse(&word))
                .unwrap_or_default(),
            by: value.text("by").unwrap_or_default(),
            signatures,
        }
    }
}
