//! `launcher prepare`: makes a pod, to be run later; and how to use
//! `run-prepared`, which does that.

use std::path::Path;

use crate::cmd::run::{self, Options};
use error::Result;
use image::fetch::fetcher::Fetch;
use image::fetch::options::PullPolicy;
use image::store::images::Store;
use sys::dirs::{Dirs, State};
use sys::host::Host;

/// Prepares a pod, and returns the line to print.
pub(crate) fn run(dir: &Path, mut options: Options) -> Result<String> {
    let host = Host::observe();
    host.require_privilege()?;
    let dirs = Dirs::open(dir)?;
    let store = Store::open(&dirs)?;
    let how = std::mem::take(&mut options.fetch);
    let fetch = Fetch::new(&dirs, &store, &how, PullPolicy::New)?;
    let (directory, _) = run::make(&dirs, &host, &fetch, options, State::Prepare)?;
    let uuid = directory.uuid();
    directory.keep_prepared()?;
    Ok(format!("{uuid}\n"))
}
