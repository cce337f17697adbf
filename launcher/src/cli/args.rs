//! The arguments of a command: options in the table, and words.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::cli::options::Options;
use crate::cli::spelling::{Given, is_option, read, text};
use crate::cli::table::general::{self, GLOBAL};
use crate::cli::table::spec::{CommandSpec, OptionSpec, Place};
use crate::cli::typed::Typed;
use error::{Error, Result};

/// The arguments of a command.
pub(super) struct Args {
    /// The options.
    pub(super) options: Options,
    /// What was typed, for hints.
    pub(super) typed: Typed,
    words: VecDeque<OsString>,
    rest: Vec<OsString>,
}

/// Where options end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// At `--`; everything after it is a word.
    Dashes,
    /// At `--`; everything after it is not for this program.
    Command,
    /// After the first word, or before it if this option replaces it; the rest
    /// is not for this program.
    Word(&'static str),
}

impl Args {
    /// Reads the arguments of a command. Returns `None` if help is asked for.
    ///
    /// # Errors
    ///
    /// Unknown options, or options that are used wrongly.
    pub(super) fn read(
        words: Vec<OsString>,
        command: &'static CommandSpec,
        until: Until,
        mut typed: Typed,
    ) -> Result<Option<Self>> {
        let known: Vec<_> = command
            .options(Place::Command)
            .chain(general::inside())
            .collect();
        let mut given = Vec::new();
        let mut taken = VecDeque::new();
        let mut words = words.into_iter();
        let mut rest = Vec::new();
        while let Some(word) = words.next() {
            if word == "--" {
                if let Until::Word(_) = until {
                    rest.push(word);
                }
                break;
            }
            if is_option(&word) {
                for one in read(&word, &mut words, &known, &typed)? {
                    if global(&one, &mut typed)? {
                        return Ok(None);
                    }
                    given.push(one);
                }
                continue;
            }
            match until {
                Until::Dashes | Until::Command => taken.push_back(word),
                Until::Word(instead) => {
                    let is_instead = |given: &Given| given.option.name == instead;
                    match given.iter().any(is_instead) {
                        true => rest.push(word),
                        false => taken.push_back(word),
                    }
                    break;
                }
            }
        }
        // After `--`, nothing is an option.
        match until {
            Until::Dashes => taken.extend(words),
            Until::Command | Until::Word(_) => rest.extend(words),
        }
        given.retain(|one| !is_global(one.option));
        Ok(Some(Self {
            options: Options::new(&given)?,
            typed,
            words: taken,
            rest,
        }))
    }

    /// Takes the next word.
    pub(super) fn argument(&mut self) -> Option<PathBuf> {
        self.words.pop_front().map(PathBuf::from)
    }

    /// Takes the next word, as text.
    pub(super) fn word(&mut self) -> Result<Option<String>> {
        self.words.pop_front().map(text).transpose()
    }

    /// Takes the next word, if it `fits`.
    pub(super) fn word_if(&mut self, fits: impl Fn(&str) -> bool) -> Result<Option<String>> {
        let next = self.words.front().and_then(|next| next.to_str());
        match next.is_some_and(fits) {
            true => self.word(),
            false => Ok(None),
        }
    }

    /// Takes all remaining words, as text.
    pub(super) fn all(&mut self) -> Result<Vec<String>> {
        self.words.drain(..).map(text).collect()
    }

    /// Takes all remaining words, as paths.
    pub(super) fn files(&mut self) -> Vec<PathBuf> {
        self.words.drain(..).map(PathBuf::from).collect()
    }

    /// Takes the words that are not for this program.
    pub(super) fn rest(&mut self) -> Vec<OsString> {
        std::mem::take(&mut self.rest)
    }

    /// Checks that the whole command line has been taken.
    ///
    /// # Errors
    ///
    /// An argument is left over.
    pub(super) fn finish(self) -> Result<()> {
        if let Some(option) = self.options.left() {
            return Err(self.typed.unknown_option(&option, &[]));
        }
        match self.words.front() {
            Some(surplus) => Err(Error::usage(format!(
                "unexpected argument `{}`",
                surplus.to_string_lossy()
            ))),
            None => Ok(()),
        }
    }
}

fn is_global(option: &'static OptionSpec) -> bool {
    GLOBAL.options.iter().any(|known| known.name == option.name)
}

fn is_true(value: Option<&std::ffi::OsStr>) -> bool {
    value.is_none_or(|value| value == "true")
}

/// Takes a global option, if this is one. Returns whether it asks for help.
///
/// # Errors
///
/// The data directory is given twice.
pub(super) fn global(given: &Given, typed: &mut Typed) -> Result<bool> {
    match (given.option.name, &given.value) {
        ("--help", value) => Ok(is_true(value.as_deref())),
        ("--verbose", value) => {
            typed.verbose = is_true(value.as_deref());
            Ok(false)
        }
        ("--timing", value) => {
            typed.timing = is_true(value.as_deref());
            Ok(false)
        }
        ("--dir", Some(_)) if typed.dir.is_some() => Err(Error::usage("`--dir` is given twice")),
        ("--dir", Some(dir)) => {
            typed.dir = Some(PathBuf::from(dir));
            Ok(false)
        }
        _ => Ok(false),
    }
}
