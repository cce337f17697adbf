//! `launcher image verify --signature`: checks the signature of a file that is
//! not in the store.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::Path;

use crate::cmd::complain;
use error::quote::{quoted, shown};
use error::{Context as _, Result};
use image::archive::stream::Growth;
use image::format::inspect;
use image::trust::keyring::Keyring;
use image::trust::openpgp::{Check, SIGNATURE_LIMIT};
use sys::dirs::Dirs;

/// Checks an image archive and its detached signature. Returns the line to print.
///
/// # Errors
///
/// It is not an image, or no key that is trusted for its name has signed it.
pub(crate) fn verify(
    dirs: &Dirs,
    signature: &Path,
    archive: &Path,
    growth: Growth,
) -> Result<String> {
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
    let signer = signer.context(what)?;
    let user = signer.user.map(|user| format!(" {}", quoted(&user)));
    Ok(format!(
        "{} OK: `{name}`, signed by {}{}\n",
        shown(archive),
        signer.fingerprint,
        user.unwrap_or_default()
    ))
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
