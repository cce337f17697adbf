//! Reads a JSON value and tracks where it is, so that every message names the
//! field: `app.environment[2].name`.
//!
//! Field names are matched without regard to case, as in the reference
//! implementation of the specification, because the specification's own
//! examples rely on that; a name in another case gives a warning. So do unknown
//! and duplicate fields: the last duplicate counts, but each is checked. `null`
//! counts as absent.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::json::Value;
use error::quote::quoted;
use error::{Error, Result};

/// Problems found while reading that do not make the document invalid and, if
/// reading goes on after them, those that do.
#[derive(Debug, Default)]
pub struct Warnings {
    warnings: RefCell<Vec<String>>,
    faults: Option<RefCell<Vec<Error>>>,
    lines: BTreeMap<String, usize>,
}

impl Warnings {
    /// Makes reading go on after a fault, so that all are found: a field that is
    /// not valid counts as absent, and an item of a list is left out.
    pub(crate) fn and_faults() -> Self {
        Self {
            warnings: RefCell::default(),
            faults: Some(RefCell::default()),
            ..Self::default()
        }
    }

    /// Makes messages say in which line a field is, by its path.
    pub fn with_lines(lines: BTreeMap<String, usize>) -> Self {
        Self {
            lines,
            ..Self::default()
        }
    }

    /// Returns them in the order in which they were found.
    pub fn into_vec(self) -> Vec<String> {
        self.warnings.into_inner()
    }

    /// Returns the warnings and the faults.
    pub(crate) fn into_parts(self) -> (Vec<String>, Vec<Error>) {
        let faults = self.faults.map(RefCell::into_inner);
        (self.warnings.into_inner(), faults.unwrap_or_default())
    }

    /// Returns the number of faults so far.
    fn count(&self) -> usize {
        self.faults
            .as_ref()
            .map_or(0, |faults| faults.borrow().len())
    }

    /// Keeps the fault of a part, and returns `None` for it. If there are more
    /// faults than `before` it, they are what it failed of.
    fn keep<T>(&self, before: usize, read: Result<T>) -> Result<Option<T>> {
        let error = match read {
            Ok(value) => return Ok(Some(value)),
            Err(error) => error,
        };
        let Some(faults) = &self.faults else {
            return Err(error);
        };
        if self.count() == before {
            faults.borrow_mut().push(error);
        }
        Ok(None)
    }
}

/// A value and its place in the document.
pub struct Node<'a> {
    value: &'a Value,
    path: String,
    warnings: &'a Warnings,
}

impl<'a> Node<'a> {
    /// Starts at the top of a document.
    pub fn root(value: &'a Value, warnings: &'a Warnings) -> Self {
        Self {
            value,
            path: String::new(),
            warnings,
        }
    }

    /// Returns the value.
    pub fn value(&self) -> &'a Value {
        self.value
    }

    /// Makes an error about this field.
    pub fn fault(&self, why: impl Into<String>) -> Error {
        match self.name() {
            Some(name) => Error::invalid(why).at(name),
            None => Error::invalid(why),
        }
    }

    /// Adds a warning about this field.
    pub fn warn(&self, what: impl Into<String>) {
        let what = what.into();
        self.note(match self.name() {
            Some(name) => format!("{name}: {what}"),
            None => what,
        });
    }

    /// Adds a warning whose subject is this field.
    pub(crate) fn warn_that_it(&self, predicate: &str) {
        self.note(match self.name() {
            Some(name) => format!("{name} {predicate}"),
            None => format!("the document {predicate}"),
        });
    }

    fn note(&self, warning: String) {
        self.warnings.warnings.borrow_mut().push(warning);
    }

    fn name(&self) -> Option<String> {
        (!self.path.is_empty()).then(|| format!("{}field {}", self.line(), quoted(&self.path)))
    }

    /// `line 7: `, if that is known.
    fn line(&self) -> String {
        let line = self.warnings.lines.get(&self.path);
        line.map_or(String::new(), |line| format!("line {line}: "))
    }

    fn child(&self, value: &'a Value, step: &str) -> Self {
        Self {
            value,
            path: format!("{}{step}", self.path),
            warnings: self.warnings,
        }
    }

    fn field(&self, value: &'a Value, key: &str) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.child(value, &format!("{dot}{key}"))
    }

    fn expected(&self, what: &str) -> Error {
        self.fault(format!("expected {what}, found {}", self.value.describe()))
    }

    /// Returns text. NUL characters are rejected, because programs and the
    /// kernel cannot take them.
    pub fn text(&self) -> Result<&'a str> {
        match self.value {
            Value::Text(text) if text.contains('\0') => {
                Err(self.fault(format!("{} contains a NUL character", quoted(text))))
            }
            Value::Text(text) => Ok(text),
            _ => Err(self.expected("text")),
        }
    }

    /// Returns text that is not empty.
    pub(crate) fn some_text(&self) -> Result<&'a str> {
        match self.text()? {
            "" => Err(self.fault("must not be empty")),
            text => Ok(text),
        }
    }

    /// Parses the text with `parse`.
    pub fn parsed<T>(&self, parse: impl FnOnce(&str) -> Result<T>) -> Result<T> {
        self.attributed(parse(self.text()?))
    }

    /// Adds this field to an error.
    pub fn attributed<T>(&self, result: Result<T>) -> Result<T> {
        match self.name() {
            Some(name) => result.map_err(|error| error.at(name)),
            None => result,
        }
    }

    /// Returns `true` or `false`.
    pub fn bool(&self) -> Result<bool> {
        match self.value {
            Value::Bool(yes) => Ok(*yes),
            _ => Err(self.expected("`true` or `false`")),
        }
    }

    /// Returns a whole number from `low` to `high`. `1.0` and `1e3` are
    /// rejected, as in other implementations.
    pub fn integer<T: TryFrom<i128> + Copy + Into<i128>>(&self, low: T, high: T) -> Result<T> {
        let range = low.into()..=high.into();
        match self.value {
            Value::Integer(number) if range.contains(number) => T::try_from(*number).ok(),
            _ => None,
        }
        .ok_or_else(|| {
            let (low, high) = range.into_inner();
            self.expected(&format!("a whole number from {low} to {high}"))
        })
    }

    /// Returns the items of a list, each read with `read`.
    pub fn items<T>(&self, read: impl Fn(&Node<'a>) -> Result<T>) -> Result<Vec<T>> {
        let Value::List(items) = self.value else {
            return Err(self.expected("a list"));
        };
        let mut read_items = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let before = self.warnings.count();
            let item = read(&self.child(item, &format!("[{index}]")));
            read_items.extend(self.warnings.keep(before, item)?);
        }
        Ok(read_items)
    }

    /// Returns the values of an object with arbitrary keys, in its order.
    pub fn entries(&self) -> Result<Vec<(&'a str, Node<'a>)>> {
        let Value::Object(entries) = self.value else {
            return Err(self.expected("an object"));
        };
        let entries = entries.iter();
        let entries = entries.map(|(key, value)| (key.as_str(), self.field(value, key)));
        Ok(entries.collect())
    }

    /// Returns an object with arbitrary keys and text values.
    pub(crate) fn text_map(&self) -> Result<BTreeMap<String, String>> {
        let mut map = BTreeMap::new();
        for (key, node) in self.entries()? {
            if map
                .insert(key.to_owned(), node.text()?.to_owned())
                .is_some()
            {
                node.warn_that_it("is given more than once; the last one is used");
            }
        }
        Ok(map)
    }

    /// Returns the fields of an object.
    pub fn fields(&self) -> Result<Fields<'_, 'a>> {
        match self.value {
            Value::Object(entries) => Ok(Fields {
                node: self,
                entries,
                known: Vec::new(),
            }),
            _ => Err(self.expected("an object")),
        }
    }
}

/// The fields of an object, taken one by one by name.
pub struct Fields<'n, 'a> {
    node: &'n Node<'a>,
    entries: &'a [(String, Value)],
    known: Vec<&'static str>,
}

impl<'a> Fields<'_, 'a> {
    /// Reads a field with `read`; `None` if it is absent or `null`.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&Node<'a>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.known.push(name);
        let mut found = None;
        let mut count = 0_u32;
        for (key, value) in self.entries {
            if !key.eq_ignore_ascii_case(name) {
                continue;
            }
            let node = self.node.field(value, key);
            if key != name {
                node.warn_that_it(&format!(
                    "is read as `{name}`; field names are case-sensitive"
                ));
            }
            count += 1;
            if count == 2 {
                node.warn_that_it("is given more than once; the last one is used");
            }
            found = match value {
                Value::Null => None,
                _ => {
                    let before = node.warnings.count();
                    node.warnings.keep(before, read(&node))?
                }
            };
        }
        Ok(found)
    }

    /// Reads a required field with `read`.
    pub fn required<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&Node<'a>) -> Result<T>,
    ) -> Result<T> {
        let warnings = self.node.warnings;
        let before = warnings.count();
        if let Some(value) = self.optional(name, read)? {
            return Ok(value);
        }
        // If it is there and not valid, that is known.
        warnings.keep::<()>(before, Err(self.missing(name)))?;
        Err(self.missing(name))
    }

    fn missing(&self, name: &str) -> Error {
        let node = self.node.field(&Value::Null, name);
        let (line, path) = (self.node.line(), quoted(&node.path));
        Error::invalid(format!("{line}field {path} is missing"))
    }

    /// Reads a field with `read`; the default if it is absent or `null`.
    pub fn or_default<T: Default>(
        &mut self,
        name: &'static str,
        read: impl Fn(&Node<'a>) -> Result<T>,
    ) -> Result<T> {
        Ok(self.optional(name, read)?.unwrap_or_default())
    }

    /// Warns about the fields that were not read.
    pub fn finish(self) {
        for node in self.unread() {
            node.warn_that_it("is unknown and ignored");
        }
    }

    /// Refuses fields that were not read.
    pub fn finish_strictly(self) -> Result<()> {
        match self.unread().next() {
            Some(node) => Err(Error::invalid(format!(
                "{} is unknown",
                node.name().unwrap_or_default()
            ))),
            None => Ok(()),
        }
    }

    fn unread(&self) -> impl Iterator<Item = Node<'a>> {
        let is_unread = |key: &str| !self.known.iter().any(|name| key.eq_ignore_ascii_case(name));
        let unread = self.entries.iter().filter(move |(key, _)| is_unread(key));
        unread.map(|(key, value)| self.node.field(value, key))
    }
}
