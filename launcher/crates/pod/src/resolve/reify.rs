//! Makes of images and wishes a pod in which nothing is left open: every app
//! with its name, its command, its identity, its volumes and the layers of its
//! root; and the pod manifest that says the same.

use std::path::PathBuf;

use crate::cgroup::{self, Groups};
use crate::plan::compose::{Pod, PodApp, Root};
use crate::plan::descriptors;
use crate::resolve::devices::{self, Device, Wanted};
use crate::resolve::identity;
use crate::resolve::isolators::{self, AppIsolation, Entry, Limits, PodIsolation};
use crate::resolve::merge::{Merged, merge};
use crate::resolve::volume::{Look, Mounting, Volumes};
use crate::spec::defaults;
use crate::spec::request::{AppRequest, Request, Sourced};
use crate::spec::tmpfs;
use appc::manifest::app::App;
use appc::manifest::pod::{self, PodImage};
use appc::manifest::{ImageManifest, PodManifest, SPECIFICATION};
use appc::types::{AcName, Uuid, Version};
use error::{Context as _, Error, Result};
use image::digest::Digest;
use image::format::aci;
use image::store::rootfs::{Rootfs, Status};
use sys::host::Host;

/// An image, as far as a pod depends on it.
pub struct Source<'a> {
    /// Which it is.
    pub id: Digest,
    /// Its manifest.
    pub manifest: &'a ImageManifest,
    /// A key signed it whose images may have whatever they ask for.
    pub trusted: bool,
    /// Its files.
    pub rootfs: &'a dyn Rootfs,
    /// Where they are on the host, topmost first.
    pub layers: Vec<PathBuf>,
}

/// Longest host name that sethostname(2) takes, in bytes.
const MAX_HOSTNAME: usize = 64;

/// Makes the pod. `sources` are the images of its apps, in the order of these;
/// `directory` is where the pod will be when it runs.
///
/// # Errors
///
/// An image without an app; names that clash; a user or group that the image
/// does not have; a volume that cannot be mounted; a host name that cannot be one.
pub fn reify(
    uuid: Uuid,
    directory: PathBuf,
    host: &Host,
    request: &Request,
    sources: &[Source<'_>],
    look: Look<'_>,
) -> Result<Pod> {
    let names = names(request, sources)?;
    if request.interactive && names.len() > 1 {
        return Err(Error::usage(
            "`--interactive` gives the terminal to an app, and the pod has several",
        ));
    }
    let mut volumes = Volumes::new(&request.volumes, &directory, look)?;
    let mut whole = isolators::of_pod(&request.isolators, true, host);
    let mut report = whole.report.clone();
    let (mut apps, mut sections, mut limits) = (Vec::new(), Vec::new(), Vec::new());
    let mut raised = Vec::new();
    for ((name, wanted), source) in names.iter().zip(&request.apps).zip(sources) {
        let settled = app(name, host, request, wanted, source, &whole, &mut volumes)?;
        apps.push(settled.app);
        sections.push(settled.section);
        limits.push(settled.limits);
        report.extend(settled.report);
        raised.extend(settled.raised);
    }
    let (counted, highest_pid) = processes(&whole, host);
    whole.limits.processes = counted;
    let groups = groups(uuid, &whole.limits, &names, &limits)?;
    let filters = apps.iter().map(|app| app.rights.filter.as_ref());
    let descriptors = descriptors::label(filters, &groups);
    let found = volumes.finish()?;
    let mut notes = found.notes;
    notes.extend(raised);
    for port in &request.ports {
        let name = &port.name;
        notes.push(format!(
            "port `{name}` cannot be reached from the host: the pod's network is its own"
        ));
    }
    Ok(Pod {
        directory,
        hostname: hostname(uuid, request)?,
        apps,
        volumes: found.empty,
        groups,
        descriptors,
        highest_pid,
        parameters: whole.parameters,
        isolators: report,
        notes,
        manifest: PodManifest {
            ac_version: Version::parse(SPECIFICATION)?,
            apps: sections,
            volumes: found.volumes,
            isolators: request.isolators.clone(),
            annotations: request.annotations.clone(),
            ports: request.ports.clone(),
            user_annotations: request.user_annotations.clone(),
            user_labels: request.user_labels.clone(),
        },
    })
}

/// Since this kernel each pid namespace has a `kernel.pid_max` of its own (commit
/// 7863dcc72d0f); before, it is the host's.
pub const OWN_PID_MAX_SINCE: (u32, u32) = (6, 14);

/// The least that the kernel takes for it: numbers up to 300 are for daemons.
const LEAST_PID_MAX: u64 = 301;

/// Decides what counts the processes of a pod: returns the limit of its groups,
/// and what its pid namespace gets as the end of its numbers. Who only gets the
/// default should not wait for it: joining a group takes milliseconds, and the
/// numbers none. A limit that was asked for is a group's, which is exact.
fn processes(pod: &PodIsolation, host: &Host) -> (Option<u64>, Option<Sourced<u64>>) {
    let Some(most) = pod.limits.processes else {
        return (None, None);
    };
    let own = host.kernel >= OWN_PID_MAX_SINCE && most >= LEAST_PID_MAX;
    let by_default = pod.processes_by_default;
    let numbered = |reason| (None, Some(Sourced::new(most, reason)));
    if own && by_default {
        return numbered("default: a pod without end of processes would end the host");
    }
    match cgroup::counts_processes(&cgroup::discover(), by_default) {
        true => (Some(most), None),
        false if own => numbered("fallback: there is no controller that counts processes"),
        false if by_default => (None, None),
        // It was asked for: that there is nothing for it is an error.
        false => (Some(most), None),
    }
}

/// Tells whether an app has programs that wait until it is their turn.
fn waits(app: &App) -> bool {
    !app.event_handlers.is_empty()
}

/// The groups of a pod with limits; none for one without.
fn groups(uuid: Uuid, pod: &Limits, names: &[AcName], apps: &[Limits]) -> Result<Groups> {
    if pod.is_empty() && apps.iter().all(Limits::is_empty) {
        return Ok(Groups::default());
    }
    let apps: Vec<_> = names.iter().map(AcName::as_str).zip(apps).collect();
    cgroup::arrange(&cgroup::discover(), uuid, pod, &apps, &cgroup::disks())
}

fn hostname(uuid: Uuid, request: &Request) -> Result<Sourced<String>> {
    let Some(name) = &request.hostname else {
        return Ok(Sourced::new(uuid.to_string(), "default: the pod's UUID"));
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if name.is_empty() || name.len() > MAX_HOSTNAME || !name.chars().all(fits) {
        return Err(Error::usage(format!("`{name}` cannot be a host name"))
            .hint("letters, digits, `-` and `.`, at most 64 of them"));
    }
    Ok(Sourced::new(name.clone(), "option --hostname"))
}

/// Names the apps, each as no other.
fn names(request: &Request, sources: &[Source<'_>]) -> Result<Vec<AcName>> {
    if sources.is_empty() {
        return Err(Error::invalid("the pod has no app"));
    }
    if sources.len() > stage1_init::MAX_APPS {
        let (count, most) = (sources.len(), stage1_init::MAX_APPS);
        return Err(Error::invalid(format!(
            "the pod has {count} apps, and {most} is the most"
        )));
    }
    let mut names: Vec<AcName> = Vec::new();
    for (wanted, source) in request.apps.iter().zip(sources) {
        let name = match &wanted.name {
            Some(name) => name.clone(),
            None => derived(source.manifest.name.as_str())?,
        };
        if names.contains(&name) {
            return Err(Error::usage(format!("two apps are called `{name}`"))
                .hint("`--name NAME` behind an image calls its app something else"));
        }
        names.push(name);
    }
    Ok(names)
}

/// Derives the name of an app from its image's: the last part, with what
/// cannot stand in an AC Name made into hyphens.
fn derived(image: &str) -> Result<AcName> {
    let last = image.rsplit('/').next().unwrap_or(image);
    AcName::sanitize(last).map_or_else(|| AcName::parse("app"), Ok)
}

/// An app of which nothing is left open.
struct Settled {
    app: PodApp,
    section: pod::PodApp,
    limits: Limits,
    report: Vec<Entry>,
    /// What to say of rights that only trust gives it.
    raised: Option<String>,
}

fn app(
    name: &AcName,
    host: &Host,
    request: &Request,
    wanted: &AppRequest,
    source: &Source<'_>,
    whole: &PodIsolation,
    volumes: &mut Volumes<'_>,
) -> Result<Settled> {
    let several = request.apps.len() > 1;
    let Merged {
        app,
        reasons,
        variables,
    } = merge(
        name.as_str(),
        request,
        wanted,
        source.manifest,
        source.trusted,
    )?;
    let devices: Vec<Device> = wanted
        .devices
        .iter()
        .map(Wanted::look)
        .collect::<Result<_>>()?;
    let AppIsolation {
        mut limits,
        rights,
        report,
    } = isolators::of_app(name.as_str(), &app.isolators, whole, host, waits(&app))?;
    let raised = raised(name, request, wanted, source, whole, host, &report)?;
    limits.devices = devices::rules(&devices);
    let identity = identity::resolve(&app.user, &app.group, source.rootfs);
    let identity = match several {
        true => identity.context(|| format!("app `{name}`"))?,
        false => identity?,
    };
    let (mounted, mounts) = volumes.of(&Mounting {
        app: name.as_str(),
        mounts: &wanted.mounts,
        points: &app.mount_points,
        rootfs: source.rootfs,
    })?;
    tmpfs::check(name.as_str(), &wanted.tmpfs, &mounted)?;
    let top = source.rootfs.status("")?.unwrap_or(Status {
        directory: true,
        uid: 0,
        gid: 0,
        mode: 0o755,
    });
    let mut lacks = Vec::new();
    for path in defaults::OPTIONAL {
        if !source.rootfs.has(path.trim_start_matches('/'))? {
            lacks.push(path);
        }
    }
    let section = pod::PodApp {
        name: name.clone(),
        image: PodImage {
            name: Some(source.manifest.name.clone()),
            id: aci::image_id(&source.id)?,
            labels: source.manifest.labels.clone(),
        },
        app: Some(app.clone()),
        read_only_rootfs: wanted.read_only.is_some(),
        mounts,
        annotations: wanted.annotations.clone(),
    };
    let app = PodApp {
        name: name.to_string(),
        app,
        reasons,
        variables,
        root: Root {
            layers: source.layers.clone(),
            top: (top.uid, top.gid, top.mode),
            copied: request.no_overlay || !host.overlay,
            read_only: wanted.read_only,
        },
        identity,
        rights,
        devices,
        mounted,
        tmpfs: wanted.tmpfs.clone(),
        lacks,
        zone: request.zone.as_ref().and_then(|zone| zone.file.clone()),
        interactive: request.interactive,
    };
    Ok(Settled {
        app,
        section,
        limits,
        report,
        raised,
    })
}

/// Says it if an app has rights beyond the default only by trust in who signed
/// its image: what became of its isolators would be another thing without.
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
    let without = merge(name.as_str(), request, wanted, source.manifest, false)?;
    let isolators = &without.app.isolators;
    let without = isolators::of_app(name.as_str(), isolators, whole, host, waits(&without.app))?;
    Ok((without.report != *report).then(|| {
        format!(
            "app `{name}` has rights beyond the default, because of who signed image `{}`",
            source.manifest.name
        )
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_named_after_the_last_part_of_its_image() {
        for (image, app) in [
            ("example.com/web", "web"),
            ("example.com/My_App~1.2", "my-app-1-2"),
            ("busybox", "busybox"),
            ("example.com/__", "app"),
        ] {
            assert_eq!(derived(image).unwrap().as_str(), app);
        }
    }
}
