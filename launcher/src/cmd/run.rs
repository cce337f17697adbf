//! `launcher run`: runs a pod.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::cmd::images::Fetched;
use crate::cmd::launch::launch;
use crate::cmd::mode::{Outcome, RunMode, StartError};
use crate::cmd::pipeline;
use crate::cmd::request::Options;
use crate::cmd::{say, timing};
use appc::types::{AcName, Uuid};
use error::{Context as _, Error, Kind, Result};
use image::fetch::fetcher::Fetch;
use image::fetch::options::PullPolicy;
use image::store::images::Store;
use pod::plan::compose::OWN_PID_MAX_SINCE;
use pod::plan::directives::Plan;
use pod::plan::written;
use pod::resolve::report::Entry;
use pod::resolve::sockets;
use pod::runtime::claim::{Id, PodDirectory};
use pod::runtime::start::Runnable;
use pod::runtime::{notify, passed};
use pod::spec::notify::Speaker;
use pod::state::directory::SPEC;
use pod::state::{directory, find};
use sys::dirs::{Dirs, State};
use sys::host::{Host, Operation};
use sys::progress;
use sys::standard::Input;

/// Runs a pod.
pub(crate) fn run(dir: &Path, mut options: Options) -> std::result::Result<Outcome, StartError> {
    timing::end("parse");
    if !options.request.sockets.is_empty() {
        passed::reserve().context(|| "cannot reserve descriptors for sockets")?;
    }
    if options.request.speaker != Some(Speaker::Nobody)
        && let Some(manager) = notify::manager()?
    {
        progress::each_time(move |name| notify::still(&manager, name));
    }
    let host = Host::observe();
    host.require(Operation::RunPods)?;
    options.connect()?;
    let dirs = Dirs::open(dir)?;
    let store = Store::open(&dirs)?;
    let (mode, how) = (options.mode.clone(), std::mem::take(&mut options.fetch));
    let fetch = Fetch::new(&dirs, &store, &how, PullPolicy::New)?;
    let images = Fetched {
        dirs: &dirs,
        fetch: &fetch,
    };
    let place = pipeline::place(&dirs, pipeline::is_remembered(&options));
    timing::end("open");
    let (directory, runnable) = pipeline::make(&place, &host, &images, options, State::Run)?;
    if mode.detached.is_none() && !runnable.spec.has_terminal() {
        // stage1-init will have the same PID.
        fetch.tell(&|| format!("Container started, PID: {}", std::process::id()));
    }
    launch(&place, &host, directory, &runnable, &mode)
}

/// Runs a prepared pod.
pub(crate) fn run_prepared(
    dir: &Path,
    uuid: &str,
    mode: &RunMode,
) -> std::result::Result<Outcome, StartError> {
    let host = Host::observe();
    host.require(Operation::RunPods)?;
    let dirs = Dirs::open(dir)?;
    let uuid = find::prepared(&dirs, uuid)?;
    let (directory, mut runnable) = match take(&dirs, uuid) {
        Ok(taken) => taken,
        Err(error) => match directory::open_in(&dirs, State::Prepared, uuid)? {
            Some(_) => return Err(error.into()),
            None => {
                let what = format!("pod `{uuid}` has already been run or removed");
                return Err(Error::new(Kind::NotFound, what).into());
            }
        },
    };
    let spec = &mut runnable.spec;
    let (passed, manager) = (passed::sockets()?, notify::manager()?);
    sockets::assign(spec, &passed)?;
    spec.manager = manager.filter(|_| spec.speaker != Speaker::Nobody);
    if !passed.is_empty() || spec.manager.is_some() {
        directory.replace(SPEC, &spec.text()?)?;
    }
    let missing = sockets::missing(&runnable.spec);
    say(&missing.iter().map(Entry::to_string).collect::<Vec<_>>());
    launch(&dirs, &host, directory, &runnable, mode)
}

/// Takes a prepared pod, if it can still be run.
fn take(dirs: &Dirs, uuid: Uuid) -> Result<(PodDirectory<'_>, Runnable)> {
    let runnable = Runnable::read(dirs, State::Prepared, uuid)?;
    let roots = runnable
        .spec
        .apps
        .iter()
        .filter_map(|app| app.root.as_ref());
    let overlays = roots.filter(|root| !root.copied);
    let mut layers = overlays.flat_map(|root| &root.layers);
    if let Some(gone) = layers.find(|layer| !layer.is_dir()) {
        return Err(Error::invalid(format!(
            "cannot run pod `{uuid}`: one of its images was removed (`{}`)",
            gone.display()
        ))
        .hint("store the same image again"));
    }
    Ok((PodDirectory::take_prepared(dirs, uuid)?, runnable))
}

/// Executes a hand-written plan.
pub(crate) fn run_plan(
    dir: &Path,
    file: &Path,
    name: Option<AcName>,
    mode: &RunMode,
) -> std::result::Result<Outcome, StartError> {
    let host = Host::observe();
    host.require(Operation::RunPods)?;
    let dirs = Dirs::open(dir)?;
    let plan = read_plan(file)?;
    check_numbers(&host, &plan)?;
    let (id, files) = files_of(&dirs, &plan)?;
    let scratch = directory::is_scratch(dirs.path(), &files);
    let runnable = Runnable {
        spec: written::spec(&plan, id.uuid(), files),
        written: Some(plan),
    };
    let ends_with_caller = mode.detached.is_none() && !runnable.spec.has_terminal();
    let remembered = !scratch || mode.keep || !ends_with_caller;
    let place = pipeline::place(&dirs, remembered);
    let directory = PodDirectory::create(&place, id, State::Run, name)?;
    pipeline::keep_written(&runnable, &directory)?;
    launch(&place, &host, directory, &runnable, mode)
}

/// Checks that a plan made for another kernel does not change the host's limit
/// of PIDs.
fn check_numbers(host: &Host, plan: &Plan) -> Result<()> {
    if host.kernel >= OWN_PID_MAX_SINCE || !written::sets_pid_max(plan) {
        return Ok(());
    }
    let (major, minor) = OWN_PID_MAX_SINCE;
    Err(Error::invalid(format!(
        "cannot execute the plan: on kernels older than Linux {major}.{minor} it would set `kernel.pid_max` for the whole host"
    ))
    .hint("create a plan for this kernel with `launcher plan`"))
}

fn read_plan(file: &Path) -> Result<Plan> {
    let what = || format!("cannot read plan `{}`", file.display());
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        Input.read_to_end(&mut bytes).context(what)?;
    } else {
        bytes = std::fs::read(file).context(what)?;
    }
    Plan::read(&bytes).context(what)
}

/// Finds the pod that a plan belongs to, and its files, among which its roots
/// are.
fn files_of(dirs: &Dirs, plan: &Plan) -> Result<(Id, PathBuf)> {
    let root = written::first_root(plan).map(PathBuf::from);
    let whose = root
        .as_deref()
        .and_then(|root| directory::owner_of_files(dirs.path(), root));
    let id = pipeline::uuid(whose)?;
    let scratch = root.is_some_and(|root| directory::is_scratch(dirs.path(), &root));
    Ok((id, directory::files(dirs.path(), id.uuid(), !scratch)))
}
