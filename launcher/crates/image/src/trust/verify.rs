//! Proof that someone vouches for an image.
//!
//! An archive arrives as an [`Incoming`], with a [`Voucher`] that sees every
//! byte as distributed. The voucher decides when it has seen the last byte, and
//! the image ID and the manifest are known. If it accepts the image, the result
//! is a `Verified`, without which the store publishes nothing. Only this file
//! can create one, so an image that was not verified cannot be stored.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use crate::digest::Digest;
use crate::format::aci;
use appc::manifest::ImageManifest;
use appc::reference::Name;
use error::{Error, Result};

/// Why an image was accepted into the store, the weakest reason first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grounds {
    /// The operator named its file.
    #[default]
    File,
    /// The operator waived the check.
    Waived,
    /// Another image depends on it by its ID.
    Needed,
    /// The operator asked for it by its ID.
    Pinned,
    /// A registry that was believed to be itself has it under its name.
    Registry,
    /// It was provided under its name, in a directory of images.
    Provided,
    /// The operator built it under its name.
    Built,
    /// A key that is trusted for its name has signed it.
    Signed,
}

impl Grounds {
    const ALL: [Self; 8] = [
        Self::File,
        Self::Waived,
        Self::Needed,
        Self::Pinned,
        Self::Registry,
        Self::Provided,
        Self::Built,
        Self::Signed,
    ];

    /// Returns the word for it in a record and in lists.
    pub const fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Waived => "waived",
            Self::Needed => "needed",
            Self::Pinned => "pinned",
            Self::Registry => "registry",
            Self::Provided => "provided",
            Self::Built => "built",
            Self::Signed => "signed",
        }
    }

    /// Reads the word for it.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grounds| grounds.word() == word)
    }

    /// Returns whether someone vouches for the image's name. If not, only its
    /// ID or its origin can be relied on.
    pub(crate) fn cover_its_name(self) -> bool {
        self >= Self::Provided
    }
}

/// Someone who vouches for an archive.
pub trait Voucher: Send {
    /// Returns the grounds.
    fn grounds(&self) -> Grounds;

    /// Sees the next bytes of the archive, as distributed.
    fn see(&mut self, bytes: &[u8]);

    /// Decides, when all bytes have been seen: returns who vouches, for the
    /// record.
    ///
    /// # Errors
    ///
    /// The reason why it does not vouch for the archive.
    fn speak(self: Box<Self>, id: &Digest, manifest: &ImageManifest) -> Result<String>;
}

/// The operator, who named this file on the command line, provided it in a
/// directory, built it, or turned the check off for this image.
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
            Grounds::Built => "the operator, who built it",
            _ => "the operator, as a file",
        };
        Ok(by.to_owned())
    }
}

/// A trusted image that depends on this one by its ID, or the operator, who
/// asked for it by its ID. That is as good as a signature, but says nothing
/// about the name.
pub(crate) struct ById {
    /// The ID.
    pub id: Digest,
    /// The image that needs it; `None` for the operator.
    pub by: Option<String>,
}

impl Voucher for ById {
    fn grounds(&self) -> Grounds {
        match self.by {
            Some(_) => Grounds::Needed,
            None => Grounds::Pinned,
        }
    }

    fn see(&mut self, _: &[u8]) {}

    fn speak(self: Box<Self>, id: &Digest, _: &ImageManifest) -> Result<String> {
        let (found, expected) = (id.short(), self.id.short());
        match (*id == self.id, &self.by) {
            (true, Some(by)) => Ok(format!("image {by}, by ID")),
            (true, None) => Ok("the operator, by ID".to_owned()),
            (false, Some(by)) => Err(Error::invalid(format!(
                "its ID is `{found}`, but image `{by}` needs `{expected}`"
            ))),
            (false, None) => Err(Error::invalid(format!(
                "its ID is `{found}`, but `{expected}` was asked for"
            ))),
        }
    }
}

/// An archive on its way into the store.
pub struct Incoming {
    /// What messages call it: a path or a URL.
    pub name: String,
    /// Its bytes, as distributed.
    pub input: Box<dyn Read + Send>,
    /// Who vouches for it.
    pub voucher: Box<dyn Voucher>,
    /// What its manifest must say, if it was looked up by name.
    pub asked: Option<Name>,
    /// The size that it must have, if it is known.
    pub size: Option<u64>,
}

impl Incoming {
    /// A file that the operator vouches for, by naming it on the command line,
    /// or by providing it under the name that it is `asked` for by.
    pub(crate) fn by_operator(file: File, name: String, asked: Option<Name>) -> Self {
        let grounds = match asked {
            Some(_) => Grounds::Provided,
            None => Grounds::File,
        };
        Self {
            asked,
            ..Self::of(file, name, grounds)
        }
    }

    /// An image that the operator has just built.
    pub(crate) fn built(file: File, name: String) -> Self {
        Self::of(file, name, Grounds::Built)
    }

    fn of(file: File, name: String, grounds: Grounds) -> Self {
        Self {
            name,
            input: Box::new(file),
            voucher: Box::new(Operator(grounds)),
            asked: None,
            size: None,
        }
    }

    /// Splits it into the bytes to read, and the claim to check afterwards.
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

/// The bytes of an archive, which its voucher sees as they are read.
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

/// What must be true of an archive before its image may be published.
pub struct Claim {
    state: Arc<Mutex<State>>,
    asked: Option<Name>,
    size: Option<u64>,
}

/// An image that may be published.
pub(crate) struct Verified {
    /// Its ID.
    pub(crate) id: Digest,
    /// Why it was accepted.
    pub(crate) grounds: Grounds,
    /// Who vouches for it.
    pub(crate) by: String,
    /// The size of its archive, in bytes.
    pub(crate) size: u64,
}

impl Verified {
    /// An image whose configuration has the digest that is its ID, and whose layers
    /// have those that the configuration says.
    pub(crate) fn by_digests(id: Digest, grounds: Grounds, by: String, size: u64) -> Self {
        Self {
            id,
            grounds,
            by,
            size,
        }
    }
}

impl Claim {
    /// Checks the claim. The archive must have been read to its end.
    ///
    /// # Errors
    ///
    /// The part of the claim that is wrong; no one vouches for the image.
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
