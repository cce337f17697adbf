//! The image manifest: an image's name, dependencies and app.

use crate::digest::ImageId;
use crate::json::{self, Node, Object, Value};
use crate::manifest::app::App;
use crate::manifest::document::{AcKind, Checked, first, header, read_document};
use crate::manifest::shared::{
    annotations, identifier, image_id, labels, texts, write_annotations, write_labels,
};
use crate::types::{AcIdentifier, Annotations, Labels, Version};
use error::{Error, Result};

/// A valid image manifest.
#[derive(Clone, Debug)]
pub struct ImageManifest {
    /// The version of the specification that it follows.
    pub ac_version: Version,
    /// The name of the image.
    pub name: AcIdentifier,
    /// Labels that tell it apart from other images of the same name.
    pub labels: Labels,
    /// What it runs, if anything.
    pub app: Option<App>,
    /// The images below this one, in the order in which they are applied.
    pub dependencies: Vec<Dependency>,
    /// The only paths that are kept of this image and those below it; all
    /// if empty.
    pub path_whitelist: Vec<String>,
    /// Its metadata.
    pub annotations: Annotations,
}

/// An image that another one is based on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Its name.
    pub image_name: AcIdentifier,
    /// Its ID, if it must be a certain one.
    pub image_id: Option<ImageId>,
    /// Labels that it must have; more are fine.
    pub labels: Labels,
    /// The size of its archive in bytes. Absent and zero both mean unknown.
    pub size: Option<u64>,
}

impl ImageManifest {
    /// Reads a manifest.
    ///
    /// # Errors
    ///
    /// The first fault.
    pub fn parse(text: &[u8]) -> Result<Checked<Self>> {
        Self::check(text).map_err(first)
    }

    /// Reads a manifest.
    ///
    /// # Errors
    ///
    /// All faults, at least one.
    pub fn check(text: &[u8]) -> std::result::Result<Checked<Self>, Vec<Error>> {
        read_document(&json::parse(text).map_err(|error| vec![error])?, Self::read)
    }

    pub(crate) fn read(node: &Node<'_>) -> Result<Self> {
        let mut fields = node.fields()?;
        // What follows a fault in these is read all the same.
        let version = header(&mut fields, AcKind::Image);
        let name = fields.required("name", identifier);
        let manifest = Self {
            labels: fields.or_default("labels", labels)?,
            app: fields.optional("app", App::read)?,
            dependencies: fields.or_default("dependencies", |node| node.items(Dependency::read))?,
            path_whitelist: fields.or_default("pathWhitelist", path_whitelist)?,
            annotations: fields.or_default("annotations", annotations)?,
            ac_version: version?,
            name: name?,
        };
        fields.finish();
        Ok(manifest)
    }

    /// Writes the manifest. Equal manifests give equal bytes.
    pub fn to_json(&self) -> Value {
        Object::new()
            .with("acKind", AcKind::Image.word())
            .with("acVersion", self.ac_version.to_string())
            .with("name", self.name.as_str())
            .with_items("labels", write_labels(&self.labels))
            .with_some("app", self.app.as_ref().map(App::write))
            .with_items("annotations", write_annotations(&self.annotations))
            .with_items(
                "dependencies",
                self.dependencies.iter().map(Dependency::write),
            )
            .with_items(
                "pathWhitelist",
                self.path_whitelist.iter().map(String::as_str),
            )
            .into()
    }
}

impl Dependency {
    fn read(node: &Node<'_>) -> Result<Self> {
        let mut fields = node.fields()?;
        let dependency = Self {
            image_name: fields.required("imageName", identifier)?,
            image_id: fields.optional("imageID", image_id)?,
            labels: fields.or_default("labels", labels)?,
            size: fields
                .optional("size", |node| node.integer(0, u64::MAX))?
                .filter(|&size| size > 0),
        };
        fields.finish();
        Ok(dependency)
    }

    fn write(&self) -> Value {
        Object::new()
            .with("imageName", self.image_name.as_str())
            .with_some("imageID", self.image_id.map(|id| id.to_string()))
            .with_items("labels", write_labels(&self.labels))
            .with_some("size", self.size)
            .into()
    }
}

fn path_whitelist(node: &Node<'_>) -> Result<Vec<String>> {
    let paths = texts(node)?;
    if let Some(path) = paths.iter().find(|path| !path.starts_with('/')) {
        node.warn(format!(
            "{} does not start with `/`; a leading `/` is assumed",
            error::quote::quoted(path)
        ));
    }
    Ok(paths)
}
