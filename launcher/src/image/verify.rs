//! Proof that somebody vouches for an image.
//!
//! An archive comes as an [`Incoming`], with a [`Voucher`] that sees every byte
//! as it was distributed. Only when the last one has been seen, and the image
//! ID and the manifest are known, does the voucher speak; if it is satisfied
//! there is a [`Verified`], and the store publishes nothing without one. Only
//! this file makes them: an image that was not verified cannot be stored.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use crate::ground::{Error, Result};
use crate::words::digest::ImageId;
use crate::words::manifest::ImageManifest;
use crate::words::reference::Name;

/// Who vouches for an archive, and on what grounds.
pub(crate) trait Voucher: Send {
    /// Sees the next bytes of the archive, as it was distributed.
    fn see(&mut self, bytes: &[u8]);

    /// Speaks, when all has been seen: returns who vouches, for the record.
    ///
    /// # Errors
    ///
    /// Why nobody vouches.
    fn speak(self: Box<Self>, id: &ImageId, manifest: &ImageManifest) -> Result<String>;
}

/// The operator, who named this very file on the command line, or waived the
/// check of this image.
pub(crate) struct Operator(pub(crate) &'static str);

impl Voucher for Operator {
    fn see(&mut self, _: &[u8]) {}

    fn speak(self: Box<Self>, _: &ImageId, _: &ImageManifest) -> Result<String> {
        Ok(self.0.to_owned())
    }
}

/// An image that somebody vouched for, and that needs this one by its ID.
pub(crate) struct Dependent {
    /// The ID.
    pub(crate) id: ImageId,
    /// The image that needs it.
    pub(crate) by: String,
}

impl Voucher for Dependent {
    fn see(&mut self, _: &[u8]) {}

    fn speak(self: Box<Self>, id: &ImageId, _: &ImageManifest) -> Result<String> {
        if *id == self.id {
            return Ok(format!("image {}, by ID", self.by));
        }
        Err(Error::invalid(format!(
            "its ID is `{}`, but image `{}` needs `{}`",
            id.short(),
            self.by,
            self.id.short()
        )))
    }
}

/// An archive on its way into the store.
pub(crate) struct Incoming {
    /// What messages call it: a path or an address.
    pub(crate) name: String,
    /// Its bytes, as it was distributed.
    pub(crate) input: Box<dyn Read + Send>,
    /// Who vouches for it.
    pub(crate) voucher: Box<dyn Voucher>,
    /// What its manifest must say of it, where it was looked up by name.
    pub(crate) asked: Option<Name>,
    /// How many bytes it must have, where somebody said so.
    pub(crate) size: Option<u64>,
}

impl Incoming {
    /// The operator named this very file on the command line, and so vouches for it.
    pub(crate) fn by_operator(file: File, name: String) -> Self {
        Self {
            name,
            input: Box::new(file),
            voucher: Box::new(Operator("the operator, as a file")),
            asked: None,
            size: None,
        }
    }

    /// Splits it into what is read, and what is asked when that has ended.
    pub(super) fn open(self) -> (Seen, Claim) {
        let state = Arc::new(Mutex::new(State {
            voucher: Some(self.voucher),
            count: 0,
        }));
        let seen = Seen {
            input: self.input,
            state: Arc::clone(&state),
        };
        let claim = Claim {
            state,
            asked: self.asked,
            size: self.size,
        };
        (seen, claim)
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Incoming").field(&self.name).finish()
    }
}

struct State {
    voucher: Option<Box<dyn Voucher>>,
    count: u64,
}

/// The bytes of an archive, which its voucher sees as they pass.
pub(super) struct Seen {
    input: Box<dyn Read + Send>,
    state: Arc<Mutex<State>>,
}

impl Read for Seen {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.count += count as u64;
        if let Some(voucher) = &mut state.voucher {
            voucher.see(&buffer[..count]);
        }
        Ok(count)
    }
}

/// What has to be true of an archive before its image may be published.
pub(super) struct Claim {
    state: Arc<Mutex<State>>,
    asked: Option<Name>,
    size: Option<u64>,
}

/// An image that may be published.
pub(super) struct Verified {
    /// Its ID.
    pub(super) id: ImageId,
    /// Who vouches for it.
    pub(super) by: String,
    /// Size of the archive it came in, in bytes.
    pub(super) size: u64,
}

impl Claim {
    /// Checks all of it. The archive has been read to its end.
    ///
    /// # Errors
    ///
    /// What is not as it must be; nobody vouches for the image.
    pub(super) fn verify(self, id: ImageId, manifest: &ImageManifest) -> Result<Verified> {
        let (voucher, size) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            (state.voucher.take(), state.count)
        };
        if let Some(expected) = self.size
            && expected != size
        {
            return Err(Error::invalid(format!(
                "it has {size} bytes, but the image that needs it says {expected}"
            )));
        }
        if let Some(asked) = &self.asked {
            check(asked, manifest)?;
        }
        let voucher = voucher.ok_or_else(|| Error::invalid("nobody vouches for it"))?;
        let by = voucher.speak(&id, manifest)?;
        Ok(Verified { id, by, size })
    }
}

/// Checks that an image is the one that was asked for.
pub(super) fn check(asked: &Name, manifest: &ImageManifest) -> Result<()> {
    if manifest.name != asked.name {
        return Err(Error::invalid(format!(
            "its manifest says that it is `{}`",
            manifest.name
        )));
    }
    let Some(label) = manifest.labels.lacks(&asked.labels) else {
        return Ok(());
    };
    let name = &label.name;
    let says = match manifest.labels.get(name.as_str()) {
        Some(value) => format!("its manifest says that label `{name}` is `{value}`"),
        None => format!("its manifest has no label `{name}`"),
    };
    Err(Error::invalid(format!(
        "{says}, but `{}` was asked for",
        label.value
    )))
}
