//! Images that leave for a registry (the OCI distribution specification, "Push"):
//! blobs that it does not have, each in one request, and then the manifest.

use std::sync::Arc;

use crate::digest::Digest;
use crate::fetch::http::{HttpError, Upload, Url};
use crate::fetch::options::Options;
use crate::fetch::registries;
use crate::fetch::registry::{Link, Registry};
use crate::format::oci::outgoing::{Content, Destination, Form, Outgoing, Parts, described};
use error::quote::quoted;
use error::{Error, Kind, Result};
use oci::manifest::Descriptor;
use oci::media_type::INDEX;
use oci::reference::Reference;
use oci::signature;
use sys::size;

impl Outgoing<'_> {
    /// Pushes the image. Returns the digest of its manifest. What the user should
    /// know is passed to `note`.
    ///
    /// # Errors
    ///
    /// The registry cannot be reached or refuses; what is stored is not what its ID
    /// says. Blobs that were sent stay there, but no image has them.
    pub fn push(
        &self,
        to: &Reference,
        options: &Options,
        note: &mut dyn FnMut(String),
    ) -> Result<Digest> {
        let cannot = || format!("cannot push {}", quoted(&to.to_string()));
        if to.digest().is_some() {
            let fault = format!("{}: it has a digest", cannot());
            let hint = "the digest follows from the image; give a tag";
            return Err(Error::usage(fault).hint(hint));
        }
        let source = registries::load()?.itself(to)?;
        let registry = Registry::new(&source, options, self.dirs())?.pushing();
        let there = registry.ask(|link, attempts| link.is_there(&self.first()?, attempts))?;
        there.map_err(|error| registry.refused(&error))?;
        registry.talk.say(&format!("Pushing: {to}"));
        let mut to = &registry;
        let sent = self.send(&mut to, note).and_then(|digest| {
            let signatures = self.signatures(&digest)?;
            if signatures.is_empty() {
                self.leave_signatures(note);
            }
            let signed = oci::digest::Digest::parse(&digest.oci())?;
            for (manifest, bytes, blobs) in signatures {
                for (blob, content) in blobs {
                    to.put(&blob, content)?;
                }
                to.put_signatures(&signed, &manifest, &bytes)?;
            }
            Ok(digest)
        });
        sent.map_err(|error| match error.kind() {
            // What the registry said is a sentence already.
            Kind::Failed => error,
            kind => Error::new(kind, cannot()).because(error),
        })
    }

    /// Returns a blob that says something about the registry: the configuration.
    fn first(&self) -> std::result::Result<Descriptor, HttpError> {
        let first = self.configuration();
        first.map_err(|error| HttpError::plain(&error.to_string()))
    }
}

impl Link {
    /// Returns whether the repository has a blob. Some registries refuse to say
    /// whether one is there that is not.
    fn is_there(
        &self,
        blob: &Descriptor,
        attempts: Option<u32>,
    ) -> std::result::Result<bool, HttpError> {
        let url = self.url(&format!("blobs/{}", blob.digest))?;
        let head = Upload::empty("HEAD");
        let (reply, _) = self.web.retry(attempts, || self.web.upload(&url, &head))?;
        Ok(reply.head.status == 200)
    }

    fn url(&self, path: &str) -> std::result::Result<Url, HttpError> {
        let url = Url::parse(&format!("{}/{path}", self.base));
        url.map_err(|why| HttpError::plain(&why))
    }

    /// Sends a blob. If that fails, the registry has nothing of it.
    fn send(&self, blob: &Descriptor, upload: &Upload) -> std::result::Result<(), HttpError> {
        let start = self.url("blobs/uploads/")?;
        self.web.retry(None, || {
            let (reply, next) = self.web.upload(&start, &Upload::empty("POST"))?;
            let (202, Some(next)) = (reply.head.status, next) else {
                return Err(reply.unexpected());
            };
            let next = next.reveal();
            let glue = if next.contains('?') { '&' } else { '?' };
            let next = Url::parse(&format!("{next}{glue}digest={}", blob.digest));
            let next = next.map_err(|why| HttpError::plain(&why))?;
            let (reply, _) = self.web.upload(&next, upload)?;
            match reply.head.status {
                201 => Ok(()),
                _ => Err(reply.unexpected()),
            }
        })
    }
}

impl Registry<'_> {
    /// Says what a refusal means.
    fn refused(&self, error: &HttpError) -> Error {
        let (registry, image) = (self.image.registry(), &self.image);
        let name = quoted(&image.to_string());
        let what = match error.status() {
            Some(401 | 403) => format!("registry `{registry}` does not let us push {name}"),
            _ => format!("cannot push {name}"),
        };
        let (why, hint) = error.reason();
        let refused = Error::new(Kind::Failed, what).because(why.to_owned());
        match (error.status(), hint) {
            (Some(401 | 403), _) => refused.hint("`launcher login` logs in"),
            (_, Some(hint)) => refused.hint(hint),
            (_, None) => refused,
        }
    }
}

impl Destination for &Registry<'_> {
    fn form(&self) -> Form {
        Form::Compressed
    }

    fn has(&mut self, blob: &Descriptor) -> Result<bool> {
        let there = self.link().and_then(|link| link.is_there(blob, None));
        there.map_err(|error| self.refused(&error))
    }

    fn put(&mut self, blob: &Descriptor, content: Content) -> Result<()> {
        if self.has(blob)? {
            return Ok(());
        }
        let (digest, size) = (&blob.digest, size::spell(blob.size));
        self.talk.say(&format!("Sending: {digest} ({size})"));
        let upload = Upload {
            method: "PUT",
            media_type: "application/octet-stream".to_owned(),
            size: blob.size,
            content: Arc::new(move || content.read()),
        };
        let sent = self.link().and_then(|link| link.send(blob, &upload));
        sent.map_err(|error| self.refused(&error))
    }

    fn finish(&mut self, image: &Parts) -> Result<()> {
        self.put_manifest(
            &self.image.wanted().to_string(),
            &image.manifest,
            &image.bytes,
        )
        .map(drop)
    }
}

impl Registry<'_> {
    /// Sends a manifest with signatures of another one, to where they are looked for.
    fn put_signatures(
        &self,
        signed: &oci::digest::Digest,
        manifest: &Descriptor,
        bytes: &[u8],
    ) -> Result<()> {
        if !signature::is_bundle(bytes) {
            let tag = signature::tag(signed);
            return self.put_manifest(&tag, manifest, bytes).map(drop);
        }
        let manifest =
            &Descriptor::new(&manifest.media_type, manifest.digest.clone(), manifest.size);
        let digest = manifest.digest.to_string();
        if self.put_manifest(&digest, manifest, bytes)? {
            return Ok(());
        }
        // Then the list is for its clients to keep ("Pushing Manifests with Subject").
        let tag = signature::referrers_tag(signed);
        let list = self.list(&format!("manifests/{tag}"))?;
        match signature::with_referrer(list.as_deref(), manifest)? {
            Some(list) => self
                .put_manifest(&tag, &described(INDEX, &list)?, &list)
                .map(drop),
            None => Ok(()),
        }
    }

    /// Sends a manifest, for a tag or its digest. Returns whether the registry lists
    /// what refers to an image, and this among it.
    fn put_manifest(&self, name: &str, manifest: &Descriptor, bytes: &[u8]) -> Result<bool> {
        let bytes = Content::Bytes(bytes.to_vec());
        let upload = Upload {
            method: "PUT",
            media_type: manifest.media_type.clone(),
            size: manifest.size,
            content: Arc::new(move || bytes.read()),
        };
        let put = || {
            let link = self.link()?;
            let url = link.url(&format!("manifests/{name}"))?;
            let (reply, _) = link.web.retry(None, || link.web.upload(&url, &upload))?;
            match reply.head.status {
                201 => Ok(reply.head.headers.get("OCI-Subject").is_some()),
                _ => Err(reply.unexpected()),
            }
        };
        put().map_err(|error| self.refused(&error))
    }
}
