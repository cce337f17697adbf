//! The command line of `launcher image`.

use std::time::Duration;

use crate::cli::args::Args;
use crate::cli::fetch::{insecure, options as fetching};
use crate::cli::options::Options;
use crate::cli::values::amount;
use crate::cmd::image::{Export, Field, Form, Listing, Place, Prune, Verb};
use crate::cmd::validate;
use appc::types::duration;
use error::quote::quoted;
use error::{Error, Result};
use image::fetch::insecure::Insecure;
use image::fetch::options as fetch;
use image::fetch::registries;
use oci::reference::Asked;

/// Takes the options of `validate`, and files.
pub(super) fn validate(args: &mut Args) -> Result<validate::Options> {
    let growth = insecure(&mut args.options)?.growth();
    match args.files() {
        files if files.is_empty() => Err(Error::usage("a file is missing")),
        files => Ok(validate::Options { files, growth }),
    }
}

/// Takes the arguments of a subcommand of `image`.
pub(super) fn verb(name: &str, args: &mut Args) -> Result<Verb> {
    let list = args.typed.launcher("image list");
    let missing = || Error::usage("an image is missing").hint(format!("{list} lists all images"));
    let file = || Error::usage("a file is missing");
    let directory = || Error::usage("a directory is missing");
    let options = &mut args.options;
    Ok(match name {
        "list" => Verb::List(listing(options)?),
        "gc" => Verb::Collect {
            grace: options.value("--grace-period", duration)?.unwrap_or(GRACE),
            dry: options.flag("--dry-run"),
        },
        "rm" => match args.all()? {
            names if names.is_empty() => return Err(missing()),
            names => Verb::Remove(names),
        },
        "verify" => match (
            options.path("--signature"),
            options.value("--insecure-options", Insecure::parse)?,
        ) {
            (Some(signature), checks) => Verb::VerifySignature(
                signature,
                args.argument().ok_or_else(file)?,
                checks.unwrap_or_default().growth(),
            ),
            (None, None) => {
                let remove = options.flag("--remove-changed");
                Verb::Verify(args.all()?, remove)
            }
            (None, Some(_)) => {
                return Err(Error::usage("`--insecure-options` needs `--signature`"));
            }
        },
        "prune" => Verb::Prune(prune(options)?),
        "df" => Verb::Room,
        "inspect" => match args.all()? {
            names if names.is_empty() => return Err(missing()),
            names => Verb::Inspect(names),
        },
        "history" => Verb::History(args.word()?.ok_or_else(missing)?),
        "diff" => {
            let old = args.word()?.ok_or_else(missing)?;
            Verb::Diff(old, args.word()?.ok_or_else(missing)?)
        }
        "tag" => {
            let image = args.word()?.ok_or_else(missing)?;
            let name = || Error::usage("a name is missing");
            let name = args.word()?.ok_or_else(name)?;
            Verb::Tag(image, registries::one(&Asked::parse(&name)?)?)
        }
        "export" => Verb::Export(Box::new(export(args, missing, file)?)),
        "push" => Verb::Export(Box::new(push(args, missing)?)),
        name => {
            let image = args.word()?.ok_or_else(missing)?;
            match name {
                "extract" => Verb::Extract(image, args.argument().ok_or_else(directory)?),
                "render" => Verb::Render(image, args.argument().ok_or_else(directory)?),
                _ => Verb::CatManifest(image),
            }
        }
    })
}

/// Takes what is to be removed.
fn prune(options: &mut Options) -> Result<Prune> {
    let number = |text: &str| {
        let number = text.parse().ok();
        number.ok_or_else(|| Error::usage(format!("{} is not a number of images", quoted(text))))
    };
    let prune = Prune {
        keep: options.value("--keep-last", number)?,
        most: options.value("--max-size", |text| {
            amount(text).map(|size| size.units().unsigned_abs())
        })?,
        dry: options.flag("--dry-run"),
    };
    match prune {
        Prune {
            keep: None,
            most: None,
            ..
        } => Err(Error::usage("nothing says which images are to be removed")
            .hint("`--keep-last` and `--max-size` do; `launcher image gc` removes unused ones")),
        prune => Ok(prune),
    }
}

/// Takes an image, a file, and what the file is to be.
fn export(
    args: &mut Args,
    missing: impl FnOnce() -> Error,
    file: impl FnOnce() -> Error,
) -> Result<Export> {
    let form = args.options.value("--format", Form::parse)?;
    let overwrite = args.options.flag("--overwrite");
    let image = args.word()?.ok_or_else(missing)?;
    let path = args.argument().ok_or_else(file)?;
    Ok(Export {
        image,
        place: Place::File {
            path,
            form,
            name: None,
        },
        overwrite,
        fetch: fetch::Options::default(),
    })
}

/// Takes an image, and where it goes.
fn push(args: &mut Args, missing: impl FnOnce() -> Error) -> Result<Export> {
    let overwrite = args.options.flag("--overwrite");
    let fetch = fetching(&mut args.options)?;
    let image = args.word()?.ok_or_else(missing)?;
    let place = match args.word()? {
        Some(place) => Place::parse(&place)?,
        None => Place::Same,
    };
    Ok(Export {
        image,
        place,
        overwrite,
        fetch,
    })
}

/// How long to keep unused images.
const GRACE: Duration = Duration::from_secs(24 * 3600);

fn listing(options: &mut Options) -> Result<Listing> {
    let fields = options.value("--fields", |text| {
        text.split(',').map(Field::parse).collect()
    })?;
    Ok(Listing {
        fields: fields.unwrap_or_else(|| Field::ALL.into()),
        sort: options
            .value("--sort", Field::parse)?
            .unwrap_or(Field::ImportTime),
        descending: options.value("--order", descending)?.unwrap_or(false),
        full: options.flag("--full"),
        legend: !options.flag("--no-legend"),
    })
}

fn descending(text: &str) -> Result<bool> {
    match text {
        "asc" => Ok(false),
        "desc" => Ok(true),
        other => Err(Error::usage(format!(
            "`{other}` is not an order: use `asc` or `desc`"
        ))),
    }
}
