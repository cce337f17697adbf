//! Keys that images are signed by, as far as the network has a part in it:
//! whom to trust is not decided here.

use super::{DOCUMENT, Options, schemes, web};
use crate::ground::{Error, Kind, Result};
use crate::image::discovery::{self, Attempts, Why};
use crate::words::reference::Name;

/// Gets a key from an address.
///
/// # Errors
///
/// The server refuses; the way there proves nothing, and that was not waived.
pub(crate) fn key(url: &str, options: &Options) -> Result<Vec<u8>> {
    let web = web(options, options.insecure.pubkey)?;
    Ok(web.document(url, DOCUMENT)?)
}

/// Finds out where the keys are that images below a name are signed by.
///
/// # Errors
///
/// No page says so.
pub(crate) fn keys(name: &Name, options: &Options) -> Result<Vec<String>> {
    let web = web(options, options.insecure.pubkey)?;
    let schemes = schemes(options.insecure.pubkey || options.insecure.http);
    let get = |address: &str| {
        let document = web.document(address, DOCUMENT);
        document.map_err(|refusal| Why::from(&refusal))
    };
    let mut attempts = Attempts::default();
    let keys = discovery::keys(name, schemes, &get, &mut attempts);
    if keys.is_empty() {
        let what = format!("no page names a key of `{name}`{}", attempts.lines());
        let error = Error::new(Kind::NotFound, what);
        return Err(match attempts.hint() {
            Some(hint) => error.hint(hint),
            None => error,
        });
    }
    Ok(keys)
}
