//! Records of where images and layers came from, and who vouched for them.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::digest::Digest;
use crate::trust::admitted::Admitted;
use crate::trust::verify::{Grounds, Verified};
use appc::json::{self, Object, Value};
use error::Result;

/// Where an image came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// A path or a URL.
    pub from: String,
    /// Why it was accepted.
    pub grounds: Grounds,
    /// Who vouched for it.
    pub by: String,
    /// The size of the archive as received, in bytes.
    pub size: u64,
    /// When it was stored, in seconds since 1970.
    pub stored: u64,
    /// What it is called, if what it consists of does not say it: `NAME:TAG`.
    pub name: Option<String>,
    /// Under which names a policy has let it in.
    pub admitted: Vec<Admitted>,
}

/// Most names that are kept of an image; the oldest are dropped.
const NAMES: usize = 32;

impl Record {
    /// Creates the record of an image that is being stored.
    pub(crate) fn of(from: String, verified: &Verified) -> Self {
        Self {
            from,
            grounds: verified.grounds,
            by: verified.by.clone(),
            size: verified.size,
            stored: now(),
            name: None,
            admitted: Vec::new(),
        }
    }

    /// Adds under which name a policy has let it in; returns whether that is new.
    pub(crate) fn admit(&mut self, admitted: &Admitted) -> bool {
        if self.admitted.contains(admitted) {
            return false;
        }
        self.admitted.retain(|known| known.place != admitted.place);
        if self.admitted.len() == NAMES {
            self.admitted.remove(0);
        }
        self.admitted.push(admitted.clone());
        if admitted.grounds > self.grounds {
            self.grounds = admitted.grounds;
            self.by = admitted.by.clone();
        }
        true
    }

    /// Returns whether it was let in under some name because of a signature.
    pub(crate) fn is_signed(&self) -> bool {
        let mut admitted = self.admitted.iter();
        admitted.any(|admitted| !admitted.signatures.is_empty())
    }

    /// Splits its name into name and tag.
    pub fn name_and_version(&self) -> Option<(&str, Option<&str>)> {
        let name = self.name.as_deref()?;
        Some(match name.rsplit_once(':') {
            Some((before, tag)) if !tag.contains('/') => (before, Some(tag)),
            _ => (name, None),
        })
    }

    /// Encodes the record.
    pub(crate) fn text(&self) -> String {
        let record: Value = Object::new()
            .with("from", self.from.as_str())
            .with("grounds", self.grounds.word())
            .with("by", self.by.as_str())
            .with("size", self.size)
            .with("stored", self.stored)
            .with_some("name", self.name.as_deref())
            .with_items("admitted", self.admitted.iter().map(Admitted::json))
            .into();
        format!("{record:#}\n")
    }

    /// Decodes a record. A missing field is unknown, and proves nothing.
    pub(crate) fn read(text: &[u8]) -> Result<Self> {
        let record = json::parse(text)?;
        let grounds = record.text("grounds");
        let grounds = grounds.and_then(|word| Grounds::parse(&word));
        Ok(Self {
            from: record.text("from").unwrap_or_default(),
            grounds: grounds.unwrap_or_default(),
            by: record.text("by").unwrap_or_default(),
            size: record.number("size").unwrap_or_default(),
            stored: record.number("stored").unwrap_or_default(),
            name: record.text("name"),
            admitted: match record.get("admitted") {
                Some(Value::List(list)) => list.iter().map(Admitted::read).collect(),
                _ => Vec::new(),
            },
        })
    }
}

/// Where a layer came from.
pub enum Origin<'a> {
    /// An archive, and its size in bytes.
    Archive(&'a str, u64),
    /// The layers that it was rendered from, lowest first.
    Layers(&'a [Digest]),
}

impl Origin<'_> {
    /// Encodes the record of a layer that is being stored.
    pub fn text(&self) -> String {
        let record = match self {
            Self::Archive(from, size) => Object::new().with("from", *from).with("size", *size),
            Self::Layers(layers) => {
                let layers = layers.iter().map(|layer| layer.to_string().into());
                Object::new().with("rendered", Value::List(layers.collect()))
            }
        };
        let record: Value = record.with("stored", now()).into();
        format!("{record:#}\n")
    }
}

/// Returns the current time, in seconds since 1970.
pub(crate) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |time| time.as_secs())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::trust::admitted::Signature;
    use oci::policy::Scheme;

    fn grounds(record: &str) -> Grounds {
        Record::read(record.as_bytes()).unwrap().grounds
    }

    #[test]
    fn what_a_record_does_not_say_nobody_vouches_for() {
        for record in [
            "{}",
            r#"{"by":"the operator, as a file"}"#,
            r#"{"by":"signed"}"#,
            r#"{"by":"nobody: --insecure-options=image"}"#,
            r#"{"by":"image example.com/a, by ID"}"#,
            r#"{"by":"0123456789abcdef0123456789abcdef01234567","grounds":"waived"}"#,
            r#"{"by":"0123456789abcdef0123456789abcdef01234567","grounds":"more"}"#,
        ] {
            assert!(!grounds(record).cover_its_name(), "{record}");
        }
    }

    fn admitted(place: &str) -> Admitted {
        Admitted {
            place: place.to_owned(),
            digest: Some("sha256:0".to_owned()),
            grounds: Grounds::Signed,
            by: "key 1".to_owned(),
            signatures: vec![Signature {
                scheme: Scheme::Sigstore,
                key: "sha256:1".to_owned(),
                name: Some("c.example/d".to_owned()),
            }],
        }
    }

    #[test]
    fn what_lets_an_image_in_again_replaces_what_did_before() {
        let mut record = Record::default();
        assert!(record.admit(&admitted("docker://a.example/b:1")));
        assert!(!record.admit(&admitted("docker://a.example/b:1")));
        assert_eq!((record.grounds, &*record.by), (Grounds::Signed, "key 1"));
        let weaker = Admitted {
            grounds: Grounds::Waived,
            signatures: Vec::new(),
            ..admitted("docker://a.example/b:1")
        };
        assert!(record.admit(&weaker));
        assert_eq!(record.admitted, [weaker]);
        assert_eq!(record.grounds, Grounds::Signed);
        for number in 0..2 * NAMES {
            record.admit(&admitted(&format!("docker://a.example/b:{number}")));
        }
        assert_eq!(record.admitted.len(), NAMES);
    }

    #[test]
    fn a_record_is_read_back() {
        let record = Record {
            from: "https://a".to_owned(),
            grounds: Grounds::Provided,
            by: "b".to_owned(),
            size: 1,
            stored: 2,
            name: Some("c:1".to_owned()),
            admitted: vec![admitted("docker://c.example/d:1")],
        };
        assert_eq!(Record::read(record.text().as_bytes()).unwrap(), record);
    }
}
