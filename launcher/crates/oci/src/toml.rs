//! TOML: the only file that knows `toml_span`.
//!
//! What it reads is the same as JSON to whoever reads the fields, but for messages,
//! which say the line.

use std::collections::BTreeMap;

use appc::json::Value;
use error::{Error, Result};
use toml_span::ErrorKind;
use toml_span::value::ValueInner;

/// A document, and the line in which each of its fields begins.
pub(crate) type Document = (Value, BTreeMap<String, usize>);

/// Reads a document.
///
/// # Errors
///
/// It is not TOML, or has a number of TOML's that JSON does not have.
pub(crate) fn parse(text: &[u8]) -> Result<Document> {
    let text = std::str::from_utf8(text).map_err(|error| {
        let line = line_of(text, error.valid_up_to());
        Error::invalid(format!("line {line}: it is not UTF-8"))
    })?;
    let root = toml_span::parse(text).map_err(|error| {
        let line = line_of(text.as_bytes(), error.span.start);
        Error::invalid(format!("line {line}: {}", said(&error)))
    })?;
    let mut lines = BTreeMap::new();
    let value = convert(root, text, String::new(), &mut lines)?;
    Ok((value, lines))
}

/// Returns what is wrong, in the words of this house.
fn said(error: &toml_span::Error) -> String {
    match &error.kind {
        ErrorKind::UnexpectedEof => "the text ends in the middle of it".to_owned(),
        ErrorKind::DuplicateKey { key, .. } => {
            format!("{} is set twice", error::quote::quoted(key))
        }
        ErrorKind::DuplicateTable { name, .. } => {
            format!("table {} is there twice", error::quote::quoted(name))
        }
        ErrorKind::UnquotedString => "text has to be in quotation marks".to_owned(),
        _ => format!("it is not TOML: {error}"),
    }
}

fn convert(
    mut node: toml_span::Value<'_>,
    text: &str,
    path: String,
    lines: &mut BTreeMap<String, usize>,
) -> Result<Value> {
    let line = line_of(text.as_bytes(), node.span.start);
    let value = match node.take() {
        ValueInner::String(text) => Value::Text(text.into_owned()),
        ValueInner::Integer(number) => Value::from(number),
        ValueInner::Float(number) if number.is_finite() => Value::Decimal(number),
        ValueInner::Float(_) => {
            return Err(Error::invalid(format!("line {line}: it is not a number")));
        }
        ValueInner::Boolean(yes) => Value::Bool(yes),
        ValueInner::Array(items) => {
            let items = items.into_iter().enumerate();
            let items =
                items.map(|(index, item)| convert(item, text, format!("{path}[{index}]"), lines));
            Value::List(items.collect::<Result<_>>()?)
        }
        ValueInner::Table(table) => {
            let dot = if path.is_empty() { "" } else { "." };
            let fields = table.into_iter().map(|(key, value)| {
                let path = format!("{path}{dot}{}", key.name);
                Ok((key.name.into_owned(), convert(value, text, path, lines)?))
            });
            Value::Object(fields.collect::<Result<_>>()?)
        }
    };
    lines.insert(path, line);
    Ok(value)
}

fn line_of(text: &[u8], at: usize) -> usize {
    let before = text.iter().take(at);
    before.filter(|&&byte| byte == b'\n').count() + 1
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_toml_is_refused_with_its_line() {
        for (text, said) in [
            (&b"a = 1\nb"[..], "line 2: "),
            (b"a = \"x", "line 1: "),
            (b"a = x", "line 1: text has to be in quotation marks"),
            (b"a = 1\na = 2", "line 2: `a` is set twice"),
            (b"[a]\n[a]\n", "line 2: table `a` is there twice"),
            (b"a = 1\n\xff", "line 2: it is not UTF-8"),
            (b"a = 1\nb = nan", "line 2: it is not a number"),
            (b"{}", "line 1: "),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
        let deep = format!("a = {}", "[".repeat(100_000));
        parse(deep.as_bytes()).unwrap_err();
    }

    #[test]
    fn it_reads_like_json_and_knows_its_lines() {
        let text = b"# x\nyes = true\n[[list]]\nname = 'a'\n[[list]]\nname = \"b\"\nn = [1,\n 2]\n";
        let (value, lines) = parse(text).unwrap();
        let json = br#"{"list":[{"name":"a"},{"n":[1,2],"name":"b"}],"yes":true}"#;
        assert_eq!(value, appc::json::parse(json).unwrap());
        for (path, line) in [("yes", 2), ("list[1].name", 6), ("list[1].n[1]", 8)] {
            assert_eq!(lines[path], line, "{path}");
        }
    }
}
