//! What commands print: text for people, or one JSON document for programs, in
//! which times are text as in RFC 3339, sizes are in bytes, and unknown values
//! are left out.

use std::io::Write;

use crate::cmd::print;
use appc::json::{Object, Value};
use error::Result;

/// The format of results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// JSON on one line.
    Json,
    /// JSON for people.
    JsonPretty,
}

impl Format {
    /// Spells a result.
    pub(super) fn spell(
        self,
        text: impl FnOnce() -> String,
        json: impl FnOnce() -> Value,
    ) -> String {
        match self {
            Self::Text => text(),
            Self::Json => format!("{}\n", json()),
            Self::JsonPretty => format!("{:#}\n", json()),
        }
    }
}

/// Results that become known one after another.
pub(crate) struct Results<'a> {
    format: Format,
    out: &'a mut dyn Write,
    objects: Vec<Value>,
}

impl Results<'_> {
    /// Prints a result as a line at once, or keeps it for the document.
    pub(super) fn add(&mut self, line: &str, object: Object) -> Result<()> {
        self.add_value(line, object.into())
    }

    /// The same with any value.
    pub(super) fn add_value(&mut self, line: &str, value: Value) -> Result<()> {
        match self.format {
            Format::Text => return print(self.out, &format!("{line}\n")),
            Format::Json | Format::JsonPretty => self.objects.push(value),
        }
        Ok(())
    }
}

/// Runs a command that has any number of results, and prints them: also those
/// that it has before it fails.
pub(crate) fn each<T>(
    format: Format,
    out: &mut dyn Write,
    command: impl FnOnce(&mut Results<'_>) -> Result<T>,
) -> Result<T> {
    let mut results = Results {
        format,
        out,
        objects: Vec::new(),
    };
    let done = command(&mut results);
    let objects = results.objects.into_iter();
    let text = format.spell(String::new, || objects.collect());
    print(results.out, &text)?;
    done
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use error::Error;

    fn told(format: Format) -> String {
        let mut out = Vec::new();
        let done: Result<()> = each(format, &mut out, |results| {
            results.add("a", Object::new().with("name", "a"))?;
            results.add("b", Object::new().with("name", "b"))?;
            Err(Error::invalid("no c"))
        });
        assert_eq!(done.unwrap_err().to_string(), "no c");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_was_done_before_a_failure_is_printed() {
        assert_eq!(told(Format::Text), "a\nb\n");
        assert_eq!(told(Format::Json), "[{\"name\":\"a\"},{\"name\":\"b\"}]\n");
    }

    #[test]
    fn no_results_are_an_empty_list() {
        let mut out = Vec::new();
        each(Format::Json, &mut out, |_| Ok(())).unwrap();
        assert_eq!(out, b"[]\n");
    }
}
