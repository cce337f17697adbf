//! App Container Images: an archive with exactly a `manifest` and a `rootfs`,
//! whose ID is the SHA-512 of its uncompressed tar.
//!
//! Source: the App Container specification, "Image Layout" and "Image Archives".

use std::ffi::OsStr;
use std::io::BufRead;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::archive::tar_split::Recorder;
use crate::archive::walk::{self, Entry, Limits, Naming, Place, TakeFault};
use crate::digest::{Algorithm, Digest};
use appc::digest::ImageId;
use appc::manifest::ImageManifest;
use appc::reference::Name;
use error::{Error, Result};

/// The name of this format in the store.
pub const FORMAT: &str = "aci";

/// The hash function of image IDs.
pub const ALGORITHM: Algorithm = Algorithm::Sha512;

impl From<ImageId> for Digest {
    fn from(id: ImageId) -> Self {
        Self::of_bytes(id.as_bytes())
    }
}

/// Returns an image's ID as it is written in pod manifests, also that of an OCI
/// image.
///
/// # Errors
///
/// None: all digests can be written so.
pub fn image_id(digest: &Digest) -> Result<ImageId> {
    ImageId::parse_either(&digest.to_string())
}

/// Reads a whole archive, passes its bytes to `recorder`, calls `visit` for
/// each entry of its root file system, and returns its manifest, byte for byte.
///
/// # Errors
///
/// The layout is not valid, or a limit is exceeded; the message names the
/// entry. Errors of `visit`.
pub fn walk(
    input: &mut dyn BufRead,
    limits: &Limits,
    recorder: Option<&Recorder>,
    visit: &mut dyn FnMut(Entry<'_, '_>) -> Result<()>,
) -> Result<Vec<u8>> {
    let manifest = walk_on(input, limits, recorder, visit, &mut |error, _| Err(error))?;
    manifest.ok_or_else(|| Error::invalid("it has no `manifest`"))
}

/// Does the same, but passes faults to `fault`, which may let it go on. Returns
/// the manifest, if it was found.
///
/// # Errors
///
/// What `fault` returns; a limit is exceeded.
pub(crate) fn walk_on(
    input: &mut dyn BufRead,
    limits: &Limits,
    recorder: Option<&Recorder>,
    visit: &mut dyn FnMut(Entry<'_, '_>) -> Result<()>,
    fault: TakeFault<'_>,
) -> Result<Option<Vec<u8>>> {
    let naming = Naming {
        layout: place,
        lenient: false,
    };
    let walked = walk::walk(input, limits, naming, recorder, visit, fault)?;
    if walked.whole && !walked.rootfs {
        fault(Error::invalid("it has no directory `rootfs`"), None)?;
    }
    if walked.whole && !walked.described {
        fault(Error::invalid("it has no `manifest`"), None)?;
    }
    Ok(walked.document)
}

fn place(path: &Path) -> std::result::Result<Place<'_>, String> {
    let below = match path.as_os_str().as_bytes() {
        b"" => return Ok(Place::Top),
        b"manifest" => return Ok(Place::Document),
        b"rootfs" => Some(b"".as_slice()),
        path => path.strip_prefix(b"rootfs/"),
    };
    below
        .map(|below| Place::Rootfs(Path::new(OsStr::from_bytes(below))))
        .ok_or_else(|| "is neither `manifest` nor below `rootfs`".to_owned())
}

/// Checks that an image is the one that was asked for.
pub(crate) fn check(asked: &Name, manifest: &ImageManifest) -> Result<()> {
    if manifest.name != asked.name {
        return Err(Error::invalid(format!(
            "its manifest gives its name as `{}`",
            manifest.name
        )));
    }
    let Some(label) = manifest.labels.lacks(&asked.labels) else {
        return Ok(());
    };
    let name = &label.name;
    let says = match manifest.labels.get(name.as_str()) {
        Some(value) => format!("label `{name}` in its manifest is `{value}`"),
        None => format!("its manifest has no label `{name}`"),
    };
    Err(Error::invalid(format!(
        "{says}, but `{}` was asked for",
        label.value
    )))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_reaches_a_bound_is_refused_by_its_name() {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, content) in [("rootfs/a", "12345"), ("rootfs/b", "67890")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            let content = content.as_bytes();
            tar.append_data(&mut header, name, content).unwrap();
        }
        let tar = tar.into_inner().unwrap();
        let error = |limits: Limits| {
            let walked = walk(&mut tar.as_slice(), &limits, None, &mut |_| Ok(()));
            walked.unwrap_err().to_string()
        };
        let entries = Limits {
            entries: 1,
            ..Limits::default()
        };
        assert_eq!(error(entries), "it has more than 1 entries");
        let bytes = Limits {
            bytes: 9,
            ..Limits::default()
        };
        assert_eq!(error(bytes), "it has more than 9 B of content");
        let reached = Limits {
            entries: 2,
            bytes: 10,
            ..Limits::default()
        };
        assert_eq!(error(reached), "it has no directory `rootfs`");
    }
}
