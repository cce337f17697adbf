//! JSON documents of strangers: bounded, then read by `appc::json`.
//!
//! Field names are matched without regard to case and the last duplicate counts,
//! as in Go's encoding/json, with which nearly everybody else reads them. Unknown
//! fields are no fault, and `null` counts as absent.

use std::collections::BTreeMap;

use appc::json::{self, Node, Value, Warnings};
use error::{Error, Result};

/// Deepest nesting of lists and objects.
const DEPTH: usize = 64;

/// Reads a document of at most `limit` bytes with `read`.
///
/// # Errors
///
/// It is too large or too deep, is not JSON, or `read` refuses it.
pub(crate) fn read<T>(
    bytes: &[u8],
    limit: usize,
    read: impl FnOnce(&Node<'_>) -> Result<T>,
) -> Result<T> {
    bounded(bytes, limit)?;
    read_value(&json::parse(bytes)?, read)
}

/// Reads a document with secrets: no message shows a line of it.
pub(crate) fn read_secret<T>(
    bytes: &[u8],
    limit: usize,
    read: impl FnOnce(&Node<'_>) -> Result<T>,
) -> Result<T> {
    bounded(bytes, limit)?;
    let document = json::parse(bytes).map_err(|_| Error::invalid("it is not JSON"))?;
    read_value(&document, read)
}

fn bounded(bytes: &[u8], limit: usize) -> Result<()> {
    match bytes.len() > limit {
        true => Err(Error::invalid(format!("it is larger than {limit} bytes"))),
        false => Ok(()),
    }
}

fn read_value<T>(document: &Value, read: impl FnOnce(&Node<'_>) -> Result<T>) -> Result<T> {
    if depth(document) > DEPTH {
        return Err(Error::invalid(format!(
            "its fields are nested more than {DEPTH} deep"
        )));
    }
    // Others read documents without a word about what they do not know.
    read(&Node::root(document, &Warnings::default()))
}

/// Returns the depth of a value; the parser bounds it.
fn depth(value: &Value) -> usize {
    match value {
        Value::List(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(entries) => {
            let entries = entries.iter().map(|(_, value)| depth(value));
            1 + entries.max().unwrap_or_default()
        }
        _ => 0,
    }
}

/// Reads text.
pub(crate) fn text(node: &Node<'_>) -> Result<String> {
    node.text().map(str::to_owned)
}

/// Reads text that is a secret, or belongs to one; `None` if it is empty. It
/// must fit into a field of a request.
pub(crate) fn secret(node: &Node<'_>) -> Result<Option<String>> {
    match node.value() {
        Value::Text(text) if text.chars().any(char::is_control) => {
            Err(node.fault("it contains a control character"))
        }
        Value::Text(text) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        _ => Err(node.fault("it is not text")),
    }
}

/// Reads a list of texts.
pub(crate) fn texts(node: &Node<'_>) -> Result<Vec<String>> {
    node.items(text)
}

/// Reads an object whose values are text; those that are `null` are left out.
pub(crate) fn text_map(node: &Node<'_>) -> Result<BTreeMap<String, String>> {
    let mut map = BTreeMap::new();
    for (key, node) in node.entries()? {
        if *node.value() != Value::Null {
            map.insert(key.to_owned(), text(&node)?);
        }
    }
    Ok(map)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn fault(bytes: &[u8]) -> String {
        read(bytes, 200, |_| Ok(())).unwrap_err().to_string()
    }

    #[test]
    fn a_document_out_of_bounds_is_refused() {
        assert_eq!(fault(&[b' '; 201]), "it is larger than 200 bytes");
        let deep = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(
            fault(deep(65).as_bytes()),
            "its fields are nested more than 64 deep"
        );
        read(deep(64).as_bytes(), 200, |_| Ok(())).unwrap();
        let mixed = format!("{}1{}", r#"{"a":["#.repeat(32), "]}".repeat(32));
        read(mixed.as_bytes(), 400, |_| Ok(())).unwrap();
        read(format!("[{mixed}]").as_bytes(), 400, |_| Ok(())).unwrap_err();
        assert!(fault(b"{").contains("is not JSON"));
    }

    #[test]
    fn a_label_that_is_null_is_none() {
        let labels = read(br#"{"a":"b","c":null}"#, 100, text_map).unwrap();
        assert_eq!(labels, BTreeMap::from([("a".to_owned(), "b".to_owned())]));
        read(br#"{"a":1}"#, 100, text_map).unwrap_err();
        read(br"[]", 100, text_map).unwrap_err();
    }
}
