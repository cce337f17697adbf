//! A repository of a registry, and what it has of an image (the OCI distribution
//! specification, "Pull").
//!
//! A registry is asked by HTTPS. One on this machine, or every one if the operator
//! allows that, is asked by plain HTTP where it does not speak TLS.

mod certificates;
pub mod push;
pub(crate) mod session;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::digest::{self, Algorithm, Hasher};
use crate::fetch::http::{Client, Conditions, Download, HttpError, Plain, Response, Url};
use crate::fetch::options::Options;
use crate::fetch::registry::session::Token;
use crate::fetch::resume::{KEPT, REMOVED, Resumable};
use crate::fetch::shown::Shown;
use crate::fetch::web;
use crate::format::oci::blobs::Blobs;
use error::quote::quoted;
use error::{Error, Kind, Result};
use oci::auth::Login;
use oci::digest::Digest;
use oci::manifest::{Descriptor, Document, Index, LIMIT};
use oci::media_type::{ACCEPT, Kind as Media};
use oci::reference::{self, Reference};
use sys::dirs::Dirs;
use sys::progress::Progress;
use sys::size;

/// A repository.
pub(crate) struct Registry<'r> {
    image: &'r Reference,
    web: Client,
    base: String,
    talk: Progress,
    /// Where large layers are kept until they are complete.
    dirs: &'r Dirs,
    /// Those that are being fetched, by digest, and whether they began in another call.
    large: Mutex<BTreeMap<String, (Resumable<'r>, bool)>>,
}

impl<'r> Registry<'r> {
    /// Finds the registry of an image, and what it has under the image's name: the
    /// descriptor of a manifest or an index, with its bytes.
    ///
    /// # Errors
    ///
    /// The registry cannot be reached, has no such image, or refuses.
    pub(crate) fn find(
        image: &'r Reference,
        options: &Options,
        dirs: &'r Dirs,
    ) -> Result<(Self, Index)> {
        let (registry, found) = Self::reach(image, options, dirs, Self::manifest)?;
        let found = found.map_err(|error| registry.missing(error))?;
        registry.with(found)
    }

    /// Finds the registry of an image with a first request, which gets a number of
    /// attempts.
    fn reach<T>(
        image: &'r Reference,
        options: &Options,
        dirs: &'r Dirs,
        ask: impl Fn(&Self, Option<u32>) -> std::result::Result<T, HttpError>,
    ) -> Result<(Self, std::result::Result<T, HttpError>)> {
        let host = image.host();
        let plain = plain(host, options)?;
        let open = |scheme: &str| -> Result<Self> {
            let start = |server, issuer| Token::new(image, server, issuer, options);
            Ok(Self {
                image,
                web: client(scheme, host, plain, options, start)?,
                base: format!("{scheme}://{host}/v2/{}", image.repository()),
                talk: Progress::new(options.quiet),
                dirs,
                large: Mutex::default(),
            })
        };
        let registry = open("https")?;
        match ask(&registry, first(plain)) {
            Err(error) if error.is_unanswered() && plain != Plain::Nobody => {
                let registry = open("http")?;
                let answer = ask(&registry, None).map_err(|also| match also.is_unanswered() {
                    true => error,
                    false => also,
                });
                Ok((registry, answer))
            }
            answer => Ok((registry, answer)),
        }
    }

    /// Fetches what the registry has under the image's name.
    fn manifest(&self, attempts: Option<u32>) -> std::result::Result<Descriptor, HttpError> {
        let url = format!("{}/manifests/{}", self.base, self.image.wanted());
        let conditions = Conditions {
            accept: Some(ACCEPT),
            attempts,
            ..Conditions::default()
        };
        let download = self.download(&url, LIMIT as u64, conditions)?;
        let media_type = download.media_type().unwrap_or_default().to_owned();
        let bytes = download.whole()?;
        let digest = match self.image.digest() {
            // Whoever reads it checks that.
            Some(digest) => digest.clone(),
            None => digest_of(&bytes)?,
        };
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

    /// Returns it with a list of what was found. A server that does not know what
    /// that is has it by what it looks like.
    fn with(self, mut found: Descriptor) -> Result<(Self, Index)> {
        if found.kind() == Media::Other {
            let bytes = found.data.as_deref().unwrap_or_default();
            let mut known = ACCEPT.split(", ");
            let fits = |claimed: &&str| {
                let is_index = Media::of(claimed) == Media::Index;
                let read = Document::read(bytes, Some(claimed));
                read.is_ok_and(|read| matches!(read, Document::Index(_)) == is_index)
            };
            found.media_type = known.find(fits).unwrap_or_default().to_owned();
        }
        let manifests = vec![found];
        let index = Index {
            manifests,
            ..Index::default()
        };
        Ok((self, index))
    }

    fn large(&self) -> MutexGuard<'_, BTreeMap<String, (Resumable<'r>, bool)>> {
        self.large.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn download(
        &self,
        url: &str,
        limit: u64,
        conditions: Conditions<'_>,
    ) -> std::result::Result<Download, HttpError> {
        match self.web.open(url, Some(limit), conditions)? {
            Response::Download(download) => Ok(download),
            Response::NotModified(_) => Err(HttpError::new(url, "the server sent no document")),
        }
    }

    /// Says what a refusal means.
    fn missing(&self, error: HttpError) -> Error {
        let (registry, image) = (self.image.registry(), self.image);
        let name = quoted(&image.to_string());
        match error.status() {
            Some(404) => Error::new(
                Kind::NotFound,
                format!("registry `{registry}` has no image {name}"),
            ),
            Some(401 | 403) => Error::new(
                Kind::Failed,
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

/// Returns which servers may be asked by plain HTTP to reach a registry.
fn plain(host: &str, options: &Options) -> Result<Plain> {
    let secure = Url::parse(&format!("https://{host}/")).map_err(Error::usage)?;
    Ok(match (options.insecure.http, secure.is_loopback()) {
        (true, _) => Plain::Everybody,
        (false, true) => Plain::Loopback,
        (false, false) => Plain::Nobody,
    })
}

/// Returns how many attempts to make first, by HTTPS: one that does not speak TLS is not
/// waited for.
fn first(plain: Plain) -> Option<u32> {
    (plain != Plain::Nobody).then_some(1)
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
    let plain = plain(host, options)?;
    let ask = |scheme: &str| -> Result<std::result::Result<(), HttpError>> {
        let (login, url) = (login.clone(), format!("{scheme}://{host}/v2/"));
        let start = |server, issuer| Token::to_try(login, registry, server, issuer, options);
        let client = client(scheme, host, plain, options, start)?;
        let conditions = Conditions {
            attempts: first(plain).filter(|_| scheme == "https"),
            ..Conditions::default()
        };
        let answer = client.open(&url, Some(LIMIT as u64), conditions);
        Ok(answer.map(drop))
    };
    let answer = match ask("https")? {
        Err(error) if error.is_unanswered() && plain != Plain::Nobody => match ask("http")? {
            Err(also) if also.is_unanswered() => Err(error),
            answer => answer,
        },
        answer => answer,
    };
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
        self.web.stop();
    }

    fn open(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>> {
        let (kind, accept) = match blob.kind() {
            Media::Index | Media::Manifest => ("manifests", Some(ACCEPT)),
            _ => ("blobs", None),
        };
        let url = format!("{}/{kind}/{}", self.base, blob.digest);
        let is_layer = matches!(blob.kind(), Media::Layer(_));
        let name = blob.digest.to_string();
        let large = match is_layer {
            true => Resumable::of_blob(self.dirs, &name, blob.size),
            false => None,
        };
        let conditions = Conditions {
            accept,
            partial: large.as_ref().and_then(Resumable::partial),
            pinned: true,
            ..Conditions::default()
        };
        let download = self.download(&url, blob.size, conditions);
        let download = download.map_err(|error| self.missing(error))?;
        let resumed = download.at() > 0;
        if resumed {
            let at = size::spell(download.at());
            self.talk.notice(&format!("Resuming: {name} after {at}"));
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

/// Returns the digest that registries know a document by.
fn digest_of(bytes: &[u8]) -> std::result::Result<Digest, HttpError> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(bytes);
    Digest::parse(&hasher.finish().oci()).map_err(|error| HttpError::plain(&error.to_string()))
}
