//! Image layouts: directories with a file `oci-layout`, a file `index.json`, and
//! blobs (image-spec, image-layout.md).

use std::collections::BTreeSet;

use error::quote::quoted;
use error::{Error, Kind, Result};

use crate::choose::is_image;
use crate::digest::Digest;
use crate::document::{self, text};
use crate::list::list;
use crate::manifest::{Descriptor, Document, Index};
use crate::reference::{is_same, tag_of};

/// The key of an image's name: a tag, or a whole reference.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The key under which containerd writes the whole reference.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// Checks the file `oci-layout`.
///
/// # Errors
///
/// It is not valid, or is of a version with which nothing is in its place.
pub fn check_version(bytes: &[u8]) -> Result<()> {
    let version = document::read(bytes, 4096, |node| {
        node.fields()?.required("imageLayoutVersion", text)
    })?;
    if version.starts_with("1.") {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the layout has version {}; supported is 1.0.0",
        quoted(&version)
    )))
}

/// The images of a layout.
#[derive(Clone, Debug)]
pub struct Layout(Vec<Descriptor>);

impl Layout {
    /// Reads `index.json`. Signatures and other things that are not images are
    /// left out.
    ///
    /// # Errors
    ///
    /// It is not an index.
    pub fn read(index_json: &[u8]) -> Result<Self> {
        match Document::read(index_json, None)? {
            Document::Index(index) => {
                let images = index.manifests.into_iter().filter(is_image);
                Ok(Self(images.collect()))
            }
            Document::Manifest(_) => Err(Error::invalid("it is a manifest, not an index")),
        }
    }

    /// Selects an image by `REF` or `@DIGEST`, or the only one.
    ///
    /// `REF` is the name of an image, its tag, or another spelling of it. An
    /// image may be there for several platforms under one name: what is returned
    /// is an index, from which [`choose`](crate::choose::choose) takes one.
    ///
    /// # Errors
    ///
    /// There is none, or there are several; the error lists what there is.
    pub fn select(&self, wanted: Option<&str>) -> Result<Index> {
        if self.0.is_empty() {
            return Err(Error::invalid("the layout has no image"));
        }
        let selected: Vec<&Descriptor> = match wanted.map(|text| (text, text.strip_prefix('@'))) {
            None => self.0.iter().collect(),
            Some((_, Some(digest))) => {
                let digest = Digest::parse(digest)?;
                let found = self.0.iter().find(|image| image.digest == digest);
                found.into_iter().collect()
            }
            Some((name, None)) => self.named(name),
        };
        let names: BTreeSet<String> = selected.iter().map(|image| name_of(image)).collect();
        let one_for_each = || selected.iter().all(|image| image.platform.is_some());
        let nameless = || {
            selected
                .iter()
                .all(|image| names_of(image).next().is_none())
        };
        match (selected.len(), wanted) {
            (1, _) => {}
            (0, Some(wanted)) => {
                let there = list(self.0.iter().map(name_of).collect::<BTreeSet<_>>());
                let what = format!("the layout has no image {}, only {there}", quoted(wanted));
                return Err(Error::new(Kind::NotFound, what));
            }
            _ if one_for_each() && (names.len() == 1 || nameless()) => {}
            _ => {
                let what = format!("the layout has several images: {}", list(names));
                return Err(Error::usage(what).hint("name one of them"));
            }
        }
        Ok(Index {
            manifests: selected.into_iter().cloned().collect(),
            ..Index::default()
        })
    }

    /// Returns the images of a name; those that are spelled so before others.
    fn named(&self, wanted: &str) -> Vec<&Descriptor> {
        let matching = |matches: fn(&str, &str) -> bool| {
            let matches = |image: &&Descriptor| names_of(image).any(|name| matches(name, wanted));
            self.0.iter().filter(matches).collect::<Vec<_>>()
        };
        let exact = matching(|name, wanted| name == wanted);
        match exact.is_empty() {
            true => matching(|name, wanted| is_same(name, wanted) || tag_of(name) == Some(wanted)),
            false => exact,
        }
    }
}

/// Returns the names of an image.
fn names_of(image: &Descriptor) -> impl Iterator<Item = &str> {
    let keys = [REF_NAME, CONTAINERD_NAME];
    let names = keys
        .into_iter()
        .filter_map(|key| image.annotations.get(key));
    names.map(String::as_str).filter(|name| !name.is_empty())
}

/// Returns how an image can be selected.
fn name_of(image: &Descriptor) -> String {
    // A whole name says more than a tag.
    let name = names_of(image).max_by_key(|name| name.len());
    name.map_or_else(|| format!("@{}", image.digest), str::to_owned)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

    fn digest(byte: &str) -> String {
        format!("sha256:{}", byte.repeat(32))
    }

    fn entry(byte: &str, more: &str) -> String {
        let digest = digest(byte);
        format!(r#"{{"mediaType":"{MANIFEST}","digest":"{digest}","size":1{more}}}"#)
    }

    fn named(byte: &str, name: &str) -> String {
        entry(
            byte,
            &format!(r#","annotations":{{"{REF_NAME}":"{name}"}}"#),
        )
    }

    fn layout(entries: &[String]) -> Layout {
        let text = format!(
            r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
            entries.join(",")
        );
        Layout::read(text.as_bytes()).unwrap()
    }

    fn fault(layout: &Layout, wanted: Option<&str>) -> String {
        layout.select(wanted).unwrap_err().to_string()
    }

    /// Returns the first bytes of the digests of what is selected.
    fn selected(layout: &Layout, wanted: Option<&str>) -> Vec<String> {
        let index = layout.select(wanted).unwrap();
        let digests = index.manifests.iter().map(|image| image.digest.hex());
        digests.map(|hex| hex[..2].to_owned()).collect()
    }

    #[test]
    fn a_layout_of_another_version_is_refused() {
        check_version(br#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        for text in [r#"{"imageLayoutVersion":"2.0.0"}"#, "{}", "", "[]"] {
            check_version(text.as_bytes()).unwrap_err();
        }
    }

    #[test]
    fn several_images_are_listed_and_none_is_taken() {
        let two = layout(&[named("0a", "1.0"), named("0b", "2.0"), entry("0c", "")]);
        let unnamed = digest("0c");
        assert_eq!(
            fault(&two, None),
            format!(
                "the layout has several images: `1.0`, `2.0`, `@{unnamed}`\nhint: name one of them"
            )
        );
        assert_eq!(
            fault(&two, Some("3.0")),
            format!("the layout has no image `3.0`, only `1.0`, `2.0`, `@{unnamed}`")
        );
        let missing = format!("@{}", digest("0d"));
        assert!(fault(&two, Some(&missing)).contains("the layout has no image `@sha256:0d"));
        assert!(fault(&two, Some("@x")).contains("is not a digest"));
        let same_tag = layout(&[
            named("0a", "example.com/a:1"),
            named("0b", "example.com/b:1"),
        ]);
        assert!(fault(&same_tag, Some("1")).contains("several images: `example.com/a:1`"));
        // Two of one name that do not say what they are for.
        let twice = layout(&[named("0a", "1"), named("0b", "1")]);
        assert!(fault(&twice, Some("1")).starts_with("the layout has several images"));
        assert_eq!(fault(&layout(&[]), None), "the layout has no image");
        let manifest = format!(r#"{{"config":{},"layers":[]}}"#, entry("0a", ""));
        Layout::read(manifest.as_bytes()).unwrap_err();
    }

    #[test]
    fn what_is_not_an_image_does_not_count() {
        let signature = entry("0b", r#","artifactType":"application/x""#);
        assert_eq!(
            selected(&layout(&[entry("0a", ""), signature]), None),
            ["0a"]
        );
    }

    #[test]
    fn an_image_is_selected_by_name_tag_or_digest() {
        let names = ["1.0", "docker.io/library/alpine:3.20", "example.com/a:2.0"];
        let entries = ["0a", "0b", "0c"].into_iter().zip(names);
        let all = layout(
            &entries
                .map(|(byte, name)| named(byte, name))
                .collect::<Vec<_>>(),
        );
        let by_digest = format!("@{}", digest("0c"));
        for (wanted, expected) in [
            ("1.0", "0a"),
            ("3.20", "0b"),
            ("alpine:3.20", "0b"),
            ("docker.io/library/alpine:3.20", "0b"),
            ("example.com/a:2.0", "0c"),
            (&by_digest, "0c"),
        ] {
            assert_eq!(selected(&all, Some(wanted)), [expected], "{wanted}");
        }
        // What is spelled so comes before what only has this tag.
        let both = layout(&[named("0a", "example.com/a:1"), named("0b", "1")]);
        assert_eq!(selected(&both, Some("1")), ["0b"]);
        let more = format!(
            r#","annotations":{{"{REF_NAME}":"latest","{CONTAINERD_NAME}":"docker.io/library/a:latest"}}"#
        );
        let containerd = layout(&[entry("0a", &more)]);
        for wanted in [None, Some("latest"), Some("a"), Some("a:latest")] {
            assert_eq!(selected(&containerd, wanted), ["0a"]);
        }
    }

    #[test]
    fn images_for_several_platforms_under_one_name_are_one() {
        let of = |byte: &str, architecture: &str, name: &str| {
            let platform = format!(r#"{{"os":"linux","architecture":"{architecture}"}}"#);
            let name = format!(r#"{{"{REF_NAME}":"{name}"}}"#);
            entry(
                byte,
                &format!(r#","platform":{platform},"annotations":{name}"#),
            )
        };
        let one = layout(&[of("0a", "amd64", "1"), of("0b", "arm64", "1")]);
        assert_eq!(selected(&one, None), ["0a", "0b"]);
        assert_eq!(selected(&one, Some("1")), ["0a", "0b"]);
        let nameless = layout(&[of("0a", "amd64", ""), of("0b", "arm64", "")]);
        assert_eq!(selected(&nameless, None), ["0a", "0b"]);
        let two = layout(&[of("0a", "amd64", "1"), of("0b", "arm64", "2")]);
        assert!(fault(&two, None).starts_with("the layout has several images"));
    }
}
