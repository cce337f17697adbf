//! A blob as it is read: it must have the size and the digest that were announced.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::digest::{Digest, Hasher};
use error::{Error, Kind, Result};
use oci::manifest::Descriptor;

/// The bytes of a blob. Reading them ends with an error if they are not the ones
/// that were announced, also if there are more.
pub(crate) struct Blob {
    input: Box<dyn Read + Send>,
    hasher: Option<Hasher>,
    expected: Digest,
    size: u64,
    left: u64,
    state: Arc<AtomicU8>,
}

/// What tells whether a blob was read to its end, and was the one announced.
#[derive(Clone)]
pub(crate) struct Proof(Arc<AtomicU8>);

/// What is known of a blob: nothing before its end, then that it is the one announced,
/// or that it is not or cannot be read.
const UNKNOWN: u8 = 0;
const SOUND: u8 = 1;
const WRONG: u8 = 2;

impl Blob {
    /// Starts to read a blob.
    pub(crate) fn new(descriptor: &Descriptor, input: Box<dyn Read + Send>) -> (Self, Proof) {
        let expected = Digest::from(&descriptor.digest);
        let state = Arc::new(AtomicU8::new(UNKNOWN));
        let blob = Self {
            input,
            hasher: Some(Hasher::new(expected.algorithm())),
            expected,
            size: descriptor.size,
            left: descriptor.size,
            state: Arc::clone(&state),
        };
        (blob, Proof(state))
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
        self.state.store(SOUND, Ordering::Release);
        Ok(())
    }
}

impl Read for Blob {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.advance(buffer);
        if let Err(error) = &read
            && error.kind() != io::ErrorKind::Interrupted
        {
            self.state.store(WRONG, Ordering::Release);
        }
        read
    }
}

impl Blob {
    /// Reads, and checks what there is to check by now.
    fn advance(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
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
    /// Tells whether an error may be due to bytes that are not the ones announced, or
    /// did not arrive: then those of somebody else may do.
    pub(crate) fn blames(&self, error: &Error) -> bool {
        match self.0.load(Ordering::Acquire) {
            SOUND => false,
            WRONG => true,
            _ => error.kind() == Kind::Invalid,
        }
    }

    /// Checks that all of it was read.
    ///
    /// # Errors
    ///
    /// It was not, so that nobody knows what it is.
    pub(crate) fn check(self) -> Result<()> {
        match self.0.load(Ordering::Acquire) {
            SOUND => Ok(()),
            _ => Err(Error::invalid("there is other data after the archive")),
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
    fn only_bytes_that_may_be_others_are_blamed_for_an_error() {
        let blames = |content: &'static [u8], kind: Kind| {
            let (mut blob, proof) = Blob::new(&descriptor(3), Box::new(content));
            let _ = blob.read_to_end(&mut Vec::new());
            proof.blames(&Error::new(kind, "x"))
        };
        assert!(
            !blames(b"abc", Kind::Invalid),
            "they are the ones announced"
        );
        assert!(blames(b"abd", Kind::Failed) && blames(b"ab", Kind::Failed));
        let (mut blob, proof) = Blob::new(&descriptor(3), Box::new(&b"abc"[..]));
        blob.read_exact(&mut [0]).unwrap();
        assert!(proof.blames(&Error::invalid("x")));
        assert!(!proof.blames(&Error::new(Kind::Failed, "the disk is full")));
    }

    #[test]
    fn what_was_not_read_to_its_end_proves_nothing() {
        let (mut blob, proof) = Blob::new(&descriptor(3), Box::new(&b"abc"[..]));
        assert_eq!(blob.read(&mut [0; 2]).unwrap(), 2);
        assert!(proof.check().is_err());
    }
}
