//! A repository of a registry, and what it has of an image (the OCI distribution
//! specification, "Pull").
//!
//! A registry is asked by HTTPS. One on this machine, or one that the operator calls
//! insecure, is asked by plain HTTP where it does not speak TLS.

mod certificates;
pub mod push;
pub(crate) mod session;
mod signatures;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::digest::{self, Algorithm, Hasher};
use crate::fetch::http::{Client, Conditions, Download, HttpError, Plain, Response, Url};
use crate::fetch::options::Options;
use crate::fetch::registries;
use crate::fetch::registry::session::Token;
use crate::fetch::resume::{KEPT, REMOVED, Resumable};
use crate::fetch::shown::Shown;
use crate::fetch::web;
use crate::format::oci::blobs::Blobs;
use error::quote::quoted;
use error::{Context as _, Error, Kind, Result};
use oci::auth::Login;
use oci::challenge::Access;
use oci::digest::Digest;
use oci::manifest::{Descriptor, Document, Index, LIMIT};
use oci::media_type::{ACCEPT, Kind as Media};
use oci::reference::{self, Reference};
use oci::registries::Source;
use sys::dirs::Dirs;
use sys::progress::Progress;
use sys::size;

/// A repository, and who we are there.
pub(crate) struct Registry<'r> {
    image: Reference,
    options: Options,
    plain: Plain,
    /// Whether there is another place to ask.
    is_mirror: bool,
    access: Access,
    /// By HTTPS or plain HTTP, whichever was answered.
    link: OnceLock<Link>,
    talk: Progress,
    /// Where large layers are kept until they are complete.
    dirs: &'r Dirs,
    /// Those that are being fetched, by digest, and whether they began in another call.
    large: Mutex<BTreeMap<String, (Resumable<'r>, bool)>>,
}

/// How a repository is reached.
#[derive(Clone)]
struct Link {
    web: Client,
    base: String,
}

/// What a server answers.
type Answer<T> = std::result::Result<T, HttpError>;

impl<'r> Registry<'r> {
    /// Prepares to ask a registry; does not use the network yet.
    ///
    /// # Errors
    ///
    /// The host is not one.
    pub(crate) fn new(source: &Source, options: &Options, dirs: &'r Dirs) -> Result<Self> {
        let options = relaxed(options, source.insecure);
        Ok(Self {
            plain: plain(source.image.host(), &options)?,
            image: source.image.clone(),
            is_mirror: source.is_mirror,
            access: Access::Pull,
            link: OnceLock::new(),
            talk: Progress::new(options.quiet),
            options,
            dirs,
            large: Mutex::default(),
        })
    }

    /// Prepares to send an image as well.
    fn pushing(self) -> Self {
        Self {
            access: Access::Push,
            ..self
        }
    }

    /// Returns what the image is called here.
    pub(crate) fn image(&self) -> &Reference {
        &self.image
    }

    /// Returns whether nobody knows who has answered.
    pub(crate) fn is_unchecked(&self) -> bool {
        self.options.insecure.tls
    }

    /// Finds what the registry has under the image's name: the descriptor of a
    /// manifest or an index, with its bytes.
    ///
    /// # Errors
    ///
    /// The registry cannot be reached, has no such image, or refuses; what it has is
    /// something else.
    pub(crate) fn find(&self) -> Result<Index> {
        let found = self.ask(|link, attempts| self.manifest(link, attempts))?;
        self.listed(found.map_err(|error| self.missing(error))?)
    }

    /// Asks as often as is told, by HTTPS or, where that is not answered and plain HTTP
    /// may be used, by that.
    fn ask<T>(&self, request: impl Fn(&Link, Option<u32>) -> Answer<T>) -> Result<Answer<T>> {
        // Whoever can ask another one need not be patient.
        let usual = self.is_mirror.then_some(2);
        if let Some(link) = self.link.get() {
            return Ok(request(link, usual));
        }
        let answer = either(self.plain, |scheme, attempts| {
            let link = self.connect(scheme)?;
            Ok(request(&link, attempts.or(usual)).map(|answer| (link, answer)))
        })?;
        Ok(answer.map(|(link, answer)| {
            let _ = self.link.set(link);
            answer
        }))
    }

    /// Returns how it is reached: as it was answered, or else by HTTPS.
    fn link(&self) -> Answer<&Link> {
        if self.link.get().is_none() {
            let link = self.connect("https");
            let link = link.map_err(|error| HttpError::plain(&error.to_string()))?;
            let _ = self.link.set(link);
        }
        let unasked = || HttpError::plain("nobody was asked");
        self.link.get().ok_or_else(unasked)
    }

    fn connect(&self, scheme: &str) -> Result<Link> {
        let (image, options) = (&self.image, &self.options);
        let host = image.host();
        let start = |server, issuer| Token::new((image, self.access), server, issuer, options);
        Ok(Link {
            web: client(scheme, host, self.plain, options, start)?,
            base: format!("{scheme}://{host}/v2/{}", image.repository()),
        })
    }

    /// Describes who has answered for an image.
    pub(crate) fn described(&self, image: &Reference) -> String {
        let how = match (self.link.get(), self.is_unchecked()) {
            (Some(link), _) if !link.base.starts_with("https:") => "over plain HTTP",
            (_, true) => "over TLS with any certificate",
            (_, false) => "over TLS",
        };
        let place = self.image.registry();
        match place == image.registry() {
            true => format!("registry {place}, {how}"),
            false => format!("registry {place} for {}, {how}", image.registry()),
        }
    }

    /// Fetches what the registry has under the image's name.
    fn manifest(&self, link: &Link, attempts: Option<u32>) -> Answer<Descriptor> {
        let url = format!("{}/manifests/{}", link.base, self.image.wanted());
        let conditions = Conditions {
            accept: Some(ACCEPT),
            attempts,
            ..Conditions::default()
        };
        let download = link.download(&url, LIMIT as u64, conditions)?;
        let media_type = download.media_type().unwrap_or_default().to_owned();
        let bytes = download.whole()?;
        let wanted = self.image.digest();
        let digest = digest_of(&bytes, wanted)?;
        if wanted.is_some_and(|wanted| *wanted != digest) {
            return Err(HttpError::new(&url, format!("its digest is `{digest}`")));
        }
        Ok(Descriptor {
            media_type,
            digest,
            size: bytes.len() as u64,
            urls: Vec::new(),
            annotations: Default::default(),
            platform: None,
            data: Some(bytes),
            artifact_type: None,
        })
    }

    /// Returns a list of what was found, which must be an index or a manifest. A
    /// server that does not know what that is has it by what it looks like.
    fn listed(&self, mut found: Descriptor) -> Result<Index> {
        let bytes = found.data.as_deref().unwrap_or_default();
        if found.kind() == Media::Other {
            let mut known = ACCEPT.split(", ");
            let fits = |claimed: &&str| {
                let is_index = Media::of(claimed) == Media::Index;
                let read = Document::read(bytes, Some(claimed));
                read.is_ok_and(|read| matches!(read, Document::Index(_)) == is_index)
            };
            found.media_type = known.find(fits).unwrap_or_default().to_owned();
        }
        if self.is_mirror {
            let claimed = Some(&*found.media_type).filter(|claimed| !claimed.is_empty());
            Document::read(bytes, claimed).context(|| {
                let (registry, name) = (self.image.registry(), quoted(&self.image.to_string()));
                format!("what registry `{registry}` has as {name} is not valid")
            })?;
        }
        let manifests = vec![found];
        Ok(Index {
            manifests,
            ..Index::default()
        })
    }

    fn large(&self) -> MutexGuard<'_, BTreeMap<String, (Resumable<'r>, bool)>> {
        self.large.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what a refusal means.
    fn missing(&self, error: HttpError) -> Error {
        let (registry, image) = (self.image.registry(), &self.image);
        let name = quoted(&image.to_string());
        match error.status() {
            Some(404) => Error::new(
                Kind::NotFound,
                format!("registry `{registry}` has no image {name}"),
            ),
            // Most say the same of what they do not have.
            Some(401 | 403) => Error::new(
                Kind::NotFound,
                format!("registry `{registry}` does not let us have {name}"),
            )
            .because(error.reason().0.to_owned())
            .hint(
                "there may be no such image; `launcher login` logs in, and logins of podman and \
                 docker are found",
            ),
            _ => error.into(),
        }
    }
}

impl Link {
    fn download(&self, url: &str, limit: u64, conditions: Conditions<'_>) -> Answer<Download> {
        match self.web.open(url, Some(limit), conditions)? {
            Response::Download(download) => Ok(download),
            Response::NotModified(_) => Err(HttpError::new(url, "the server sent no document")),
        }
    }
}

/// Asks by HTTPS and, if there is no answer, by plain HTTP where that may be used. Then
/// there is one attempt by HTTPS: a server that does not speak TLS is not waited for.
fn either<T>(
    plain: Plain,
    ask: impl Fn(&str, Option<u32>) -> Result<Answer<T>>,
) -> Result<Answer<T>> {
    let is_allowed = plain != Plain::Nobody;
    match ask("https", is_allowed.then_some(1))? {
        Err(error) if error.is_unanswered() && is_allowed => match ask("http", None)? {
            // What HTTPS has met says more.
            Err(also) if also.is_unanswered() => Ok(Err(error)),
            answer => Ok(answer),
        },
        answer => Ok(answer),
    }
}

/// Returns the options for a registry that need not be secure.
fn relaxed(options: &Options, insecure: bool) -> Options {
    let mut options = options.clone();
    options.insecure.tls |= insecure;
    options.insecure.http |= insecure;
    options
}

/// Returns which servers may be asked by plain HTTP to reach a registry.
fn plain(host: &str, options: &Options) -> Result<Plain> {
    let secure = Url::parse(&format!("https://{host}/")).map_err(Error::usage)?;
    Ok(match (options.insecure.http, secure.is_loopback()) {
        (true, _) => Plain::Everybody,
        (false, true) => Plain::Loopback,
        (false, false) => Plain::Nobody,
    })
}

/// Makes a client of a registry, with a session that `start` begins: it gets the
/// address of the registry, and a client for servers that issue tokens.
fn client(
    scheme: &str,
    host: &str,
    plain: Plain,
    options: &Options,
    start: impl FnOnce(Url, Client) -> Token,
) -> Result<Client> {
    let server = Url::parse(&format!("{scheme}://{host}/")).map_err(Error::usage)?;
    let certificates = certificates::find(&server)?;
    // Whoever issues tokens may be the same server.
    let client = |session| {
        let certificates = certificates.clone();
        web::client(options, false, plain, session, certificates)
    };
    let session = start(server, client(None)?);
    client(Some(Arc::new(session)))
}

/// Tries a login.
///
/// # Errors
///
/// The registry refuses it or cannot be reached.
pub fn try_login(registry: &str, login: &Login, options: &Options) -> Result<()> {
    let host = reference::host(registry);
    let options = &relaxed(options, registries::load()?.is_insecure(registry));
    let plain = plain(host, options)?;
    let answer = either(plain, |scheme, attempts| {
        let (login, url) = (login.clone(), format!("{scheme}://{host}/v2/"));
        let start = |server, issuer| Token::to_try(login, registry, server, issuer, options);
        let client = client(scheme, host, plain, options, start)?;
        let conditions = Conditions {
            attempts,
            ..Conditions::default()
        };
        let answer = client.open(&url, Some(LIMIT as u64), conditions);
        Ok(answer.map(drop))
    })?;
    answer.map_err(|error| match error.status() {
        Some(401 | 403) => {
            let what = format!("registry `{registry}` refuses the login");
            Error::new(Kind::Failed, what).because(error.reason().0.to_owned())
        }
        _ => error.into(),
    })
}

impl Blobs for Registry<'_> {
    fn stop(&self) {
        if let Some(link) = self.link.get() {
            link.web.stop();
        }
    }

    fn open(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>> {
        let (kind, accept) = match blob.kind() {
            Media::Index | Media::Manifest => ("manifests", Some(ACCEPT)),
            _ => ("blobs", None),
        };
        let is_layer = matches!(blob.kind(), Media::Layer(_));
        let name = blob.digest.to_string();
        let large = match is_layer {
            true => Resumable::of_blob(self.dirs, &name, blob.size),
            false => None,
        };
        let download = self.ask(|link, attempts| {
            let url = format!("{}/{kind}/{}", link.base, blob.digest);
            let conditions = Conditions {
                accept,
                partial: large.as_ref().and_then(Resumable::partial),
                pinned: true,
                attempts,
                ..Conditions::default()
            };
            link.download(&url, blob.size, conditions)
        })?;
        let download = download.map_err(|error| self.missing(error))?;
        let resumed = download.at() > 0;
        if resumed {
            let at = size::spell(download.at());
            self.talk.say(&format!("Resuming: {name} after {at}"));
        }
        let input = match large {
            Some(mut large) => {
                let input = large.read(download)?;
                self.large().insert(name.clone(), (large, resumed));
                input
            }
            None => Box::new(download),
        };
        Ok(Box::new(Shown {
            progress: is_layer.then(|| self.talk.bar(&name, Some(blob.size))),
            input,
        }))
    }

    fn ended(
        &self,
        blob: &Descriptor,
        stored: Result<digest::Digest>,
        given_up: bool,
    ) -> Result<digest::Digest> {
        let large = self.large().remove(&blob.digest.to_string());
        let Some((large, resumed)) = large else {
            return stored;
        };
        let broken = large.finish(given_up);
        stored.map_err(|error| match broken {
            Some(broken) if broken.kept => error.hint(KEPT),
            None if resumed => error.hint(REMOVED),
            _ => error,
        })
    }
}

/// Returns the digest of a document: by the algorithm of another one, or by that which
/// registries have.
fn digest_of(bytes: &[u8], like: Option<&Digest>) -> Answer<Digest> {
    let algorithm = like.map(|like| crate::digest::Digest::from(like).algorithm());
    let mut hasher = Hasher::new(algorithm.unwrap_or(Algorithm::Sha256));
    hasher.update(bytes);
    Digest::parse(&hasher.finish().oci()).map_err(|error| HttpError::plain(&error.to_string()))
}
