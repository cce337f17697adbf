//! Where an image of a registry is fetched from: mirrors, in their order, and at last
//! the registry that its name has.
//!
//! What is fetched is named by digests, but for what a tag stands for: so whatever one
//! place does not have, or has with other bytes, the next one is asked for. Each place
//! is a registry with logins and certificates of its own. A layer that no registry has,
//! as those that registries may not have, is fetched from where its descriptor says: by
//! HTTPS, and without credentials (image-spec, descriptor.md, `urls`).

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::digest;
use crate::fetch::discovery::{Attempts, Why};
use crate::fetch::http::{Client, Conditions, Response};
use crate::fetch::options::Options;
use crate::fetch::registries;
use crate::fetch::registry::Registry;
use crate::fetch::shown::Shown;
use crate::fetch::web;
use crate::format::oci::blobs::{self, Blobs};
use crate::store::images::Store;
use crate::trust::signatures::Take;
use crate::trust::sigstore::Envelope;
use appc::address::Address;
use error::{Error, Kind, Result};
use oci::digest::Digest;
use oci::manifest::{Descriptor, Index};
use oci::media_type::Kind as Media;
use oci::reference::Reference;
use oci::signature;
use sys::dirs::Dirs;
use sys::progress::Progress;

/// Most URLs of a layer that are tried.
const URLS: usize = 8;

/// The places that have an image, or may have parts of it.
pub(crate) struct Sources<'r> {
    /// That which has it, and those behind that.
    places: Vec<Registry<'r>>,
    /// What asks servers that are no registries.
    elsewhere: OnceLock<Client>,
    options: Options,
    /// Which one of them to ask for a blob, if not the first one; behind the last one,
    /// the URLs of its descriptor count.
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
                        elsewhere: OnceLock::new(),
                        options: options.clone(),
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

    /// Keeps the signatures of cosign that a place has for a manifest or an index with
    /// an image that is stored.
    ///
    /// # Errors
    ///
    /// It cannot be found out whether there are any; errors of the disk.
    pub(crate) fn keep_signatures(
        &self,
        store: &Store<'_>,
        id: &digest::Digest,
        signed: &Digest,
    ) -> Result<()> {
        for place in &self.places {
            let all = place.signatures(signed)?;
            for (manifest, bytes) in &all {
                for blob in signature::blobs(bytes)? {
                    blobs::take(place, &blob, |bytes, _| {
                        store.keep(&blob, || Ok(Box::new(bytes)))
                    })?;
                }
                store.add_signatures(id, manifest, bytes, &signed.into())?;
            }
            if !all.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Returns the number of the place to ask for a blob.
    fn place_of(&self, blob: &Descriptor) -> usize {
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.get(&blob.digest).copied().unwrap_or_default()
    }

    /// Returns what a place for a blob is called.
    fn shown(&self, blob: &Descriptor, number: usize) -> String {
        match self.places.get(number) {
            Some(place) => place.image().to_string(),
            None => Address::new(urls(blob)[number - self.places.len()].clone()).to_string(),
        }
    }

    /// Opens a layer that is at a URL.
    fn open_elsewhere(&self, blob: &Descriptor, url: &str) -> Result<Box<dyn Read + Send>> {
        if self.elsewhere.get().is_none() {
            let _ = self.elsewhere.set(web::stranger(&self.options)?);
        }
        let client = self.elsewhere.get();
        let client = client.ok_or_else(|| Error::invalid("nobody can be asked"))?;
        match client.open(url, Some(blob.size), Conditions::default())? {
            Response::Download(download) => Ok(Box::new(Shown {
                progress: Some(self.talk.bar(&blob.digest.to_string(), Some(blob.size))),
                input: Box::new(download),
            })),
            Response::NotModified(_) => Err(Error::invalid("the server sent no document")),
        }
    }
}

/// Returns where a layer can be that no registry has.
fn urls(blob: &Descriptor) -> &[String] {
    match blob.kind() {
        Media::Layer(_) => &blob.urls[..blob.urls.len().min(URLS)],
        _ => &[],
    }
}

impl Blobs for Sources<'_> {
    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.places.iter().for_each(Blobs::stop);
        self.elsewhere.get().into_iter().for_each(Client::stop);
    }

    fn ended(
        &self,
        blob: &Descriptor,
        stored: Result<digest::Digest>,
        given_up: bool,
    ) -> Result<digest::Digest> {
        match self.places.get(self.place_of(blob)) {
            Some(place) => place.ended(blob, stored, given_up),
            None => stored,
        }
    }

    fn open(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>> {
        loop {
            let number = self.place_of(blob);
            let opened = match self.places.get(number) {
                Some(place) => place.open(blob),
                None => self.open_elsewhere(blob, &urls(blob)[number - self.places.len()]),
            };
            match opened {
                Err(error) if self.pass_over(blob, &error) => {}
                opened => return opened,
            }
        }
    }

    fn pass_over(&self, blob: &Descriptor, why: &Error) -> bool {
        let (number, registries) = (self.place_of(blob), self.places.len());
        let next = number + 1;
        // Where a registry has it, nobody else is asked.
        let is_gone = number >= registries || why.kind() == Kind::NotFound;
        let places = registries + if is_gone { urls(blob).len() } else { 0 };
        if next >= places || self.stopped.load(Ordering::Relaxed) {
            return false;
        }
        let (place, digest) = (self.shown(blob, number), &blob.digest);
        let why = Why::from(why).text;
        self.talk
            .say(&format!("Fetch failed: {place}: `{digest}`: {why}"));
        let place = self.shown(blob, next);
        self.talk.say(&format!("Resolved: `{digest}` -> {place}"));
        let mut all = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(blob.digest.clone(), next);
        true
    }
}
