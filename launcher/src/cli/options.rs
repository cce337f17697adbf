//! The options that were given, which commands take one by one.
//!
//! This is the only file that uses pico-args.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use pico_args::Arguments;

use crate::cli::spelling::{Given, text};
use error::{Error, Result};

/// Options, each with its main name and a value, which is `true` for flags.
#[derive(Clone, Debug)]
pub(super) struct Options {
    left: Arguments,
    given: Vec<&'static str>,
}

impl Options {
    /// Collects the options that were given.
    ///
    /// # Errors
    ///
    /// An option is given twice that cannot be.
    pub(super) fn new(all: &[Given]) -> Result<Self> {
        let mut words = Vec::new();
        let mut given = Vec::new();
        for Given { option, value } in all {
            let name = option.name;
            if !option.repeats && given.contains(&name) {
                return Err(Error::usage(format!("`{name}` is given twice")));
            }
            given.push(name);
            // For pico-args, a long name has two dashes.
            let is_short = name.len() == 2 || name.starts_with("--");
            let key = format!("{}{name}", if is_short { "" } else { "-" });
            // With a mark before it, no value looks like an option.
            let mut marked = OsString::from("=");
            marked.push(value.as_deref().unwrap_or(OsStr::new("true")));
            words.extend([key.into(), marked]);
        }
        Ok(Self {
            left: Arguments::from_vec(words),
            given,
        })
    }

    /// Returns the first of these options that was given, whether taken or not.
    pub(super) fn any_of(&self, names: &[&'static str]) -> Option<&'static str> {
        let mut given = self.given.iter().copied();
        given.find(|name| names.contains(name))
    }

    /// Returns the name of an option that has not been taken.
    pub(super) fn left(&self) -> Option<String> {
        let words = self.left.clone().finish();
        words
            .first()
            .map(|name| name.to_string_lossy().into_owned())
    }

    /// Takes an option without a value; returns whether it was given.
    pub(super) fn flag(&mut self, name: &'static str) -> bool {
        self.word(name).is_some_and(|value| value == "true")
    }

    /// Takes an option whose value is a path.
    pub(super) fn path(&mut self, name: &'static str) -> Option<PathBuf> {
        self.word(name).map(PathBuf::from)
    }

    /// Takes all values of an option, as paths.
    pub(super) fn paths(&mut self, name: &'static str) -> Vec<PathBuf> {
        std::iter::from_fn(|| self.path(name)).collect()
    }

    /// Takes an option, and parses its value.
    pub(super) fn value<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&str) -> Result<T>,
    ) -> Result<Option<T>> {
        let value = self.word(name);
        value
            .map(|value| named(name, read(&text(value)?)))
            .transpose()
    }

    /// Takes an option that may be repeated, and parses its values.
    pub(super) fn values<T>(
        &mut self,
        name: &'static str,
        read: impl Fn(&str) -> Result<T>,
    ) -> Result<Vec<T>> {
        std::iter::from_fn(|| self.value(name, &read).transpose()).collect()
    }

    fn word(&mut self, name: &'static str) -> Option<OsString> {
        let unmarked = |word: &OsStr| {
            let bytes = word.as_bytes();
            let value = bytes.strip_prefix(b"=").unwrap_or(bytes);
            Ok::<_, Infallible>(OsStr::from_bytes(value).to_owned())
        };
        // Each has a value, so this cannot fail.
        self.left.opt_value_from_os_str(name, unmarked).ok()?
    }
}

/// Names the option whose value is wrong.
fn named<T>(name: &str, read: Result<T>) -> Result<T> {
    read.map_err(|error| error.at(format!("`{name}`")))
}
