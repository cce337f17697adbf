//! What `docker save` writes: an archive with a file `manifest.json`, which lists
//! images, and the files that they name (moby, image/spec/v1.2.md).

use appc::json::Node;
use error::quote::quoted;
use error::{Error, Kind, Result};

use crate::document::{self, text, texts};
use crate::list::list;
use crate::manifest::LIMIT;
use crate::reference::is_same;

/// Most layers of an image.
const LAYERS: usize = 1000;

/// The images of an archive.
#[derive(Clone, Debug)]
pub struct Archive(Vec<ArchivedImage>);

/// An image of an archive. Its files are named by paths in the archive, which
/// are relative and stay in it; a file may be named twice, and be a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedImage {
    /// The file of its configuration.
    pub config: String,
    /// Its names.
    pub tags: Vec<String>,
    /// The files of its layers, the lowest first.
    pub layers: Vec<String>,
}

impl Archive {
    /// Reads `manifest.json`.
    ///
    /// # Errors
    ///
    /// It is not valid, or names a file outside of the archive.
    pub fn read(manifest_json: &[u8]) -> Result<Self> {
        let images = document::read(manifest_json, LIMIT, |node| node.items(ArchivedImage::read));
        images.map(Self)
    }

    /// Selects an image by its name or by `@N`, where the first is `@0`; or the
    /// only one.
    ///
    /// # Errors
    ///
    /// There is none, or there are several; the error lists what there is.
    pub fn select(&self, wanted: Option<&str>) -> Result<&ArchivedImage> {
        let Some(wanted) = wanted else {
            return match &*self.0 {
                [image] => Ok(image),
                [] => Err(Error::invalid("the archive has no image")),
                _ => {
                    let what = format!("the archive has several images: {}", self.list());
                    Err(Error::usage(what).hint("name one of them"))
                }
            };
        };
        let found = match wanted.strip_prefix('@') {
            Some(number) => number
                .parse()
                .ok()
                .and_then(|number: usize| self.0.get(number)),
            None => self.0.iter().find(|image| {
                let mut tags = image.tags.iter();
                tags.any(|tag| tag == wanted || is_same(tag, wanted))
            }),
        };
        found.ok_or_else(|| {
            let (wanted, there) = (quoted(wanted), self.list());
            let what = format!("the archive has no image {wanted}, only {there}");
            Error::new(Kind::NotFound, what)
        })
    }

    fn list(&self) -> String {
        list(
            (0..)
                .zip(&self.0)
                .flat_map(|(number, image)| match image.tags.is_empty() {
                    true => vec![format!("@{number}")],
                    false => image.tags.clone(),
                }),
        )
    }
}

impl ArchivedImage {
    fn read(node: &Node<'_>) -> Result<Self> {
        let mut fields = node.fields()?;
        let image = Self {
            config: fields.required("Config", path)?,
            tags: fields.or_default("RepoTags", texts)?,
            layers: fields.or_default("Layers", |node| node.items(path))?,
        };
        if image.layers.len() > LAYERS {
            return Err(node.fault(format!("it has more than {LAYERS} layers")));
        }
        Ok(image)
    }
}

/// Reads the path of a file in the archive.
fn path(node: &Node<'_>) -> Result<String> {
    let path = text(node)?;
    match path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        true => Err(node.fault(format!("{} is not a path in the archive", quoted(&path)))),
        false => Ok(path),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const TWO: &str = r#"[
        {"Config":"a.json","RepoTags":["alpine:3.20","alpine:latest"],
         "Layers":["x/layer.tar","x/layer.tar","blobs/sha256/0c"],"LayerSources":{}},
        {"Config":"b.json","RepoTags":null,"Layers":null}]"#;

    fn archive(text: &str) -> Archive {
        Archive::read(text.as_bytes()).unwrap()
    }

    fn fault(text: &str, wanted: Option<&str>) -> String {
        archive(text).select(wanted).unwrap_err().to_string()
    }

    #[test]
    fn a_file_outside_of_the_archive_is_refused() {
        for path in [
            "",
            "/etc/passwd",
            "../a",
            "a/../../b",
            "a//b",
            "./a",
            "a/",
            "a\\u0000",
        ] {
            for text in [
                format!(r#"[{{"Config":"{path}"}}]"#),
                format!(r#"[{{"Config":"a","Layers":["{path}"]}}]"#),
            ] {
                assert!(Archive::read(text.as_bytes()).is_err(), "{path}");
            }
        }
        let error = Archive::read(br#"[{"Layers":[]}]"#)
            .unwrap_err()
            .to_string();
        assert_eq!(error, "field `[0].Config` is missing");
        Archive::read(b"{}").unwrap_err();
    }

    #[test]
    fn several_images_are_listed_and_none_is_taken() {
        assert_eq!(
            fault(TWO, None),
            "the archive has several images: `alpine:3.20`, `alpine:latest`, `@1`\n\
             hint: name one of them"
        );
        for wanted in ["alpine:3.19", "3.20", "@2", "@-1", "@", "@x"] {
            let said = fault(TWO, Some(wanted));
            assert!(said.starts_with(&format!("the archive has no image `{wanted}`, only `a")));
        }
        assert_eq!(fault("[]", None), "the archive has no image");
    }

    #[test]
    fn an_image_is_selected_by_name_or_number() {
        for (wanted, config) in [
            ("alpine:3.20", "a.json"),
            ("alpine", "a.json"),
            ("docker.io/library/alpine:3.20", "a.json"),
            ("@0", "a.json"),
            ("@1", "b.json"),
        ] {
            let archive = archive(TWO);
            let image = archive.select(Some(wanted)).unwrap();
            assert_eq!(image.config, config, "{wanted}");
        }
        let one = archive(r#"[{"Config":"b.json","RepoTags":[]}]"#);
        let image = one.select(None).unwrap();
        assert_eq!((&*image.config, image.layers.len()), ("b.json", 0));
    }

    #[test]
    fn layers_are_in_the_order_of_the_list() {
        let archive = archive(TWO);
        let image = archive.select(Some("@0")).unwrap();
        assert_eq!(
            image.layers,
            ["x/layer.tar", "x/layer.tar", "blobs/sha256/0c"]
        );
        assert_eq!(image.tags, ["alpine:3.20", "alpine:latest"]);
    }
}
