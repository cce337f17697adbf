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

/// How to use this command.
pub(crate) const HELP: &str = "\
Usage: launcher prepare [POD OPTIONS] IMAGE [APP OPTIONS] [-- ARGUMENT...]
                        [--- IMAGE [APP OPTIONS] [-- ARGUMENT...]]...
       launcher prepare [POD OPTIONS] --pod-manifest FILE

Does what `launcher run` with the same options does, up to where programs would
be executed, and prints the UUID of the pod. `launcher run-prepared` executes
them.
";

/// How to use `run-prepared`.
pub(crate) const RUN_HELP: &str = "\
Usage: launcher run-prepared [--detach [--log=WHERE] [--log-size=SIZE]]
                             [--keep] [--rm] UUID

Runs a pod that `launcher prepare` made, once, and exits as `launcher run`
does; the options are those of `launcher run`. Instead of the UUID, any
beginning of it will do that no other prepared pod has, or the pod's name.
";

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
