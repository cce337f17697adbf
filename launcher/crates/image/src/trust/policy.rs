//! The policy of this host: which OCI images are accepted, and who must have signed
//! them. [`oci::policy`] says what it can say.
//!
//! It is asked twice. Before an image is fetched into the store, its signatures are
//! checked, and those that were needed are kept with the image. When an image that is
//! stored is to be run, the policy as it is then is asked again, about what was kept.
//! So an image that was let in by a weaker policy, or without one, does not slip by a
//! stricter one: it is fetched anew, or refused. It is not asked about what was built
//! here.
//!
//! The first of these files counts, and no other:
//!
//! | `$NOSECONE_POLICY` | for one command |
//! | `~/.config/nosecone/policy.json`, `/etc/nosecone/policy.json` | ours |
//! | `~/.config/containers/policy.json`, `/etc/containers/policy.json` | podman's |

mod keys;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::trust::admitted::{Admitted, Signature};
use crate::trust::locks::Locks;
use crate::trust::openpgp;
use crate::trust::policy::keys::{Keys, read};
use crate::trust::signatures::Signatures;
use crate::trust::sigstore::{self, Envelope};
use crate::trust::verify::Grounds;
use error::quote::quoted;
use error::{Context as _, Error, Kind, Result};
use oci::digest::Digest;
use oci::policy::place::Place;
use oci::policy::{self as format, LIMIT, Requirement, Signed, Which};
use oci::signature::{ATOMIC, Payload, Statement};
use sys::clock;
use sys::dirs::Dirs;

/// The variable that names another file.
const VARIABLE: &str = "NOSECONE_POLICY";

/// Who vouches if the operator has turned the check off.
const NOBODY: &str = "nobody: --insecure-options=image";

/// The policy.
#[derive(Debug)]
pub struct Policy {
    /// The file, if there is one.
    file: Option<(PathBuf, format::Policy)>,
    /// The names that are locked.
    locks: Locks,
    /// Whether it is not asked.
    waived: bool,
}

impl Policy {
    /// Reads the policy; `waived` if it is not to be asked.
    ///
    /// # Errors
    ///
    /// The file is not valid, cannot be read, or others can write to it. Nothing is
    /// accepted then.
    pub fn open(dirs: &Dirs, waived: bool) -> Result<Self> {
        let locks = match Locks::read(dirs) {
            Err(_) if waived => Locks::default(),
            locks => locks?,
        };
        for (path, named) in files(&|name| std::env::var_os(name)) {
            let what = format!("cannot use the policy `{}`", path.display());
            let text = match read(&path, LIMIT, &what) {
                Err(error) if error.kind() == Kind::NotFound && !named => continue,
                text => text,
            };
            let policy = text.and_then(|text| format::Policy::read(&text).context(|| what));
            return match policy {
                // It need not be valid if nobody asks it.
                Err(_) if waived => Ok(Self {
                    file: None,
                    locks,
                    waived,
                }),
                policy => Ok(Self {
                    file: Some((path, policy?)),
                    locks,
                    waived,
                }),
            };
        }
        Ok(Self {
            file: None,
            locks,
            waived,
        })
    }

    /// Returns the file, and what it says.
    pub fn file(&self) -> Option<(&Path, &format::Policy)> {
        let (path, policy) = self.file.as_ref()?;
        Some((path, policy))
    }

    /// Refuses what is rejected whoever has signed it, before anybody is asked for it.
    ///
    /// # Errors
    ///
    /// The policy rejects the image.
    pub(crate) fn allows(&self, place: &Place) -> Result<()> {
        match self.asked(place) {
            Some(asked) if asked.requirements.contains(&Requirement::Reject) => {
                Err(asked.refuse(place, "it rejects all of them"))
            }
            _ => Ok(()),
        }
    }

    /// Decides whether an image may be stored, of which `digest` was found. Without a
    /// policy, it may be on these grounds.
    ///
    /// # Errors
    ///
    /// The policy does not accept the image.
    pub(crate) fn admit(
        &self,
        place: &Place,
        digest: Option<&Digest>,
        (grounds, by): (Grounds, String),
        signatures: &dyn Signatures,
    ) -> Result<Admitted> {
        let admitted = Admitted {
            place: place.to_string(),
            digest: digest.map(Digest::to_string),
            grounds,
            by,
            signatures: Vec::new(),
        };
        if self.is_skipped(place) {
            return Ok(Admitted {
                grounds: Grounds::Waived,
                by: NOBODY.to_owned(),
                ..admitted
            });
        }
        let mut admitted = admitted;
        if self.locked(place, admitted.digest.as_deref())? {
            admitted.by.push_str("; locked to this digest");
        }
        let Some(asked) = self.asked(place) else {
            let by = match &self.file {
                Some(_) => admitted.by,
                None => format!("{}; there is no policy", admitted.by),
            };
            return Ok(Admitted { by, ..admitted });
        };
        self.allows(place)?;
        let mut found = Vec::new();
        for wanted in asked.signed() {
            let signature = asked.signature(wanted, place, digest, signatures)?;
            if !found.contains(&signature) {
                found.push(signature);
            }
        }
        let (policy, which) = (asked.path.display(), &asked.which);
        let (grounds, by) = match found.as_slice() {
            [] => (admitted.grounds, admitted.by),
            [..] => {
                let keys = found.iter().map(|signature| signature.key.as_str());
                let keys: Vec<&str> = keys.collect();
                (Grounds::Signed, format!("key {}", keys.join(" and key ")))
            }
        };
        Ok(Admitted {
            grounds,
            by: format!("{by}; `{which}` of {policy}"),
            signatures: found,
            ..admitted
        })
    }

    /// Decides whether an image that is stored may be run, of which this is known.
    ///
    /// # Errors
    ///
    /// The policy does not accept the image, or not for what is known of it.
    pub fn holds(&self, known: &Admitted) -> Result<()> {
        if self.waived || known.grounds == Grounds::Built {
            return Ok(());
        }
        // What is unknown is from nowhere that a policy could name.
        let place = Place::parse(&known.place);
        let place = place.unwrap_or_else(|_| Place::file("unknown", "/", None));
        self.locked(&place, known.digest.as_deref())?;
        let Some(asked) = self.asked(&place) else {
            return Ok(());
        };
        self.allows(&place)?;
        for wanted in asked.signed() {
            let keys = Keys::read(wanted).map_err(|error| asked.unusable(error))?;
            let is_right = |signature: &Signature| {
                signature.scheme == wanted.scheme
                    && keys.have(&signature.key, clock::seconds())
                    && wanted
                        .identity
                        .fits(signature.name.as_deref(), place.image())
            };
            if !known.signatures.iter().any(is_right) {
                let why = "it is stored without a signature that is needed now";
                let error = asked.refuse(&place, why);
                return Err(error.hint("`launcher fetch --pull-policy=update` looks for one"));
            }
        }
        Ok(())
    }

    /// Returns whether there is a requirement that is not asked for.
    pub(crate) fn is_skipped(&self, place: &Place) -> bool {
        let requires = |(_, policy): &(PathBuf, format::Policy)| {
            let (requirements, _) = policy.requirements(place);
            requirements.iter().any(|one| *one != Requirement::Accept)
        };
        let lock = place.image().and_then(|image| self.locks.digest(image));
        self.waived && (lock.is_some() || self.file.as_ref().is_some_and(requires))
    }

    /// Checks the digest of a name that is locked; returns whether it is.
    fn locked(&self, place: &Place, found: Option<&str>) -> Result<bool> {
        let image = place.image().filter(|_| !self.waived);
        let lock = image.and_then(|image| Some((image, self.locks.digest(image)?)));
        let Some((image, locked)) = lock else {
            return Ok(false);
        };
        if found == Some(locked) {
            return Ok(true);
        }
        let found = found.unwrap_or("another image");
        let why = format!("its digest is `{found}`, but the name is locked to `{locked}`");
        let error = Error::invalid(format!("image `{image}` is not accepted"));
        Err(error.because(Error::invalid(why)).hint(format!(
            "if its publisher has changed it, `launcher policy unlock {image}` accepts it"
        )))
    }

    fn asked(&self, place: &Place) -> Option<Asked<'_>> {
        let (path, policy) = self.file.as_ref().filter(|_| !self.waived)?;
        let (requirements, which) = policy.requirements(place);
        Some(Asked {
            path,
            requirements,
            which,
        })
    }
}

/// The part of a policy that counts for an image.
struct Asked<'p> {
    path: &'p Path,
    requirements: &'p [Requirement],
    which: Which,
}

impl Asked<'_> {
    fn signed(&self) -> impl Iterator<Item = &Signed> {
        self.requirements.iter().filter_map(|one| match one {
            Requirement::Signed(signed) => Some(signed),
            Requirement::Accept | Requirement::Reject => None,
        })
    }

    fn refuse(&self, place: &Place, why: impl Into<String>) -> Error {
        self.refuse_because(place, Error::invalid(why))
    }

    fn refuse_because(&self, place: &Place, cause: Error) -> Error {
        let path = self.path.display();
        Error::invalid(format!("policy `{path}` does not accept image `{place}`"))
            .because(cause.at(format!("`{}`", self.which)))
    }

    fn unusable(&self, error: Error) -> Error {
        let path = self.path.display();
        Error::new(error.kind(), format!("cannot use the policy `{path}`"))
            .because(error.at(format!("`{}`", self.which)))
    }

    /// Finds a signature that meets a requirement.
    fn signature(
        &self,
        wanted: &Signed,
        place: &Place,
        digest: Option<&Digest>,
        signatures: &dyn Signatures,
    ) -> Result<Signature> {
        let keys = Keys::read(wanted).map_err(|error| self.unusable(error))?;
        let Some(digest) = digest else {
            let why = "it must be signed, and what such a file has cannot be";
            return Err(self.refuse(place, why));
        };
        let mut search = Search {
            wanted,
            place,
            digest,
            right: None,
            faults: Vec::new(),
        };
        let searched = match &keys {
            Keys::OpenPgp(keys) => signatures.simple(digest, &mut |message| {
                search.judge(message.and_then(|message| by_openpgp(keys, &message)))
            }),
            Keys::Sigstore(keys) => signatures.sigstore(digest, &mut |envelope| {
                search.judge(envelope.and_then(|envelope| by_sigstore(keys, &envelope)))
            }),
        };
        searched.context(|| format!("cannot find out whether image `{place}` is signed"))?;
        if let Some(signature) = search.right {
            return Ok(signature);
        }
        let mut faults = search.faults;
        let word = wanted.scheme.word();
        Err(match faults.len() {
            0 => self.refuse(place, format!("it has no signature for `{word}`")),
            1 => self.refuse_because(place, faults.remove(0)),
            _ => {
                let lines = faults
                    .iter()
                    .map(|fault| fault.to_string().replace('\n', "; "));
                let why = format!("none of its signatures counts for `{word}`");
                self.refuse_because(place, Error::invalid(why).tried(lines.collect()))
            }
        })
    }
}

/// The search for a signature.
struct Search<'s> {
    wanted: &'s Signed,
    place: &'s Place,
    digest: &'s Digest,
    right: Option<Signature>,
    faults: Vec<Error>,
}

impl Search<'_> {
    /// Judges a signature: who has made it, and of what. Returns whether it is right.
    fn judge(&mut self, signed: Result<(String, Payload)>) -> bool {
        let judged = signed.and_then(|(key, payload)| {
            let statement = payload.read().map_err(|error| error.at("a signature"))?;
            self.meets(&statement)?;
            Ok(Signature {
                scheme: self.wanted.scheme,
                key,
                name: statement.name,
            })
        });
        match judged {
            Ok(signature) => self.right = Some(signature),
            Err(error) => self.faults.push(error),
        }
        self.right.is_some()
    }

    /// Checks that a signature is for this image.
    fn meets(&self, statement: &Statement) -> Result<()> {
        let (digest, identity) = (self.digest, &self.wanted.identity);
        if !statement.is_about(digest) {
            let others = statement.digests.join("` and `");
            return Err(Error::invalid(format!(
                "a signature is of `{others}`, not of `{digest}`"
            )));
        }
        if identity.fits(statement.name.as_deref(), self.place.image()) {
            return Ok(());
        }
        let word = identity.word();
        Err(match &statement.name {
            Some(name) => {
                let what = format!(
                    "a signature is for the name {}, with which `{word}` is not met",
                    quoted(name)
                );
                Error::invalid(what).hint("`signedIdentity` of the policy says which names count; `matchRepository` takes any tag or none")
            }
            None => {
                let what = format!("a signature is for no name, with which `{word}` is not met");
                Error::invalid(what).hint(
                    "a `signedIdentity` of type `matchDigest` takes signatures of a digest alone",
                )
            }
        })
    }
}

/// Checks a signed message. Returns who has signed, and what.
fn by_openpgp(keys: &[openpgp::Key], message: &[u8]) -> Result<(String, Payload)> {
    let (content, check) = openpgp::open(message)?;
    let signer = check.finish(keys, clock::seconds())?;
    Ok((
        signer.fingerprint.to_string(),
        Payload::Simple(content, ATOMIC),
    ))
}

/// Checks a signature of cosign. Returns who has signed, and what.
fn by_sigstore(keys: &[sigstore::Key], envelope: &Envelope) -> Result<(String, Payload)> {
    let signer = keys.iter().find(|key| key.has_signed(envelope));
    let signer =
        signer.ok_or_else(|| Error::invalid("a signature is by another key, or was changed"))?;
    Ok((signer.fingerprint().to_owned(), envelope.payload.clone()))
}

/// Returns where the file can be, the most important first, and whether it must be
/// there.
fn files(variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<(PathBuf, bool)> {
    let path = |name: &str| {
        let value = variable(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    if let Some(file) = path(VARIABLE) {
        return vec![(file, true)];
    }
    let home = path("HOME").map(|home| home.join(".config"));
    let places = [
        (path("XDG_CONFIG_HOME").or_else(|| home.clone()), "nosecone"),
        (Some("/etc".into()), "nosecone"),
        (home, "containers"),
        (Some("/etc".into()), "containers"),
    ];
    let places = places.into_iter().filter_map(|(above, below)| {
        let path = above?.join(below).join("policy.json");
        Some((path, false))
    });
    places.collect()
}

#[cfg(all(test, feature = "openpgp"))]
#[path = "policy_tests.rs"]
mod tests;
