//! The command line of `launcher trust`.

use std::path::PathBuf;

use crate::cli::args::Args;
use crate::cli::options::Options;
use crate::cli::spelling::excluded;
use crate::cmd::trust::{Consent, Source, Verb};
use appc::address::Location;
use appc::types::AcIdentifier;
use error::{Error, Result};
use image::trust::openpgp::Fingerprint;

/// Takes the arguments of a subcommand of `trust`.
pub(super) fn verb(name: &str, args: &mut Args) -> Result<Verb> {
    match name {
        "list" => Ok(Verb::List),
        _ => Ok(Verb::Remove {
            prefix: prefix(&mut args.options)?,
            fingerprint: match args.word()? {
                Some(word) => Fingerprint::parse(&word)?,
                None => return Err(Error::usage("a fingerprint is missing")),
            },
        }),
    }
}

/// Takes the keys to trust, and for what.
pub(super) fn add(args: &mut Args) -> Result<Verb> {
    let options = &mut args.options;
    let prefix = prefix(options)?;
    let fetch = crate::cli::fetch::options(options)?;
    let raises = options.flag("--allow-isolators");
    let yes = options.flag("--yes");
    let consent = match options.value("--fingerprint", Fingerprint::parse)? {
        Some(_) if yes => return Err(excluded("--yes", "--fingerprint")),
        Some(fingerprint) => Consent::If(fingerprint),
        None if yes => Consent::Given,
        None => Consent::Asked,
    };
    let sources = args.files().into_iter().map(source);
    let sources = sources.collect::<Result<Vec<Source>>>()?;
    match (sources.len(), &consent) {
        (0, _) if prefix.is_none() => Err(Error::usage("a key is missing")
            .hint("give a file with a public key, the address of one, or `-` for standard input")),
        (2.., Consent::If(_)) => Err(Error::usage(
            "`--fingerprint` cannot be used with several keys",
        )),
        _ => Ok(Verb::Add {
            prefix,
            raises,
            consent,
            sources,
            fetch,
        }),
    }
}

fn source(path: PathBuf) -> Result<Source> {
    let location = match path.to_str() {
        Some("-") => return Ok(Source::Input),
        text => text.map(Location::parse).transpose()?.flatten(),
    };
    Ok(match location {
        Some(Location::Web(address)) => Source::Url(address),
        Some(Location::File(path)) => Source::File(path),
        None => Source::File(path),
    })
}

/// Takes the prefix of image names; `--root` must be given to mean all images.
fn prefix(options: &mut Options) -> Result<Option<AcIdentifier>> {
    let root = options.flag("--root");
    match options.value("--prefix", AcIdentifier::parse)? {
        Some(_) if root => Err(excluded("--prefix", "--root")),
        None if !root => Err(Error::usage("`--prefix` or `--root` is missing")
            .hint("`--prefix=example.com/app` trusts a key for images of that name and below, `--root` for all")),
        prefix => Ok(prefix),
    }
}
