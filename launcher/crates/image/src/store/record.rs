//! What is known of where an image came from, and who vouched for it.

use std::time::{SystemTime, UNIX_EPOCH};

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
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            from,
            grounds: verified.grounds,
            by: verified.by.clone(),
            size: verified.size,
            stored: now.map_or(0, |time| time.as_secs()),
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

    /// Reads it. A field that is missing is unknown: older records have fewer.
    pub(crate) fn read(text: &[u8]) -> Result<Self> {
        let record = json::parse(text)?;
        let by = record.text("by").unwrap_or_default();
        Ok(Self {
            from: record.text("from").unwrap_or_default(),
            grounds: record
                .text("grounds")
                .map_or_else(|| of_older(&by), |word| Grounds::parse(&word))
                .unwrap_or_default(),
            by,
            size: record.number("size").unwrap_or_default(),
            stored: record.number("stored").unwrap_or_default(),
        })
    }
}

/// Finds out of who vouched for it on what grounds an image is stored whose
/// record does not say so.
fn of_older(by: &str) -> Option<Grounds> {
    let begins = [("nobody: ", Grounds::Waived), ("image ", Grounds::Needed)];
    let found = begins.into_iter().find(|(word, _)| by.starts_with(word));
    let fingerprint = by.split(' ').next().unwrap_or_default();
    let is_key = fingerprint.len() >= 32 && fingerprint.bytes().all(|b| b.is_ascii_hexdigit());
    let signed = is_key.then_some(Grounds::Signed);
    found.map(|(_, grounds)| grounds).or(signed)
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
    fn older_records_name_the_key_that_signed() {
        let record = r#"{"by":"0123456789ABCDEF0123456789ABCDEF01234567 A <a@b.c>"}"#;
        assert_eq!(grounds(record), Grounds::Signed);
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
