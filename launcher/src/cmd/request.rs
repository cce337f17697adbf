//! Completes the options with what must be read from the host: files of
//! variables, the caller's environment, a pod manifest, a time zone.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::cmd::configuration;
use crate::cmd::mode::RunMode;
use appc::manifest::app::variable_name;
use appc::manifest::template::{self, Find};
use appc::manifest::{ImageManifest, PodManifest};
use appc::types::{AcIdentifier, AcName, Labels, Uuid};
use error::{Context as _, Error, Kind, Result};
use image::digest::Digest;
use image::fetch;
use image::format::aci;
use image::format::lookup::WAIVE;
use image::reference::Reference;
use image::store::images::Store;
use oci::reference::ShortNames;
use pod::network::cni;
use pod::resolve::from_oci_image;
use pod::resolve::lookup::{HostNames, HostsEntry};
use pod::resolve::network::Network;
use pod::resolve::request::{Request, check_variable};
use pod::runtime::{notify, passed};
use pod::spec::environment::{self, Variable};
use pod::spec::process::Sourced;
use sys::{size, timezone};

/// The options of commands that create pods.
#[derive(Debug)]
pub(crate) struct Options {
    /// The images of the apps.
    pub(crate) images: Vec<Reference>,
    /// How to fetch them.
    pub(crate) fetch: fetch::options::Options,
    /// A pod manifest, instead of images.
    pub(crate) manifest: Option<PathBuf>,
    /// The name of the pod.
    pub(crate) name: Option<AcName>,
    /// How to run it.
    pub(crate) mode: RunMode,
    /// Only create it, to be run later.
    pub(crate) prepared: bool,
    /// The UUID of the pod, if it should not be random.
    pub(crate) uuid: Option<Uuid>,
    /// The file to write the UUID to.
    pub(crate) uuid_file: Option<PathBuf>,
    /// Pass on the caller's environment.
    pub(crate) inherit: bool,
    /// Files of variables.
    pub(crate) files: Vec<PathBuf>,
    /// Variables that override those of the files.
    pub(crate) set: Vec<Variable>,
    /// How the pod is connected, if not by default.
    pub(crate) network: Option<Network>,
    /// The name of a time zone.
    pub(crate) timezone: Option<String>,
    /// Everything else about the pod.
    pub(crate) request: Request,
}

/// Largest pod manifest, in bytes.
const MANIFEST_LIMIT: u64 = 4 << 20;

/// Largest file of variables, in bytes.
const VARIABLES_LIMIT: u64 = 1 << 20;

impl Options {
    /// Decides how the pod is connected.
    ///
    /// # Errors
    ///
    /// The default is not valid; a network of plugins is not there.
    pub(super) fn connect(&mut self) -> Result<()> {
        let network = match self.network.take() {
            Some(network) => {
                let by = format!("option --net={network}");
                Some((network, by))
            }
            None => configuration::network()?,
        };
        let (network, by) = network.map_or((Network::usual(), None), |(network, by)| {
            (network, Some(by))
        });
        network.plugged().try_for_each(cni::check)?;
        (self.request.network, self.request.network_by) = (network, by);
        Ok(())
    }
}

/// Completes a request, except for the pod manifest.
pub(super) fn complete(options: Options) -> Result<Request> {
    let mut request = options.request;
    for file in &options.files {
        let what = || format!("cannot read variables from `{}`", file.display());
        let bytes = read(file, VARIABLES_LIMIT).context(what)?;
        for variable in environment::file(&bytes).context(what)? {
            check_variable(&variable).context(what)?;
            let variable = Sourced::new(variable, "option --set-env-file");
            request.variables.push(variable);
        }
    }
    let set = options.set.into_iter();
    request
        .variables
        .extend(set.map(|variable| Sourced::new(variable, "option --set-env")));
    request.inherited = inherited(options.inherit, request.interactive);
    request.host_names = host_names(&request)?;
    request.prepared = options.prepared;
    request.passed = passed::sockets()?;
    request.manager = notify::manager()?;
    request.zone = options
        .timezone
        .as_deref()
        .map(timezone::find)
        .transpose()?;
    Ok(request)
}

/// Reads what the host has to find others by name, as far as a pod needs it. Of
/// what is not there nothing is needed.
fn host_names(request: &Request) -> Result<HostNames> {
    let find = |path: &Path| match read(path, NAMES_LIMIT) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) => match path.try_exists() {
            Ok(false) => Ok(String::new()),
            _ => Err(error).context(|| format!("cannot read `{}`", path.display())),
        },
    };
    let mut names = HostNames::default();
    if request.asks_host_for_servers() {
        names.resolver = find(Path::new("/etc/resolv.conf"))?;
        names.resolved = find(Path::new("/run/systemd/resolve/resolv.conf"))?;
    }
    if request.hosts.contains(&HostsEntry::Host) {
        names.hosts = find(Path::new("/etc/hosts"))?;
    }
    Ok(names)
}

/// Largest file of the host that names hosts or servers, in bytes: it becomes
/// part of a plan.
const NAMES_LIMIT: u64 = 32 << 10;

/// Adds a pod manifest, and finds the images of its apps in the store.
pub(super) fn add_manifest(
    request: &mut Request,
    file: &Path,
    store: &Store<'_>,
) -> Result<Vec<Digest>> {
    let manifest = read_manifest(file, &|name, labels| {
        let found = match store.find(name, labels)? {
            None => of_registry(store, name, labels)?,
            found => found,
        };
        if let Some(id) = found {
            return aci::image_id(&id);
        }
        let error = |what| Error::new(Kind::NotFound, what);
        Err(match store.doubt(name, labels)? {
            Some(doubt) => {
                error(format!("image `{name}` cannot be used by name: {doubt}")).hint(WAIVE)
            }
            None => error(format!(
                "no image `{name}` with these labels was found in the store"
            ))
            .hint("`launcher image list` lists all images"),
        })
    })?;
    let ids = manifest.apps.iter().map(|app| {
        let (name, id) = (&app.name, Digest::from(app.image.id));
        let found = store.contains(&id)?.then_some(id);
        found.ok_or_else(|| {
            let called = app.image.name.as_ref();
            let called = called.map_or(String::new(), |called| format!(" (`{called}`)"));
            Error::new(
                Kind::NotFound,
                format!("app `{name}` needs image `{id}`{called}, which is not in the store"),
            )
            .hint("`launcher image list` lists all images")
        })
    });
    let ids = ids.collect::<Result<_>>()?;
    request.add_manifest(manifest);
    Ok(ids)
}

/// Finds an OCI image by the name of an image of an app: that of its registry and
/// its repository, with the label `version` as its tag. What has other characters,
/// such as the port of a registry, has to be named by its ID.
fn of_registry(store: &Store<'_>, name: &AcIdentifier, labels: &Labels) -> Result<Option<Digest>> {
    let tag = labels.get("version").map(|tag| format!(":{tag}"));
    let text = format!("{name}{}", tag.unwrap_or_default());
    let Ok(reference) = oci::reference::Reference::parse(&text, &ShortNames::Refuse) else {
        return Ok(None);
    };
    let Some(id) = store.of_registry(&reference)? else {
        return Ok(None);
    };
    let image = store.oci(&id)?;
    let manifest = image.map(|image| from_oci_image::describe(&image));
    let manifest = manifest.transpose()?.map(|(manifest, _)| manifest);
    let fits = |manifest: &ImageManifest| {
        let own = &manifest.labels;
        labels.iter().all(|label| {
            // The tag has been compared.
            label.name.as_str() == "version" || own.get(label.name.as_str()) == Some(&*label.value)
        })
    };
    Ok(manifest.filter(fits).map(|_| id))
}

/// Reads a pod manifest, and prints warnings.
fn read_manifest(file: &Path, find: Find<'_>) -> Result<PodManifest> {
    let what = || format!("cannot read pod manifest `{}`", file.display());
    let bytes = read(file, MANIFEST_LIMIT).context(what)?;
    let checked = template::read(&bytes, find).context(what)?;
    crate::cmd::say(&checked.warnings);
    Ok(checked.value)
}

/// Writes the UUID of a pod to a file, for other programs. The file is new, or
/// holds the UUID of an earlier pod.
pub(super) fn save_uuid(path: &Path, uuid: Uuid) -> Result<()> {
    let what = || format!("cannot write the UUID to `{}`", path.display());
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW;
    let mode = Mode::from_raw_mode(0o644);
    let mut file = match rustix::fs::open(path, flags | OFlags::CLOEXEC, mode) {
        Err(Errno::EXIST) => file_of_uuid(path).context(what)?,
        made => File::from(made.context(what)?),
    };
    file.write_all(format!("{uuid}\n").as_bytes()).context(what)
}

/// Opens a file that is empty or holds a UUID, as it does when the option is
/// used repeatedly. Anything else must not be overwritten, nor a file that
/// another user has put there: a link leads to a file that the caller did not
/// name.
fn file_of_uuid(path: &Path) -> Result<File> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut file = match rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::LOOP) => return Err(Error::invalid("it is a symbolic link")),
        file => File::from(file.context(|| "cannot open it")?),
    };
    let status = file.metadata().context(|| "cannot examine it")?;
    let owner = rustix::process::geteuid().as_raw();
    if !status.is_file() || status.uid() != owner || status.nlink() > 1 {
        let what =
            "it exists, but is not a regular file that you own and that has no other hard links";
        return Err(Error::invalid(what));
    }
    let mut text = String::new();
    let read = (&mut file).take(UUID_LIMIT).read_to_string(&mut text);
    if read.is_err() || !(text.is_empty() || Uuid::parse(text.trim_end()).is_ok()) {
        return Err(Error::invalid(
            "it exists, and contains something other than a UUID",
        ));
    }
    let emptied = file.set_len(0).and_then(|()| file.rewind());
    emptied.context(|| "cannot empty it")?;
    Ok(file)
}

/// The most that a file with a UUID can hold, in bytes.
const UUID_LIMIT: u64 = 64;

/// Returns the caller's variables, except those for the launcher, and those whose
/// name or value is not valid in a manifest. With a terminal, this includes at least TERM.
fn inherited(all: bool, terminal: bool) -> Vec<Sourced<Variable>> {
    let text = |pair: (std::ffi::OsString, std::ffi::OsString)| {
        let name = variable_name(pair.0.to_str()?).ok()?;
        let ours = passed::VARIABLES.iter().chain(&notify::VARIABLES);
        if ours.into_iter().any(|ours| *ours == name) {
            // A service manager speaks to the launcher by them.
            return None;
        }
        let value = pair.1.into_string().ok()?;
        let reason = match all {
            true => "option --inherit-env",
            false if terminal && name == "TERM" => "option --interactive",
            false => return None,
        };
        Some(Sourced::new(Variable::new(name, value), reason))
    };
    std::env::vars_os().filter_map(text).collect()
}

fn read(file: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).context(|| "cannot open it")?;
    std::io::Read::read_to_end(&mut std::io::Read::take(opened, limit + 1), &mut bytes)
        .context(|| "cannot read it")?;
    if bytes.len() as u64 > limit {
        return Err(Error::invalid(format!(
            "it is larger than {}",
            size::spell(limit)
        )));
    }
    Ok(bytes)
}
