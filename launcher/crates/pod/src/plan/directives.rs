//! The plan as the launcher holds it: the directives that `stage1-init` will
//! execute, each with the reason why it is there.
//!
//! ```text
//! plan 1
//! unshare mnt,pid,ipc,uts,net,cgroup              # default: private namespaces
//! hostname web                                    # option --hostname
//! app web                                         # image example.com/web
//! ```
//!
//! A plan has three formats, and [`Plan::read`] accepts them all: this text,
//! for people; JSON, for programs; and NUL-terminated words, for stage1-init.
//! `stage1_init` defines what the words mean and where they are allowed;
//! `compose` decides which of them a plan has, and in which order.

use std::ffi::CString;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use stage1_init::{Directive, Mode, Words};

use crate::plan::descriptors::FILES;
use crate::plan::overlay;
use appc::json::{self, Object, Value};
use error::quote::{escaped, is_harmless};
use error::{Error, Result};

/// Directives in order, each with its reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    steps: Vec<Step>,
    /// What the launcher changes on the host before.
    pub changes: Vec<Change>,
    /// How many apps have begun, and whether the last one is still open.
    apps: usize,
    in_app: bool,
}

/// A change of the host, which lasts as long as the pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What is changed.
    pub what: String,
    /// Why.
    pub reason: String,
    /// Whether it stays when the pod has ended.
    pub stays: bool,
}

/// One directive and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its words, NUL-terminated.
    words: Vec<u8>,
    /// Why it is there: an image, an option, a default, a fallback.
    reason: String,
    /// The app it belongs to.
    app: Option<usize>,
}

/// The column at which reasons start, unless the directive is longer.
const REASON_COLUMN: usize = 47;

impl Plan {
    /// Appends a directive.
    pub fn push(&mut self, directive: Directive<'_>, reason: impl Into<String>) {
        let mut words = Vec::new();
        directive.encode(&mut |bytes: &[u8]| words.extend_from_slice(bytes));
        // A reason can contain text from an image, which must not start a line
        // of its own or control a terminal.
        let reason = escaped(&reason.into());
        match directive {
            Directive::App { .. } => (self.apps, self.in_app) = (self.apps + 1, true),
            Directive::Init {} | Directive::Undo {} => self.in_app = false,
            _ => {}
        }
        let app = self.in_app.then(|| self.apps - 1);
        self.steps.push(Step { words, reason, app });
    }

    /// Appends a directive of another plan with the same apps.
    pub(crate) fn append(&mut self, step: Step) {
        self.in_app = step.app.is_some();
        if let Some(app) = step.app {
            self.apps = app + 1;
        }
        self.steps.push(step);
    }

    /// Writes something else to a file of every app.
    ///
    /// # Errors
    ///
    /// The content has a NUL byte.
    pub(crate) fn rewrite(&mut self, file: &str, content: &str) -> Result<()> {
        let content = operand("the content of a file", content)?;
        for step in &mut self.steps {
            let words: Vec<&[u8]> = step.words().collect();
            if let [name @ b"file", path, mode, uid, gid, _] = words[..]
                && path == file.as_bytes()
            {
                let words = [name, path, mode, uid, gid, content.to_bytes(), b""];
                step.words = words.join(&0);
            }
        }
        Ok(())
    }

    /// Lets the report tell when all namespaces are made, and when all roots are
    /// ready.
    pub(crate) fn timed(self) -> Self {
        let is = |step: &Step, name: &str| step.words().next() == Some(name.as_bytes());
        let mounts = |step: &Step| is(step, "dir") || is(step, "app");
        let begin = self.steps.iter().position(mounts);
        let end = self.steps.iter().rposition(|step| is(step, "process"));
        let mut timed = Self::default();
        for (at, step) in self.steps.into_iter().enumerate() {
            if Some(at) == begin || Some(at) == end {
                let app = step.app.filter(|_| Some(at) == end);
                let (words, reason) = (b"time\0".to_vec(), "option --timing".to_owned());
                timed.append(Step { words, reason, app });
            }
            timed.append(step);
        }
        timed
    }

    /// Returns the plan as NUL-terminated words.
    pub fn words(&self) -> Vec<u8> {
        let mut words = Vec::new();
        stage1_init::encode_header(&mut |bytes: &[u8]| words.extend_from_slice(bytes));
        for step in &self.steps {
            words.extend_from_slice(&step.words);
        }
        words
    }

    /// Returns the plan as NUL-terminated words, with each label replaced by
    /// the `number` of its descriptor.
    pub fn renumbered(&self, number: &dyn Fn(u32) -> u32) -> Vec<u8> {
        let mut words = Vec::new();
        let mut sink = |bytes: &[u8]| words.extend_from_slice(bytes);
        stage1_init::encode_header(&mut sink);
        for step in &self.steps {
            if step.words.starts_with(b"mount\0overlay\0") {
                sink(&overlay::renumbered(&step.words, number(FILES)));
            } else if let Some(directive) = step.directive() {
                directive.encode_renumbered(number, &mut sink);
            }
        }
        words
    }

    /// Returns the plan as text: one directive per line, with its reason. What
    /// else changes on the host stands in comments before.
    pub fn text(&self) -> String {
        let mut text = format!("plan {}\n", stage1_init::VERSION);
        for change in &self.changes {
            let stays = if change.stays { "; stays" } else { "" };
            let _ = writeln!(
                text,
                "# on the host: {} # {}{stays}",
                change.what, change.reason
            );
        }
        for step in &self.steps {
            let line: Vec<String> = step.words().map(quote).collect();
            let line = line.join(" ");
            // Writing to a String cannot fail.
            let _ = match step.reason.as_str() {
                "" => writeln!(text, "{line}"),
                reason => writeln!(text, "{line:<REASON_COLUMN$} # {reason}"),
            };
        }
        text
    }

    /// Returns the plan as a JSON object.
    pub fn json(&self) -> String {
        let directives = self.steps.iter().map(|step| {
            let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
            let words = step.words().map(text).map(Value::from).collect();
            Object::new()
                .with("words", Value::List(words))
                .with("reason", step.reason.as_str())
        });
        let changes = self.changes.iter().map(|change| {
            Object::new()
                .with("change", change.what.as_str())
                .with("reason", change.reason.as_str())
                .with("stays", change.stays)
        });
        let mut plan = Object::new().with("plan", stage1_init::VERSION);
        if !self.changes.is_empty() {
            plan = plan.with_items("host", changes);
        }
        let plan: Value = plan.with_items("directives", directives).into();
        format!("{plan:#}\n")
    }

    /// Reads a plan in any format: words, JSON as written by [`Self::json`], or
    /// text as written by [`Self::text`].
    pub fn read(bytes: &[u8]) -> Result<Self> {
        if bytes.contains(&0) {
            return Self::from_words(bytes);
        }
        if bytes.trim_ascii_start().starts_with(b"{") {
            return Self::from_lines(&json_lines(bytes)?);
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Error::invalid("the plan is not text, JSON or NUL-terminated words"))?;
        let mut lines = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = split(line).map_err(|what| {
                Error::invalid(format!("line {} of the plan {what}", number + 1))
            })?;
            if !line.0.is_empty() {
                lines.push(line);
            }
        }
        Self::from_lines(&lines)
    }

    /// Takes lines of words, each with its reason; the first is the header.
    fn from_lines(lines: &[Line]) -> Result<Self> {
        let mut words = Vec::new();
        for word in lines.iter().flat_map(|(words, _)| words) {
            words.extend_from_slice(word);
            words.push(0);
        }
        let mut plan = Self::from_words(&words)?;
        // If there is one directive per line, the reason of each line is that
        // of its directive.
        if lines.len() == plan.steps.len() + 1 {
            for (step, (_, reason)) in plan.steps.iter_mut().zip(lines.iter().skip(1)) {
                step.reason.clone_from(reason);
            }
        }
        Ok(plan)
    }

    fn from_words(words: &[u8]) -> Result<Self> {
        let plan = stage1_init::Plan::decode(words).map_err(|fault| {
            let word = Words::new(words).take(fault.word).and_then(|before| {
                let rest = words.get(before.as_bytes().len()..)?;
                Some(Words::new(rest).next()?.to_string_lossy().into_owned())
            });
            let word = word.map_or(String::new(), |word| format!(" (`{word}`)"));
            Error::invalid(format!(
                "word {} of the plan{word}: {}",
                fault.word,
                fault.kind.message()
            ))
        })?;
        let mut read = Self::default();
        for (_, directive) in plan.directives() {
            read.push(directive, "");
        }
        Ok(read)
    }

    /// Returns the directive that has this index in a report.
    pub fn step(&self, index: u32) -> Option<&Step> {
        self.steps.get(usize::try_from(index).ok()?)
    }

    /// Drops a directive, and all that follow it.
    pub(crate) fn end_before(&mut self, directive: &Directive<'_>) {
        let is = |step: &Step| step.directive().as_ref() == Some(directive);
        if let Some(at) = self.steps.iter().position(is) {
            self.steps.truncate(at);
        }
    }

    /// Returns the directives in order.
    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl Step {
    /// Returns the directive; never `None`, since only directives are pushed.
    pub fn directive(&self) -> Option<Directive<'_>> {
        Directive::decode(&self.words)
    }

    /// Returns why it is there.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Returns the index of the app it belongs to.
    pub fn app(&self) -> Option<usize> {
        self.app
    }

    fn words(&self) -> impl Iterator<Item = &[u8]> {
        let mut words = Words::new(&self.words);
        std::iter::from_fn(move || Some(words.next()?.to_bytes()))
    }
}

/// Makes a C string of an operand; `what` names it in the error.
pub fn operand(what: &str, text: impl Into<Vec<u8>>) -> Result<CString> {
    CString::new(text).map_err(|_| Error::invalid(format!("{what} contains a NUL byte")))
}

/// Appends a directory owned by root, with its parents.
pub(crate) fn directory(plan: &mut Plan, path: &CString, mode: u32, reason: &str) {
    plan.push(
        Directive::Dir {
            path,
            mode: Mode(mode),
            uid: 0,
            gid: 0,
        },
        reason,
    );
}

/// Makes an operand of a path.
pub(crate) fn path(path: &Path) -> Result<CString> {
    operand("a path", path.as_os_str().as_bytes())
}

/// Quotes a word so that a shell and `split` read it as one word, and a
/// terminal can show it.
pub fn quote(word: impl AsRef<[u8]>) -> String {
    let word = word.as_ref();
    let fine = |c| c == '\t' || is_harmless(c);
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./,:=@%+".contains(byte);
    if let Ok(text) = std::str::from_utf8(word)
        && text.chars().all(fine)
    {
        // A shell changes nothing within single quotes.
        return match !word.is_empty() && word.iter().all(plain) {
            true => text.to_owned(),
            false => format!("'{}'", text.replace('\'', r"'\''")),
        };
    }
    // A directive has to stay on one line, so line breaks are escaped.
    let mut quoted = "$'".to_owned();
    for chunk in word.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => quoted.push_str(r"\n"),
                '\r' => quoted.push_str(r"\r"),
                '\\' | '\'' => quoted.extend(['\\', c]),
                c if fine(c) => quoted.push(c),
                c => add_bytes(&mut quoted, c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        add_bytes(&mut quoted, chunk.invalid());
    }
    quoted.push('\'');
    quoted
}

fn add_bytes(quoted: &mut String, bytes: &[u8]) {
    quoted.extend(bytes.iter().map(|byte| format!("\\x{byte:02x}")));
}

/// The words of a line and the reason that follows them.
type Line = (Vec<Vec<u8>>, String);

/// Reads the same from JSON.
fn json_lines(bytes: &[u8]) -> Result<Vec<Line>> {
    let text = |value: &Value| match value {
        // A NUL byte would split the word in two.
        Value::Text(text) if !text.contains('\0') => Some(text.clone()),
        _ => None,
    };
    let document = json::parse(bytes)?;
    let version = document.get("plan").map_or(String::new(), Value::to_string);
    let mut lines = vec![(vec![b"plan".to_vec(), version.into_bytes()], String::new())];
    let Some(Value::List(directives)) = document.get("directives") else {
        return Err(Error::invalid("the plan has no list `directives`"));
    };
    for (index, directive) in directives.iter().enumerate() {
        let words: Option<Vec<Vec<u8>>> = match directive.get("words") {
            Some(Value::List(words)) => {
                let words = words.iter().map(|word| text(word).map(String::into_bytes));
                words.collect()
            }
            _ => None,
        };
        let words = words.ok_or_else(|| {
            Error::invalid(format!(
                "directive {index} of the plan has no list of `words`"
            ))
        })?;
        let reason = directive.get("reason").and_then(text).unwrap_or_default();
        lines.push((words, reason));
    }
    Ok(lines)
}

/// Splits a line into its words and the comment that follows them.
fn split(line: &str) -> std::result::Result<Line, &'static str> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        if let Some(comment) = rest.strip_prefix('#') {
            return Ok((words, comment.trim().to_owned()));
        }
        let (word, after) = first_word(rest)?;
        words.push(word);
        rest = after.trim_start();
    }
    Ok((words, String::new()))
}

const OPEN: &str = "has an unclosed quote";

/// Reads one word: bare, quoted, or a mixture.
fn first_word(text: &str) -> std::result::Result<(Vec<u8>, &str), &'static str> {
    let mut word = Vec::new();
    let mut rest = text;
    loop {
        if let Some(quoted) = rest.strip_prefix("$'") {
            rest = unescaped(quoted, &mut word)?;
        } else if let Some(quoted) = rest.strip_prefix('\'') {
            let (inside, after) = quoted.split_once('\'').ok_or(OPEN)?;
            word.extend_from_slice(inside.as_bytes());
            rest = after;
        } else {
            let mut chars = rest.chars();
            match chars.next() {
                None => return Ok((word, "")),
                Some(c) if c.is_whitespace() => return Ok((word, rest)),
                Some('\\') => push(&mut word, chars.next().ok_or("ends in a backslash")?),
                Some('"') => return Err("has a double quote; use single quotes"),
                Some(c) => push(&mut word, c),
            }
            rest = chars.as_str();
        }
    }
}

/// Reads up to the closing quote of `$'...'`; returns what follows it.
fn unescaped<'a>(text: &'a str, word: &mut Vec<u8>) -> std::result::Result<&'a str, &'static str> {
    let mut chars = text.chars();
    loop {
        match chars.next().ok_or(OPEN)? {
            '\'' => return Ok(chars.as_str()),
            '\\' => match chars.next().ok_or(OPEN)? {
                'n' => word.push(b'\n'),
                'r' => word.push(b'\r'),
                'x' => {
                    let (byte, rest) = byte(chars.as_str()).ok_or("has an invalid `\\x` escape")?;
                    word.push(byte);
                    chars = rest.chars();
                }
                other => push(word, other),
            },
            c => push(word, c),
        }
    }
}

/// Reads a byte of two digits; not NUL, which would split the word in two.
fn byte(text: &str) -> Option<(u8, &str)> {
    let (digits, rest) = text.split_at_checked(2)?;
    let byte = u8::from_str_radix(digits, 16).ok()?;
    // The parser would accept a sign.
    (byte != 0 && !digits.starts_with('+')).then_some((byte, rest))
}

fn push(word: &mut Vec<u8>, c: char) {
    word.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn sample() -> Plan {
        let mut plan = Plan::default();
        for words in [
            &["hostname", "web"][..],
            &["app", "web"],
            &["process"],
            &["env", "A=it's\n\\new # not a comment"],
            &["env", "E="],
            &[
                "env",
                "LONG=a-line-that-goes-on-beyond-the-column-of-the-reasons",
            ],
            &["env", "B=\t\u{1b}[2J\u{9b}\u{202e}'\\x41\u{7f}"],
            &["main", "3", "/bin/sh", "", "ä \"b\""],
        ] {
            let mut bytes = Vec::new();
            for word in words {
                bytes.extend_from_slice(word.as_bytes());
                bytes.push(0);
            }
            plan.push(Directive::decode(&bytes).unwrap(), "image a # b");
        }
        plan
    }

    #[test]
    fn a_reason_cannot_become_a_directive() {
        let mut plan = Plan::default();
        plan.push(Directive::Loopback {}, "user `0\npivot\r\x1b[2J`");
        assert_eq!(
            plan.text().lines().nth(1).unwrap(),
            format!(r"{:<47} # user `0\npivot\r\u{{1b}}[2J`", "loopback")
        );
        assert_eq!(plan.text().lines().count(), 2);
    }

    #[test]
    fn a_plan_survives_its_text_with_all_reasons() {
        let plan = sample();
        assert_eq!(Plan::read(plan.text().as_bytes()).unwrap(), plan);
    }

    #[test]
    fn a_plan_survives_its_text_with_bytes_that_are_not_utf8() {
        let mut plan = sample();
        plan.steps.insert(
            0,
            Step {
                words: b"sysctl\0a\0\xff'\x1b\xc3\0".to_vec(),
                reason: String::new(),
                app: None,
            },
        );
        let text = plan.text();
        assert_eq!(Plan::read(text.as_bytes()).unwrap(), plan, "{text}");
        for wrong in ["", "1'", "ä'", "€'", "fg'", "+1'", "00'"] {
            let text = format!("plan 1\nhostname $'\\x{wrong}");
            let error = Plan::read(text.as_bytes()).unwrap_err().to_string();
            assert_eq!(error, r"line 2 of the plan has an invalid `\x` escape");
        }
    }

    #[test]
    fn a_plan_survives_its_json_with_all_reasons() {
        let plan = sample();
        assert_eq!(Plan::read(plan.json().as_bytes()).unwrap(), plan);
    }

    #[test]
    fn a_plan_survives_its_words() {
        let plan = sample();
        assert_eq!(Plan::read(&plan.words()).unwrap().words(), plan.words());
    }

    #[test]
    fn the_text_has_one_directive_per_line() {
        let text = sample().text();
        assert_eq!(text.lines().count(), 9, "{text}");
        let fine = |c| matches!(c, '\n' | '\t') || is_harmless(c);
        assert!(text.chars().all(fine), "{text}");
        assert_eq!(
            text.lines().nth(5).unwrap(),
            format!("{:<47} # image a # b", "env E=")
        );
    }

    #[test]
    fn errors_in_plans_name_their_position() {
        for (text, message) in [
            ("", "word 0 of the plan: the first word must be `plan`"),
            ("{\"plan\": 1}", "the plan has no list `directives`"),
            (
                "{\"plan\": 1, \"directives\": [{\"words\": [\"loopback\"]}, {\"words\": \"pivot\"}]}",
                "directive 1 of the plan has no list of `words`",
            ),
            (
                "{\"plan\": 1, \"directives\": [{\"words\": [\"hostname\", \"a\\u0000pivot\"]}]}",
                "directive 0 of the plan has no list of `words`",
            ),
            (
                "plan 2\n",
                "word 1 of the plan (`2`): the version must be 1",
            ),
            (
                "plan 1\nhostnam x\n",
                "word 2 of the plan (`hostnam`): no such directive",
            ),
            (
                "plan 1\napp 'x\n",
                "line 2 of the plan has an unclosed quote",
            ),
            (
                "plan 1\napp \"x\"\n",
                "line 2 of the plan has a double quote; use single quotes",
            ),
        ] {
            let error = Plan::read(text.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
