//! The command line of `launcher image`.

use super::line::Line;
use crate::command::image::Verb;
use crate::ground::{Error, Result};

/// Takes the verb, and what it works on.
pub(super) fn verb(line: &mut Line) -> Result<Verb> {
    let missing = || Error::usage("an image is missing").hint("`launcher image list` lists them");
    let verb = line.verb()?;
    Ok(match verb.as_deref() {
        Some("list") => Verb::List {
            full: line.flag("--full"),
            legend: !line.flag("--no-legend"),
            json: line.value("--format", json)?.unwrap_or(false),
        },
        Some("rm") => Verb::Remove(match line.words()? {
            names if names.is_empty() => return Err(missing()),
            names => names,
        }),
        Some("verify") => Verb::Verify(line.words()?),
        Some("cat-manifest") => Verb::CatManifest(line.word()?.ok_or_else(missing)?),
        Some(verb @ ("export" | "extract" | "render")) => {
            let image = line.word()?.ok_or_else(missing)?;
            let target = line.argument()?;
            match (verb, target) {
                ("export", Some(file)) => Verb::Export(image, file),
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

/// Reads the format of a table: is it JSON?
fn json(text: &str) -> Result<bool> {
    match text {
        "text" => Ok(false),
        "json" => Ok(true),
        other => Err(Error::usage(format!(
            "`{other}` is no format; it is `text` or `json`"
        ))),
    }
}
