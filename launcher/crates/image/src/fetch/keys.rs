//! Fetches public keys that sign images. Whether to trust them is decided
//! elsewhere.

use crate::fetch::discovery::{self, Attempts};
use crate::fetch::options::Options;
use crate::fetch::web::{DOCUMENT, in_vain, page, schemes, web};
use appc::address::Address;
use appc::reference::Name;
use error::Result;

/// Fetches a key from a URL.
///
/// # Errors
///
/// The server refuses, or the connection is not secure and that was not
/// allowed.
pub fn key(address: &Address, options: &Options) -> Result<Vec<u8>> {
    let web = web(options, options.insecure.pubkey)?;
    Ok(web.document(address.reveal(), DOCUMENT)?)
}

/// Discovers where the keys are that sign the images of a name.
///
/// # Errors
///
/// No page names a key.
pub fn keys(name: &Name, options: &Options) -> Result<Vec<Address>> {
    let web = web(options, options.insecure.pubkey)?;
    let schemes = schemes(options.insecure.pubkey || options.insecure.http);
    let get = |address: &str| page(&web, address);
    let mut attempts = Attempts::default();
    let keys = discovery::keys(name, schemes, &get, &mut attempts);
    if keys.is_empty() {
        return Err(in_vain(
            format!("no page names a key for `{name}`"),
            &attempts,
        ));
    }
    Ok(keys)
}
