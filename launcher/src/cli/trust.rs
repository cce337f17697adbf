//! The command line of `launcher trust`.

use std::path::PathBuf;

use crate::cli::line::Line;
use crate::cmd::trust::{Consent, Source, Verb};
use appc::types::AcIdentifier;
use error::{Error, Result};
use image::trust::openpgp::Fingerprint;

/// Takes what to do, and with which keys.
pub(super) fn verb(line: &mut Line) -> Result<Verb> {
    let first = line.verb()?;
    match first.as_deref() {
        Some("list") => Ok(Verb::List {
            json: line.value("--format", json)?.unwrap_or(false),
        }),
        Some("rm") => Ok(Verb::Remove {
            prefix: prefix(line)?,
            fingerprint: match line.word()? {
                Some(word) => Fingerprint::parse(&word)?,
                None => return Err(Error::usage("a fingerprint is missing")),
            },
        }),
        _ => add(line, first.map(PathBuf::from)),
    }
}

fn add(line: &mut Line, first: Option<PathBuf>) -> Result<Verb> {
    let prefix = prefix(line)?;
    let fetch = crate::cli::fetch::options(line)?;
    let raises = line.flag("--allow-isolators");
    let yes = line.flag("--yes") | line.flag("-y");
    let consent = match line.value("--fingerprint", Fingerprint::parse)? {
        Some(_) if yes => {
            return Err(Error::usage(
                "`--yes` and `--fingerprint` exclude each other",
            ));
        }
        Some(fingerprint) => Consent::If(fingerprint),
        None if yes => Consent::Given,
        None => Consent::Asked,
    };
    let mut paths: Vec<PathBuf> = first.into_iter().collect();
    while let Some(path) = line.argument()? {
        paths.push(path);
    }
    paths.extend(line.rest().into_iter().map(PathBuf::from));
    let sources: Vec<Source> = paths.into_iter().map(source).collect();
    match (sources.len(), &consent) {
        (0, _) if prefix.is_none() => Err(Error::usage("a key is missing")
            .hint("give the file or the address of a public key, or `-` for the standard input")),
        (2.., Consent::If(_)) => Err(Error::usage("`--fingerprint` is for one key only")),
        _ => Ok(Verb::Add {
            prefix,
            raises,
            consent,
            sources,
            fetch,
        }),
    }
}

fn source(path: PathBuf) -> Source {
    match path.to_str() {
        Some("-") => Source::Input,
        Some(url) if url.starts_with("https://") || url.starts_with("http://") => {
            Source::Url(url.to_owned())
        }
        _ => Source::File(path),
    }
}

/// Takes for which images; for all of them only if that is said.
fn prefix(line: &mut Line) -> Result<Option<AcIdentifier>> {
    let root = line.flag("--root");
    match line.value("--prefix", AcIdentifier::parse)? {
        Some(_) if root => Err(Error::usage("`--prefix` and `--root` exclude each other")),
        None if !root => Err(Error::usage("it is not said for which images")
            .hint("`--prefix=example.com/app` is for these and those below, `--root` for all")),
        prefix => Ok(prefix),
    }
}

/// Reads the format of a list: is it JSON?
fn json(text: &str) -> Result<bool> {
    match text {
        "text" => Ok(false),
        "json" => Ok(true),
        other => Err(Error::usage(format!(
            "`{other}` is no format; it is `text` or `json`"
        ))),
    }
}
