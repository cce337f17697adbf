//! Signatures of simple signing, in a directory or on a server beside a registry
//! (containers-signature.5, "Using the signature", and containers-registries.d.5).

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::fetch::options::Options;
use crate::fetch::sources::Sources;
use crate::fetch::web;
use crate::trust::openpgp::SIGNATURE_LIMIT;
use crate::trust::signatures::{Signatures, Take};
use crate::trust::sigstore::Envelope;
use error::{Context as _, Error, Result};
use oci::digest::Digest;
use oci::lookaside::{LIMIT, Lookaside};
use oci::reference::Reference;
use oci::signature::MOST;
use sys::root_fd::is_absent;
use sys::small_file;

/// All signatures of an image in a registry.
pub(crate) struct Beside<'r> {
    /// Where those of cosign are.
    pub(crate) sources: &'r Sources<'r>,
    /// The image.
    pub(crate) image: &'r Reference,
    /// How servers are asked.
    pub(crate) options: &'r Options,
}

impl Signatures for Beside<'_> {
    fn simple(&self, digest: &Digest, take: Take<'_, Vec<u8>>) -> Result<()> {
        let variable = |name: &str| std::env::var_os(name);
        let url = configured(&variable)?.url(self.image, digest, &usual(&variable));
        let get: &dyn Fn(&str) -> Result<Option<Vec<u8>>> = match url.strip_prefix("file://") {
            Some(_) => &file,
            None => &|url| self.fetch(url),
        };
        for number in 1..=MOST {
            let url = format!("{url}/signature-{number}");
            let signature = get(&url).context(|| format!("cannot read signature `{url}`"))?;
            let Some(signature) = signature else { break };
            if take(Ok(signature)) {
                break;
            }
        }
        Ok(())
    }

    fn sigstore(&self, digest: &Digest, take: Take<'_, Envelope>) -> Result<()> {
        self.sources.sigstore(digest, take)
    }
}

impl Beside<'_> {
    fn fetch(&self, url: &str) -> Result<Option<Vec<u8>>> {
        let web = web::web(self.options, false)?;
        match web.document(url, SIGNATURE_LIMIT as u64) {
            Err(error) if error.status() == Some(404) => Ok(None),
            found => Ok(Some(found?)),
        }
    }
}

/// Reads a file by its URL.
fn file(url: &str) -> Result<Option<Vec<u8>>> {
    let path = url.strip_prefix("file://").unwrap_or(url);
    if !path.starts_with('/') {
        return Err(Error::invalid("it is not on this host"));
    }
    match File::open(path) {
        Ok(file) => Ok(Some(
            small_file::read(file, SIGNATURE_LIMIT + 1).context(|| "it cannot be read")?,
        )),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error).context(|| "it cannot be opened"),
    }
}

/// Reads where signatures are: all files of the first directory that there is.
fn configured(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Lookaside> {
    let mut all = Lookaside::default();
    for directory in directories(variable) {
        let what = || format!("cannot read `{}`", directory.display());
        let listed = match std::fs::read_dir(&directory) {
            Err(error) if is_absent(&error) => continue,
            listed => listed.context(what)?,
        };
        let mut files = Vec::new();
        for entry in listed {
            files.push(entry.context(what)?.path());
        }
        files.retain(|file| file.extension().is_some_and(|kind| kind == "yaml"));
        files.sort();
        for path in files {
            let what = || format!("cannot use `{}`", path.display());
            let file = File::open(&path).context(what)?;
            let text = small_file::read(file, LIMIT + 1).context(what)?;
            all.add(&text).context(what)?;
        }
        break;
    }
    Ok(all)
}

fn directories(variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let home = variable("HOME").filter(|home| !home.is_empty());
    let own = home.map(|home| Path::new(&home).join(".config/containers/registries.d"));
    own.into_iter()
        .chain(["/etc/containers/registries.d".into()])
        .collect()
}

/// Returns where signatures are if no file says it: where podman puts them.
fn usual(variable: &dyn Fn(&str) -> Option<OsString>) -> String {
    let path = |name: &str| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let system = PathBuf::from("/var/lib");
    let place = match rustix::process::geteuid().is_root() {
        true => system,
        false => path("XDG_DATA_HOME")
            .or_else(|| Some(path("HOME")?.join(".local/share")))
            .unwrap_or(system),
    };
    format!("file://{}/containers/sigstore", place.display())
}
