//! Where the blobs of an image come from: a directory, an archive, a registry.

use std::io::{Cursor, Read};

use crate::archive::tar_reader;
use crate::digest::Digest;
use crate::trust::blob::{Blob, Proof};
use error::{Error, Result};
use oci::manifest::{Descriptor, Document, LIMIT};
use oci::media_type::Kind;
use sys::size;

/// What has blobs. Nobody relies on what it says: every blob is checked.
pub(crate) trait Blobs: Sync {
    /// Opens a blob.
    ///
    /// # Errors
    ///
    /// It is not there, or cannot be read.
    fn open(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>>;

    /// Ends what other threads wait for, because nobody needs it any more.
    fn stop(&self) {}

    /// Learns whether a layer of what was read of a blob was stored, or was `given_up`,
    /// and adds to the error what follows from that.
    fn ended(&self, _: &Descriptor, stored: Result<Digest>, _given_up: bool) -> Result<Digest> {
        stored
    }

    /// Returns whether somebody else may have a blob that was opened, and was not
    /// the one that was announced: then that one is opened next.
    fn pass_over(&self, _blob: &Descriptor, _why: &Error) -> bool {
        false
    }
}

/// Has the bytes of a blob taken: those in its descriptor, or those of the first who
/// has the right ones.
///
/// # Errors
///
/// Nobody has it; the error of `take`.
pub(crate) fn take<T>(
    blobs: &dyn Blobs,
    blob: &Descriptor,
    take: impl Fn(Blob, Proof) -> Result<T>,
) -> Result<T> {
    if let Some(data) = &blob.data {
        let (checked, proof) = Blob::new(blob, Box::new(Cursor::new(data.clone())));
        return take(checked, proof);
    }
    loop {
        let (checked, proof) = Blob::new(blob, blobs.open(blob)?);
        let state = proof.clone();
        match take(checked, proof) {
            Err(error) if state.blames(&error) && blobs.pass_over(blob, &error) => {}
            taken => return taken,
        }
    }
}

/// Reads a whole blob, and checks it.
///
/// # Errors
///
/// It is not there, larger than the limit, or not the one that was announced.
pub(crate) fn read(blobs: &dyn Blobs, blob: &Descriptor, limit: usize) -> Result<Vec<u8>> {
    if blob.size > limit as u64 {
        let most = size::spell(limit as u64);
        return Err(Error::invalid(format!("it is larger than {most}")));
    }
    take(blobs, blob, |mut checked, _| {
        let mut content = Vec::new();
        let read = checked.read_to_end(&mut content);
        read.map(|_| content).map_err(tar_reader::unreadable)
    })
}

/// Reads a manifest or an index; returns its bytes, too.
///
/// # Errors
///
/// As for [`read`]; it is not what its descriptor says.
pub(crate) fn document(blobs: &dyn Blobs, blob: &Descriptor) -> Result<(Vec<u8>, Document)> {
    let what = match blob.kind() {
        Kind::Index => "its index",
        _ => "its manifest",
    };
    let content = read(blobs, blob, LIMIT).map_err(|error| error.at(what))?;
    let claimed = Some(blob.media_type.as_str()).filter(|claimed| !claimed.is_empty());
    let document = Document::read(&content, claimed).map_err(|error| error.at(what))?;
    Ok((content, document))
}
