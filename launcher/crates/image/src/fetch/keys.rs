//! Keys that images are signed by, as far as the network has a part in it:
//! whom to trust is not decided here.

use crate::fetch::discovery::{self, Attempts};
use crate::fetch::fetcher::{DOCUMENT, in_vain, page, schemes, web};
use crate::fetch::options::Options;
use appc::reference::Name;
use error::Result;

/// Gets a key from an address.
///
/// # Errors
///
/// The server refuses; the way there proves nothing, and that was not waived.
pub fn key(url: &str, options: &Options) -> Result<Vec<u8>> {
    let web = web(options, options.insecure.pubkey)?;
    Ok(web.document(url, DOCUMENT)?)
}

/// Finds out where the keys are that images below a name are signed by.
///
/// # Errors
///
/// No page says so.
pub fn keys(name: &Name, options: &Options) -> Result<Vec<String>> {
    let web = web(options, options.insecure.pubkey)?;
    let schemes = schemes(options.insecure.pubkey || options.insecure.http);
    let get = |address: &str| page(&web, address);
    let mut attempts = Attempts::default();
    let keys = discovery::keys(name, schemes, &get, &mut attempts);
    if keys.is_empty() {
        return Err(in_vain(
            format!("no page names a key of `{name}`"),
            &attempts,
        ));
    }
    Ok(keys)
}
