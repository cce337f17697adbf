//! `launcher plan`: prints the plan that `run` would execute.

use std::io::IsTerminal as _;
use std::path::Path;

use crate::cmd::complain;
use crate::cmd::images::Looked;
use crate::cmd::pipeline;
use crate::cmd::request::Options;
use error::{Error, Result};
use image::store::images::Store;
use pod::network;
use pod::plan::streams::Streams;
use pod::runtime::metadata;
use pod::runtime::start::Runnable;
use pod::spec::log::Log;
use sys::dirs::Dirs;
use sys::host::Host;

/// The format of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For stage1-init.
    Words,
}

/// Returns the plan.
pub(crate) fn run(dir: &Path, mut options: Options, format: Format) -> Result<Vec<u8>> {
    if format == Format::Words && std::io::stdout().is_terminal() {
        return Err(
            Error::invalid("a plan in words cannot be written to a terminal")
                .hint("use `--format=text`, or redirect standard output"),
        );
    }
    options.connect()?;
    let host = Host::observe();
    let log = options.mode.detached;
    let uuid = pipeline::uuid(options.uuid)?.uuid();
    let remembered = pipeline::is_remembered(&options) || !Dirs::would_be_in_memory();
    let dirs = Dirs::look(dir)?;
    let store = match dirs.root() {
        Ok(_) => Some(Store::open(&dirs)?),
        Err(_) => None,
    };
    if let Some(store) = store.as_ref().filter(|_| options.fetch.insecure.image) {
        store.waive();
    }
    let images = Looked::new(&dirs, store.as_ref(), &options.images, &options.fetch)?;
    let metadata = || Ok(metadata::url(metadata::HIDDEN));
    let resolved = pipeline::resolve(&dirs, &host, &images, uuid, remembered, &metadata, options)?;
    let log = log.or_else(|| resolved.spec.has_terminal().then(Log::default));
    let streams = log.map_or(Streams::Inherited, Streams::Logged);
    let changes = match network::changes(&resolved.spec) {
        Err(error) if resolved.spec.may_be_unconnected => {
            complain(&network::unconnected(error));
            Vec::new()
        }
        changes => changes?,
    };
    let runnable = Runnable {
        spec: resolved.spec,
        written: None,
    };
    let mut plan = runnable.compose(&host, streams)?.plan;
    plan.changes = changes;
    Ok(match format {
        Format::Text => plan.text().into_bytes(),
        Format::Json => plan.json().into_bytes(),
        Format::Words => plan.words(),
    })
}
