//! `launcher cat-manifest`: prints the manifest of a pod, byte for byte.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;

use crate::cmd::print_document;
use crate::cmd::selector::PodSelector;
use appc::types::Uuid;
use error::{Context as _, Error, Kind, Result};
use pod::state::directory::MANIFEST;
use pod::state::directory::{self, read_in};
use sys::dirs::{Dirs, State};

/// Prints the manifest.
pub(crate) fn run(dir: &Path, selector: &PodSelector, out: &mut dyn Write) -> Result<()> {
    let dirs = Dirs::look(dir)?;
    let (dirs, uuid) = selector.find_one(&dirs)?;
    match read(&dirs, uuid, MANIFEST)? {
        Some(manifest) => print_document(out, &manifest),
        None => Err(Error::invalid(format!(
            "pod `{uuid}` has no manifest: it was run from a plan"
        ))),
    }
}

fn read(dirs: &Dirs, uuid: Uuid, name: &str) -> Result<Option<Vec<u8>>> {
    read_in(open(dirs, uuid)?, name).context(|| format!("cannot read `{name}` of pod `{uuid}`"))
}

/// Opens the directory of a pod, whatever its state.
pub(super) fn open(dirs: &Dirs, uuid: Uuid) -> Result<OwnedFd> {
    for state in State::ALL {
        if let Some(pod) = directory::open_in(dirs, state, uuid)? {
            return Ok(pod);
        }
    }
    let what = format!("pod `{uuid}` has been removed");
    Err(Error::new(Kind::NotFound, what))
}
