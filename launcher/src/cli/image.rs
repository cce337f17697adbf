//! The command line of `launcher image`.

use std::time::Duration;

use crate::cli::line::Line;
use crate::cmd::image::{Field, Listing, Verb};
use crate::cmd::table::Format;
use appc::types::duration;
use error::{Error, Result};

/// Takes the verb, and what it works on.
pub(super) fn verb(line: &mut Line) -> Result<Verb> {
    let missing = || Error::usage("an image is missing").hint("`launcher image list` lists them");
    let verb = line.verb()?;
    Ok(match verb.as_deref() {
        Some("list") => Verb::List(listing(line)?),
        Some("gc") => Verb::Collect {
            grace: line.value("--grace-period", duration)?.unwrap_or(GRACE),
            dry: line.flag("--dry-run"),
        },
        Some("rm") => Verb::Remove(match line.words()? {
            names if names.is_empty() => return Err(missing()),
            names => names,
        }),
        Some("verify") => match line.path("--signature")? {
            Some(signature) => match line.argument()? {
                Some(archive) => Verb::VerifySignature(signature, archive),
                None => return Err(Error::usage("a file is missing")),
            },
            None => Verb::Verify(line.words()?),
        },
        Some("cat-manifest") => Verb::CatManifest(line.word()?.ok_or_else(missing)?),
        Some(verb @ ("export" | "extract" | "render")) => {
            let overwrite = verb == "export" && line.flag("--overwrite");
            let image = line.word()?.ok_or_else(missing)?;
            let target = line.argument()?;
            match (verb, target) {
                ("export", Some(file)) => Verb::Export(image, file, overwrite),
                ("extract", Some(directory)) => Verb::Extract(image, directory),
                ("render", Some(directory)) => Verb::Render(image, directory),
                ("export", None) => return Err(Error::usage("a file is missing")),
                _ => return Err(Error::usage("a directory is missing")),
            }
        }
        Some(other) => {
            return Err(Error::usage(format!("there is no command `image {other}`"))
                .hint("`launcher help image` lists them"));
        }
        None => {
            return Err(
                Error::usage("`image` needs a command").hint("`launcher help image` lists them")
            );
        }
    })
}

/// How long an image is kept that nobody uses.
const GRACE: Duration = Duration::from_secs(24 * 3600);

fn listing(line: &mut Line) -> Result<Listing> {
    let fields = line.value("--fields", |text| {
        text.split(',').map(Field::parse).collect()
    })?;
    Ok(Listing {
        fields: fields.unwrap_or_else(|| Field::ALL.into()),
        sort: line
            .value("--sort", Field::parse)?
            .unwrap_or(Field::ImportTime),
        descending: line.value("--order", descending)?.unwrap_or(false),
        full: line.flag("--full"),
        legend: !line.flag("--no-legend"),
        format: line.value("--format", format)?.unwrap_or(Format::Text),
    })
}

fn descending(text: &str) -> Result<bool> {
    match text {
        "asc" => Ok(false),
        "desc" => Ok(true),
        other => Err(Error::usage(format!(
            "`{other}` is no order; it is `asc` or `desc`"
        ))),
    }
}

/// Reads how a list is to be written.
pub(super) fn format(text: &str) -> Result<Format> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        "json-pretty" => Ok(Format::JsonPretty),
        other => Err(Error::usage(format!(
            "`{other}` is no format; it is `text`, `json` or `json-pretty`"
        ))),
    }
}
