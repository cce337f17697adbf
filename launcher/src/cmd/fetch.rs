//! `launcher fetch`: downloads images into the store.

use std::path::Path;

use crate::cmd::results::Results;
use appc::json::Object;
use error::Result;
use image::fetch::fetcher::Fetch;
use image::fetch::options::{self, PullPolicy};
use image::reference::Reference;
use image::store::images::Store;
use sys::dirs::Dirs;

/// The options.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Print full IDs.
    pub(crate) full: bool,
    /// Do not fetch dependencies.
    pub(crate) no_deps: bool,
    /// How to fetch.
    pub(crate) fetch: options::Options,
    /// The images.
    pub(crate) images: Vec<Reference>,
}

/// Fetches images, and prints the ID of each as soon as it is stored.
pub(crate) fn run(dir: &Path, options: &Options, results: &mut Results<'_>) -> Result<()> {
    let dirs = Dirs::open(dir)?;
    let store = Store::open(&dirs)?;
    let fetch = Fetch::new(&dirs, &store, &options.fetch, PullPolicy::Update)?;
    for reference in &options.images {
        let id = fetch.image(reference)?;
        if !options.no_deps {
            fetch.dependencies(&id)?;
        }
        let line = match options.full {
            true => id.to_string(),
            false => id.short(),
        };
        let object = Object::new()
            .with("image", reference.to_string())
            .with("id", id.to_string());
        results.add(&line, object)?;
    }
    Ok(())
}
