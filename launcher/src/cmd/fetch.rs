//! `launcher fetch`: images into the store.

use std::io::Write;
use std::path::Path;

use crate::cmd::print;
use appc::reference::Reference;
use error::Result;
use image::fetch::fetcher::Fetch;
use image::fetch::options::{self, PullPolicy};
use image::store::images::Store;
use sys::dirs::Dirs;

/// How to use this command.
pub(crate) const HELP: &str = "\
Usage: launcher fetch [OPTIONS] IMAGE...

Sees to it that images are stored, with all that they depend on, and prints
their IDs. An IMAGE is
  example.com/web:1.0.0,channel=beta     a name, a version and labels
  example.com/web version:1.0.0          the same, label by label
  ./web.aci  file:///srv/web.aci         an archive
  https://example.com/web.aci            an address
  sha512-0c6d3a2d                        the beginning of a stored image's ID
A name is looked for in the store, in directories of archives, at
https://NAME-VERSION-OS-ARCH.aci, and where the web page of the name says.
What is fetched must be signed by a key that `launcher trust` was told of. An
archive that was stored as a file answers to its path and its ID, but not to the
name that it gives itself; one in a directory of archives does.
If it takes long and is interrupted, the next call within a day goes on with it.

Options:
  --full            print whole IDs
  --no-deps         leave out what the images depend on
";

/// The options of everything that fetches.
pub(crate) const OPTIONS: &str = "
Options of fetching:
  --pull-policy POLICY       new: fetch what is not stored; update: ask servers
                             for something newer; never: fetch nothing
                             (fetch: update; run: new)
  --insecure-options LIST    give up checks: image (signatures), tls (who a
                             server is; it gets no credentials then), http (no
                             encryption where there is none), pubkey (how keys
                             come), all-fetch
  --image-dir DIRECTORY      look for archives here, too, before
                             /usr/local/share/nosecone/images and
                             /usr/share/nosecone/images
  --ca-file FILE             trust the certificates in this file, too
  --quiet                    do not say what goes on
";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Print whole IDs.
    pub(crate) full: bool,
    /// Leave dependencies out.
    pub(crate) no_deps: bool,
    /// How.
    pub(crate) fetch: options::Options,
    /// Which.
    pub(crate) images: Vec<Reference>,
}

/// Fetches, and prints the ID of each image as soon as it is there.
pub(crate) fn run(dir: &Path, options: &Options, out: &mut dyn Write) -> Result<()> {
    let dirs = Dirs::open(dir)?;
    let store = Store::open(&dirs)?;
    let fetch = Fetch::new(&dirs, &store, &options.fetch, PullPolicy::Update)?;
    for reference in &options.images {
        let id = fetch.image(reference)?;
        if !options.no_deps {
            fetch.dependencies(&id)?;
        }
        let id = match options.full {
            true => id.to_string(),
            false => id.short(),
        };
        print(out, &format!("{id}\n"))?;
    }
    Ok(())
}
