//! References to images of any format, as people type them.
//!
//! ```text
//! oci:/media/usb/app:1.2  oci:app@sha256:…      an image in an OCI layout
//! oci-archive:app.tar:1.2                       the same in a tar archive
//! docker-archive:app.tar:app:1.2                what `docker save` wrote
//! aci:…                                         an App Container image
//! ```
//!
//! What begins with no scheme is read by [`appc::reference`].

use std::fmt;
use std::path::{Path, PathBuf};

use error::{Error, Result};

/// A reference to an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// An App Container image, a file, or an ID.
    Appc(appc::reference::Reference),
    /// An OCI image in a directory or a file.
    Local(Local),
}

/// What has images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A directory with an OCI layout.
    Directory,
    /// A tar archive of one.
    Archive,
    /// What `docker save` writes.
    Docker,
}

impl Shape {
    const ALL: [Self; 3] = [Self::Directory, Self::Archive, Self::Docker];

    /// Returns what stands before the colon.
    const fn scheme(self) -> &'static str {
        match self {
            Self::Directory => "oci",
            Self::Archive => "oci-archive",
            Self::Docker => "docker-archive",
        }
    }
}

/// An image among others in a directory or a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// What it is.
    pub shape: Shape,
    /// The directory or the file.
    pub path: PathBuf,
    /// Which one: its name, or `@` and its digest or number.
    pub wanted: Option<String>,
}

impl Reference {
    /// Parses the first word and the labels after it.
    ///
    /// # Errors
    ///
    /// As for [`appc::reference::Reference::parse`]; there are labels that belong
    /// to no name.
    pub fn parse(text: &str, labels: &[String]) -> Result<Self> {
        let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
        let shape = Shape::ALL
            .into_iter()
            .find(|shape| shape.scheme() == scheme);
        let Some(shape) = shape else {
            let text = if scheme == "aci" { rest } else { text };
            return appc::reference::Reference::parse(text, labels).map(Self::Appc);
        };
        match labels.first() {
            None => Local::parse(shape, rest).map(Self::Local),
            Some(label) => {
                let label = error::quote::quoted(label);
                let what = format!("{label} follows an image that is not given by name");
                Err(Error::usage(what))
            }
        }
    }
}

impl Local {
    /// The only image that there is.
    pub fn whole(shape: Shape, path: &Path) -> Self {
        Self {
            shape,
            path: path.to_owned(),
            wanted: None,
        }
    }

    /// Parses `PATH[:NAME]`, `PATH@DIGEST` or `PATH:@NUMBER`.
    fn parse(shape: Shape, text: &str) -> Result<Self> {
        let (path, wanted) = match text.rsplit_once('@') {
            Some((path, digest)) if digest.contains(':') => (path, Some(format!("@{digest}"))),
            _ => match text.split_once(':') {
                Some((path, name)) => (path, Some(name.to_owned())),
                None => (text, None),
            },
        };
        let path = path.strip_suffix(':').unwrap_or(path);
        if path.is_empty() {
            return Err(Error::usage("the path of the image is missing")
                .hint("for instance `oci:/media/usb/app:1.2`"));
        }
        Ok(Self {
            shape,
            path: path.into(),
            wanted: wanted.filter(|wanted| !wanted.is_empty()),
        })
    }
}

/// As it can be typed.
impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.shape.scheme(), self.path.display())?;
        match &self.wanted {
            Some(wanted) if wanted.starts_with("@sha") => f.write_str(wanted),
            Some(wanted) => write!(f, ":{wanted}"),
            None => Ok(()),
        }
    }
}

/// As it can be typed, but without the secrets of a URL.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Appc(reference) => write!(f, "{reference}"),
            Self::Local(local) => write!(f, "{local}"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Reference> {
        Reference::parse(text, &[])
    }

    #[test]
    fn a_scheme_alone_is_no_image_and_labels_follow_names_only() {
        for text in [
            "oci:",
            "oci::1",
            "oci:@sha256:00",
            "docker-archive:",
            "aci:",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(Reference::parse("oci:a", &["version:1".to_owned()]).is_err());
    }

    #[test]
    fn the_path_ends_at_the_first_colon_or_at_a_digest() {
        for (text, path, wanted) in [
            ("oci:app", "app", None),
            ("oci:app:", "app", None),
            ("oci:/a/b:1.2", "/a/b", Some("1.2")),
            ("oci:a:example.com/b:1", "a", Some("example.com/b:1")),
            ("oci:a@sha256:0c", "a", Some("@sha256:0c")),
            ("oci:a@b", "a@b", None),
        ] {
            let local = Local {
                shape: Shape::Directory,
                path: path.into(),
                wanted: wanted.map(str::to_owned),
            };
            let reference = parse(text).unwrap();
            assert_eq!(reference, Reference::Local(local), "{text}");
            assert_eq!(reference.to_string(), text.trim_end_matches(':'));
        }
    }

    #[test]
    fn what_has_no_scheme_of_ours_is_read_as_before() {
        for text in [
            "a",
            "example.com/oci:1",
            "./oci:a",
            "https://x/a",
            "sha256:0c",
        ] {
            let expected = appc::reference::Reference::parse(text, &[]).unwrap();
            assert_eq!(parse(text).unwrap(), Reference::Appc(expected), "{text}");
        }
        for text in [
            "oci-archive:a.tar:1.2",
            "docker-archive:a:b:1",
            "docker-archive:a:@1",
        ] {
            assert_eq!(parse(text).unwrap().to_string(), text);
            assert!(
                matches!(parse(text).unwrap(), Reference::Local(_)),
                "{text}"
            );
        }
        assert_eq!(parse("aci:a:1").unwrap(), parse("a:1").unwrap());
    }
}
