//! Takes the command line of a pod apart, in which the place of an option says
//! what it is about:
//!
//! ```text
//! [POD OPTIONS] IMAGE [APP OPTIONS] [-- ARGUMENT...] [--- IMAGE ...]
//! ```
//!
//! What stands between `--` and `---` is the app's, whatever it looks like.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use crate::cli::fetch::is_label;
use crate::cli::line::{text, unknown_option};
use error::{Error, Result};
use pod::plan::text::quote;

/// How often an option may stand, and whether it has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    /// No value, or `=true` or `=false`.
    Nothing,
    /// One value.
    One,
    /// A value each time.
    Many,
}

/// Options of one kind, and what they take.
pub(super) type Table = &'static [(&'static str, Takes)];

/// The command line of a pod, taken apart.
#[derive(Debug, Default)]
pub(super) struct Split {
    /// The options of the pod.
    pub(super) pod: Options,
    /// Its apps.
    pub(super) apps: Vec<Part>,
}

/// The piece of the command line that is about one app.
#[derive(Debug)]
pub(super) struct Part {
    /// Its image.
    pub(super) image: PathBuf,
    /// The labels behind the image's name.
    pub(super) labels: Vec<String>,
    /// Its options.
    pub(super) options: Options,
    /// What is appended to its command; `None` without `--`.
    pub(super) arguments: Option<Vec<OsString>>,
}

/// Options that were given, in their order. Those without a value have none.
#[derive(Debug, Default)]
pub(super) struct Options(Vec<(&'static str, Option<OsString>)>);

/// Takes the line apart; `verb` is the command, for messages.
///
/// # Errors
///
/// Options that there are not, or that stand where they cannot; arguments too many.
pub(super) fn split(verb: &str, words: Vec<OsString>, pod: Table, app: Table) -> Result<Split> {
    let mut split = Split::default();
    // Options of an app that stand before its image.
    let mut early = Options::default();
    let mut misplaced: Option<Misplaced> = None;
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "---" {
            next_app(&mut split, &mut words)?;
        } else if word == "--" {
            let Some(part) = split.apps.last_mut() else {
                return Err(match split.pod.any_of(&["--plan"]) {
                    None => missing_image(),
                    Some(_) => Error::usage(
                        "a plan already has its arguments; `--plan` and `--` exclude each other",
                    ),
                });
            };
            let (arguments, another) = until_next(&mut words);
            part.arguments = Some(arguments);
            if another {
                next_app(&mut split, &mut words)?;
            }
        } else if let Some((name, value)) = option(&word) {
            let in_app = !split.apps.is_empty();
            let find = |table: Table| table.iter().find(|(known, _)| *known == name);
            let (here, there) = if in_app { (app, pod) } else { (pod, app) };
            let Some(&(name, takes)) = find(here).or_else(|| find(there)) else {
                return Err(unknown_option(&name));
            };
            let moved = find(here).is_none();
            if moved {
                misplaced.get_or_insert(match in_app {
                    true => Misplaced::Late(name),
                    false => Misplaced::Early(name),
                });
            }
            let value = match (takes, value) {
                (Takes::Nothing, value) | (_, value @ Some(_)) => value,
                (_, None) => Some(
                    words
                        .next()
                        .ok_or_else(|| Error::usage(format!("`{name}` needs a value")))?,
                ),
            };
            let options = match split.apps.last_mut() {
                Some(part) if !moved => &mut part.options,
                None if moved => &mut early,
                _ => &mut split.pod,
            };
            options.add(name, takes, value)?;
        } else if split.apps.is_empty() {
            split.apps.push(part(word));
        } else if let Some(part) = split.apps.last_mut()
            && part.options.0.is_empty()
            && let Some(label) = word.to_str().filter(|word| is_label(word))
        {
            part.labels.push(label.to_owned());
        } else {
            return Err(Error::usage(format!(
                "{} is one argument too many",
                error::quote::quoted(&word.to_string_lossy())
            ))
            .hint("arguments of the app stand behind `--`, another app behind `---`"));
        }
    }
    let Some(misplaced) = misplaced else {
        return Ok(split);
    };
    let Some(first) = split.apps.first_mut() else {
        return Err(missing_image());
    };
    first.options.0.splice(0..0, early.0);
    Err(misplaced.error(verb, &split))
}

/// The error for a line without an image.
pub(super) fn missing_image() -> Error {
    Error::usage("an image is missing").hint("for instance `hello.aci`")
}

fn part(image: OsString) -> Part {
    Part {
        image: PathBuf::from(image),
        labels: Vec::new(),
        options: Options::default(),
        arguments: None,
    }
}

/// Begins another app: behind `---` stands its image.
fn next_app(split: &mut Split, words: &mut impl Iterator<Item = OsString>) -> Result<()> {
    if split.apps.is_empty() {
        return Err(missing_image());
    }
    match words.next() {
        Some(image) if !image.as_bytes().starts_with(b"-") => split.apps.push(part(image)),
        _ => return Err(Error::usage("an image is missing behind `---`")),
    }
    Ok(())
}

/// Takes words up to `---`; tells whether there was one.
fn until_next(words: &mut impl Iterator<Item = OsString>) -> (Vec<OsString>, bool) {
    let mut taken = Vec::new();
    for word in words {
        if word == "---" {
            return (taken, true);
        }
        taken.push(word);
    }
    (taken, false)
}

/// Reads `--NAME` or `--NAME=VALUE`.
fn option(word: &OsStr) -> Option<(String, Option<OsString>)> {
    let bytes = word.as_bytes();
    if !bytes.starts_with(b"-") || bytes == b"-" {
        return None;
    }
    let (name, value) = match bytes.iter().position(|&byte| byte == b'=') {
        Some(at) => (&bytes[..at], Some(OsStr::from_bytes(&bytes[at + 1..]))),
        None => (bytes, None),
    };
    let name = String::from_utf8_lossy(name).into_owned();
    Some((name, value.map(OsStr::to_owned)))
}

/// An option that stands on the wrong side of an image.
enum Misplaced {
    /// One of an app, before its image.
    Early(&'static str),
    /// One of the pod, behind an image.
    Late(&'static str),
}

impl Misplaced {
    /// Says so, and how the line would be right.
    fn error(&self, verb: &str, split: &Split) -> Error {
        let error = match self {
            Self::Early(name) => Error::usage(format!(
                "`{name}` is an option of an app and stands behind its image"
            )),
            Self::Late(name) => Error::usage(format!(
                "`{name}` is an option of the pod and stands before the first image"
            )),
        };
        error.hint(format!("`launcher {verb}{}`", split.line()))
    }
}

impl Split {
    /// Puts the line together again.
    fn line(&self) -> String {
        let mut line = String::new();
        let mut add = |word: &str| {
            line.push(' ');
            line.push_str(word);
        };
        self.pod.line(&mut add);
        for (index, part) in self.apps.iter().enumerate() {
            if index > 0 {
                add("---");
            }
            add(&quote(part.image.as_os_str().as_encoded_bytes()));
            for label in &part.labels {
                add(&quote(label));
            }
            part.options.line(&mut add);
            if let Some(arguments) = &part.arguments {
                add("--");
                for word in arguments {
                    add(&quote(word.as_encoded_bytes()));
                }
            }
        }
        line
    }
}

impl Options {
    fn add(&mut self, name: &'static str, takes: Takes, value: Option<OsString>) -> Result<()> {
        if takes != Takes::Many && self.0.iter().any(|(known, _)| *known == name) {
            return Err(Error::usage(format!("`{name}` is given twice")));
        }
        self.0.push((name, value));
        Ok(())
    }

    fn line(&self, add: &mut impl FnMut(&str)) {
        for (name, value) in &self.0 {
            match value {
                Some(value) => add(&format!("{name}={}", quote(value.as_encoded_bytes()))),
                None => add(name),
            }
        }
    }

    /// Returns the first of these options that was given.
    pub(super) fn any_of(&self, names: &[&'static str]) -> Option<&'static str> {
        let mut given = self.0.iter().map(|(name, _)| *name);
        given.find(|name| names.contains(name))
    }

    /// Tells whether an option without a value was given.
    pub(super) fn flag(&self, name: &str) -> Result<bool> {
        match self.0.iter().find(|(known, _)| *known == name) {
            None => Ok(false),
            Some((_, None)) => Ok(true),
            Some((_, Some(value))) => boolean(&value.to_string_lossy()).ok_or_else(|| {
                let value = value.to_string_lossy();
                Error::usage(format!("`{name}={value}` is neither `true` nor `false`"))
            }),
        }
    }

    /// Returns the value of an option that was given, as a path.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.and_then(|(_, value)| value.as_ref().map(PathBuf::from))
    }

    /// Returns all values of an option, as paths.
    pub(super) fn paths(&self, name: &str) -> Vec<PathBuf> {
        let all = self.0.iter().filter(|(known, _)| *known == name);
        all.filter_map(|(_, value)| value.as_ref().map(PathBuf::from))
            .collect()
    }

    /// Reads the value of an option, if it was given.
    pub(super) fn value<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Result<T>,
    ) -> Result<Option<T>> {
        Ok(self.values(name, read)?.pop())
    }

    /// Reads all values of an option.
    pub(super) fn values<T>(&self, name: &str, read: impl Fn(&str) -> Result<T>) -> Result<Vec<T>> {
        let all = self.0.iter().filter(|(known, _)| *known == name);
        all.map(|(_, value)| {
            let value = text(value.clone().unwrap_or_default())?;
            read(&value).map_err(|error| Error::usage(format!("`{name}`")).because(error))
        })
        .collect()
    }
}

/// Reads a truth value in the spellings that the reference implementation of
/// the specification takes.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Some(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
