//! Where an image of a registry is fetched from: mirrors, in their order, and at last
//! the registry that its name has.
//!
//! What is fetched is named by digests, but for what a tag stands for: so whatever one
//! place does not have, or has with other bytes, the next one is asked for. Each place
//! is a registry with logins and certificates of its own.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::digest;
use crate::fetch::discovery::{Attempts, Why};
use crate::fetch::options::Options;
use crate::fetch::registries;
use crate::fetch::registry::Registry;
use crate::format::oci::blobs::Blobs;
use crate::trust::signatures::Take;
use crate::trust::sigstore::Envelope;
use error::{Error, Kind, Result};
use oci::digest::Digest;
use oci::manifest::{Descriptor, Index};
use oci::reference::Reference;
use sys::dirs::Dirs;
use sys::progress::Progress;

/// The places that have an image, or may have parts of it.
pub(crate) struct Sources<'r> {
    /// That which has it, and those behind that.
    places: Vec<Registry<'r>>,
    /// Which one of them to ask for a blob, if not the first one.
    next: Mutex<BTreeMap<Digest, usize>>,
    /// Whether nobody needs more of it.
    stopped: AtomicBool,
    talk: Progress,
}

impl<'r> Sources<'r> {
    /// Finds the first place that has an image, and what it has there under the
    /// image's name: the descriptor of a manifest or an index, with its bytes.
    ///
    /// # Errors
    ///
    /// No place has it, or it must not be fetched; the files that name the places are
    /// not valid.
    pub(crate) fn find(
        image: &Reference,
        options: &Options,
        dirs: &'r Dirs,
    ) -> Result<(Self, Index)> {
        let talk = Progress::new(options.quiet);
        let known = registries::load()?;
        known.unknown().iter().for_each(|line| talk.tell(line));
        let sources = known.sources(image)?;
        let mut attempts = Attempts::default();
        let mut kind = Kind::NotFound;
        for (number, source) in (1..).zip(&sources) {
            let place = Registry::new(source, options, dirs);
            match place.and_then(|place| Ok((place.find()?, place))) {
                Ok((found, place)) => {
                    if sources.len() > 1 || source.image != *image {
                        talk.say(&format!("Resolved: {image} -> {}", source.image));
                    }
                    let behind = sources.iter().skip(number);
                    let behind = behind.map(|source| Registry::new(source, options, dirs));
                    let places = std::iter::once(Ok(place)).chain(behind);
                    let sources = Self {
                        places: places.collect::<Result<_>>()?,
                        next: Mutex::default(),
                        stopped: AtomicBool::new(false),
                        talk,
                    };
                    return Ok((sources, found));
                }
                Err(error) if sources.len() == 1 => return Err(error),
                Err(error) => {
                    kind = error.kind();
                    let why = Why::from(&error);
                    if number < sources.len() {
                        talk.say(&format!("Fetch failed: {}: {}", source.image, why.text));
                    }
                    attempts.add(source.image.to_string(), why);
                }
            }
        }
        let what = format!("cannot fetch image `{image}`");
        let error = Error::new(kind, what).tried(attempts.lines());
        Err(match attempts.hint() {
            Some(hint) => error.hint(hint),
            None => error,
        })
    }

    /// Returns the place that has the image.
    pub(crate) fn first(&self) -> Option<&Registry<'r>> {
        self.places.first()
    }

    /// Passes on the signatures of cosign that the places have for a manifest or an
    /// index.
    ///
    /// # Errors
    ///
    /// None of them counts, and of a place it cannot be found out whether it has any.
    pub(crate) fn sigstore(&self, digest: &Digest, take: Take<'_, Envelope>) -> Result<()> {
        let mut fault = None;
        let mut enough = false;
        for place in &self.places {
            let asked = place.sigstore(digest, &mut |envelope| {
                enough = take(envelope);
                enough
            });
            if enough {
                return Ok(());
            }
            fault = fault.or(asked.err());
        }
        fault.map_or(Ok(()), Err)
    }

    /// Returns the number of the place to ask for a blob.
    fn place_of(&self, blob: &Descriptor) -> usize {
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.get(&blob.digest).copied().unwrap_or_default()
    }
}

impl Blobs for Sources<'_> {
    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.places.iter().for_each(Blobs::stop);
    }

    fn ended(
        &self,
        blob: &Descriptor,
        stored: Result<digest::Digest>,
        given_up: bool,
    ) -> Result<digest::Digest> {
        self.places[self.place_of(blob)].ended(blob, stored, given_up)
    }

    fn open(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>> {
        loop {
            let place = &self.places[self.place_of(blob)];
            match place.open(blob) {
                Err(error) if self.pass_over(blob, &error) => {}
                opened => return opened,
            }
        }
    }

    fn pass_over(&self, blob: &Descriptor, why: &Error) -> bool {
        let place = self.place_of(blob);
        let next = place + 1;
        if next >= self.places.len() || self.stopped.load(Ordering::Relaxed) {
            return false;
        }
        let (name, digest) = (self.places[place].image(), &blob.digest);
        let why = Why::from(why).text;
        self.talk
            .notice(&format!("Fetch failed: {name}: `{digest}`: {why}"));
        let name = self.places[next].image();
        self.talk.notice(&format!("Resolved: `{digest}` -> {name}"));
        let mut all = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(blob.digest.clone(), next);
        true
    }
}
