//! `launcher plan`: what `run` would do, without doing anything.

use std::path::Path;

use crate::command::run::{Options, random_uuid};
use crate::ground::host::Host;
use crate::ground::{Context as _, Result};
use crate::image::survey::survey;
use crate::pod::compose::compose;
use crate::pod::directory;
use crate::pod::reify::{Source, reify};

/// How to use this command.
pub(crate) const HELP: &str = "\
Usage: launcher plan [OPTIONS] IMAGE [-- ARGUMENT...]

Shows the plan that `launcher run` with the same options would execute, one
directive a line, each with the reason why it is there. Changes nothing, and
needs no privileges. `launcher run --plan FILE` executes what this prints.

Options:
  --format FORMAT   text, json, or words: NUL-terminated, as stage1-init
                    reads them (text)
  and those of `launcher run`
";

/// How a plan is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For stage1-init.
    Words,
}

/// Returns the plan.
pub(crate) fn run(dir: &Path, options: &Options, format: Format) -> Result<Vec<u8>> {
    let host = Host::observe();
    let name = options.image.display().to_string();
    let file =
        std::fs::File::open(&options.image).context(|| format!("cannot open image `{name}`"))?;
    let survey = survey(file, &name)?;
    let uuid = options.uuid.map_or_else(random_uuid, Ok)?;
    let source = Source {
        manifest: &survey.manifest.value,
        rootfs: &survey.index,
        layers: vec![
            dir.join("images")
                .join(survey.id.to_string())
                .join("rootfs"),
        ],
    };
    let directory = directory::path(dir, uuid);
    let pod = reify(uuid, directory, &host, &options.request, &source)?;
    let plan = compose(&pod, &host)?;
    Ok(match format {
        Format::Text => plan.text().into_bytes(),
        Format::Json => plan.json().into_bytes(),
        Format::Words => plan.words(),
    })
}
