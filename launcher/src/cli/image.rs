//! The command line of `launcher image`.

use std::time::Duration;

use crate::cli::args::Args;
use crate::cli::fetch::{insecure, options as fetching};
use crate::cli::options::Options;
use crate::cmd::image::{Export, Field, Form, Listing, Place, Verb};
use crate::cmd::validate;
use appc::types::duration;
use error::{Error, Result};
use image::fetch::insecure::Insecure;
use image::fetch::options as fetch;

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
            (None, None) => Verb::Verify(args.all()?),
            (None, Some(_)) => {
                return Err(Error::usage("`--insecure-options` needs `--signature`"));
            }
        },
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
