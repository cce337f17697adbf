//! Records of where images and layers came from, and who vouched for them.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::digest::Digest;
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
}

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
        }
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

    #[test]
    fn a_record_is_read_back() {
        let record = Record {
            from: "https://a".to_owned(),
            grounds: Grounds::Provided,
            by: "b".to_owned(),
            size: 1,
            stored: 2,
            name: Some("c:1".to_owned()),
        };
        assert_eq!(Record::read(record.text().as_bytes()).unwrap(), record);
    }
}
