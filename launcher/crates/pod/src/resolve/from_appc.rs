//! Makes a spec from App Container images, a pod manifest and options: every
//! app with its name, command, identity, volumes and root layers. Also makes
//! the equivalent pod manifest, for the metadata service and `launcher
//! cat-manifest`.

use std::path::PathBuf;

use crate::resolve::conventions::Conventions;
use crate::resolve::devices::{self, DeviceRequest};
use crate::resolve::isolators::{self, AppIsolation, PodIsolation};
use crate::resolve::merge::{Merged, merge};
use crate::resolve::report::Entry;
use crate::resolve::request::{AppRequest, Request, Writable};
use crate::resolve::settings::{Setting, with_parameters, with_settings};
use crate::resolve::users::Identity;
use crate::resolve::volumes::{HostLookup, Mounting, Volumes, place_in_root};
use crate::resolve::{health, identity, lookup, notify, ports, sockets, unsupported};
use crate::spec::HostPath;
use crate::spec::defaults;
use crate::spec::environment::Variable;
use crate::spec::health::OnUnhealthy;
use crate::spec::mounts::Device;
use crate::spec::pod::{AppSpec, ImageSource, PodSpec, Root};
use crate::spec::process::{ProcessSpec, ResourceLimit, Rights, Sourced, Stdio};
use appc::manifest::app::{App, HandlerName, MountPoint};
use appc::manifest::pod::{self, PodImage};
use appc::manifest::{ImageManifest, PodManifest, SPECIFICATION};
use appc::types::{AcName, Uuid, Version, clean};
use error::{Error, Result};
use image::digest::Digest;
use image::format::aci;
use image::store::rootfs::{Rootfs, Status};
use sys::host::Host;

/// A resolved pod, and what to tell the user about it.
pub struct Resolved {
    /// What runs.
    pub spec: PodSpec,
    /// The equivalent pod manifest.
    pub manifest: PodManifest,
    /// What became of each isolator and limit that was asked for.
    pub report: Vec<Entry>,
    /// Notes for the user.
    pub notes: Vec<String>,
}

/// What a pod needs to know of an image.
pub struct Source<'a> {
    /// Its ID.
    pub id: Digest,
    /// Its manifest.
    pub manifest: &'a ImageManifest,
    /// How the images of its format are run.
    pub conventions: &'a Conventions,
    /// Whether it was signed by a key whose images may have whatever rights
    /// they ask for.
    pub trusted: bool,
    /// Its files.
    pub rootfs: &'a dyn Rootfs,
    /// Their directories on the host, topmost first.
    pub layers: Vec<PathBuf>,
}

/// Resolves a pod. `sources` are the images of its apps, in the same order;
/// `directory` is where the pod will be when it runs.
///
/// # Errors
///
/// Fails if an image has no app, names clash, the image does not have a user or
/// group, a volume cannot be mounted, or the host name is invalid.
pub fn resolve(
    uuid: Uuid,
    directory: PathBuf,
    host: &Host,
    request: &Request,
    sources: &[Source<'_>],
    look: HostLookup<'_>,
) -> Result<Resolved> {
    let names = names(request, sources)?;
    if request.interactive && names.len() > 1 {
        return Err(Error::usage(
            "`--interactive` requires a pod with a single app: only one can use the terminal",
        ));
    }
    let mut volumes = Volumes::new(&request.volumes, &directory, look)?;
    let own_network = request.network.is_own();
    let mut whole = isolators::of_pod(&request.isolators, &request.settings, own_network, host);
    let unlimited = request.network.why_unlimited();
    if let Some(why) = unlimited {
        isolators::leave_bandwidth(&mut whole.limits, &mut whole.report, why);
    }
    let mut spec = PodSpec::new(
        uuid,
        directory,
        lookup::hostname(uuid, request.hostname.as_deref())?,
    );
    let by = request.network_by.as_deref();
    request.network.give(&mut spec, by.unwrap_or("default"));
    spec.may_be_unconnected = by.is_none() && request.published.is_empty();
    spec.resolver = request.dns.file(&request.network, &request.host_names)?;
    let hosts = defaults::hosts(&spec.hostname.value);
    spec.hosts = lookup::hosts(&request.hosts, &hosts, &request.host_names);
    let mut report = whole.report.clone();
    let mut sections = Vec::new();
    let mut raised = Vec::new();
    let mut notifying = Vec::new();
    for ((name, wanted), source) in names.iter().zip(&request.apps).zip(sources) {
        let mut settled = app(name, host, request, wanted, source, &whole, &mut volumes)?;
        let variables = &mut settled.spec.process.environment;
        let named = variables.iter().any(|one| one.value.name == HOSTNAME);
        if source.conventions.names_host && !named {
            let hostname = Variable::new(HOSTNAME, spec.hostname.value.as_str());
            variables.push(Sourced::new(hostname, spec.hostname.reason.as_str()));
        }
        spec.apps.push(settled.spec);
        sections.push(settled.section);
        report.extend(settled.report);
        raised.extend(settled.raised);
        notifying.push(settled.notifies);
    }
    let (published, network) = (&request.published, &request.network);
    let declared = ports::declared(&sections);
    spec.ports = ports::resolve(published, &request.ports, network, &declared)?;
    let may_say = !sources
        .iter()
        .all(|source| source.conventions.never_activates);
    sockets::open(&mut spec, &request.sockets, &declared, may_say)?;
    sockets::assign(&mut spec, &request.passed)?;
    let manager = request.manager.as_ref();
    let unheard = notify::settle(&mut spec, request.speaker, manager, &notifying)?;
    if !request.prepared {
        report.extend(unheard);
        report.extend(sockets::missing(&spec));
    }
    let found = volumes.finish()?;
    spec.volumes = found.empty;
    spec.limits = whole.limits;
    spec.processes_by_default = whole.processes_by_default;
    let settings = with_parameters(&request.settings, &whole.parameters);
    spec.parameters = whole.parameters;
    spec.shm_size = request.shm_size;
    spec.restart = request.restart;
    spec.on_unhealthy = request.on_unhealthy;
    if spec.on_unhealthy != OnUnhealthy::Nothing && !spec.has_checks() {
        let what = "`--on-unhealthy` needs a health check, and no app has one";
        return Err(Error::usage(what).hint("`--health-cmd COMMAND` after an image sets one"));
    }
    let mut notes = found.notes;
    notes.extend(raised);
    notes.extend(network.notes(&request.ports));
    notes.extend(request.dns.note(network, &spec, &request.host_names));
    Ok(Resolved {
        spec,
        manifest: PodManifest {
            ac_version: Version::parse(SPECIFICATION)?,
            apps: sections,
            volumes: found.volumes,
            isolators: with_settings(request.isolators.clone(), &settings)?,
            annotations: request.annotations.clone(),
            ports: ports::in_manifest(published, &request.ports),
            user_annotations: request.user_annotations.clone(),
            user_labels: request.user_labels.clone(),
        },
        report,
        notes,
    })
}

/// The variable that has the name of the host, as docker sets it.
const HOSTNAME: &str = "HOSTNAME";

/// Returns whether an app has programs that wait for their turn.
fn waits(app: &App) -> bool {
    !app.event_handlers.is_empty()
}

/// Names the apps, each uniquely.
fn names(request: &Request, sources: &[Source<'_>]) -> Result<Vec<AcName>> {
    if sources.is_empty() {
        return Err(Error::invalid("the pod has no apps"));
    }
    if sources.len() > stage1_init::MAX_APPS {
        let (count, most) = (sources.len(), stage1_init::MAX_APPS);
        return Err(Error::invalid(format!(
            "the pod has {count} apps, and at most {most} are possible"
        )));
    }
    let mut names: Vec<AcName> = Vec::new();
    for (wanted, source) in request.apps.iter().zip(sources) {
        let name = match &wanted.name {
            Some(name) => name.clone(),
            None => derived(source.manifest.name.as_str())?,
        };
        if names.contains(&name) {
            return Err(Error::usage(format!("duplicate app name `{name}`"))
                .hint("`--name NAME` after an image gives its app another name"));
        }
        names.push(name);
    }
    Ok(names)
}

/// Derives the name of an app from its image's: the last component, with
/// invalid characters replaced by hyphens.
fn derived(image: &str) -> Result<AcName> {
    let last = image.rsplit('/').next().unwrap_or(image);
    AcName::sanitize(last).map_or_else(|| AcName::parse("app"), Ok)
}

/// An app that is fully resolved.
struct ResolvedApp {
    spec: AppSpec,
    section: pod::PodApp,
    report: Vec<Entry>,
    /// A note about rights that it has only because its image is trusted.
    raised: Option<String>,
    /// Whether it says when it is ready.
    notifies: bool,
}

fn app(
    name: &AcName,
    host: &Host,
    request: &Request,
    wanted: &AppRequest,
    source: &Source<'_>,
    whole: &PodIsolation,
    volumes: &mut Volumes<'_>,
) -> Result<ResolvedApp> {
    let several = request.apps.len() > 1;
    let mut merged = merge(
        name.as_str(),
        request,
        wanted,
        source.manifest,
        source.conventions,
        source.trusted,
    )?;
    let ids = identity::settle(&mut merged, wanted, source.rootfs);
    let ids = match several {
        true => ids.map_err(|error| error.at(format!("app `{name}`")))?,
        false => ids?,
    };
    let app = &merged.app;
    let looked = wanted.devices.iter().map(DeviceRequest::look);
    let devices: Vec<Device> = looked.collect::<Result<_>>()?;
    let AppIsolation {
        mut limits,
        rights,
        mut report,
    } = isolators::of_app(
        name.as_str(),
        &app.isolators,
        &wanted.settings,
        whole,
        host,
        waits(app),
    )?;
    let raised = raised(name, request, wanted, source, whole, host, &report)?;
    let together = several.then_some("the apps of a pod share its interfaces; limit the pod");
    if let Some(why) = request.network.why_unlimited().or(together) {
        isolators::leave_bandwidth(&mut limits, &mut report, why);
    }
    let annotations = source
        .manifest
        .annotations
        .overridden_by(&wanted.annotations);
    let settled = wanted.settings.iter();
    let settled = settled.map(|setting| setting.settled(rights.capabilities.value));
    let settled: Vec<Setting> = settled.collect();
    limits.devices = devices::rules(&devices);
    let here = |point: &MountPoint| {
        let mut mounts = wanted.mounts.iter();
        volumes.has(&point.name)
            || mounts.any(|mount| clean(&mount.value.path) == clean(&point.path))
    };
    let (points, in_root): (Vec<MountPoint>, Vec<MountPoint>) = {
        let all = app.mount_points.iter().cloned();
        all.partition(|point| !source.conventions.part_of_root || here(point))
    };
    let (mounts, in_manifest) = volumes.of(&Mounting {
        app: name.as_str(),
        mounts: &wanted.mounts,
        points: &points,
        tmpfs: &wanted.tmpfs,
        rootfs: source.rootfs,
    })?;
    let closed = (request.writable == Writable::None).then_some("option --writable=none");
    let read_only = wanted.read_only.or(closed);
    let mut writable = Vec::new();
    for point in in_root.iter().filter(|_| read_only.is_some()) {
        let place = place_in_root(source.rootfs, &point.path)?;
        let place = place.map(|path| Sourced::new(path, merged.reasons.section.clone()));
        writable.extend(place);
    }
    let mut lacks = Vec::new();
    for path in defaults::OPTIONAL {
        if !source.rootfs.has(path.trim_start_matches('/'))? {
            lacks.push(path.to_owned());
        }
    }
    let resolver = defaults::RESOLVER.trim_start_matches('/');
    let start = source.rootfs.read(resolver, 1)?;
    if start.is_none_or(|start| start.is_empty()) {
        lacks.push(defaults::RESOLVER.to_owned());
    }
    let listening = sockets::expected(&app.ports);
    let conventions = source.conventions;
    let mut makes = Vec::new();
    let directories = conventions.directories.iter();
    for path in directories.filter(|_| wanted.section.is_none()) {
        let inside = path.trim_start_matches('/');
        if source.rootfs.status(inside)?.is_none() {
            makes.push(Sourced::new(path.clone(), merged.reasons.section.clone()));
        }
    }
    let own = Conventions::default();
    let said = match wanted.section {
        None => conventions,
        Some(_) => &own,
    };
    let health = health::settle(name.as_str(), &wanted.health, said, &merged.reasons.section)?;
    let stop_signal = conventions.stop_signal.clone();
    let signal = stop_signal.as_deref();
    report.extend(unsupported::stop_signal(name.as_str(), signal));
    let section = pod::PodApp {
        name: name.clone(),
        image: PodImage {
            name: Some(source.manifest.name.clone()),
            id: aci::image_id(&source.id)?,
            labels: source.manifest.labels.clone(),
        },
        app: Some(App {
            isolators: with_settings(app.isolators.clone(), &settled)?,
            ..app.clone()
        }),
        read_only_rootfs: read_only.is_some(),
        mounts: in_manifest,
        annotations: wanted.annotations.clone(),
    };
    let stdio = match request.interactive {
        true => Stdio::Terminal,
        false => Stdio::Inherited,
    };
    let spec = AppSpec {
        name: name.to_string(),
        reason: merged.reasons.section.clone(),
        image: Some(ImageSource {
            id: source.id.to_string(),
            name: Some(source.manifest.name.to_string()),
        }),
        root: Some(Root {
            layers: source.layers.iter().cloned().map(HostPath).collect(),
            top: top(source.rootfs)?,
            copied: request.no_overlay || !host.overlay,
            read_only: read_only.map(str::to_owned),
            memory: match request.writable {
                Writable::Memory(size) => Some(size),
                Writable::Disk | Writable::None => None,
            },
        }),
        process: process(merged, ids, rights, stdio, &wanted.resources),
        limits,
        devices,
        mounts,
        tmpfs: wanted.tmpfs.clone(),
        sockets: listening,
        lacks,
        makes,
        writable,
        stop_signal,
        health,
        zone: request
            .zone
            .as_ref()
            .and_then(|zone| zone.file.clone())
            .map(HostPath),
    };
    Ok(ResolvedApp {
        spec,
        section,
        report,
        raised,
        notifies: notify::notifies(&annotations),
    })
}

/// Returns owner and mode of an image's root directory.
fn top(rootfs: &dyn Rootfs) -> Result<(u32, u32, u32)> {
    let top = rootfs.status("")?.unwrap_or(Status {
        directory: true,
        uid: 0,
        gid: 0,
        mode: 0o755,
    });
    Ok((top.uid, top.gid, top.mode))
}

fn process(
    merged: Merged,
    Identity { uid, gid }: Identity,
    rights: Rights,
    stdio: Stdio,
    resources: &[ResourceLimit],
) -> ProcessSpec {
    let Merged {
        app,
        reasons,
        variables,
        account_groups: _,
    } = merged;
    let handler = |wanted: HandlerName| {
        let mut handlers = app.event_handlers.iter();
        let handler = handlers.find(|handler| handler.name == wanted)?;
        Some(Sourced::new(handler.exec.clone(), reasons.section.clone()))
    };
    ProcessSpec {
        pre_start: handler(HandlerName::PreStart),
        post_stop: handler(HandlerName::PostStop),
        argv: Sourced::new(app.exec, reasons.exec),
        environment: variables,
        directory: Sourced::new(
            app.working_directory.unwrap_or_else(|| "/".to_owned()),
            reasons.directory,
        ),
        uid: Sourced::new(uid, format!("{}: user `{}`", reasons.user, app.user)),
        gid: Sourced::new(gid, format!("{}: group `{}`", reasons.group, app.group)),
        groups: Sourced::new(app.supplementary_gids, reasons.groups),
        rights,
        resources: resources.to_vec(),
        stdio,
        beyond: None,
    }
}

/// Returns a note if an app has rights beyond the default only because the
/// signer of its image is trusted, that is, if its isolators would have had
/// another effect otherwise.
fn raised(
    name: &AcName,
    request: &Request,
    wanted: &AppRequest,
    source: &Source<'_>,
    whole: &PodIsolation,
    host: &Host,
    report: &[Entry],
) -> Result<Option<String>> {
    if !source.trusted {
        return Ok(None);
    }
    let conventions = source.conventions;
    let without = merge(
        name.as_str(),
        request,
        wanted,
        source.manifest,
        conventions,
        false,
    )?;
    let without = isolators::of_app(
        name.as_str(),
        &without.app.isolators,
        &wanted.settings,
        whole,
        host,
        waits(&without.app),
    )?;
    Ok((without.report != *report).then(|| {
        format!(
            "app `{name}` has rights beyond the default: the key that signed image `{}` is trusted",
            source.manifest.name
        )
    }))
}

#[cfg(test)]
#[path = "from_appc_tests.rs"]
mod tests;
