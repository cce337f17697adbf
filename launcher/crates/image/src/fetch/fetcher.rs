//! Turns an image reference into a stored image, with its dependencies.
//!
//! ```text
//! Name --stored, local directories, simple discovery, meta discovery--> archive --verify--> store
//! ```
//!
//! Archives are streamed in one pass: from the socket through the checks and
//! the decompressor to the disk. Nothing is published in the store before all
//! of it has been verified. A slow download is kept, so that it can be resumed.

mod in_registry;
mod rules;

use std::cell::{Cell, OnceCell};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;

use crate::digest::Digest;
use crate::fetch::discovery::{self, Attempts, Why};
use crate::fetch::http::{Client, Conditions, HttpError, Response, check_authorities};
use crate::fetch::http_cache::CacheEntry;
use crate::fetch::local;
use crate::fetch::meta_tags::Endpoint;
use crate::fetch::oci;
use crate::fetch::resume::{Broken, KEPT, REMOVED, Resumable};
use crate::fetch::shown::Shown;
use crate::fetch::signed::{self, Signed, signature_of};
use crate::fetch::web::{in_vain, page, schemes, web};
use crate::format::aci;
use crate::format::lookup::WAIVE;
use crate::reference::{self, Local};
use crate::store::images::Store;
use crate::trust::keyring::Keyring;
use crate::trust::openpgp::Check;
use crate::trust::policy::Policy;
use crate::trust::verify::{ById, Grounds, Incoming, Operator, Voucher};
use ::oci::reference::Asked;
use appc::address::Address;
use appc::manifest::ImageManifest;
use appc::manifest::image::Dependency;
use appc::reference::{Name, Place, Reference};
use error::{Context as _, Error, Kind, Result};
use sys::clock;
use sys::dirs::Dirs;
use sys::progress::Progress;
use sys::size;

use crate::fetch::options::{Options, PullPolicy};

/// How many images one image may depend on.
const MAX_IMAGES: usize = 256;

/// Fetches images.
pub struct Fetch<'a> {
    dirs: &'a Dirs,
    store: &'a Store<'a>,
    options: &'a Options,
    policy: PullPolicy,
    talk: Progress,
    web: OnceCell<Client>,
    rules: OnceCell<Policy>,
    started: u64,
    fetched: Cell<bool>,
}

/// What must be true of an archive.
struct Wanted<'w> {
    /// What its manifest must say.
    name: Option<&'w Name>,
    /// Its size.
    size: Option<u64>,
    /// Its ID, and the image that needs it; `None` if the operator said so.
    id: Option<(Digest, Option<&'w str>)>,
    /// What it is in a registry, if nobody has an archive.
    registry: Option<&'w Asked>,
}

impl Wanted<'_> {
    /// Any archive.
    const ANY: Self = Self {
        name: None,
        size: None,
        id: None,
        registry: None,
    };
}

impl<'a> Fetch<'a> {
    /// Prepares to fetch; does not use the network yet.
    ///
    /// # Errors
    ///
    /// The additional certificate authorities cannot be used, even if nothing
    /// is fetched in the end.
    pub fn new(
        dirs: &'a Dirs,
        store: &'a Store<'a>,
        options: &'a Options,
        policy: PullPolicy,
    ) -> Result<Self> {
        options
            .ca_file
            .as_deref()
            .map_or(Ok(()), check_authorities)?;
        if options.insecure.image {
            store.waive();
        }
        store.allow(options.insecure.growth());
        Ok(Self {
            dirs,
            store,
            options,
            policy: options.policy.unwrap_or(policy),
            talk: Progress::new(options.quiet),
            web: OnceCell::new(),
            rules: OnceCell::new(),
            started: clock::nanoseconds(),
            fetched: Cell::new(false),
        })
    }

    /// Returns the store that it fills.
    pub fn store(&self) -> &'a Store<'a> {
        self.store
    }

    /// Reports progress, but only if something was fetched: running a stored
    /// image is silent.
    pub fn tell(&self, line: &dyn Fn() -> String) {
        if self.fetched.get() {
            self.talk.say(&line());
        }
    }

    /// Returns an image, and stores it if it is missing.
    ///
    /// # Errors
    ///
    /// It is not found, is not the one that was asked for, or is not trusted.
    pub fn image(&self, reference: &reference::Reference) -> Result<Digest> {
        match reference {
            reference::Reference::Appc(reference) => self.appc(reference),
            reference::Reference::Local(local) => self.local(local),
            reference::Reference::Registry(asked) => self.registry(asked),
            reference::Reference::Short { name, asked } => self.short(name, asked),
            reference::Reference::Dotted { name, asked } => {
                let wanted = Wanted {
                    name: Some(name),
                    registry: Some(asked),
                    ..Wanted::ANY
                };
                self.named(name, &wanted)
            }
        }
    }

    fn appc(&self, reference: &Reference) -> Result<Digest> {
        match reference {
            Reference::Path(path) => {
                if let Some(shape) = oci::sniff(path)? {
                    return self.local(&Local::whole(shape, path));
                }
                let name = path.display().to_string();
                let file = File::open(path).context(|| format!("cannot open image `{name}`"))?;
                self.store.ensure(file, &name, None)
            }
            Reference::Url(url) => self.url(url, &Wanted::ANY),
            Reference::Id(prefix) => self.store.identified(prefix),
            Reference::Pinned { of, id } => self.pinned(of, Digest::from(*id)),
            Reference::Name(name) => {
                let wanted = Wanted {
                    name: Some(name),
                    ..Wanted::ANY
                };
                self.named(name, &wanted)
            }
        }
    }

    /// Returns an image that must have this ID, which is why nobody else has to
    /// vouch for it.
    fn pinned(&self, of: &Place, id: Digest) -> Result<Digest> {
        let name = match of {
            Place::Name(name) => Some(name),
            Place::Url(_) => None,
        };
        let wanted = Wanted {
            name,
            id: Some((id, None)),
            ..Wanted::ANY
        };
        if self.suffices(&id, &wanted)? {
            return Ok(id);
        }
        match of {
            Place::Name(name) => self.named(name, &wanted),
            Place::Url(url) => self.url(url, &wanted),
        }
    }

    /// Stores the missing dependencies of an image.
    ///
    /// # Errors
    ///
    /// As for [`Self::image`], of any of them.
    pub fn dependencies(&self, top: &Digest) -> Result<()> {
        let mut waiting = vec![*top];
        let mut seen = BTreeSet::new();
        while let Some(id) = waiting.pop() {
            // An image that depends on itself is refused when its tree is
            // built.
            if !seen.insert(id) {
                continue;
            }
            if seen.len() > MAX_IMAGES {
                return Err(Error::invalid(format!(
                    "image `{}` needs more than {MAX_IMAGES} images",
                    top.short()
                )));
            }
            if self.store.is_oci(&id)? {
                continue;
            }
            let Some(image) = self.store.aci(&id)? else {
                return Err(Error::invalid(format!("image `{id}` was removed")));
            };
            for dependency in &image.manifest().dependencies {
                waiting.push(self.dependency(dependency, image.manifest())?);
            }
        }
        Ok(())
    }

    fn dependency(&self, dependency: &Dependency, by: &ImageManifest) -> Result<Digest> {
        let name = Name {
            name: dependency.image_name.clone(),
            labels: dependency.labels.clone(),
        };
        let by = by.name.as_str();
        let needed = dependency.image_id.map(Digest::from);
        let wanted = Wanted {
            name: Some(&name),
            size: dependency.size.filter(|size| *size > 0),
            id: needed.map(|id| (id, Some(by))),
            registry: None,
        };
        if let Some(id) = needed
            && self.store.contains(&id)?
        {
            return Ok(id);
        }
        if needed.is_none()
            && self.policy != PullPolicy::Update
            && let Some(id) = self.stored(&name)?
        {
            return Ok(id);
        }
        self.talk.say(&format!("Dependency: {by} requires {name}"));
        self.named(&name, &wanted)
            .context(|| format!("cannot get `{name}`, which image `{by}` needs"))
    }

    /// Looks for a name in all places.
    fn named(&self, name: &Name, wanted: &Wanted<'_>) -> Result<Digest> {
        let mut attempts = Attempts::default();
        let by_name = wanted.id.is_none();
        if by_name
            && self.policy != PullPolicy::Update
            && let Some(id) = self.stored(name)?
        {
            return Ok(id);
        }
        let stored = self.stored(name)?.is_some();
        let mut doubted = false;
        if !stored {
            let doubt = self.store.doubt(&name.name, &name.labels)?;
            doubted = doubt.is_some();
            attempts.add(
                "the store",
                match doubt {
                    None => Why::from("not found"),
                    Some(doubt) => Why {
                        text: doubt,
                        hint: Some(WAIVE.to_owned()),
                    },
                },
            );
        }
        if let Some((path, file)) = local::find(&self.directories(), name)? {
            let path = path.display().to_string();
            self.talk.say(&format!("Resolved: {name} -> {path}"));
            let id = self.store.ensure(file, &path, wanted.name)?;
            match wanted.id {
                Some((needed, _)) if needed != id => {
                    attempts.add(path, Why::from(&*format!("its ID is `{}`", id.short())));
                }
                _ => return Ok(id),
            }
        }
        for directory in self.directories() {
            attempts.add(directory.display().to_string(), local::absence(&directory));
        }
        if self.policy == PullPolicy::Never {
            let error = nowhere(name, &attempts);
            return Err(match doubted {
                true => error,
                false => error.hint("use `--pull-policy=new` to ask servers as well"),
            });
        }
        if !stored {
            if let Some(asked) = wanted.registry
                && self.store.of_registry(asked.usual())?.is_some()
            {
                // It was not found elsewhere before.
                return self.registry(asked);
            }
            self.talk.say(&format!(
                "Fetch failed: {name}: it is not stored on this host"
            ));
        }
        let simple = discovery::simple(name);
        if let Some(endpoint) = simple
            && let Some(id) = self.endpoint(name, &endpoint, wanted, &mut attempts)?
        {
            return Ok(id);
        }
        let endpoints = {
            let web = self.web()?;
            let get = |address: &str| page(web, address);
            let schemes = schemes(self.options.insecure.http);
            discovery::endpoints(name, schemes, &get, &mut attempts)
        };
        for endpoint in endpoints {
            if let Some(id) = self.endpoint(name, &endpoint, wanted, &mut attempts)? {
                return Ok(id);
            }
        }
        if let Some(asked) = wanted.registry {
            let place = format!("registry {}", asked.usual().registry());
            let is_signed =
                !self.options.insecure.image && Keyring::open(self.dirs)?.is_for(&name.name)?;
            match doubted || is_signed {
                true => attempts.add(
                    place,
                    "not asked, since images of this name have to be signed",
                ),
                false => match self.registry(asked) {
                    Err(error) => attempts.add(place, &*error.to_string()),
                    found => return found,
                },
            }
        }
        Err(nowhere(name, &attempts))
    }

    /// Returns the stored image of a name.
    fn stored(&self, name: &Name) -> Result<Option<Digest>> {
        self.store.find(&name.name, &name.labels)
    }

    fn directories(&self) -> Vec<PathBuf> {
        let usual = local::DIRECTORIES.iter().map(PathBuf::from);
        self.options
            .directories
            .iter()
            .cloned()
            .chain(usual)
            .collect()
    }

    fn web(&self) -> Result<&Client> {
        if let Some(web) = self.web.get() {
            return Ok(web);
        }
        let web = web(self.options, false)?;
        Ok(self.web.get_or_init(|| web))
    }

    /// Fetches from one of the possible places; `None` if the image is not
    /// there. If it is there but not valid, that is an error, which another
    /// place must not hide.
    fn endpoint(
        &self,
        name: &Name,
        endpoint: &Endpoint,
        wanted: &Wanted<'_>,
        attempts: &mut Attempts,
    ) -> Result<Option<Digest>> {
        let address = &endpoint.image;
        self.talk.say(&format!("Resolved: {name} -> {address}"));
        match self.download(address, &endpoint.signature, wanted)? {
            Ok(id) => Ok(Some(id)),
            Err(refusal) => {
                let why = Why::from(&refusal);
                self.talk
                    .say(&format!("Fetch failed: {address}: {}", why.text));
                attempts.add(address.to_string(), why);
                Ok(None)
            }
        }
    }

    fn url(&self, url: &Address, wanted: &Wanted<'_>) -> Result<Digest> {
        let signature = signature_of(url);
        match self.download(url, &signature, wanted)? {
            Ok(id) => Ok(id),
            Err(refusal) => {
                Err(Error::from(refusal)).context(|| format!("cannot fetch image `{url}`"))
            }
        }
    }

    /// Downloads an image, unless the stored one is still current. The inner
    /// error is the refusal of a server that does not have the image.
    fn download(
        &self,
        url: &Address,
        signature: &Address,
        wanted: &Wanted<'_>,
    ) -> Result<std::result::Result<Digest, HttpError>> {
        let mut remembered = CacheEntry::lock(self.dirs, url)?;
        let (copy, unchecked) = match remembered.read()? {
            Some(copy) if self.suffices(&copy.id, wanted)? => (Some(copy), false),
            Some(copy) => (None, self.store.contains(&copy.id)?),
            None => (None, false),
        };
        if let Some(copy) = &copy {
            // Another process may have asked while we waited.
            let asked = copy.asked >= self.started || copy.fresh_until > clock::seconds();
            if asked || self.policy != PullPolicy::Update {
                return Ok(Ok(copy.id));
            }
        }
        if self.policy == PullPolicy::Never {
            let error = |what| Error::new(Kind::NotFound, format!("image `{url}` is {what}"));
            return Err(match unchecked {
                true => error("stored, but not signed").hint(WAIVE),
                false => error("not stored").hint("use `--pull-policy=new` to download it"),
            });
        }
        let mut resumable = Resumable::open(self.dirs, url);
        let conditions = Conditions {
            cached: copy.as_ref().map(|copy| &copy.validators),
            partial: resumable.partial(),
            ..Conditions::default()
        };
        let web = self.web()?;
        let sizes = wanted.size.into_iter().chain(self.options.max_size);
        let answer = match web.open(url.reveal(), sizes.min(), conditions) {
            Ok(answer) => answer,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let download = match (answer, copy) {
            (Response::Download(download), _) => download,
            (Response::NotModified(fresh), Some(copy)) => {
                remembered.write(&copy.id, &copy.validators, fresh)?;
                self.talk.say(&format!("Unchanged: {url}"));
                return Ok(Ok(copy.id));
            }
            (Response::NotModified(_), None) => {
                return Err(Error::invalid(format!(
                    "the server says that image `{url}` has not changed, but it was never downloaded"
                )));
            }
        };
        if let Some(target) = download.redirected() {
            self.talk.say(&format!("Redirected: {url} -> {target}"));
        }
        let resumed = download.at() > 0;
        if resumed {
            let at = size::spell(download.at());
            self.talk.say(&format!("Resuming: {url} after {at}"));
        }
        let voucher = self.voucher(signature, wanted)?;
        let (validators, fresh) = (download.validators().clone(), download.freshness());
        let shown = url.to_string();
        let progress = self.talk.bar(&shown, download.length());
        self.talk.say(&match download.length() {
            Some(length) => format!("Fetching: {url} ({})", size::spell(length)),
            None => format!("Fetching: {url}"),
        });
        let taken = self.store.take(Incoming {
            name: shown.clone(),
            input: Box::new(Shown {
                input: resumable.read(download)?,
                progress: Some(progress),
            }),
            voucher,
            asked: wanted.name.cloned(),
            size: wanted.size,
        });
        let broken = resumable.finish(false);
        let id = taken.map_err(|error| match broken {
            // Where the archive was cut is of no interest.
            Some(Broken { why, kept }) => {
                let (why, hint) = why.reason();
                let error = Error::new(Kind::Failed, format!("cannot fetch image `{url}`"));
                let error = error.because(why.to_owned());
                match (kept, hint) {
                    (true, _) => error.hint(KEPT),
                    (false, Some(hint)) => error.hint(hint),
                    (false, None) => error,
                }
            }
            None if resumed => error.hint(REMOVED),
            None => error,
        })?;
        self.fetched.set(true);
        let file = shown.rsplit('/').next().unwrap_or(&shown);
        self.talk.say(&format!("Validated: {file} OK"));
        remembered.write(&id, &validators, fresh)?;
        Ok(Ok(id))
    }

    /// Returns whether an image that was fetched before would be accepted now.
    fn suffices(&self, id: &Digest, wanted: &Wanted<'_>) -> Result<bool> {
        if self.store.is_oci(id)? {
            return Ok(false);
        }
        let Some(image) = self.store.aci(id)? else {
            return Ok(false);
        };
        let is_wanted = |name| aci::check(name, image.manifest()).is_ok();
        Ok(wanted.name.is_none_or(is_wanted)
            && match wanted.id {
                Some((needed, _)) => needed == *id,
                None => self.store.answers(id)?,
            })
    }

    /// Decides who must vouch for a download.
    fn voucher(&self, signature: &Address, wanted: &Wanted<'_>) -> Result<Box<dyn Voucher>> {
        if let Some((id, by)) = wanted.id {
            let by = by.map(str::to_owned);
            return Ok(Box::new(ById { id, by }));
        }
        if self.options.insecure.image {
            return Ok(Box::new(Operator(Grounds::Waived)));
        }
        let text = signed::signature(self.web()?, signature, self.talk).map_err(|refusal| {
            Error::new(
                Kind::Invalid,
                format!("cannot get the signature `{signature}`"),
            )
            .because(Error::from(refusal))
            .hint(
                "use `IMAGE@sha512-...` to accept the image with this ID only, \
                 or `--insecure-options=image` to accept unsigned images",
            )
        })?;
        let check =
            Check::begin(&text).context(|| format!("cannot use signature `{signature}`"))?;
        let keyring = Keyring::open(self.dirs)?;
        Ok(Box::new(Signed::new(check, keyring, self.talk)))
    }
}

fn nowhere(name: &Name, attempts: &Attempts) -> Error {
    in_vain(format!("image `{name}` was not found"), attempts)
}
