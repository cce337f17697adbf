//! References to images of any format, as people type them.
//!
//! ```text
//! oci:/media/usb/app:1.2  oci:app@sha256:…      an image in an OCI layout
//! oci-archive:app.tar:1.2                       the same in a tar archive
//! docker-archive:app.tar:app:1.2                what `docker save` wrote
//! docker://debian:12  ghcr.io/org/app  alpine   an image in a registry
//! aci:…                                         an App Container image
//! ```
//!
//! What begins with no scheme is a path, a URL or an ID, as [`appc::reference`]
//! reads them. Else it is a name: of an image in a registry if its first part has a
//! port or is one of the large registries, or if it has a digest as registries have
//! them. Any other name can be either: whichever is stored, and otherwise an image in a
//! registry if the first part has no dot. If it has one, discovery is tried before the
//! registry.

use std::fmt;
use std::path::{Path, PathBuf};

use appc::reference::Name;
use error::{Error, Result};
use oci::reference::Asked;

/// A reference to an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// An App Container image, a file, or an ID.
    Appc(appc::reference::Reference),
    /// An OCI image in a directory or a file.
    Local(Local),
    /// An image in a registry.
    Registry(Asked),
    /// A name of either kind: whichever is stored, or else in a registry.
    Short {
        /// As that of an App Container image.
        name: Name,
        /// As that of an image in a registry.
        asked: Asked,
    },
    /// The name of an App Container image or, if nobody has one, of an image in a
    /// registry.
    Dotted {
        /// The one.
        name: Name,
        /// The other.
        asked: Asked,
    },
}

/// The registries that are known by their names alone: others that would be taken
/// for the domain of an App Container image are written with `docker://`.
const REGISTRIES: &[&str] = &[
    "docker.io",
    "gcr.io",
    "ghcr.io",
    "index.docker.io",
    "localhost",
    "lscr.io",
    "mcr.microsoft.com",
    "public.ecr.aws",
    "quay.io",
    "registry.access.redhat.com",
    "registry.fedoraproject.org",
    "registry.gitlab.com",
    "registry.k8s.io",
    "registry.opensuse.org",
    "registry.redhat.io",
];

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
    pub(crate) const fn scheme(self) -> &'static str {
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
            return match (scheme, rest.strip_prefix("//")) {
                ("docker", Some(image)) => in_registry(image, labels).map(Self::Registry),
                ("aci", _) => appc::reference::Reference::parse(rest, labels).map(Self::Appc),
                _ => Self::named(text, labels),
            };
        };
        check_labels(labels)?;
        Local::parse(shape, rest).map(Self::Local)
    }

    /// Parses what has no scheme.
    fn named(text: &str, labels: &[String]) -> Result<Self> {
        let (first, below) = match text.split_once('/') {
            Some((first, _)) => (first, true),
            None => (text, false),
        };
        let port = first.rsplit_once(':').map(|(_, port)| port);
        let has_port = port.is_some_and(|port| port.parse::<u16>().is_ok());
        let digest = text.rsplit_once('@').map(|(_, digest)| digest);
        let has_digest = ["sha256:", "sha512:"]
            .iter()
            .any(|algorithm| digest.is_some_and(|digest| digest.starts_with(algorithm)));
        if below && (has_port || REGISTRIES.contains(&first)) || has_digest {
            return in_registry(text, labels).map(Self::Registry);
        }
        let read = appc::reference::Reference::parse(text, labels)?;
        let appc::reference::Reference::Name(name) = read else {
            return Ok(Self::Appc(read));
        };
        let host = first.split(':').next().unwrap_or_default();
        let dotted = host.contains('.');
        let asked = match dotted && !below || !labels.is_empty() {
            true => None,
            false => in_registry(text, labels).ok(),
        };
        Ok(match asked {
            Some(asked) if dotted => Self::Dotted { name, asked },
            Some(asked) => Self::Short { name, asked },
            None => Self::Appc(appc::reference::Reference::Name(name)),
        })
    }
}

fn in_registry(text: &str, labels: &[String]) -> Result<Asked> {
    check_labels(labels)?;
    Asked::parse(text)
}

fn check_labels(labels: &[String]) -> Result<()> {
    match labels.first() {
        None => Ok(()),
        Some(label) => {
            let label = error::quote::quoted(label);
            let what = format!("{label} follows an image that is not given by name");
            Err(Error::usage(what))
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
            Self::Registry(asked) | Self::Short { asked, .. } => write!(f, "{asked}"),
            Self::Dotted { name, .. } => write!(f, "{name}"),
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
            "example.com",
            "example.com/oci:1,os=linux",
            "a:1,os=linux",
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
        let aci = appc::reference::Reference::parse("a:1", &[]).unwrap();
        assert_eq!(parse("aci:a:1").unwrap(), Reference::Appc(aci));
    }

    #[test]
    fn a_registry_is_known_by_its_port_its_name_or_a_digest() {
        let digest = format!("sha256:{}", "0c".repeat(32));
        for (text, full) in [
            ("docker://debian", "docker.io/library/debian:latest"),
            ("docker://example.com/a/b:1", "example.com/a/b:1"),
            ("localhost:5000/a", "localhost:5000/a:latest"),
            ("192.0.2.1:5000/a:1", "192.0.2.1:5000/a:1"),
            ("ghcr.io/org/app:2", "ghcr.io/org/app:2"),
            (
                &format!("example.com/a@{digest}"),
                &format!("example.com/a@{digest}"),
            ),
        ] {
            let Reference::Registry(asked) = parse(text).unwrap() else {
                unreachable!("{text}");
            };
            assert_eq!(asked.usual().to_string(), full, "{text}");
        }
        for text in [
            "docker://",
            "docker://A",
            "localhost:5000/a b",
            "ghcr.io/",
            "a@sha256:0c",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(Reference::parse("docker://a", &["version:1".to_owned()]).is_err());
    }

    #[test]
    fn a_name_with_a_dot_is_in_a_registry_at_last() {
        for (text, full) in [
            ("example.com/app", "example.com/app:latest"),
            ("example.com/a/b:1.2", "example.com/a/b:1.2"),
        ] {
            let Reference::Dotted { name, asked } = parse(text).unwrap() else {
                unreachable!("{text}");
            };
            assert_eq!(asked.usual().to_string(), full);
            assert_eq!(name.to_string(), text);
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_name_without_a_dot_is_of_either_kind() {
        for (text, full) in [
            ("alpine", "docker.io/library/alpine:latest"),
            ("alpine:3.19", "docker.io/library/alpine:3.19"),
            ("grafana/loki", "docker.io/grafana/loki:latest"),
        ] {
            let Reference::Short { name, asked } = parse(text).unwrap() else {
                unreachable!("{text}");
            };
            assert_eq!(asked.usual().to_string(), full);
            assert_eq!(name.to_string(), text);
            assert_eq!(parse(text).unwrap().to_string(), asked.to_string());
        }
    }
}
