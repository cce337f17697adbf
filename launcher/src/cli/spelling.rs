//! The spellings of options: `--name VALUE`, `--name=VALUE`, `-n VALUE`,
//! `-nVALUE`, and several letters in one word, such as `-dit`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use crate::cli::table::spec::{OptionSpec, Takes};
use crate::cli::typed::Typed;
use error::{Error, Result};

/// An option that was given.
#[derive(Debug)]
pub(super) struct Given {
    /// The option.
    pub(super) option: &'static OptionSpec,
    /// Its value, if it has one; for flags, `true` or `false` if it was given.
    pub(super) value: Option<OsString>,
}

/// Returns whether a word is an option. A single dash means a standard stream.
pub(super) fn is_option(word: &OsStr) -> bool {
    word.as_bytes().starts_with(b"-") && word != "-"
}

/// Reads the options in a word, and takes a value from the words that follow.
/// If several options share a spelling, the first one applies.
///
/// # Errors
///
/// The option is unknown, lacks a value, or cannot have one.
pub(super) fn read(
    word: &OsStr,
    more: &mut dyn Iterator<Item = OsString>,
    known: &[&'static OptionSpec],
    typed: &Typed,
) -> Result<Vec<Given>> {
    let find = |name: &str| known.iter().copied().find(|option| option.is_spelt(name));
    let bytes = word.as_bytes();
    let (name, value) = match bytes.iter().position(|&byte| byte == b'=') {
        Some(at) => (&bytes[..at], Some(OsStr::from_bytes(&bytes[at + 1..]))),
        None => (bytes, None),
    };
    let name = String::from_utf8_lossy(name);
    if let Some(option) = find(&name) {
        let value = match (option.takes, value) {
            (Takes::Nothing, Some(value)) => Some(truth(word, value)?.into()),
            (Takes::Value(_), None) => Some(next(&name, more)?),
            (_, value) => value.map(OsStr::to_owned),
        };
        return Ok(vec![given(option, value)?]);
    }
    // Short options, unless it is a long one that lacks a dash.
    let mut found = Vec::new();
    let is_long = name.starts_with("--") || find(&format!("-{name}")).is_some();
    let mut letters = if is_long { &[] } else { &bytes[1..] };
    while let [letter, rest @ ..] = letters {
        let name = format!("-{}", char::from(*letter));
        let Some(option) = find(&name) else {
            break;
        };
        letters = rest;
        let value = match (option.takes, rest) {
            (Takes::Value(_), []) => Some(next(&name, more)?),
            (Takes::Value(_), rest) => {
                letters = &[];
                Some(OsStr::from_bytes(rest.strip_prefix(b"=").unwrap_or(rest)).to_owned())
            }
            _ => None,
        };
        found.push(given(option, value)?);
    }
    match letters.is_empty() && !found.is_empty() {
        true => Ok(found),
        false => Err(typed.unknown_option(&name, known)),
    }
}

/// Refuses an empty value, as of a variable of a script that is not set.
fn given(option: &'static OptionSpec, value: Option<OsString>) -> Result<Given> {
    match value.as_ref().is_some_and(|value| value.is_empty()) && !option.empty {
        true => Err(Error::usage("the value is empty").at(format!("`{}`", option.name))),
        false => Ok(Given { option, value }),
    }
}

fn next(name: &str, more: &mut dyn Iterator<Item = OsString>) -> Result<OsString> {
    more.next()
        .ok_or_else(|| Error::usage(format!("`{name}` needs a value")))
}

fn truth(word: &OsStr, value: &OsStr) -> Result<&'static str> {
    match boolean(&value.to_string_lossy()) {
        Some(true) => Ok("true"),
        Some(false) => Ok("false"),
        None => {
            let word = word.to_string_lossy();
            Err(Error::usage(format!(
                "`{word}` is neither `true` nor `false`"
            )))
        }
    }
}

/// Parses a boolean, in the spellings that the reference implementation of the
/// specification accepts.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Some(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// Converts an argument to text.
pub(super) fn text(word: OsString) -> Result<String> {
    word.into_string().map_err(|word| {
        Error::usage(format!(
            "argument `{}` is not UTF-8 text",
            word.to_string_lossy()
        ))
    })
}

/// The error for two options that exclude each other.
pub(super) fn excluded(one: &str, other: &str) -> Error {
    Error::usage(format!("`{one}` and `{other}` cannot be used together"))
}
