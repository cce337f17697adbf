//! Parses environment variables: `NAME=VALUE`, one on a command line, or one
//! per line of a file.
//!
//! A file may begin with a byte order mark, and its lines may end with CRLF.
//! Blank lines and lines that start with `#` or `;` are ignored.
//! There are no quotes and no escapes: the value is everything between the
//! first `=` and the end of the line.

use appc::manifest::app::variable_name;
use error::quote::quoted;
use error::{Error, Result};
use serde::{Deserialize, Serialize};

/// An environment variable. Its value is taken literally.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// Without `=`.
    pub name: String,
    /// Without NUL.
    pub value: String,
}

impl Variable {
    /// Makes one.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}

/// Parses `NAME=VALUE`.
pub fn pair(text: &str) -> Result<Variable> {
    let Some((name, value)) = text.split_once('=') else {
        return Err(
            Error::invalid(format!("{} has no `=`", quoted(text))).hint("expected `NAME=VALUE`")
        );
    };
    if value.contains('\0') {
        return Err(Error::invalid(format!(
            "the value of {} contains a NUL character",
            quoted(name)
        )));
    }
    Ok(Variable {
        name: variable_name(name)?,
        value: value.to_owned(),
    })
}

/// Parses a file of variables.
///
/// # Errors
///
/// Fails if a line is malformed, or sets a variable again; the error has the
/// line number.
pub fn file(bytes: &[u8]) -> Result<Vec<Variable>> {
    // Some editors begin UTF-8 text with a byte order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut variables: Vec<(usize, Variable)> = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
        let line = std::str::from_utf8(line)
            .map_err(|_| Error::invalid(format!("line {number} is not UTF-8 text")))?;
        let line = line.strip_suffix('\r').unwrap_or(line).trim_start();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let variable = pair(line).map_err(|error| error.at(format!("line {number}")))?;
        let earlier = |(_, earlier): &&(usize, Variable)| earlier.name == variable.name;
        if let Some((first, _)) = variables.iter().find(earlier) {
            return Err(Error::invalid(format!(
                "line {number} sets {} again: it is already set in line {first}",
                quoted(&variable.name)
            )));
        }
        variables.push((number, variable));
    }
    Ok(variables
        .into_iter()
        .map(|(_, variable)| variable)
        .collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn errors_in_a_file_name_the_line() {
        for (text, message) in [
            (
                &b"A=1\n\nB\n"[..],
                "line 3: `B` has no `=`\nhint: expected `NAME=VALUE`",
            ),
            (
                b"A=1\n# A=2\nA=3",
                "line 3 sets `A` again: it is already set in line 1",
            ),
            (b"A=1\nB=\xff", "line 2 is not UTF-8 text"),
            (
                b"=1",
                "line 1: `` is not a valid variable name: use letters, digits, `_`, `.` and `-`, starting with a letter or `_`",
            ),
            (
                b"export A=1",
                "line 1: `export A` is not a valid variable name: use letters, digits, `_`, `.` and `-`, starting with a letter or `_`",
            ),
            (b"A=\0", "line 1: the value of `A` contains a NUL character"),
        ] {
            assert_eq!(file(text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn values_are_literal() {
        let text = b"# comment\n\n  A= b = 'c' # d \r\n; other\n_x.y-1=\nB=\xc3\xbc";
        let read = file(text).unwrap();
        let pairs: Vec<_> = read
            .iter()
            .map(|variable| (variable.name.as_str(), variable.value.as_str()))
            .collect();
        assert_eq!(pairs, [("A", " b = 'c' # d "), ("_x.y-1", ""), ("B", "ü")]);
    }
}
