//! Whether an image may have more rights than the default because of who signed
//! it: a key of which the operator said so, whose signature was checked when the
//! image was stored, and which is still trusted so for the image's name.

use crate::digest::Digest;
use crate::store::images::Store;
use crate::trust::keyring::Keyring;
use crate::trust::openpgp::Fingerprint;
use appc::manifest::ImageManifest;
use error::{Error, Result};
use sys::dirs::Dirs;

/// Tells whether an image may; it need not be stored. Most ask for nothing, and
/// cost nothing.
///
/// # Errors
///
/// The record or the keys cannot be read.
pub fn may(dirs: &Dirs, store: &Store<'_>, id: &Digest, manifest: &ImageManifest) -> Result<bool> {
    let asks = |app: &appc::manifest::app::App| !app.isolators.is_empty();
    if !manifest.app.as_ref().is_some_and(asks) || !store.contains(id)? {
        return Ok(false);
    }
    // Who vouched otherwise, the operator for instance, has no fingerprint.
    let by = store.record(id)?.by;
    let Ok(signer) = Fingerprint::parse(by.split(' ').next().unwrap_or_default()) else {
        return Ok(false);
    };
    // Whoever fetches or lists keys hears of those that cannot be understood.
    let quiet = &mut |_: &Error| {};
    Keyring::open(dirs)?.may_raise(&manifest.name, &signer, quiet)
}
