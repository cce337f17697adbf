//! Pod manifests as people write them: an image can be named without its ID.
//!
//! The specification requires the ID of every image, so it has to be found
//! before anything else is checked.

use crate::digest::ImageId;
use crate::json::{self, Node, Value, Warnings};
use crate::manifest::document::{first, read_document};
use crate::manifest::shared::{identifier, labels};
use crate::manifest::{Checked, PodManifest};
use crate::types::{AcIdentifier, Labels};
use error::Result;

/// Finds the ID of an image by its name and labels.
pub type Find<'a> = &'a dyn Fn(&AcIdentifier, &Labels) -> Result<ImageId>;

/// Reads a pod manifest, with `find` for the missing IDs.
///
/// # Errors
///
/// The manifest is not valid, or `find` fails.
pub fn read(text: &[u8], find: Find<'_>) -> Result<Checked<PodManifest>> {
    let mut document = json::parse(text)?;
    if let Some(Value::List(apps)) = field(&mut document, "apps") {
        for image in apps.iter_mut().filter_map(|app| field(app, "image")) {
            complete(image, find)?;
        }
    }
    read_document(&document, PodManifest::read).map_err(first)
}

/// Adds the ID if there is a name but no ID. Other faults are found when the
/// whole manifest is read.
fn complete(image: &mut Value, find: Find<'_>) -> Result<()> {
    if field(image, "id").is_some() {
        return Ok(());
    }
    let ignored = Warnings::default();
    let named = Node::root(image, &ignored).fields().and_then(|mut fields| {
        let name = fields.required("name", identifier)?;
        Ok((name, fields.or_default("labels", labels)?))
    });
    if let (Ok((name, labels)), Value::Object(entries)) = (named, image) {
        let id = find(&name, &labels)?;
        entries.push(("id".to_owned(), id.to_string().into()));
    }
    Ok(())
}

/// Finds a field like the manifest parser: without regard to case, and the last
/// one counts.
fn field<'a>(value: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    match value {
        Value::Object(entries) => {
            let mut found = entries
                .iter_mut()
                .filter(|(key, value)| key.eq_ignore_ascii_case(name) && *value != Value::Null);
            found.next_back().map(|(_, value)| value)
        }
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use error::Error;

    fn of(image: &str, find: Find<'_>) -> std::result::Result<String, String> {
        let text = format!(
            r#"{{"acVersion":"0.8.11","acKind":"PodManifest","apps":[{{"name":"a","image":{image}}}]}}"#
        );
        let read = read(text.as_bytes(), find).map_err(|error| error.to_string())?;
        Ok(read.value.apps[0].image.id.to_string())
    }

    fn id(digit: &str) -> String {
        format!("sha512-{}", digit.repeat(128))
    }

    #[test]
    fn what_cannot_be_found_or_read_is_refused() {
        let none: Find<'_> = &|name, _| Err(Error::invalid(format!("no `{name}`")));
        for (image, message) in [
            (r#"{"name":"b"}"#, "no `b`"),
            ("{}", "field `apps[0].image.id` is missing"),
            (r#"{"name":"B"}"#, "field `apps[0].image.name`: `B` is not"),
            (r#"{"name":"b","id":"x"}"#, "field `apps[0].image.id`"),
            ("7", "field `apps[0].image`"),
        ] {
            let error = of(image, none).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn only_an_id_that_is_left_out_is_looked_for() {
        let find: Find<'_> = &|name, labels| {
            assert_eq!((name.as_str(), labels.get("os")), ("b", Some("linux")));
            ImageId::parse(&id("0"))
        };
        let labels = r#""labels":[{"name":"os","value":"linux"}]"#;
        for (image, expected) in [
            (format!(r#"{{"name":"b",{labels}}}"#), "0"),
            (format!(r#"{{"name":"b","id":null,{labels}}}"#), "0"),
            (format!(r#"{{"name":"c","ID":"{}"}}"#, id("1")), "1"),
        ] {
            assert_eq!(of(&image, find).unwrap(), id(expected));
        }
    }
}
