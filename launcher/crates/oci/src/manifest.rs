//! Manifests and indexes (image-spec, manifest.md and image-index.md; docker's
//! "Image Manifest Version 2, Schema 2").

use std::collections::BTreeMap;

use appc::json::{Node, Object, Value};
use error::quote::quoted;
use error::{Error, Result};

use crate::base64::decode;
use crate::digest::Digest;
use crate::document::{self, text, text_map, texts};
use crate::media_type::{Kind, essence};
use crate::platform::Platform;

/// Most bytes of a document, as registries have it.
pub const LIMIT: usize = 4 << 20;

/// Most descriptors of a document.
const DESCRIPTORS: usize = 1000;

/// What a registry or a layout has under the name of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nobody keeps many of them")]
pub enum Document {
    /// An image for each of several platforms.
    Index(Index),
    /// One image.
    Manifest(Manifest),
}

/// A list of manifests, usually of one image for several platforms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// The manifests, and further indexes.
    pub manifests: Vec<Descriptor>,
    /// Its metadata.
    pub annotations: BTreeMap<String, String>,
}

/// What an image consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Its configuration, whose digest identifies it.
    pub config: Descriptor,
    /// Its layers, the lowest first.
    pub layers: Vec<Descriptor>,
    /// Its metadata.
    pub annotations: BTreeMap<String, String>,
}

/// A blob: what it is, and what its bytes must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The media type, as it was written.
    pub media_type: String,
    /// The hash of its bytes.
    pub digest: Digest,
    /// The number of its bytes.
    pub size: u64,
    /// Where else it can be fetched.
    pub urls: Vec<String>,
    /// Its metadata.
    pub annotations: BTreeMap<String, String>,
    /// What it is made for.
    pub platform: Option<Platform>,
    /// Its bytes, if they are in the document. Whoever uses them checks their
    /// digest.
    pub data: Option<Vec<u8>>,
    /// What it is if it is not an image.
    pub artifact_type: Option<String>,
}

impl Descriptor {
    /// Describes a blob.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
            data: None,
            artifact_type: None,
        }
    }

    /// Encodes what identifies the blob, and its metadata.
    pub fn to_json(&self) -> Object {
        let annotations = self.annotations.iter();
        let annotations = annotations.fold(None, |all: Option<Object>, (name, value)| {
            Some(all.unwrap_or_default().with(name, value.as_str()))
        });
        Object::new()
            .with("mediaType", self.media_type.as_str())
            .with("digest", self.digest.to_string())
            .with("size", self.size)
            .with_some("annotations", annotations)
    }

    /// Returns what its media type stands for.
    pub fn kind(&self) -> Kind {
        Kind::of(&self.media_type)
    }

    /// Reads a descriptor, which must be of a kind that fits where it is.
    fn in_place(node: &Node<'_>, fits: impl Fn(Kind) -> bool) -> Result<Self> {
        let descriptor = Self::read(node)?;
        match descriptor.kind() {
            kind if fits(kind) => Ok(descriptor),
            Kind::Other => node.attributed(Err(not_an_image(&descriptor.media_type))),
            _ => {
                let found = quoted(&descriptor.media_type);
                Err(node.fault(format!("a blob of type {found} does not belong here")))
            }
        }
    }

    /// Reads a descriptor of anything.
    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        let mut fields = node.fields()?;
        let descriptor = Self {
            media_type: fields.or_default("mediaType", text)?,
            digest: fields.required("digest", |node| node.parsed(Digest::parse))?,
            size: fields.required("size", |node| node.integer(0, u64::MAX))?,
            urls: fields.or_default("urls", texts)?,
            annotations: fields.or_default("annotations", text_map)?,
            platform: fields.optional("platform", platform)?.flatten(),
            data: fields.optional("data", data)?,
            artifact_type: fields.optional("artifactType", text)?,
        };
        let inline = descriptor
            .data
            .as_ref()
            .map(|data| u64::try_from(data.len()));
        if inline.is_some_and(|length| length != Ok(descriptor.size)) {
            return Err(node.fault("`data` does not have as many bytes as `size` says"));
        }
        Ok(descriptor)
    }
}

fn platform(node: &Node<'_>) -> Result<Option<Platform>> {
    let mut fields = node.fields()?;
    let os = fields.or_default("os", text)?;
    let architecture = fields.or_default("architecture", text)?;
    let variant = fields.optional("variant", text)?;
    Ok(Platform::of_document(
        &os,
        &architecture,
        variant.as_deref(),
    ))
}

fn data(node: &Node<'_>) -> Result<Vec<u8>> {
    decode(node.text()?).ok_or_else(|| node.fault("is not Base64"))
}

impl Document {
    /// Reads a document that is to be of a media type: that of its descriptor, or
    /// the `Content-Type` of an answer.
    ///
    /// # Errors
    ///
    /// It is too large, is not what it or `claimed` says, is of docker's first
    /// schema, or describes something other than an image.
    pub fn read(bytes: &[u8], claimed: Option<&str>) -> Result<Self> {
        document::read(bytes, LIMIT, |node| match is_index(node, claimed)? {
            true => Index::read(node).map(Self::Index),
            false => Manifest::read(node).map(Self::Manifest),
        })
    }
}

/// Tells whether a document is an index or a manifest.
///
/// What one program takes for an index and the next for a manifest is two images
/// with one digest (CVE-2021-41190): every sign has to say the same.
fn is_index(node: &Node<'_>, claimed: Option<&str>) -> Result<bool> {
    let mut fields = node.fields()?;
    let mut has = |name| Ok::<_, Error>(fields.optional(name, |_| Ok(()))?.is_some());
    let (lists_manifests, lists_layers) = (has("manifests")?, has("layers")?);
    let (has_config, has_fs_layers) = (has("config")?, has("fsLayers")?);
    let own = fields.optional("mediaType", text)?;
    let own = own.filter(|name| !name.is_empty());
    // A server that does not know better says `application/json`.
    let claimed = claimed.filter(|name| Kind::of(name) != Kind::Other);
    let version = fields.optional("schemaVersion", |node| node.integer(0, u64::MAX))?;
    let kind = own.as_deref().or(claimed).map(Kind::of);
    if version == Some(1) || has_fs_layers || kind == Some(Kind::Schema1) {
        return Err(Error::invalid(
            "it is a manifest of docker's schema 1, which is not supported",
        )
        .hint("push the image again with a current tool"));
    }
    if let Some(version) = version.filter(|&version| version != 2) {
        let why = format!("it has schema version {version}; supported is 2");
        return Err(Error::invalid(why));
    }
    if let Some(kind) = fields.optional("artifactType", text)?
        && !kind.is_empty()
    {
        return Err(not_an_image(&kind));
    }
    if let Some((own, claimed)) = own.as_deref().zip(claimed)
        && essence(own) != essence(claimed)
    {
        return Err(Error::invalid(format!(
            "it says that it is of type {}, but is offered as {}",
            quoted(own),
            quoted(claimed)
        )));
    }
    if lists_manifests && (lists_layers || has_config) {
        let other = if lists_layers { "layers" } else { "config" };
        return Err(Error::invalid(format!(
            "it has both `manifests` and `{other}`: it is an index for some and a manifest for others"
        )));
    }
    match kind {
        Some(Kind::Index) if lists_layers || has_config => Err(Error::invalid(
            "it is of the type of an index, but has the fields of a manifest",
        )),
        Some(Kind::Manifest) if lists_manifests => Err(Error::invalid(
            "it is of the type of a manifest, but has the fields of an index",
        )),
        Some(Kind::Index) => Ok(true),
        Some(Kind::Manifest) => Ok(false),
        Some(_) => Err(not_an_image(own.as_deref().or(claimed).unwrap_or_default())),
        None if lists_manifests => Ok(true),
        None if lists_layers || has_config => Ok(false),
        None => Err(Error::invalid(
            "it is neither an index nor the manifest of an image",
        )),
    }
}

fn not_an_image(media_type: &str) -> Error {
    Error::invalid(format!("not an image: {}", quoted(media_type)))
}

impl Index {
    fn read(node: &Node<'_>) -> Result<Self> {
        let mut fields = node.fields()?;
        Ok(Self {
            manifests: fields.or_default("manifests", |node| {
                descriptors(node, |kind| !matches!(kind, Kind::Config | Kind::Layer(_)))
            })?,
            annotations: fields.or_default("annotations", text_map)?,
        })
    }
}

impl Manifest {
    fn read(node: &Node<'_>) -> Result<Self> {
        let mut fields = node.fields()?;
        Ok(Self {
            config: fields.required("config", |node| {
                Descriptor::in_place(node, |kind| kind == Kind::Config)
            })?,
            layers: fields.or_default("layers", |node| {
                descriptors(node, |kind| matches!(kind, Kind::Layer(_)))
            })?,
            annotations: fields.or_default("annotations", text_map)?,
        })
    }
}

fn descriptors(node: &Node<'_>, fits: impl Fn(Kind) -> bool) -> Result<Vec<Descriptor>> {
    if let Value::List(items) = node.value()
        && items.len() > DESCRIPTORS
    {
        let why = format!(
            "has {} descriptors; at most {DESCRIPTORS} are read",
            items.len()
        );
        return Err(node.fault(why));
    }
    node.items(|node| Descriptor::in_place(node, &fits))
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
