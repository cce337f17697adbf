//! Whether an image may have more rights than the default because of who signed
//! it. The operator must have said so for the key, its signature must have been
//! checked when the image was stored, and the key must still be trusted for the
//! image's name.

use crate::digest::Digest;
use crate::store::images::Store;
use crate::trust::keyring::Keyring;
use crate::trust::openpgp::Fingerprint;
use appc::manifest::ImageManifest;
use error::{Error, Result};
use sys::dirs::Dirs;

/// Returns whether an image may have more rights; it need not be stored. Images
/// that ask for none are not looked up.
///
/// # Errors
///
/// The record or the keys cannot be read.
pub fn may(dirs: &Dirs, store: &Store<'_>, id: &Digest, manifest: &ImageManifest) -> Result<bool> {
    let asks = |app: &appc::manifest::app::App| !app.isolators.is_empty();
    if !manifest.app.as_ref().is_some_and(asks) || !store.contains(id)? {
        return Ok(false);
    }
    // Other vouchers, such as the operator, have no fingerprint.
    let by = store.record(id)?.by;
    let Ok(signer) = Fingerprint::parse(by.split(' ').next().unwrap_or_default()) else {
        return Ok(false);
    };
    // Keys that are not valid are reported when fetching or listing.
    let quiet = &mut |_: &Error| {};
    Keyring::open(dirs)?.may_raise(&manifest.name, &signer, quiet)
}
