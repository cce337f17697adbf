//! `launcher validate`: checks whether files follow the specification.
//!
//! The content of a file decides what it is, not its name: a directory is an
//! image layout, a file that starts like an archive is one, and anything else
//! is text, so a manifest. Results go to standard output: one line for a valid
//! file, one line for each fault of another. Warnings and hints go to standard
//! error.

use std::fs::File;
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cmd::print;
use crate::cmd::results::Results;
use appc::address::without_secrets;
use appc::json::Object;
use appc::manifest::{self, ImageManifest};
use error::quote::{quoted, shown};
use error::{Context as _, Error, Result};
use image::archive::stream::Growth;
use image::format::inspect::{self, Fault};
use sys::size;
use sys::standard::Output;

/// The largest manifest that is read, in bytes, also in an archive.
const MANIFEST_LIMIT: u64 = 4 << 20;

/// The options.
#[derive(Debug)]
pub(crate) struct Options {
    /// The files.
    pub(crate) files: Vec<PathBuf>,
    /// How much larger than its compressed form an archive may be.
    pub(crate) growth: Growth,
}

/// Checks all files, and prints what is wrong with each.
pub(crate) fn run(options: &Options, results: &mut Results<'_>) -> Result<ExitCode> {
    let sound = report(options, results, &mut Output::stderr())?;
    Ok(if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Checks all files, and returns whether all are valid.
fn report(options: &Options, results: &mut Results<'_>, err: &mut dyn Write) -> Result<bool> {
    let mut sound = true;
    for file in &options.files {
        let name = without_secrets(&shown(file).to_string());
        let object = Object::new().with("file", without_secrets(&file.to_string_lossy()));
        let (line, object, remarks) = match check(file, options.growth) {
            Ok(warnings) => {
                let object = object.with("valid", true);
                let told = warnings.iter().map(String::as_str);
                (
                    format!("{name} OK"),
                    object.with_items("warnings", told),
                    warnings,
                )
            }
            Err(faults) => {
                sound = false;
                let faults: Vec<Told> = faults.into_iter().map(Told::from).collect();
                let lines = faults.iter().map(|fault| fault.line(&name));
                let lines: Vec<String> = lines.collect();
                let object = object.with("valid", false);
                let object = object.with_items("faults", faults.iter().map(Told::json));
                let hints = faults.into_iter().filter_map(|fault| fault.hint);
                let hints = hints.map(|hint| format!("hint: {hint}"));
                (lines.join("\n"), object, hints.collect())
            }
        };
        results.add(&line, object)?;
        for remark in remarks {
            // If warnings cannot be printed, the result still counts.
            let _ = print(err, &format!("launcher: {name}: {}\n", shown(&remark)));
        }
    }
    Ok(sound)
}

/// What is told of a fault.
struct Told {
    reason: String,
    hint: Option<String>,
    at: Option<u64>,
}

impl From<Fault> for Told {
    fn from(fault: Fault) -> Self {
        let text = fault.error.to_string();
        let (reason, hint) = match text.split_once("\nhint: ") {
            Some((reason, hint)) => (reason, Some(hint.to_owned())),
            None => (text.as_str(), None),
        };
        Self {
            reason: reason.to_owned(),
            hint,
            at: fault.at,
        }
    }
}

impl Told {
    fn line(&self, file: &str) -> String {
        let at = self.at.map(|at| format!(" (byte {at} of the tar)"));
        let (reason, at) = (&self.reason, at.unwrap_or_default());
        format!("{file} NOT OK: {reason}{at}")
    }

    fn json(&self) -> Object {
        Object::new()
            .with("reason", self.reason.as_str())
            .with_some("hint", self.hint.as_deref())
            .with_some("offset", self.at)
    }
}

/// Checks one file; returns warnings, or all faults.
fn check(path: &Path, growth: Growth) -> std::result::Result<Vec<String>, Vec<Fault>> {
    let fault = |error| Fault { error, at: None };
    let faults = |errors: Vec<Error>| errors.into_iter().map(fault).collect();
    match open(path).map_err(|error| vec![fault(error)])? {
        Opened::Archive(file) => {
            let mut warnings = inspect::check(file, growth)?;
            if path.extension().is_none_or(|extension| extension != "aci") {
                warnings.push("its name should end in `.aci`".into());
            }
            Ok(warnings)
        }
        Opened::Layout(text) => ImageManifest::check(&text)
            .map(|manifest| manifest.warnings)
            .map_err(faults),
        Opened::Manifest(text) => manifest::check(&text)
            .map(|manifest| manifest.warnings)
            .map_err(faults),
    }
}

/// What there is to check.
enum Opened {
    Archive(File),
    /// The manifest of an image layout.
    Layout(Vec<u8>),
    /// A manifest of its own.
    Manifest(Vec<u8>),
}

fn open(path: &Path) -> Result<Opened> {
    let what = || "cannot read it";
    // Checked before opening: opening a named pipe waits for its writer.
    let kind = std::fs::metadata(path).context(what)?.file_type();
    if kind.is_dir() {
        return layout(path).map(Opened::Layout);
    }
    if !kind.is_file() {
        return Err(Error::invalid("it is neither a file nor a directory"));
    }
    let file = File::open(path).context(what)?;
    let mut head = [0; 512];
    let count = rustix::io::pread(&file, &mut head, 0).context(what)?;
    match content(&head[..count]) {
        Content::Archive => Ok(Opened::Archive(file)),
        Content::Encrypted => Err(Error::invalid(
            "it is encrypted with OpenPGP, which Nose Cone does not support",
        )),
        Content::Text => read(file).map(Opened::Manifest),
    }
}

/// What a file is, judged by its beginning.
#[derive(Debug, PartialEq, Eq)]
enum Content {
    Archive,
    Encrypted,
    Text,
}

fn content(head: &[u8]) -> Content {
    if head.starts_with(b"-----BEGIN PGP MESSAGE-----") {
        return Content::Encrypted;
    }
    // Archives contain NUL bytes or, compressed, bytes that are not UTF-8,
    // usually near the start. Text has neither, unless it is in another
    // encoding. The last character may be cut off.
    let document = head.trim_ascii_start().starts_with(b"{");
    let wide = head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff");
    let text = match std::str::from_utf8(head) {
        Ok(text) => !text.contains('\0') && !text.starts_with("BZh"),
        Err(error) => wide || ((document || error.error_len().is_none()) && !head.contains(&0)),
    };
    if text && !head.is_empty() {
        Content::Text
    } else {
        Content::Archive
    }
}

/// Reads a manifest, unless it is larger than any may be.
pub(crate) fn read(file: File) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    file.take(MANIFEST_LIMIT + 1)
        .read_to_end(&mut text)
        .context(|| "cannot read it")?;
    if text.len() as u64 > MANIFEST_LIMIT {
        return Err(Error::invalid(format!(
            "it is larger than {}",
            size::spell(MANIFEST_LIMIT)
        )));
    }
    Ok(text)
}

/// Checks an image layout: a directory with a regular file `manifest`, a
/// directory `rootfs`, and nothing else. Returns the manifest.
fn layout(path: &Path) -> Result<Vec<u8>> {
    let what = || "cannot read it";
    let mut found = [false; 2];
    for entry in std::fs::read_dir(path).context(what)? {
        let entry = entry.context(what)?;
        let kind = entry.file_type().context(what)?;
        match entry.file_name().to_str() {
            Some("manifest") if kind.is_file() => found[0] = true,
            Some("manifest") => return Err(Error::invalid("its `manifest` is not a regular file")),
            Some("rootfs") if kind.is_dir() => found[1] = true,
            Some("rootfs") => return Err(Error::invalid("its `rootfs` is not a directory")),
            _ => {
                let name = entry.file_name();
                return Err(Error::invalid(format!(
                    "an image layout cannot contain {}, only `manifest` and `rootfs`",
                    quoted(&name.to_string_lossy())
                )));
            }
        }
    }
    match found {
        [false, _] => Err(Error::invalid("it has no `manifest`")),
        [_, false] => Err(Error::invalid("it has no directory `rootfs`")),
        [true, true] => {
            let file = File::open(path.join("manifest")).context(what)?;
            read(file)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides_what_a_file_is() {
        let mut tar = [b'x'; 512];
        tar[8] = 0;
        for (head, expected) in [
            (&b""[..], Content::Archive),
            (&[0x1f, 0x8b, 8, 0], Content::Archive),
            (&[0xfd, b'7', b'z', b'X', b'Z', 0], Content::Archive),
            (&tar, Content::Archive),
            (b"{}", Content::Text),
            (b"<html>", Content::Text),
            ("\u{feff}{}".as_bytes(), Content::Text),
            // Cut within a character.
            (&"{\"é".as_bytes()[..3], Content::Text),
            // In Latin-1, and in UTF-16.
            (b"{\"caf\xe9\"}", Content::Text),
            (b"\xff\xfe{\0}\0", Content::Text),
            (b"BZh91", Content::Archive),
            (b"-----BEGIN PGP MESSAGE-----\n\nowE", Content::Encrypted),
        ] {
            assert_eq!(content(head), expected, "{head:?}");
        }
    }
}
