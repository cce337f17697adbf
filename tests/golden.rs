//! What users are told: the words of messages and of help stand in files below
//! `golden/messages` and in no test. Each file of tests has one there, in which
//! every text has a title; the test names the title.
//!
//! UPDATE=1 writes what was told into these files, to be read as a diff. What
//! depends on timing is written by hand: texts of which one is told, and lines
//! that are told among others.

use std::env;
use std::fmt::Display;
use std::fs;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::claims;
use crate::host;

/// Fails unless a text is what stands under this title in the messages of the
/// caller's file. UPDATE=1 writes it there.
#[track_caller]
pub(crate) fn as_written(what: &str, title: &str, got: &str) {
    let place = Messages::here().file;
    let place = place.display();
    claims::same(
        &format!("{what}, `{title}` in {place} (if it is meant to, UPDATE=1 writes it anew),"),
        got,
        &written(title, got),
    );
}

/// What stands under this title in the messages of the caller's file, where
/// UPDATE=1 puts what it is to be compared with.
#[track_caller]
pub(crate) fn written(title: &str, got: &str) -> String {
    let messages = Messages::here();
    if env::var_os("UPDATE").is_some() {
        messages.write(title, got);
    }
    messages.read(title)
}

/// Fails unless a text is one of those under this title, which are parted by
/// blank lines; which of them it is, is a matter of time.
#[track_caller]
pub(crate) fn one_of_written(what: &str, title: &str, got: &str) {
    let written = Messages::here().read(title);
    let mut all = written.trim_end().split("\n\n");
    assert!(
        all.any(|each| got == format!("{each}\n")),
        "{what} is none of `{title}`\n--- expected, one of ---\n{written}\n--- got ---\n{got}\n---",
    );
}

/// Fails unless a text has all lines that stand under this title, in this
/// order, among others. Where a line begins or ends with `…`, other text may.
#[track_caller]
pub(crate) fn has_lines_as_written(what: &str, title: &str, got: &str) {
    let written = Messages::here().read(title);
    let whole = format!("\n{got}");
    let mut rest = whole.as_str();
    for line in written.lines() {
        let (start, part) = line
            .strip_prefix('…')
            .map_or(("\n", line), |part| ("", part));
        let (part, end) = part
            .strip_suffix('…')
            .map_or((part, "\n"), |part| (part, ""));
        let part = format!("{start}{part}");
        let found = rest.find(&format!("{part}{end}"));
        let at = found.unwrap_or_else(|| {
            panic!(
                "{what} lacks a line of `{title}`, or has it too early\n\
                 --- expected ---\n{line}\n--- got ---\n{got}\n---"
            )
        });
        rest = &rest[at + part.len()..];
    }
}

/// The lines that stand under this title, of which each is enough.
#[track_caller]
pub(crate) fn lines_written(title: &str) -> Vec<String> {
    let written = Messages::here().read(title);
    written.lines().map(str::to_owned).collect()
}

/// A command line of these words.
pub(crate) fn line(words: &[&str]) -> String {
    let words = words.iter();
    let words = words.map(|word| if word.is_empty() { "''" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// What is told in each of several cases, to be compared as one text.
#[derive(Default)]
pub(crate) struct Cases(String);

impl Cases {
    /// Adds a case: what was done, and what was told.
    pub(crate) fn add(&mut self, case: impl Display, told: &str) {
        let case = case.to_string();
        let case = if case.is_empty() { "''" } else { &case };
        let rule = if self.0.is_empty() { "" } else { "\n" };
        self.0 += &format!("{rule}> {case}\n{told}");
    }

    /// Fails unless all is as it stands under this title.
    #[track_caller]
    pub(crate) fn as_written(&self, title: &str) {
        as_written("what is told", title, &self.0);
    }
}

/// Where the messages are.
pub(crate) fn directory() -> PathBuf {
    host::project().join("tests/golden/messages")
}

/// Nobody reads what another test is writing.
static FILES: Mutex<()> = Mutex::new(());

/// The messages that a file of tests expects: under `--- TITLE ---` a text, in
/// the order of the titles in that file.
struct Messages {
    tests: PathBuf,
    file: PathBuf,
}

impl Messages {
    /// Those of the caller's file.
    #[track_caller]
    fn here() -> Self {
        let (_, name) = Location::caller().file().rsplit_once("tests/").unwrap();
        Self::of(Path::new(name))
    }

    fn of(name: &Path) -> Self {
        Self {
            file: directory().join(name).with_extension("txt"),
            tests: host::project().join("tests").join(name),
        }
    }

    fn all(&self) -> Vec<(String, String)> {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        let text = format!("\n{text}");
        let sections = text.split("\n--- ").skip(1);
        sections
            .map(|section| section.split_once(" ---\n").expect("a title has two rules"))
            .map(|(title, text)| (title.to_owned(), text.to_owned()))
            .collect()
    }

    #[track_caller]
    fn read(&self, title: &str) -> String {
        let alone = FILES.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.all().into_iter().find(|(known, _)| known == title);
        drop(alone);
        let place = self.file.display();
        let (_, text) = found.unwrap_or_else(|| panic!("{place} has no `{title}`"));
        text
    }

    /// Puts a text under a title, and leaves out what no test asks for.
    #[track_caller]
    fn write(&self, title: &str, text: &str) {
        let _alone = FILES.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = self.all();
        all.retain(|(known, _)| known != title && self.asked(known).is_some());
        all.push((title.to_owned(), text.to_owned()));
        all.sort_by_key(|(title, _)| self.asked(title));
        let all = all.iter();
        let all = all.map(|(title, text)| format!("--- {title} ---\n{text}"));
        fs::create_dir_all(self.file.parent().unwrap()).unwrap();
        fs::write(&self.file, all.collect::<Vec<_>>().join("\n")).unwrap();
    }

    /// Where the tests name a title.
    fn asked(&self, title: &str) -> Option<usize> {
        let tests = fs::read_to_string(&self.tests).unwrap_or_default();
        tests.find(&format!("\"{title}\""))
    }
}

#[test]
fn every_message_is_asked_for() {
    let mut dirs = vec![directory()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            let name = path.strip_prefix(directory()).unwrap().with_extension("rs");
            let messages = Messages::of(&name);
            for (title, _) in messages.all() {
                let asked = messages.asked(&title).is_some();
                assert!(asked, "{}: nothing asks for `{title}`", path.display());
            }
        }
    }
}
