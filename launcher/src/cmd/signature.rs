//! `launcher image verify --signature`: checks the signature of a file that is
//! not in the store.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};

use crate::cmd::complain;
use appc::json::Object;
use appc::types::AcIdentifier;
use error::quote::{quoted, shown};
use error::{Context as _, Result};
use image::archive::stream::Growth;
use image::format::inspect;
use image::trust::keyring::Keyring;
use image::trust::openpgp::{Check, SIGNATURE_LIMIT, Signer};
use sys::dirs::Dirs;

/// An archive that a trusted key has signed.
pub(crate) struct Signed {
    file: PathBuf,
    /// What its manifest calls it.
    name: AcIdentifier,
    signer: Signer,
}

impl Signed {
    /// Formats it for people.
    pub(crate) fn text(&self) -> String {
        let Signer { fingerprint, user } = &self.signer;
        let user = user.as_ref().map(|user| format!(" {}", quoted(user)));
        format!(
            "{} OK: `{}`, signed by {fingerprint}{}\n",
            shown(&self.file),
            self.name,
            user.unwrap_or_default()
        )
    }

    /// Formats it for programs.
    pub(crate) fn json(&self) -> Object {
        Object::new()
            .with("file", &*self.file.to_string_lossy())
            .with("valid", true)
            .with("name", self.name.as_str())
            .with("fingerprint", self.signer.fingerprint.as_str())
            .with_some("user", self.signer.user.as_deref())
    }
}

/// Checks an image archive and its detached signature.
///
/// # Errors
///
/// It is not an image, or no key that is trusted for its name has signed it.
pub(crate) fn verify(
    dirs: &Dirs,
    signature: &Path,
    archive: &Path,
    growth: Growth,
) -> Result<Signed> {
    let what = || format!("cannot check `{}`", archive.display());
    let mut check = begin(signature)?;
    let mut file = File::open(archive).context(what)?;
    let mut piece = vec![0; 256 << 10];
    loop {
        match file.read(&mut piece).context(what)? {
            0 => break,
            length => check.update(&piece[..length]),
        }
    }
    // The name of the image decides which keys may sign it.
    file.rewind().context(what)?;
    let name = inspect::manifest(file, growth).context(what)?.name;
    let keyring = Keyring::open(dirs)?;
    let signer = keyring.verify(check, &name, &mut complain);
    Ok(Signed {
        file: archive.to_owned(),
        name,
        signer: signer.context(what)?,
    })
}

/// Reads a signature, up to one byte more than allowed.
fn begin(signature: &Path) -> Result<Check> {
    let what = || format!("cannot use signature `{}`", signature.display());
    let limit = u64::try_from(SIGNATURE_LIMIT)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let mut bytes = Vec::new();
    let file = File::open(signature).context(what)?;
    file.take(limit).read_to_end(&mut bytes).context(what)?;
    Check::begin(&bytes).context(what)
}
