//! `launcher trust`: manages the keys that may sign images.

use std::fs::File;
use std::io::{BufRead as _, BufReader, IsTerminal as _, Read as _, Write};
use std::path::{Path, PathBuf};

use crate::cmd::results::{Format, Results, each};
use crate::cmd::table::columns;
use crate::cmd::{complain, print};
use appc::address::Address;
use appc::json::{Object, Value};
use appc::reference::Name;
use appc::types::{AcIdentifier, Labels, spell_day, spell_time};
use error::quote::quoted;
use error::{Context as _, Error, Kind, Result};
use image::fetch::keys;
use image::fetch::options::Options;
use image::trust::keyring::{Entry, Keyring, Removed, whose};
use image::trust::openpgp::{Fingerprint, KEY_LIMIT, Key};
use sys::clock;
use sys::dirs::{Dirs, Part};
use sys::standard::{Input, Output};

/// The options.
#[derive(Debug)]
pub(crate) enum Verb {
    /// Trust keys.
    Add {
        /// For images of this name and below; for all if it is `None`.
        prefix: Option<AcIdentifier>,
        /// Whether they may have more rights than the default.
        raises: bool,
        /// How the keys are confirmed.
        consent: Consent,
        /// Where the keys are; if it is empty, ask the web page of the prefix.
        sources: Vec<Source>,
        /// How to fetch them.
        fetch: Options,
    },
    /// List the keys.
    List,
    /// Stop trusting a key.
    Remove {
        /// For which images; for all if there is none.
        prefix: Option<AcIdentifier>,
        /// The key.
        fingerprint: Fingerprint,
    },
}

/// How a key is confirmed.
#[derive(Debug)]
pub(crate) enum Consent {
    /// By asking at the terminal, after showing it.
    Asked,
    /// By the caller, without looking at it.
    Given,
    /// By the caller, if it has this fingerprint.
    If(Fingerprint),
}

/// Where a key is.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// In a file.
    File(PathBuf),
    /// At an address.
    Url(Address),
    /// On standard input.
    Input,
}

/// Executes the command.
pub(crate) fn run(dir: &Path, verb: &Verb, format: Format, out: &mut dyn Write) -> Result<()> {
    match verb {
        Verb::Add {
            prefix,
            raises,
            consent,
            sources,
            fetch,
        } => {
            let found = found(sources, prefix.as_ref(), fetch)?;
            each(format, out, |results| {
                add(dir, prefix.as_ref(), *raises, consent, &found, results)
            })
        }
        Verb::List => {
            let entries = Keyring::open(&Dirs::look(dir)?)?.list()?;
            print(out, &listed(&entries, format))
        }
        Verb::Remove {
            prefix,
            fingerprint,
        } => {
            let dirs = Dirs::open(dir)?;
            dirs.make(Part::TrustedKeys)?;
            let keyring = Keyring::open(&dirs)?;
            let done = match keyring.remove(&dirs, prefix.as_ref(), fingerprint)? {
                Removed::Deleted => "removed",
                Removed::Masked => "overridden",
            };
            let whose = whose(prefix.as_ref());
            let object = named(prefix.as_ref(), fingerprint).with("state", done);
            let text = || format!("{done} {fingerprint} for {whose}\n");
            print(out, &format.spell(text, || object.into()))
        }
    }
}

fn add(
    dir: &Path,
    prefix: Option<&AcIdentifier>,
    raises: bool,
    consent: &Consent,
    keys: &[Key],
    results: &mut Results<'_>,
) -> Result<()> {
    let what_for = match raises {
        true => format!("{}, with all rights they ask for", whose(prefix)),
        false => whose(prefix),
    };
    for key in keys {
        agree(consent, key, &what_for)?;
    }
    let dirs = Dirs::open(dir)?;
    dirs.make(Part::TrustedKeys)?;
    let keyring = Keyring::open(&dirs)?;
    for key in keys {
        let fingerprint = keyring.add(&dirs, prefix, key, raises)?;
        let object = named(prefix, &fingerprint).with("state", "trusted");
        let object = object.with("allow_isolators", raises);
        results.add(&format!("trusted {fingerprint} for {what_for}"), object)?;
    }
    Ok(())
}

/// Returns the key and the images that it is for, without a prefix all.
fn named(prefix: Option<&AcIdentifier>, fingerprint: &Fingerprint) -> Object {
    Object::new()
        .with_some("prefix", prefix.map(AcIdentifier::as_str))
        .with("fingerprint", fingerprint.as_str())
}

/// Reads all keys: all are checked before any is trusted.
fn found(sources: &[Source], prefix: Option<&AcIdentifier>, options: &Options) -> Result<Vec<Key>> {
    let discovered = match (sources, prefix) {
        ([], Some(prefix)) => {
            let name = Name {
                name: prefix.clone(),
                labels: Labels::default(),
            };
            keys::keys(&name, options)?
        }
        _ => Vec::new(),
    };
    let discovered = discovered.into_iter().map(Source::Url);
    let sources = sources.iter().cloned().chain(discovered);
    sources.map(|source| key(&source, options)).collect()
}

/// Reads a key that can sign files.
fn key(source: &Source, options: &Options) -> Result<Key> {
    let what = || format!("cannot trust the key in {}", name(source));
    let bytes = read_key(source, options).context(what)?;
    let key = Key::parse(&bytes).context(what)?;
    key.usable(clock::seconds()).context(what)?;
    Ok(key)
}

fn name(source: &Source) -> String {
    match source {
        Source::File(path) => format!("`{}`", path.display()),
        Source::Url(url) => format!("`{url}`"),
        Source::Input => "standard input".to_owned(),
    }
}

/// Reads the bytes of a key, up to one byte more than allowed.
fn read_key(source: &Source, options: &Options) -> Result<Vec<u8>> {
    let limit = u64::try_from(KEY_LIMIT)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let mut bytes = Vec::new();
    match source {
        Source::File(path) => {
            let file = File::open(path).context(|| "cannot read it")?;
            file.take(limit).read_to_end(&mut bytes)
        }
        Source::Url(url) => return keys::key(url, options),
        Source::Input => Input.take(limit).read_to_end(&mut bytes),
    }
    .context(|| "cannot read it")?;
    Ok(bytes)
}

/// Asks the caller to confirm a key, if they have not already.
fn agree(consent: &Consent, key: &Key, what_for: &str) -> Result<()> {
    match consent {
        Consent::Given => Ok(()),
        Consent::If(expected) if *expected == key.fingerprint() => Ok(()),
        Consent::If(expected) => Err(Error::invalid(format!(
            "the fingerprint of the key is `{}`, not `{expected}`",
            key.fingerprint()
        ))),
        Consent::Asked => ask(key, what_for),
    }
}

fn ask(key: &Key, what_for: &str) -> Result<()> {
    let fingerprint = key.fingerprint();
    if !std::io::stdin().is_terminal() {
        let error = format!(
            "cannot ask whether to trust key `{fingerprint}`: standard input is not a terminal"
        );
        return Err(Error::new(Kind::Failed, error).hint(format!(
            "if its owner gave you this fingerprint, use `--fingerprint={fingerprint}`"
        )));
    }
    let question = format!(
        "{}\nDid its owner give you this fingerprint, and do you trust the key for {what_for}? (yes/no) ",
        shown(key)
    );
    print(&mut Output::stderr(), &question).context(|| "cannot ask for confirmation")?;
    let mut answer = String::new();
    BufReader::new(Input)
        .read_line(&mut answer)
        .context(|| "cannot read the answer")?;
    match answer.trim().to_lowercase().as_str() {
        "yes" | "y" => Ok(()),
        _ => Err(Error::invalid(format!(
            "key `{fingerprint}` is not trusted: you did not confirm"
        ))),
    }
}

/// Formats a key, for people to recognise it.
fn shown(key: &Key) -> String {
    let mut text = format!("fingerprint  {}\n", key.fingerprint().grouped());
    for user in key.users() {
        text.push_str(&format!("owner        {}\n", quoted(user)));
    }
    text.push_str(&format!("made         {}\n", spell_day(key.created())));
    let expires = key.expires().map_or("never".to_owned(), spell_day);
    text.push_str(&format!("expires      {expires}\n"));
    text
}

/// Formats the list. Reports key files that are not valid.
fn listed(entries: &[Entry], format: Format) -> String {
    let mut rows = Vec::new();
    for entry in entries {
        match &entry.key {
            Ok(key) => rows.push((entry, key.as_ref())),
            Err(error) => complain(error),
        }
    }
    let json = || {
        rows.iter()
            .map(|(entry, key)| object(entry, *key))
            .collect()
    };
    let text = || table(rows.iter().map(|(entry, key)| cells(entry, *key)));
    format.spell(text, json)
}

fn object(entry: &Entry, key: Option<&Key>) -> Value {
    let users = key.map(Key::users).unwrap_or_default();
    let users = users.iter().map(|user| Value::Text(user.clone()));
    let row = Object::new()
        .with_some("prefix", entry.prefix.as_deref())
        .with("fingerprint", entry.fingerprint.as_str())
        .with("state", state(entry, key))
        .with("allow_isolators", entry.raises)
        .with("users", Value::List(users.collect()))
        .with_some("created", key.map(Key::created).map(spell_time))
        .with_some("expires", key.and_then(Key::expires).map(spell_time));
    row.with("place", entry.place.as_str()).into()
}

fn cells(entry: &Entry, key: Option<&Key>) -> [String; 5] {
    let user = key.and_then(|key| key.users().first());
    [
        entry.prefix.clone().unwrap_or_else(|| "(all)".to_owned()),
        entry.fingerprint.to_string(),
        match entry.raises {
            true => format!("{}, isolators allowed", state(entry, key)),
            false => state(entry, key).to_owned(),
        },
        user.map(|user| quoted(user)).unwrap_or_default(),
        entry.place.clone(),
    ]
}

/// Returns the state of a key.
fn state(entry: &Entry, key: Option<&Key>) -> &'static str {
    let now = clock::seconds();
    match key {
        _ if entry.overridden => "overridden",
        None => "not trusted",
        Some(key) if key.is_revoked() => "revoked",
        Some(key) if key.expires().is_some_and(|end| end <= now) => "expired",
        Some(key) if key.usable(now).is_err() => "unusable",
        Some(_) => "trusted",
    }
}

/// Formats rows as a table, with titles.
fn table(rows: impl Iterator<Item = [String; 5]>) -> String {
    let head = ["PREFIX", "FINGERPRINT", "STATE", "OWNER", "PLACE"].map(str::to_owned);
    let rows = std::iter::once(head).chain(rows).map(Vec::from);
    columns(&rows.collect::<Vec<_>>())
}

#[cfg(all(test, feature = "openpgp"))]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_calls_himself_cannot_play_with_the_terminal() {
        let key = Key::parse(include_bytes!(
            "../../crates/image/src/trust/openpgp_fixtures/trick.key.asc"
        ))
        .unwrap();
        assert_eq!(
            shown(&key),
            "fingerprint  7272 4735 3147 e5b0 e4f9 50e1 ad44 6efb d632 cb85\n\
             owner        `Trick \\u{1b}[2J <trick@example.com>`\n\
             made         2024-01-01\n\
             expires      never\n"
        );
    }

    #[test]
    fn the_times_of_a_key_are_text() {
        let key = Key::parse(include_bytes!(
            "../../crates/image/src/trust/openpgp_fixtures/one-year.key.asc"
        ))
        .unwrap();
        let entry = Entry {
            prefix: None,
            fingerprint: key.fingerprint(),
            place: "/etc".to_owned(),
            overridden: false,
            raises: false,
            key: Ok(None),
        };
        let object = object(&entry, Some(&key));
        let time = |name| object.text(name);
        assert_eq!(time("created").as_deref(), Some("2024-01-01T00:00:00Z"));
        assert_eq!(time("expires").as_deref(), Some("2024-12-31T00:00:00Z"));
    }

    #[test]
    fn only_the_key_that_was_meant_is_agreed_to() {
        let key = Key::parse(include_bytes!(
            "../../crates/image/src/trust/openpgp_fixtures/rsa.key.asc"
        ))
        .unwrap();
        let other = Fingerprint::parse(&"0".repeat(40)).unwrap();
        assert!(agree(&Consent::If(other), &key, "all images").is_err());
        assert!(agree(&Consent::If(key.fingerprint()), &key, "all images").is_ok());
    }
}
