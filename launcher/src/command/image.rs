//! `launcher image`: what is in the store.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::signature;
use crate::ground::dirs::Dirs;
use crate::ground::{Context as _, Error, Result, beneath};
use crate::image::store::Store;
use crate::pod::render;
use crate::words::digest::ImageId;
use crate::words::json::{Object, Value};

/// How to use this command.
pub(crate) const HELP: &str = "\
Usage: launcher image list [--full] [--no-legend] [--format=text|json]
       launcher image rm IMAGE...
       launcher image verify [IMAGE...]
       launcher image verify --signature=FILE.aci.asc FILE.aci
       launcher image export IMAGE FILE
       launcher image extract IMAGE DIRECTORY
       launcher image render IMAGE DIRECTORY
       launcher image cat-manifest IMAGE

Shows and changes what is in the store. An IMAGE is the beginning of an image
ID, as long as only one image begins so, or the name of an image, of which the
latest is meant.

  list          all images, with name, size, and when they were stored
  rm            removes images; pods that run keep their files
  verify        computes IDs again from what is stored, of all images if none
                is named; with --signature, whether a key that is trusted for
                the image of a file has signed it (`launcher help trust`)
  export        writes the archive, byte for byte as its ID says, uncompressed
  extract       copies the root file system into a directory that is not there
  render        the same, with all dependencies, as an app would see it
  cat-manifest  prints the manifest
";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// List all images.
    List {
        /// Whole IDs, and exact sizes and times.
        full: bool,
        /// A line that names the columns.
        legend: bool,
        /// JSON, for programs.
        json: bool,
    },
    /// Remove images.
    Remove(Vec<String>),
    /// Compute IDs again.
    Verify(Vec<String>),
    /// Check a detached signature of an archive.
    VerifySignature(PathBuf, PathBuf),
    /// Write an archive.
    Export(String, PathBuf),
    /// Copy a root file system.
    Extract(String, PathBuf),
    /// Copy a root file system with all dependencies.
    Render(String, PathBuf),
    /// Print a manifest.
    CatManifest(String),
}

/// Does it.
pub(crate) fn run(dir: &Path, verb: &Verb, out: &mut dyn Write) -> Result<()> {
    let dirs = Dirs::open(dir)?;
    let store = Store::open(&dirs)?;
    match verb {
        Verb::List { full, legend, json } => {
            let rows = rows(&store)?;
            let text = match json {
                true => format!("{:#}\n", Value::List(rows.iter().map(Row::json).collect())),
                false => table(&rows, *full, *legend),
            };
            print(out, &text)
        }
        Verb::Remove(names) => {
            // All are looked up before one is removed.
            let ids = named(&store, names)?;
            for id in ids {
                store.remove(&id)?;
                print(out, &format!("removed {id}\n"))?;
            }
            Ok(())
        }
        Verb::Verify(names) => verify(&store, names, out),
        Verb::VerifySignature(file, archive) => {
            print(out, &signature::verify(&dirs, file, archive)?)
        }
        Verb::Export(name, file) => export(&store, name, file),
        Verb::Extract(name, directory) => {
            let id = store.named(name)?;
            let image = store.image(&id)?;
            let path = image.map(|image| image.rootfs_path());
            copy(&path.into_iter().collect::<Vec<_>>(), directory)
        }
        Verb::Render(name, directory) => {
            let id = store.named(name)?;
            copy(&render::directories(&store, &dirs, &id)?, directory)
        }
        Verb::CatManifest(name) => {
            let manifest = store.manifest(&store.named(name)?)?;
            out.write_all(&manifest)
                .and_then(|()| out.write_all(b"\n"))
                .context(|| CANNOT_PRINT)
        }
    }
}

const CANNOT_PRINT: &str = "cannot write to the standard output";

fn print(out: &mut dyn Write, text: &str) -> Result<()> {
    out.write_all(text.as_bytes()).context(|| CANNOT_PRINT)
}

fn named(store: &Store<'_>, names: &[String]) -> Result<Vec<ImageId>> {
    names.iter().map(|name| store.named(name)).collect()
}

/// An image, as it is listed.
struct Row {
    id: ImageId,
    name: String,
    version: Option<String>,
    size: u64,
    stored: u64,
}

/// One bad image is said, and does not hide the others.
fn rows(store: &Store<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for id in store.ids()? {
        match store
            .image(&id)
            .and_then(|image| Ok((image, store.record(&id)?)))
        {
            Ok((Some(image), record)) => rows.push(Row {
                id,
                name: image.manifest().name.as_str().to_owned(),
                version: image.manifest().labels.get("version").map(str::to_owned),
                size: record.size,
                stored: record.stored,
            }),
            // It was removed meanwhile.
            Ok((None, _)) => {}
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "launcher: {error}");
            }
        }
    }
    rows.sort_by_key(|row| row.stored);
    Ok(rows)
}

impl Row {
    fn json(&self) -> Value {
        Object::new()
            .with("id", self.id.to_string())
            .with("name", self.name.as_str())
            .with_some("version", self.version.as_deref())
            .with("import_time", self.stored.saturating_mul(1_000_000_000))
            .with("size", self.size)
            .into()
    }

    fn cells(&self, full: bool) -> [String; 4] {
        let id = self.id.to_string();
        let name = match &self.version {
            Some(version) => format!("{}:{version}", self.name),
            None => self.name.clone(),
        };
        match full {
            true => [id, name, self.size.to_string(), self.stored.to_string()],
            false => [
                id.chars().take("sha512-".len() + 12).collect(),
                name,
                size(self.size),
                age(self.stored),
            ],
        }
    }
}

/// Lays rows out in columns.
fn table(rows: &[Row], full: bool, legend: bool) -> String {
    let mut cells: Vec<[String; 4]> = rows.iter().map(|row| row.cells(full)).collect();
    if legend {
        cells.insert(0, ["ID", "NAME", "SIZE", "STORED"].map(str::to_owned));
    }
    let mut widths = [0; 4];
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in &cells {
        let line: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Spells a size for people.
fn size(bytes: u64) -> String {
    let mut unit = "B";
    let mut value = bytes;
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024 {
            break;
        }
        value /= 1024;
        unit = next;
    }
    format!("{value}{unit}")
}

/// Spells for people how long ago something was.
fn age(then: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seconds = now.map_or(0, |now| now.as_secs()).saturating_sub(then);
    for (unit, length) in [("day", 86_400), ("hour", 3600), ("minute", 60)] {
        let count = seconds / length;
        if count > 0 {
            let plural = if count == 1 { "" } else { "s" };
            return format!("{count} {unit}{plural} ago");
        }
    }
    "just now".to_owned()
}

fn verify(store: &Store<'_>, names: &[String], out: &mut dyn Write) -> Result<()> {
    let ids = match names {
        [] => store.ids()?,
        names => named(store, names)?,
    };
    let mut bad = 0;
    for id in ids {
        let line = match store.verify(&id) {
            Ok(true) => format!("{id} OK\n"),
            Ok(false) => format!("{id} NOT OK: its files have another ID\n"),
            Err(error) => format!("{id} NOT OK: {error}\n"),
        };
        bad += u32::from(!line.ends_with(" OK\n"));
        print(out, &line)?;
    }
    match bad {
        0 => Ok(()),
        1 => Err(Error::invalid("one image is not as it was stored")),
        many => Err(Error::invalid(format!(
            "{many} images are not as they were stored"
        ))),
    }
}

/// Writes aside and renames, so that the file is whole if it is there.
fn export(store: &Store<'_>, name: &str, file: &Path) -> Result<()> {
    let what = || format!("cannot write `{}`", file.display());
    let id = store.named(name)?;
    if file.exists() {
        return Err(Error::invalid(format!("{}: it exists already", what())));
    }
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let opened = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(&unfinished);
    let mut output = std::io::BufWriter::with_capacity(256 << 10, opened.context(what)?);
    let written = store
        .export(&id, &mut output)
        .and_then(|()| output.flush().context(what))
        .and_then(|()| std::fs::rename(&unfinished, file).context(what));
    if written.is_err() {
        let _ = std::fs::remove_file(&unfinished);
    }
    written
}

/// Copies layers, topmost first, into a directory that is made for it.
fn copy(layers: &[PathBuf], directory: &Path) -> Result<()> {
    let what = || format!("cannot write `{}`", directory.display());
    let parent = match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let name = directory
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| Error::usage(format!("{}: it has no name", what())))?;
    let parent = std::fs::File::open(parent).context(what)?;
    beneath::copy_layers(layers, parent.as_fd(), name).context(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages_are_spelled_for_people() {
        assert_eq!(size(0), "0B");
        assert_eq!(size(1023), "1023B");
        assert_eq!(size(140 << 20), "140MiB");
        assert_eq!(age(u64::MAX), "just now");
        assert!(age(0).ends_with(" days ago"));
    }
}
