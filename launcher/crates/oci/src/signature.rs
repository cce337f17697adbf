//! Signatures of images: what they say, and how registries keep those of cosign.
//!
//! ```text
//! tag sha256-HEX.sig   a manifest, each layer of which is the payload of a signature
//!                      that is in its annotations (cosign's SIGNATURE_SPEC)
//! referrers of DIGEST  manifests with one layer, a bundle of sigstore (BUNDLE_SPEC);
//!                      where a registry has no such list, under the tag sha256-HEX
//! ```
//!
//! What is signed is read only after its signature was checked.

use appc::json::{Node, Object, Value};
use error::quote::quoted;
use error::{Error, Result};

use crate::base64::decode;
use crate::digest::Digest;
use crate::document::{self, text};
use crate::exact::exact;
use crate::manifest::{self, Descriptor};
use crate::media_type::{INDEX, essence};

/// Most bytes of a signature, and of what it is for.
pub const LIMIT: usize = 1 << 20;

/// Most signatures of one image that are looked at.
pub const MOST: usize = 32;

/// The type of a payload, and of the bundles that are read.
const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const BUNDLES: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// Where a descriptor of a payload has the signature.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// What cosign says of an image that it signs, apart from attestations, which say
/// something about it.
const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";

/// What a signature vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The digest of a manifest or an index.
    pub digests: Vec<String>,
    /// The name that it has; a signature need not say one.
    pub name: Option<String>,
}

impl Statement {
    /// Returns whether it is about this manifest or index.
    pub fn is_about(&self, digest: &Digest) -> bool {
        self.digests.contains(&digest.to_string())
    }
}

/// What was signed, to be read when the signature has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The document of simple signing, of this type (containers-signature.5).
    Simple(Vec<u8>, &'static str),
    /// A statement of in-toto.
    InToto(Vec<u8>),
    /// The manifest itself, by its digest.
    Itself(Digest),
}

/// The type of a document that OpenPGP signs.
pub const ATOMIC: &str = "atomic container signature";

/// The type of a document that cosign signs.
pub const COSIGN: &str = "cosign container image signature";

impl Payload {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// It is not of its type.
    pub fn read(&self) -> Result<Statement> {
        match self {
            Self::Simple(bytes, kind) => document::read(bytes, LIMIT, |node| simple(node, kind)),
            Self::InToto(bytes) => document::read(bytes, LIMIT, in_toto),
            Self::Itself(digest) => Ok(Statement {
                digests: vec![digest.to_string()],
                name: None,
            }),
        }
    }
}

/// Reads the document of simple signing. What is critical must be understood.
fn simple(node: &Node<'_>, expected: &str) -> Result<Statement> {
    exact(node, |fields| {
        fields.take("optional");
        fields.required("critical", |node| {
            exact(node, |fields| {
                fields.required("type", |node| match node.text()? {
                    kind if kind == expected => Ok(()),
                    kind => Err(node.fault(format!("{} is not `{expected}`", quoted(kind)))),
                })?;
                let digest = fields.required("image", |node| {
                    exact(node, |fields| {
                        fields.required("docker-manifest-digest", text)
                    })
                })?;
                let name = fields.required("identity", |node| {
                    exact(node, |fields| fields.required("docker-reference", text))
                })?;
                Ok(Statement {
                    digests: vec![digest],
                    name: Some(name),
                })
            })
        })
    })
}

/// Reads a statement of in-toto (in-toto attestation, statement.md).
fn in_toto(node: &Node<'_>) -> Result<Statement> {
    let mut fields = node.fields()?;
    fields.required("_type", |node| match node.text()? {
        "https://in-toto.io/Statement/v1" | "https://in-toto.io/Statement/v0.1" => Ok(()),
        other => Err(node.fault(format!("{} is not that of a statement", quoted(other)))),
    })?;
    fields.required("predicateType", |node| match node.text()? {
        SIGNED => Ok(()),
        other => {
            let why = format!(
                "it says something about an image ({}), and does not sign it",
                quoted(other)
            );
            Err(node.fault(why))
        }
    })?;
    let digest = |node: &Node<'_>| {
        let digests = node.fields()?.required("digest", document::text_map)?;
        Ok(digests.get("sha256").map(|hex| format!("sha256:{hex}")))
    };
    let digests = fields.required("subject", |node| node.items(digest))?;
    Ok(Statement {
        digests: digests.into_iter().flatten().collect(),
        name: None,
    })
}

/// A payload in a registry, and its signature.
#[derive(Clone, Debug)]
pub struct Attached {
    /// The payload.
    pub payload: Descriptor,
    /// The signature.
    pub signature: Vec<u8>,
}

/// Returns the tag under which a registry has cosign's signatures of an image.
pub fn tag(digest: &Digest) -> String {
    format!("{}.sig", referrers_tag(digest))
}

/// Returns the tag under which a registry without the API for them has the list of
/// what refers to an image (distribution-spec, "Referrers Tag Schema").
pub fn referrers_tag(digest: &Digest) -> String {
    digest.to_string().replace(':', "-")
}

/// Reads the manifest with cosign's signatures of an image.
///
/// # Errors
///
/// It is not one; it has too many.
pub fn attached(manifest: &[u8]) -> Result<Vec<Attached>> {
    let layers = listed(manifest, "layers", |blob| {
        essence(&blob.media_type) == PAYLOAD
    })?;
    let attached = layers.into_iter().filter_map(|payload| {
        let signature = decode(payload.annotations.get(SIGNATURE)?)?;
        Some(Attached { payload, signature })
    });
    Ok(attached.collect())
}

/// Returns the blobs of a manifest with cosign's signatures of an image, attached ones
/// or a bundle.
///
/// # Errors
///
/// It is not one; it has too many.
pub fn blobs(manifest: &[u8]) -> Result<Vec<Descriptor>> {
    let mut blobs = listed(manifest, "layers", |_| true)?;
    blobs.push(document::read(manifest, manifest::LIMIT, |node| {
        node.fields()?.required("config", Descriptor::read)
    })?);
    Ok(blobs)
}

/// Reads the list of what refers to an image: the manifests of bundles.
///
/// # Errors
///
/// It is not a list; it has too many.
pub fn referrers(index: &[u8]) -> Result<Vec<Descriptor>> {
    listed(index, "manifests", |blob| {
        blob.artifact_type
            .as_deref()
            .is_some_and(|kind| essence(kind) == BUNDLES)
    })
}

/// Adds the manifest of a bundle to the list of what refers to an image, if there is
/// one. Returns the new list; `None` if it was listed.
///
/// # Errors
///
/// What is there is not a list.
pub fn with_referrer(list: Option<&[u8]>, manifest: &Descriptor) -> Result<Option<Vec<u8>>> {
    let read = |list: &[u8]| {
        document::read(list, manifest::LIMIT, |node| {
            let entries = |node: &Node<'_>| node.items(|entry| Ok(entry.value().clone()));
            node.fields()?.required("manifests", entries)
        })
    };
    let mut all = list.map(read).transpose()?.unwrap_or_default();
    let digest = Some(manifest.digest.to_string());
    if all.iter().any(|entry| entry.text("digest") == digest) {
        return Ok(None);
    }
    all.push(manifest.to_json().with("artifactType", BUNDLES).into());
    let list: Value = Object::new()
        .with("schemaVersion", 2_u32)
        .with("mediaType", INDEX)
        .with_items("manifests", all)
        .into();
    Ok(Some(list.to_string().into_bytes()))
}

/// Tells the manifest of a bundle from one with signatures that are attached.
pub fn is_bundle(manifest: &[u8]) -> bool {
    bundles(manifest).is_ok_and(|bundles| !bundles.is_empty())
}

/// Reads the manifest of a bundle.
///
/// # Errors
///
/// It is not one.
pub fn bundles(manifest: &[u8]) -> Result<Vec<Descriptor>> {
    listed(manifest, "layers", |blob| {
        essence(&blob.media_type) == BUNDLES
    })
}

fn listed(
    bytes: &[u8],
    field: &'static str,
    is_wanted: impl Fn(&Descriptor) -> bool,
) -> Result<Vec<Descriptor>> {
    let all = document::read(bytes, manifest::LIMIT, |node| {
        node.fields()?
            .required(field, |node| node.items(Descriptor::read))
    })?;
    let wanted: Vec<Descriptor> = all.into_iter().filter(is_wanted).collect();
    match wanted.len() > MOST {
        true => Err(Error::invalid(format!(
            "there are {} signatures; at most {MOST} are looked at",
            wanted.len()
        ))),
        false => Ok(wanted),
    }
}

/// A bundle of sigstore (protobuf-specs, sigstore_bundle.proto), as far as keys alone
/// need it.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// The bytes that are signed; `None` if it is the manifest itself.
    pub signed: Option<Vec<u8>>,
    /// What they say.
    pub payload: Payload,
    /// The signatures, of which one by the right key is enough.
    pub signatures: Vec<Vec<u8>>,
}

impl Bundle {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// It is not one, or has neither an envelope nor a signature.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        document::read(bytes, LIMIT, |node| {
            let mut fields = node.fields()?;
            fields.required("mediaType", |node| match &*essence(node.text()?) {
                BUNDLES => Ok(()),
                other => Err(node.fault(format!("{} is not `{BUNDLES}`", quoted(other)))),
            })?;
            if let Some(bundle) = fields.optional("dsseEnvelope", envelope)? {
                return Ok(bundle);
            }
            fields.required("messageSignature", message)
        })
    }
}

fn base64(node: &Node<'_>) -> Result<Vec<u8>> {
    decode(node.text()?).ok_or_else(|| node.fault("it is not Base64"))
}

/// Reads an envelope of DSSE (dsse, envelope.md and protocol.md).
fn envelope(node: &Node<'_>) -> Result<Bundle> {
    let mut fields = node.fields()?;
    let kind = fields.required("payloadType", text)?;
    if kind != "application/vnd.in-toto+json" {
        return Err(node.fault(format!(
            "it has {}, not a statement of in-toto",
            quoted(&kind)
        )));
    }
    let payload = fields.required("payload", base64)?;
    let signatures = fields.required("signatures", |node| {
        if let Value::List(items) = node.value()
            && items.len() > MOST
        {
            return Err(node.fault(format!("has {} signatures", items.len())));
        }
        node.items(|node| node.fields()?.required("sig", base64))
    })?;
    let mut signed = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    signed.extend_from_slice(&payload);
    Ok(Bundle {
        signed: Some(signed),
        payload: Payload::InToto(payload),
        signatures,
    })
}

fn message(node: &Node<'_>) -> Result<Bundle> {
    let mut fields = node.fields()?;
    let digest = fields.required("messageDigest", |node| {
        let mut fields = node.fields()?;
        fields.required("algorithm", |node| match node.text()? {
            "SHA2_256" => Ok(()),
            other => Err(node.fault(format!("{} is not `SHA2_256`", quoted(other)))),
        })?;
        fields.required("digest", |node| {
            let hex: String = base64(node)?
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            node.attributed(Digest::parse(&format!("sha256:{hex}")))
        })
    })?;
    Ok(Bundle {
        signed: None,
        payload: Payload::Itself(digest),
        signatures: vec![fields.required("signature", base64)?],
    })
}

/// Reads a public key in PEM (RFC 7468, section 13), and returns its DER.
///
/// # Errors
///
/// It is not one, or is a private one.
pub fn public_key(pem: &[u8]) -> Result<Vec<u8>> {
    let fault = || Error::invalid("it is not a public key in PEM");
    let text = str::from_utf8(pem).map_err(|_| fault())?;
    if text.contains("PRIVATE KEY-----") {
        let error = Error::invalid("it is a private key");
        return Err(error.hint(
            "`openssl pkey -in FILE -pubout` writes the public key; keep the private key secret",
        ));
    }
    let (_, rest) = text
        .split_once("-----BEGIN PUBLIC KEY-----")
        .ok_or_else(fault)?;
    let (body, rest) = rest
        .split_once("-----END PUBLIC KEY-----")
        .ok_or_else(fault)?;
    if rest.contains("-----BEGIN") {
        return Err(Error::invalid("it has several keys"));
    }
    let body: String = body.split_whitespace().collect();
    decode(&body).ok_or_else(fault)
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
