//! `launcher prepare`: creates a pod to be run later by `run-prepared`.

use std::path::Path;

use crate::cmd::images::Fetched;
use crate::cmd::pipeline;
use crate::cmd::request::Options;
use error::Result;
use image::fetch::fetcher::Fetch;
use image::fetch::options::PullPolicy;
use image::store::images::Store;
use sys::dirs::{Dirs, State};
use sys::host::{Host, Operation};

/// Prepares a pod, and returns the line to print.
pub(crate) fn run(dir: &Path, mut options: Options) -> Result<String> {
    let host = Host::observe();
    host.require(Operation::RunPods)?;
    options.connect()?;
    let dirs = Dirs::open(dir)?;
    let store = Store::open(&dirs)?;
    let how = std::mem::take(&mut options.fetch);
    options.prepared = true;
    let fetch = Fetch::new(&dirs, &store, &how, PullPolicy::New)?;
    let images = Fetched {
        dirs: &dirs,
        fetch: &fetch,
    };
    let (directory, _) = pipeline::make(&dirs, &host, &images, options, State::Prepare)?;
    let uuid = directory.uuid();
    directory.keep_prepared()?;
    Ok(format!("{uuid}\n"))
}
