//! What is known of where an image came from and who vouched for it, and of
//! where a layer came from.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::digest::Digest;
use crate::trust::verify::{Grounds, Verified};
use appc::json::{self, Object, Value};
use error::Result;

/// What is known of where an image came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// A path or an address.
    pub from: String,
    /// On what grounds it was stored.
    pub grounds: Grounds,
    /// Who vouched for it.
    pub by: String,
    /// Size of the archive, as it came, in bytes.
    pub size: u64,
    /// When it was stored, in seconds since 1970.
    pub stored: u64,
}

impl Record {
    /// Makes the record of an image that is stored now.
    pub(crate) fn of(from: String, verified: &Verified) -> Self {
        Self {
            from,
            grounds: verified.grounds,
            by: verified.by.clone(),
            size: verified.size,
            stored: now(),
        }
    }

    /// Spells it.
    pub(crate) fn text(&self) -> String {
        let record: Value = Object::new()
            .with("from", self.from.as_str())
            .with("grounds", self.grounds.word())
            .with("by", self.by.as_str())
            .with("size", self.size)
            .with("stored", self.stored)
            .into();
        format!("{record:#}\n")
    }

    /// Reads it. A field that is missing is unknown, and proves nothing.
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
        })
    }
}

/// Where a layer came from.
pub enum Origin<'a> {
    /// An archive of so many bytes.
    Archive(&'a str, u64),
    /// Layers that it was rendered of, lowest first.
    Layers(&'a [Digest]),
}

impl Origin<'_> {
    /// Spells the record of a layer that is stored now.
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

/// Returns the time, in seconds since 1970.
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
        };
        assert_eq!(Record::read(record.text().as_bytes()).unwrap(), record);
    }
}
