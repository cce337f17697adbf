//! A blob as it is read: it must have the size and the digest that were announced.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::digest::{Digest, Hasher};
use error::{Error, Result};
use oci::manifest::Descriptor;

/// The bytes of a blob. Reading them ends with an error if they are not the ones
/// that were announced, also if there are more.
pub(crate) struct Blob {
    input: Box<dyn Read + Send>,
    hasher: Option<Hasher>,
    expected: Digest,
    size: u64,
    left: u64,
    sound: Arc<AtomicBool>,
}

/// What tells whether a blob was read to its end, and was the one announced.
pub(crate) struct Proof(Arc<AtomicBool>);

impl Blob {
    /// Starts to read a blob.
    pub(crate) fn new(descriptor: &Descriptor, input: Box<dyn Read + Send>) -> (Self, Proof) {
        let expected = Digest::from(&descriptor.digest);
        let sound = Arc::new(AtomicBool::new(false));
        let blob = Self {
            input,
            hasher: Some(Hasher::new(expected.algorithm())),
            expected,
            size: descriptor.size,
            left: descriptor.size,
            sound: Arc::clone(&sound),
        };
        (blob, Proof(sound))
    }

    /// Finds out, once, whether this was all, and the right bytes.
    fn end(&mut self) -> io::Result<()> {
        let Some(hasher) = self.hasher.take() else {
            return Ok(());
        };
        let mut more = [0];
        loop {
            match self.input.read(&mut more) {
                Ok(0) => break,
                Ok(_) => {
                    let size = self.size;
                    return Err(wrong(format!(
                        "it has more than the {size} bytes that were announced"
                    )));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let found = hasher.finish();
        if found != self.expected {
            let (found, expected) = (found.oci(), self.expected.oci());
            return Err(wrong(format!("its digest is `{found}`, not `{expected}`")));
        }
        self.sound.store(true, Ordering::Release);
        Ok(())
    }
}

impl Read for Blob {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return self.end().map(|()| 0);
        }
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = self.input.read(&mut buffer[..most])?;
        if count == 0 && !buffer.is_empty() {
            let (size, found) = (self.size, self.size - self.left);
            return Err(wrong(format!("it has {found} bytes instead of {size}")));
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        self.left -= count as u64;
        if self.left == 0 {
            self.end()?;
        }
        Ok(count)
    }
}

impl Proof {
    /// Checks that all of it was read.
    ///
    /// # Errors
    ///
    /// It was not, so that nobody knows what it is.
    pub(crate) fn check(self) -> Result<()> {
        match self.0.load(Ordering::Acquire) {
            true => Ok(()),
            false => Err(Error::invalid("there is other data after the archive")),
        }
    }
}

fn wrong(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Error::invalid(what))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use oci::manifest::Document;

    fn descriptor(size: u64) -> Descriptor {
        let digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let text = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":{size}}}]}}"#
        );
        match Document::read(text.as_bytes(), None).unwrap() {
            Document::Index(mut index) => index.manifests.remove(0),
            Document::Manifest(_) => unreachable!("it is an index"),
        }
    }

    fn read(size: u64, content: &'static [u8]) -> io::Result<Vec<u8>> {
        let (mut blob, proof) = Blob::new(&descriptor(size), Box::new(content));
        let mut read = Vec::new();
        blob.read_to_end(&mut read)?;
        proof.check().unwrap();
        Ok(read)
    }

    #[test]
    fn only_the_bytes_that_were_announced_are_read() {
        for (size, content) in [
            (3, &b"ab"[..]),
            (3, b"abcd"),
            (3, b"abd"),
            (4, b"abc"),
            (0, b""),
            (2, b"abc"),
        ] {
            assert!(read(size, content).is_err(), "{size} {content:?}");
        }
        assert_eq!(read(3, b"abc").unwrap(), b"abc");
    }

    #[test]
    fn what_was_not_read_to_its_end_proves_nothing() {
        let (mut blob, proof) = Blob::new(&descriptor(3), Box::new(&b"abc"[..]));
        assert_eq!(blob.read(&mut [0; 2]).unwrap(), 2);
        assert!(proof.check().is_err());
    }
}
