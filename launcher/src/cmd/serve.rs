//! Serves the metadata of a pod while its apps ask for it, and passes on what
//! comes to its ports on the host. `stage1-init` executes the launcher for this
//! when somebody connects. Its standard input is then the socket of the metadata
//! service or, if the pod has ports, nothing to read from: the sockets are
//! inherited, and `network` in the pod's directory has their numbers. This is an
//! internal command.

use std::net::TcpListener;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Resource, Rlimit, Signal};
use rustix::thread::{Gid, Uid};

use crate::cmd::complain;
use appc::json::{self, Object, Value};
use appc::manifest::pod::PodApp;
use appc::manifest::{ImageManifest, PodManifest};
use appc::types::Uuid;
use error::{Context as _, Error, Kind, Result};
use image::store::images::Store;
use pod::network::attachment::{self, Networks};
use pod::network::shared;
use pod::resolve::from_oci_image;
use pod::runtime::descriptors::inherited;
use pod::runtime::metadata::{AppMetadata, Metadata, Request, Response};
use pod::runtime::port_relay::{self, CONNECTIONS, Port};
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
    let what = || "cannot use the sockets of the pod";
    let metadata = metadata(dirs, uuid).inspect_err(complain).ok();
    let answer = move |request: Request<'_>| match &metadata {
        Some(metadata) => metadata.answer(request),
        None => Response::refusal(503, "cannot read the metadata of the pod"),
    };
    let connected = directory::find(dirs, uuid, attachment::FILE)?;
    let connected = connected.and_then(|text| Networks::read(&text));
    let several = |one: &Networks| !one.ports.is_empty() || one.is_borrowed();
    let Some(connected) = connected.filter(several) else {
        let socket = std::io::stdin().as_fd().try_clone_to_owned();
        let listener = TcpListener::from(socket.context(what)?);
        give_up_everything(FEW)?;
        return serve(&listener, &answer);
    };
    renew(dirs, uuid, &connected)?;
    let listener = TcpListener::from(inherited(connected.metadata).context(what)?);
    let ports = connected.ports.iter().map(|(port, socket)| {
        Ok(Port {
            protocol: port.protocol,
            socket: inherited(*socket)?,
            addresses: connected.addresses().collect(),
            number: port.pod,
        })
    });
    let ports: Vec<Port> = ports.collect::<rustix::io::Result<_>>().context(what)?;
    let sockets = ports.iter().map(|port| port.socket.as_fd());
    let asked = sockets.chain([listener.as_fd()]);
    let mut asked: Vec<_> = asked
        .map(|socket| PollFd::from_borrowed_fd(socket, PollFlags::IN))
        .collect();
    let none = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    if poll(&mut asked, Some(&none)).context(what)? == 0 {
        return Ok(());
    }
    if ports.is_empty() {
        give_up_everything(FEW)?;
        return serve(&listener, &answer);
    }
    both(listener, answer, ports)
}

/// Asks for more of the time for which addresses are lent. Nobody has asked for
/// anything yet, so that this process still may.
fn renew(dirs: &Dirs, uuid: Uuid, connected: &Networks) -> Result<()> {
    let what = || "cannot use the sockets of the pod";
    let borrowed = connected.attachments.iter();
    for (attachment, borrowed) in borrowed.filter_map(|one| Some((one, one.borrowed?))) {
        let events = inherited(borrowed.events).context(what)?;
        let namespace = inherited(borrowed.namespace).context(what)?;
        let name = directory::spec(dirs, State::Run, uuid)?.hostname.value;
        shared::renew(attachment, events, namespace, uuid, &name)?;
    }
    Ok(())
}

/// Serves both until both have had nothing to do for a while.
fn both(
    listener: TcpListener,
    answer: impl Fn(Request<'_>) -> Response + Send + 'static,
    ports: Vec<Port>,
) -> Result<()> {
    // Held by whoever serves metadata or has nothing more to do: so nobody is
    // accepted whom the end of the process would cut off.
    let turn = Arc::new(Mutex::new(()));
    let theirs = Arc::clone(&turn);
    std::thread::spawn(move || -> Result<()> {
        give_up_everything(MANY)?;
        loop {
            let mut asked = [PollFd::new(&listener, PollFlags::IN)];
            let ready = poll(&mut asked, None);
            if ready.is_ok() {
                let _turn = theirs.lock();
                serve(&listener, &answer)?;
            }
        }
    });
    give_up_everything(MANY)?;
    loop {
        port_relay::run(&ports).context(|| "cannot pass on what comes to the pod's ports")?;
        if let Ok(turn) = turn.try_lock() {
            // The process ends holding it.
            std::mem::forget(turn);
            return Ok(());
        }
    }
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
    let image = match store.oci(&id.into())? {
        Some(image) => from_oci_image::describe(&image)?.0,
        None => {
            let manifest = ImageManifest::parse(&image_manifest);
            let what = || format!("cannot read the manifest of image `{id}`");
            manifest.context(what)?.value
        }
    };
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

/// How many descriptors the process can have if it only serves metadata, and if it
/// has ports: two for each connection and one for each exchange.
const FEW: u64 = 128;
const MANY: u64 = 4 * CONNECTIONS as u64;

/// The user and group ID of `nobody`.
const NOBODY: u32 = 65_534;

/// From here on this process listens to apps, so it gives up everything it does
/// not need for that: it runs as `nobody`, gains nothing by executing a
/// program, creates no process, writes no file, and has limited memory.
fn give_up_everything(descriptors: u64) -> Result<()> {
    let what = || "cannot give up privileges";
    for (resource, wanted) in [
        (Resource::Fsize, 0),
        (Resource::Nofile, descriptors),
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
    let parent = rustix::process::getppid();
    rustix::thread::set_thread_res_gid(gid, gid, gid).context(what)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).context(what)?;
    // Another user would outlive the pod: the kernel has forgotten it
    // (prctl(2), PR_SET_PDEATHSIG).
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).context(what)?;
    match rustix::process::getppid() == parent {
        true => Ok(()),
        false => Err(Error::new(Kind::Failed, "the pod has ended")),
    }
}
