//! Image references as people type them.
//!
//! ```text
//! ./hello.aci  /srv/hello.aci  hello.aci        a path
//! file:///srv/hello.aci  https://example.com/a  a URL, in any spelling of it
//! sha512-0c6d3a2d                               the beginning of an image ID
//! example.com/web:1.2,channel=beta              a name, a version, labels
//! example.com/web version:1.2 channel:beta      the same, as nscn spelled it
//! ```
//!
//! A URL or a name can be followed by `@` and a whole image ID: then the image
//! must have this ID. Paths, URLs and IDs are recognised first, in this order;
//! everything else is a name. Nothing is looked up for this, so a reference always means the same.

use std::fmt;
use std::path::PathBuf;

use crate::address::{Address, Location};
use crate::digest::ImageId;
use crate::types::{AcIdentifier, Label, Labels};
use error::quote::quoted;
use error::{Context as _, Error, Result};

/// A reference to an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A file on the host.
    Path(PathBuf),
    /// An `http:` or `https:` URL to fetch.
    Url(Address),
    /// A stored image, by the start of its ID.
    Id(String),
    /// An image by its name.
    Name(Name),
    /// An image with this ID, from this place.
    Pinned {
        /// Where it is.
        of: Place,
        /// Its ID.
        id: ImageId,
    },
}

/// Where an image may be whose ID is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At a URL.
    Url(Address),
    /// Where discovery finds the name.
    Name(Name),
}

/// A name, and labels that the image must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub name: AcIdentifier,
    /// The requested labels, including `version`.
    pub labels: Labels,
}

/// `name:version,label=value`, as it can be typed.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(version) = self.labels.get("version") {
            write!(f, ":{version}")?;
        }
        for label in self
            .labels
            .iter()
            .filter(|label| label.name.as_str() != "version")
        {
            write!(f, ",{}={}", label.name, label.value)?;
        }
        Ok(())
    }
}

/// As it can be typed, but without the secrets of a URL.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Url(address) => write!(f, "{address}"),
            Self::Id(text) => f.write_str(text),
            Self::Name(name) => write!(f, "{name}"),
            Self::Pinned { of, id } => match of {
                Place::Url(address) => write!(f, "{address}@{id}"),
                Place::Name(name) => write!(f, "{name}@{id}"),
            },
        }
    }
}

impl Reference {
    /// Parses the first word and the labels after it.
    ///
    /// # Errors
    ///
    /// The name is not valid; a label occurs twice; there are labels
    /// without a name.
    pub fn parse(text: &str, more: &[String]) -> Result<Self> {
        if let Some((place, id)) = text.rsplit_once('@')
            && id.starts_with("sha512-")
        {
            let id = ImageId::parse(id)?;
            let of = match Self::parse(place, more)? {
                Self::Url(address) => Place::Url(address),
                Self::Name(name) => Place::Name(name),
                other => {
                    let what = format!("an ID cannot be asked of {}", quoted(&other.to_string()));
                    return Err(Error::usage(what).hint("it can follow a URL or a name"));
                }
            };
            return Ok(Self::Pinned { of, id });
        }
        let reference = Self::without_labels(text)?;
        let Self::Name(mut name) = reference else {
            return match more.first() {
                None => Ok(reference),
                Some(label) => Err(Error::usage(format!(
                    "`{}` follows an image that is not given by name",
                    quoted(label)
                ))),
            };
        };
        let mut labels: Vec<Label> = name.labels.iter().cloned().collect();
        for word in more {
            let (key, value) = word.split_once(':').ok_or_else(|| {
                Error::usage(format!("{} is not a valid label", quoted(word)))
                    .hint("write labels after a name as `version:1.0.0`, and arguments of the app after `--`")
            })?;
            labels.push(label(key, value)?);
        }
        name.labels = Labels::new(labels)?;
        Ok(Self::Name(name))
    }

    fn without_labels(text: &str) -> Result<Self> {
        match Location::parse(text)? {
            Some(Location::File(path)) => return Ok(Self::Path(path)),
            Some(Location::Web(address)) => return Ok(Self::Url(address)),
            None => {}
        }
        if text.starts_with(['/', '.']) || text.ends_with(".aci") {
            return Ok(Self::Path(text.into()));
        }
        if ImageId::begins(text) {
            return Ok(Self::Id(text.to_owned()));
        }
        Name::parse(text).map(Self::Name)
    }
}

impl Name {
    /// Parses `name[:version][,label=value...]`.
    pub fn parse(text: &str) -> Result<Self> {
        let what = || format!("{} is not a valid image reference", quoted(text));
        let mut parts = text.split(',');
        let first = parts.next().unwrap_or_default();
        let (name, version) = match first.split_once(':') {
            Some((name, version)) => (name, Some(version)),
            None => (first, None),
        };
        let mut labels = Vec::new();
        if let Some(version) = version {
            if version.contains(':') {
                return Err(Error::usage(format!("{}: it has two colons", what())));
            }
            if !version.is_empty() {
                labels.push(label("version", version)?);
            }
        }
        for part in parts {
            let (key, value) = part.split_once('=').ok_or_else(|| {
                Error::usage(format!("{}: {} is not a valid label", what(), quoted(part)))
                    .hint("write a label as `name=value`")
            })?;
            labels.push(label(key, value)?);
        }
        Ok(Self {
            name: AcIdentifier::parse(name).context(what)?,
            labels: Labels::new(labels).context(what)?,
        })
    }

    /// Returns the value of a label for a URL template: the requested one,
    /// this host's, or the latest version.
    pub fn rendered(&self, label: &str) -> Option<&str> {
        let asked = self.labels.get(label).filter(|value| !value.is_empty());
        asked.or(match label {
            "version" => Some("latest"),
            "os" => Some(crate::types::HOST_OS),
            "arch" => crate::types::HOST_ARCH,
            _ => None,
        })
    }
}

fn label(name: &str, value: &str) -> Result<Label> {
    if name == "name" {
        return Err(Error::usage("`name` is not a label: put the name first"));
    }
    Ok(Label {
        name: AcIdentifier::parse(name).map_err(|error| error.at("label name"))?,
        value: value.to_owned(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn name(text: &str) -> (String, Vec<(String, String)>) {
        let Ok(Reference::Name(name)) = Reference::parse(text, &[]) else {
            unreachable!("{text} is a name");
        };
        let labels = name.labels.iter();
        let labels = labels.map(|label| (label.name.as_str().to_owned(), label.value.clone()));
        (name.name.as_str().to_owned(), labels.collect())
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in [
            "",
            "not an app name",
            "example.com/garbage%8 939",
            "example.com/app,channel=a,channel=b",
            "example.com/app,channel=beta:1.2.3,channel=x",
            "example.com/app:1:2",
            "example.com/app:3.2.1,version=1.2.3",
            "a,os",
            "a,",
            "a,name=b",
            "a,UP=x",
            "ftp://example.com/app",
            "docker://busybox",
        ] {
            assert!(Reference::parse(text, &[]).is_err(), "{text}");
        }
    }

    #[test]
    fn names_are_read_with_their_labels() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for (text, expected, labels) in [
            ("example.com/app", "example.com/app", vec![]),
            ("a:", "a", vec![]),
            ("a,os=", "a", vec![pair("os", "")]),
            ("a,l=x=y", "a", vec![pair("l", "x=y")]),
            ("a,l=a;b", "a", vec![pair("l", "a;b")]),
            (
                "example.com:8080/a",
                "example.com",
                vec![pair("version", "8080/a")],
            ),
            (
                "example.com/app:1.2.3,special=!*'();@&+$/?#[],channel=beta",
                "example.com/app",
                vec![
                    pair("version", "1.2.3"),
                    pair("special", "!*'();@&+$/?#[]"),
                    pair("channel", "beta"),
                ],
            ),
        ] {
            assert_eq!(name(text), (expected.to_owned(), labels), "{text}");
        }
    }

    #[test]
    fn paths_urls_and_ids_are_recognised_before_names() {
        let parse = |text| Reference::parse(text, &[]).unwrap();
        for text in ["./a", "../a", "/a", "a.aci", "dir/a.aci"] {
            assert_eq!(parse(text), Reference::Path(text.into()), "{text}");
        }
        assert_eq!(parse("file:///a/b"), Reference::Path("/a/b".into()));
        assert_eq!(
            parse("https://x/a.aci"),
            Reference::Url(Address::new("https://x/a.aci"))
        );
        assert_eq!(
            parse("sha512-0c6d"),
            Reference::Id("sha512-0c6d".to_owned())
        );
    }

    #[test]
    fn an_id_follows_a_url_or_a_name() {
        let id = format!("sha512-{}", "0c".repeat(64));
        for text in ["https://x/a.aci?b@c", "example.com/app:1,os=linux"] {
            let reference = Reference::parse(&format!("{text}@{id}"), &[]).unwrap();
            let of = match Reference::parse(text, &[]).unwrap() {
                Reference::Url(address) => Place::Url(address),
                Reference::Name(name) => Place::Name(name),
                other => unreachable!("{other}"),
            };
            let id = ImageId::parse(&id).unwrap();
            assert_eq!(reference, Reference::Pinned { of, id });
        }
        let more = ["version:1".to_owned()];
        let labelled = Reference::parse(&format!("a@{id}"), &more).unwrap();
        assert_eq!(labelled.to_string(), format!("a:1@{id}"));
        // A part of an ID is not enough, and a file has no other ID than its own.
        for text in [
            "a@sha512-0c",
            "https://x/a@sha512-",
            &format!("./a.aci@{id}"),
            &format!("{id}@{id}"),
            &format!("a@{id}@{id}"),
        ] {
            assert!(Reference::parse(text, &[]).is_err(), "{text}");
        }
    }

    #[test]
    fn labels_stand_behind_a_name_too() {
        let more = ["version:1.0.0".to_owned(), "channel:a:b".to_owned()];
        let reference = Reference::parse("example.com/app,os=linux", &more).unwrap();
        let Reference::Name(name) = reference else {
            unreachable!("it is a name");
        };
        assert_eq!(
            name.to_string(),
            "example.com/app:1.0.0,os=linux,channel=a:b"
        );
        assert_eq!(
            Name::parse(&name.to_string()).unwrap().to_string(),
            name.to_string()
        );
        assert!(Reference::parse("a.aci", &more).is_err());
        assert!(Reference::parse("a:1", &more).is_err());
        assert!(Reference::parse("a", &["x".to_owned()]).is_err());
    }
}
