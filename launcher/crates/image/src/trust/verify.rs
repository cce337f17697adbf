//! Proof that somebody vouches for an image.
//!
//! An archive comes as an [`Incoming`], with a [`Voucher`] that sees every byte
//! as it was distributed. Only when the last one has been seen, and the image
//! ID and the manifest are known, does the voucher speak; if it is satisfied
//! there is a `Verified`, and the store publishes nothing without one. Only
//! this file makes them: an image that was not verified cannot be stored.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use crate::digest::Digest;
use crate::format::aci;
use appc::manifest::ImageManifest;
use appc::reference::Name;
use error::{Error, Result};

/// On what grounds an image is in the store, the weakest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grounds {
    /// The operator named its file.
    #[default]
    File,
    /// The operator waived the check.
    Waived,
    /// An image needs it by its ID.
    Needed,
    /// It was provided under its name, in a directory of images.
    Provided,
    /// A key that is trusted for its name has signed it.
    Signed,
}

impl Grounds {
    const ALL: [Self; 5] = [
        Self::File,
        Self::Waived,
        Self::Needed,
        Self::Provided,
        Self::Signed,
    ];

    /// Returns the word for it in a record.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Waived => "waived",
            Self::Needed => "needed",
            Self::Provided => "provided",
            Self::Signed => "signed",
        }
    }

    /// Reads the word for it.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grounds| grounds.word() == word)
    }

    /// Tells whether somebody vouches that the image is what it calls itself.
    /// Else only its ID can be relied on, or where it came from.
    pub(crate) fn cover_its_name(self) -> bool {
        self >= Self::Provided
    }
}

/// Who vouches for an archive, and on what grounds.
pub trait Voucher: Send {
    /// Returns the grounds.
    fn grounds(&self) -> Grounds;

    /// Sees the next bytes of the archive, as it was distributed.
    fn see(&mut self, bytes: &[u8]);

    /// Speaks, when all has been seen: returns who vouches, for the record.
    ///
    /// # Errors
    ///
    /// Why nobody vouches.
    fn speak(self: Box<Self>, id: &Digest, manifest: &ImageManifest) -> Result<String>;
}

/// The operator, who named this very file on the command line, provided it in a
/// directory, or waived the check of this image.
pub(crate) struct Operator(pub Grounds);

impl Voucher for Operator {
    fn grounds(&self) -> Grounds {
        self.0
    }

    fn see(&mut self, _: &[u8]) {}

    fn speak(self: Box<Self>, _: &Digest, _: &ImageManifest) -> Result<String> {
        let by = match self.0 {
            Grounds::Waived => "nobody: --insecure-options=image",
            Grounds::Provided => "the operator, in a directory of images",
            _ => "the operator, as a file",
        };
        Ok(by.to_owned())
    }
}

/// An image that somebody vouched for, and that needs this one by its ID.
pub(crate) struct Dependent {
    /// The ID.
    pub id: Digest,
    /// The image that needs it.
    pub by: String,
}

impl Voucher for Dependent {
    fn grounds(&self) -> Grounds {
        Grounds::Needed
    }

    fn see(&mut self, _: &[u8]) {}

    fn speak(self: Box<Self>, id: &Digest, _: &ImageManifest) -> Result<String> {
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
pub struct Incoming {
    /// What messages call it: a path or an address.
    pub name: String,
    /// Its bytes, as it was distributed.
    pub input: Box<dyn Read + Send>,
    /// Who vouches for it.
    pub voucher: Box<dyn Voucher>,
    /// What its manifest must say of it, where it was looked up by name.
    pub asked: Option<Name>,
    /// How many bytes it must have, where somebody said so.
    pub size: Option<u64>,
}

impl Incoming {
    /// The operator named this very file on the command line, and so vouches for
    /// it; or has provided it under the name by which it is `asked` for.
    pub(crate) fn by_operator(file: File, name: String, asked: Option<Name>) -> Self {
        let grounds = match asked {
            Some(_) => Grounds::Provided,
            None => Grounds::File,
        };
        Self {
            name,
            input: Box::new(file),
            voucher: Box::new(Operator(grounds)),
            asked,
            size: None,
        }
    }

    /// Splits it into what is read, and what is asked when that has ended.
    pub fn open(self) -> (Seen, Claim) {
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
pub struct Seen {
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
pub struct Claim {
    state: Arc<Mutex<State>>,
    asked: Option<Name>,
    size: Option<u64>,
}

/// An image that may be published.
pub(crate) struct Verified {
    /// Its ID.
    pub(crate) id: Digest,
    /// On what grounds.
    pub(crate) grounds: Grounds,
    /// Who vouches for it.
    pub(crate) by: String,
    /// Size of the archive it came in, in bytes.
    pub(crate) size: u64,
}

impl Claim {
    /// Checks all of it. The archive has been read to its end.
    ///
    /// # Errors
    ///
    /// What is not as it must be; nobody vouches for the image.
    pub(crate) fn verify(self, id: Digest, manifest: &ImageManifest) -> Result<Verified> {
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
            aci::check(asked, manifest)?;
        }
        let voucher = voucher.ok_or_else(|| Error::invalid("it was not verified"))?;
        let grounds = voucher.grounds();
        let by = voucher.speak(&id, manifest)?;
        Ok(Verified {
            id,
            grounds,
            by,
            size,
        })
    }
}
