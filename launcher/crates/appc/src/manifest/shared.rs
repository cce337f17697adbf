//! What image and pod manifests have in common: labels, annotations, ports.

use std::collections::BTreeMap;

use crate::digest::ImageId;
use crate::json::{Node, Object, Value};
use crate::types::{AcIdentifier, AcName, Annotation, Annotations, Label, Labels, NOTIFY};
use error::Result;

/// Arbitrary text by key. It never affects how an app is run.
pub(crate) type TextMap = BTreeMap<String, String>;

/// A port that an app listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The name by which the pod refers to it.
    pub name: AcName,
    /// For instance `tcp` or `udp`; any text.
    pub protocol: String,
    /// Its number, or the first of several.
    pub port: u16,
    /// The number of consecutive ports; at least 1.
    pub count: u16,
    /// Whether the app takes over listening sockets.
    pub socket_activated: bool,
}

impl Port {
    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        let mut fields = node.fields()?;
        let port = Self {
            name: fields.required("name", name)?,
            protocol: fields.required("protocol", |node| node.some_text().map(str::to_owned))?,
            port: fields.required("port", |node| node.integer(1, u16::MAX))?,
            // Zero is an old way to write one.
            count: fields
                .optional("count", |node| node.integer(0, u16::MAX))?
                .map_or(1, |count| count.max(1)),
            socket_activated: fields.or_default("socketActivated", Node::bool)?,
        };
        fields.finish();
        if port.port.checked_add(port.count - 1).is_none() {
            return Err(node.fault(format!(
                "{} ports starting at {} exceed 65535",
                port.count, port.port
            )));
        }
        Ok(port)
    }

    pub(crate) fn write(&self) -> Value {
        Object::new()
            .with("name", self.name.as_str())
            .with("protocol", self.protocol.as_str())
            .with("port", self.port)
            .with("count", self.count)
            .with("socketActivated", self.socket_activated)
            .into()
    }
}

pub(crate) fn identifier(node: &Node<'_>) -> Result<AcIdentifier> {
    let identifier = node.parsed(AcIdentifier::parse)?;
    warn_if(identifier.has_doubled_separators(), node);
    Ok(identifier)
}

pub(crate) fn name(node: &Node<'_>) -> Result<AcName> {
    let name = node.parsed(AcName::parse)?;
    warn_if(name.has_doubled_separators(), node);
    Ok(name)
}

fn warn_if(doubled: bool, node: &Node<'_>) {
    if doubled {
        node.warn_that_it("has separators in a row, which the specification does not allow");
    }
}

pub(crate) fn image_id(node: &Node<'_>) -> Result<ImageId> {
    node.parsed(ImageId::parse)
}

/// The ID of an image of either format.
pub(crate) fn either_image_id(node: &Node<'_>) -> Result<ImageId> {
    node.parsed(ImageId::parse_either)
}

pub(crate) fn owned(node: &Node<'_>) -> Result<String> {
    node.text().map(str::to_owned)
}

pub(crate) fn texts(node: &Node<'_>) -> Result<Vec<String>> {
    node.items(owned)
}

pub(crate) fn labels(node: &Node<'_>) -> Result<Labels> {
    let list = node.items(|node| {
        let (name, value) = pair(node)?;
        Ok(Label { name, value })
    })?;
    let labels = node.attributed(Labels::new(list))?;
    node.attributed(labels.check_platform())?;
    Ok(labels)
}

pub(crate) fn annotations(node: &Node<'_>) -> Result<Annotations> {
    let list = node.items(|node| {
        let (name, value) = pair(node)?;
        if name.as_str() == NOTIFY && !matches!(&*value, "true" | "false") {
            node.warn_that_it("is neither `true` nor `false`; `false` is assumed");
        }
        Ok(Annotation { name, value })
    })?;
    node.attributed(Annotations::new(list))
}

fn pair(node: &Node<'_>) -> Result<(AcIdentifier, String)> {
    let mut fields = node.fields()?;
    let pair = (
        fields.required("name", identifier)?,
        fields.or_default("value", owned)?,
    );
    fields.finish();
    Ok(pair)
}

pub(crate) fn write_labels(labels: &Labels) -> impl Iterator<Item = Value> {
    let pairs = labels.iter().map(|label| (&label.name, &label.value));
    pairs.map(|(name, value)| write_pair(name.as_str(), value))
}

pub(crate) fn write_annotations(annotations: &Annotations) -> impl Iterator<Item = Value> {
    let pairs = annotations.iter().map(|one| (&one.name, &one.value));
    pairs.map(|(name, value)| write_pair(name.as_str(), value))
}

/// Writes `{"name": ..., "value": ...}`.
pub(crate) fn write_pair(name: &str, value: &str) -> Value {
    Object::new().with("name", name).with("value", value).into()
}

/// Writes a map unless it is empty.
pub(crate) fn write_map(map: &TextMap) -> Option<Value> {
    let write = |object: Object, (key, value): (&String, &String)| object.with(key, value.as_str());
    (!map.is_empty()).then(|| map.iter().fold(Object::new(), write).into())
}
