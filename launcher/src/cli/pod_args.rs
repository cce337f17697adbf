//! The arguments of a pod. The position of an option decides what it applies
//! to:
//!
//! ```text
//! [POD OPTIONS] IMAGE [APP OPTIONS] [-- ARGUMENT...] [--- IMAGE ...]
//! ```
//!
//! Everything between `--` and `---` belongs to the app.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use crate::cli::args::global;
use crate::cli::image_args::{is_label, missing_image};
use crate::cli::options::Options;
use crate::cli::spelling::{Given, is_option, read};
use crate::cli::table::general;
use crate::cli::table::spec::{CommandSpec, OptionSpec, Place};
use crate::cli::typed::Typed;
use error::quote::quoted;
use error::{Error, Result};
use pod::plan::directives::quote;

/// The arguments of a pod.
#[derive(Debug)]
pub(super) struct PodArgs {
    /// The options of the pod.
    pub(super) pod: Options,
    /// Its apps.
    pub(super) apps: Vec<AppArgs>,
    /// What was typed, for hints.
    pub(super) typed: Typed,
}

/// The arguments of one app.
#[derive(Debug)]
pub(super) struct AppArgs {
    /// Its image.
    pub(super) image: PathBuf,
    /// The labels after the image's name.
    pub(super) labels: Vec<String>,
    /// Its options.
    pub(super) options: Options,
    /// Arguments to append to its command; `None` without `--`.
    pub(super) arguments: Option<Vec<OsString>>,
}

impl PodArgs {
    /// Reads the arguments of a command that creates a pod. Returns `None` if
    /// help is asked for.
    ///
    /// # Errors
    ///
    /// Unknown or misplaced options; unexpected arguments.
    pub(super) fn read(
        words: Vec<OsString>,
        command: &'static CommandSpec,
        typed: Typed,
    ) -> Result<Option<Self>> {
        let pod: Vec<_> = command.options(Place::Command).collect();
        let app: Vec<_> = command.options(Place::App).collect();
        let mut reader = Reader {
            pod: Vec::new(),
            apps: Vec::new(),
            misplaced: None,
            before_image: [&pod[..], &app, &general::inside()].concat(),
            behind_image: [&app[..], &pod, &general::inside()].concat(),
            own: [pod, app],
            typed,
        };
        match reader.read(&mut words.into_iter())? {
            true => Ok(None),
            false => reader.finish().map(Some),
        }
    }
}

/// What has been read so far.
struct Reader {
    pod: Vec<Given>,
    apps: Vec<Part>,
    /// The first option on the wrong side of an image.
    misplaced: Option<(&'static OptionSpec, Place)>,
    /// The options of the pod, and of apps.
    own: [Vec<&'static OptionSpec>; 2],
    /// All options, first those that apply before the first image.
    before_image: Vec<&'static OptionSpec>,
    /// All options, first those that apply after it.
    behind_image: Vec<&'static OptionSpec>,
    typed: Typed,
}

/// An app whose options have not been checked yet.
struct Part {
    image: OsString,
    labels: Vec<String>,
    given: Vec<Given>,
    arguments: Option<Vec<OsString>>,
}

impl Part {
    fn new(image: OsString) -> Self {
        Self {
            image,
            labels: Vec::new(),
            given: Vec::new(),
            arguments: None,
        }
    }
}

impl Reader {
    /// Reads all words; returns whether help is asked for.
    fn read(&mut self, words: &mut impl Iterator<Item = OsString>) -> Result<bool> {
        // Options of an app before its image.
        let mut early = Vec::new();
        while let Some(word) = words.next() {
            if word == "---" {
                self.next_app(words)?;
            } else if word == "--" {
                let Some(part) = self.apps.last_mut() else {
                    let planned = self.pod.iter().any(|one| one.option.name == "--plan");
                    return Err(match planned {
                        false => missing_image(),
                        true => Error::usage(
                            "`--plan` and `--` cannot be used together: a plan contains its arguments",
                        ),
                    });
                };
                let (arguments, another) = until_next(words);
                part.arguments = Some(arguments);
                if another {
                    self.next_app(words)?;
                }
            } else if is_option(&word) {
                let known = match self.apps.is_empty() {
                    true => &self.before_image,
                    false => &self.behind_image,
                };
                for given in read(&word, words, known, &self.typed)? {
                    if global(&given, &mut self.typed)? {
                        return Ok(true);
                    }
                    self.add(given, &mut early);
                }
            } else if let Some(word) = self.label(word) {
                match self.apps.is_empty() {
                    true => self.apps.push(Part::new(word)),
                    false => return Err(surplus(&word)),
                }
            }
        }
        if let Some(first) = self.apps.first_mut() {
            first.given.splice(0..0, early);
        }
        Ok(false)
    }

    /// Puts an option where it belongs.
    fn add(&mut self, given: Given, early: &mut Vec<Given>) {
        let is_in = |place: Place| {
            let own = &self.own[place as usize];
            own.iter().any(|option| std::ptr::eq(*option, given.option))
        };
        let here = match self.apps.is_empty() {
            true => Place::Command,
            false => Place::App,
        };
        let place = match (is_in(Place::Command), is_in(Place::App)) {
            (false, false) => return,
            (true, true) => here,
            (true, false) => Place::Command,
            (false, true) => Place::App,
        };
        if place != here {
            self.misplaced.get_or_insert((given.option, place));
        }
        match (place, self.apps.last_mut()) {
            (Place::Command, _) => self.pod.push(given),
            (Place::App, Some(part)) => part.given.push(given),
            (Place::App, None) => early.push(given),
        }
    }

    /// Takes a word as a label of the image before it, if it is one.
    fn label(&mut self, word: OsString) -> Option<OsString> {
        match self.apps.last_mut() {
            Some(part) if part.given.is_empty() => match word.to_str() {
                Some(label) if is_label(label) => part.labels.push(label.to_owned()),
                _ => return Some(word),
            },
            _ => return Some(word),
        }
        None
    }

    /// Begins another app: its image follows `---`.
    fn next_app(&mut self, words: &mut impl Iterator<Item = OsString>) -> Result<()> {
        if self.apps.is_empty() {
            return Err(missing_image());
        }
        match words.next() {
            Some(image) if !image.as_bytes().starts_with(b"-") => {
                self.apps.push(Part::new(image));
                Ok(())
            }
            _ => Err(Error::usage("an image is missing after `---`")),
        }
    }

    fn finish(self) -> Result<PodArgs> {
        // An option given twice is wrong in any position.
        let pod = Options::new(&self.pod)?;
        let options: Vec<_> = self
            .apps
            .iter()
            .map(|part| Options::new(&part.given))
            .collect();
        let options: Vec<_> = options.into_iter().collect::<Result<_>>()?;
        if let Some((option, place)) = self.misplaced {
            return Err(self.misplaced(option.name, place));
        }
        let apps = self.apps.into_iter().zip(options);
        Ok(PodArgs {
            pod,
            apps: apps
                .map(|(part, options)| AppArgs {
                    image: part.image.into(),
                    labels: part.labels,
                    options,
                    arguments: part.arguments,
                })
                .collect(),
            typed: self.typed,
        })
    }

    /// The error for an option on the wrong side of an image, with the
    /// corrected line.
    fn misplaced(&self, name: &str, place: Place) -> Error {
        if self.apps.is_empty() {
            return missing_image();
        }
        let what = match place {
            Place::App => format!("`{name}` is an app option: it goes after the image"),
            Place::Command => {
                format!("`{name}` is a pod option: it goes before the first image")
            }
        };
        let line = format!("{}{}", self.typed.command, self.line());
        Error::usage(what).hint(self.typed.launcher(&line))
    }

    /// Returns the corrected line.
    fn line(&self) -> String {
        let mut line = String::new();
        let mut add = |word: &str| {
            line.push(' ');
            line.push_str(word);
        };
        options(&self.pod, &mut add);
        for (index, part) in self.apps.iter().enumerate() {
            if index > 0 {
                add("---");
            }
            add(&quote(part.image.as_encoded_bytes()));
            for label in &part.labels {
                add(&quote(label));
            }
            options(&part.given, &mut add);
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

fn options(all: &[Given], add: &mut impl FnMut(&str)) {
    for Given { option, value } in all {
        match value {
            Some(value) => add(&format!(
                "{}={}",
                option.name,
                quote(value.as_encoded_bytes())
            )),
            None => add(option.name),
        }
    }
}

fn surplus(word: &OsString) -> Error {
    let word = quoted(&word.to_string_lossy());
    Error::usage(format!("unexpected argument {word}"))
        .hint("arguments of the app go after `--`, another app goes after `---`")
}

/// Takes words up to `---`; returns whether there was one.
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

#[cfg(test)]
#[path = "pod_args_tests.rs"]
mod tests;
