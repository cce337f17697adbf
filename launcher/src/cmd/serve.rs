//! Serves the metadata of a pod while its apps ask for it. `stage1-init`
//! executes the launcher for this when an app connects to the socket, which is
//! then its standard input. This is an internal command.

use std::net::TcpListener;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Resource, Rlimit};
use rustix::thread::{Gid, Uid};

use crate::cmd::complain;
use appc::json::{self, Object, Value};
use appc::manifest::pod::PodApp;
use appc::manifest::{ImageManifest, PodManifest};
use appc::types::Uuid;
use error::{Context as _, Result};
use image::store::images::Store;
use pod::runtime::metadata::{AppMetadata, Metadata, Request, Response};
use pod::runtime::serve::serve;
use pod::state::directory::MANIFEST;
use pod::state::{directory, find, secret};
use sys::dirs::{Dirs, State};

/// Answers requests until there have been none for a while. If the metadata
/// cannot be read, it reports that to the apps, too: they wait for an answer.
///
/// # Errors
///
/// The socket fails.
pub(crate) fn run(dir: &Path, data: u32, uuid: Uuid) -> Result<()> {
    Dirs::inherited(data, dir)
        .and_then(|dirs| answer(&find::running_place(&dirs, uuid), uuid))
        // The next connection starts the service again.
        .inspect_err(|_| std::thread::sleep(PAUSE))
}

/// The shortest time between two failures.
const PAUSE: Duration = Duration::from_secs(1);

fn answer(dirs: &Dirs, uuid: Uuid) -> Result<()> {
    let metadata = metadata(dirs, uuid).inspect_err(complain).ok();
    let answer = |request: Request<'_>| match &metadata {
        Some(metadata) => metadata.answer(request),
        None => Response::refusal(503, "cannot read the metadata of the pod"),
    };
    let input = std::io::stdin();
    let socket = input.as_fd().try_clone_to_owned();
    let listener = TcpListener::from(socket.context(|| "cannot use the socket")?);
    give_up_everything()?;
    serve(&listener, &answer)
}

/// Reads all metadata.
fn metadata(dirs: &Dirs, uuid: Uuid) -> Result<Metadata> {
    let what = || format!("cannot read the manifest of pod `{uuid}`");
    let text = directory::read(dirs, State::Run, uuid, MANIFEST)?;
    let pod = PodManifest::parse(&text).context(what)?.value;
    let store = Store::open(dirs)?;
    let apps = pod.apps.iter().map(|app| of_app(&store, app));
    let annotations = json::parse(&text).context(what)?;
    // As in the manifest: `null` if it has none.
    let annotations = match annotations.get("annotations") {
        Some(value) => value.to_string(),
        None => Value::Null.to_string(),
    };
    let key = secret::ensure(dirs)?;
    Ok(Metadata {
        token: secret::token(&key, uuid),
        uuid,
        apps: apps.collect::<Result<_>>()?,
        annotations: annotations.into_bytes(),
        manifest: text,
        key,
    })
}

fn of_app(store: &Store<'_>, app: &PodApp) -> Result<AppMetadata> {
    let id = app.image.id;
    let image_manifest = store.manifest(&id.into())?;
    let image = ImageManifest::parse(&image_manifest)
        .context(|| format!("cannot read the manifest of image `{id}`"))?
        .value;
    let annotations = image.annotations.overridden_by(&app.annotations);
    let annotations = annotations.iter().map(|annotation| {
        Object::new()
            .with("name", annotation.name.as_str())
            .with("value", annotation.value.as_str())
            .into()
    });
    let annotations: Vec<Value> = annotations.collect();
    Ok(AppMetadata {
        name: app.name.to_string(),
        annotations: Value::List(annotations).to_string().into_bytes(),
        image_manifest,
        image_id: id.to_string(),
    })
}

/// The user and group ID of `nobody`.
const NOBODY: u32 = 65_534;

/// From here on this process listens to apps, so it gives up everything it does
/// not need for that: it runs as `nobody`, gains nothing by executing a
/// program, creates no process, writes no file, and has limited memory.
fn give_up_everything() -> Result<()> {
    let what = || "cannot give up privileges";
    for (resource, wanted) in [
        (Resource::Fsize, 0),
        (Resource::Nofile, 128),
        (Resource::As, 256 << 20),
        (Resource::Nproc, 0),
    ] {
        // If the caller has a lower limit, that stays.
        let allowed = rustix::process::getrlimit(resource).maximum;
        let most = Some(allowed.map_or(wanted, |allowed| allowed.min(wanted)));
        let limit = Rlimit {
            current: most,
            maximum: most,
        };
        rustix::process::setrlimit(resource, limit).context(what)?;
    }
    rustix::thread::set_no_new_privs(true).context(what)?;
    rustix::thread::set_thread_groups(&[]).context(what)?;
    let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    rustix::thread::set_thread_res_gid(gid, gid, gid).context(what)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).context(what)
}
