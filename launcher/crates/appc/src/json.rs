//! JSON, both ways: the only file that knows serde and serde_json.
//!
//! serde_json's own value type loses two things that a validator needs:
//! duplicate keys and the order of keys. So the parser builds our own
//! [`Value`], which is written with its keys in their original order.
//!
//! # Invariants
//!
//! 1. Any bytes give a value or an error with line and column, never a panic;
//!    serde_json limits nesting to 128 levels.
//! 2. The same value is always written as the same bytes.
//!
//! # Not here
//!
//! The meaning of fields: `fields.rs` reads them and tracks their place, and
//! `manifest` has the rules.

mod fields;

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use error::quote::{is_harmless, quoted};
use error::{Error, Result};

pub use crate::json::fields::{Fields, Node, Warnings};

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number without fraction and exponent, within 64 bits.
    Integer(i128),
    /// Any other number.
    Decimal(f64),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Value>),
    /// An object. Keys are in the order of the document and may occur
    /// twice.
    Object(Vec<(String, Value)>),
}

/// Parses a JSON document.
pub fn parse(text: &[u8]) -> Result<Value> {
    if text.starts_with(b"\xef\xbb\xbf") {
        return Err(Error::invalid(
            "line 1, column 1 is not JSON: the text starts with a byte order mark",
        ));
    }
    if let [0xff, 0xfe, ..] | [0xfe, 0xff, ..] = text {
        return Err(Error::invalid("the text is UTF-16, but JSON is UTF-8")
            .hint("`iconv -f UTF-16 -t UTF-8` converts it"));
    }
    if text.trim_ascii().is_empty() {
        return Err(Error::invalid("the text is empty"));
    }
    if let Err(error) = std::str::from_utf8(text) {
        return Err(not_utf8(text, error.valid_up_to()));
    }
    serde_json::from_slice(text).map_err(|error| not_json(text, &error))
}

/// Describes the first byte that is not UTF-8, and shows its line.
fn not_utf8(text: &[u8], at: usize) -> Error {
    let (before, rest) = text.split_at(at);
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let start = before.iter().rposition(|&byte| byte == b'\n');
    let column = at - start.map_or(0, |start| start + 1) + 1;
    let byte = rest.first().copied().unwrap_or_default();
    not_text(
        text,
        (line, column),
        &format!("the byte 0x{byte:02x} is not UTF-8"),
    )
}

/// Describes where the text is not valid JSON, and shows that line.
fn not_json(text: &[u8], error: &serde_json::Error) -> Error {
    let (line, column) = (error.line(), error.column());
    let message = error.to_string();
    let position = format!(" at line {line} column {column}");
    let what = message.strip_suffix(&position).unwrap_or(&message);
    let what = match what.strip_prefix("EOF while parsing ") {
        Some(what) => format!("the text ends in the middle of {what}"),
        None => what.to_owned(),
    };
    not_text(text, (line, column), &what)
}

fn not_text(text: &[u8], (line, column): (usize, usize), what: &str) -> Error {
    let shown = text
        .split(|&byte| byte == b'\n')
        .nth(line.saturating_sub(1));
    let shown = String::from_utf8_lossy(shown.unwrap_or_default());
    // A long line is shown from shortly before the fault.
    let start = column.saturating_sub(60);
    let shown: String = shown.chars().skip(start).collect();
    Error::invalid(format!(
        "line {line}, column {column} is not JSON: {what}, in {}",
        quoted(shown.trim())
    ))
}

impl Value {
    /// Returns the field of an object with exactly this name.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(entries) => {
                let mut found = entries.iter().filter(|(key, _)| key == name);
                found.next_back().map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// Returns a text field of an object.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.get(name) {
            Some(Self::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    /// Returns a numeric field of an object.
    pub fn number(&self, name: &str) -> Option<u64> {
        match self.get(name) {
            Some(Self::Integer(number)) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// Describes the value for a message: scalars literally, others by
    /// type.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::List(_) => "a list".into(),
            Self::Object(_) => "an object".into(),
            scalar => format!("`{scalar}`"),
        }
    }
}

/// Compact JSON; `{:#}` writes several lines with two blanks of indentation.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = if f.alternate() {
            serde_json::to_string_pretty(self)
        } else {
            serde_json::to_string(self)
        };
        // Fails only for keys that are not strings, which do not occur.
        f.write_str(&escaped(&text.map_err(|_| fmt::Error)?))
    }
}

/// Writes a document for a terminal: characters that it would not display are
/// escaped, which can only occur in strings.
pub fn escaped(document: &str) -> Cow<'_, str> {
    let fine = |character| matches!(character, '\n' | '\t') || is_harmless(character);
    if document.chars().all(fine) {
        return Cow::Borrowed(document);
    }
    let mut shown = String::new();
    for character in document.chars() {
        if fine(character) {
            shown.push(character);
        } else {
            let mut units = [0; 2];
            let units = character.encode_utf16(&mut units).iter();
            shown.extend(units.map(|unit| format!("\\u{unit:04x}")));
        }
    }
    Cow::Owned(shown)
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Bool(yes)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Integer(number.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Integer(number.into())
    }
}

impl<T: Into<Value>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }
}

/// An object that is built field by field.
#[derive(Default)]
pub struct Object(Vec<(String, Value)>);

impl Object {
    /// Starts without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a field if there is a value.
    #[must_use]
    pub fn with_some<T: Into<Value>>(self, name: &str, value: Option<T>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds a list unless it is empty.
    #[must_use]
    pub fn with_items<T: Into<Value>>(
        self,
        name: &str,
        items: impl IntoIterator<Item = T>,
    ) -> Self {
        match items.into_iter().collect() {
            Value::List(items) if items.is_empty() => self,
            list => self.with(name, list),
        }
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object.0)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(yes) => serializer.serialize_bool(*yes),
            Self::Integer(number) => serializer.serialize_i128(*number),
            Self::Decimal(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Object(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(Builder)
    }
}

/// Builds a [`Value`] from the events of serde_json's parser.
struct Builder;

impl<'de> Visitor<'de> for Builder {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, yes: bool) -> std::result::Result<Value, E> {
        Ok(Value::Bool(yes))
    }

    fn visit_i64<E>(self, number: i64) -> std::result::Result<Value, E> {
        Ok(Value::Integer(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> std::result::Result<Value, E> {
        Ok(Value::Integer(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> std::result::Result<Value, E> {
        Ok(Value::Decimal(number))
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::Object(entries))
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
