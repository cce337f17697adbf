//! Determines what each app mounts where: matches requested mounts and images'
//! mount points with the pod's volumes.
//!
//! A mount is for the mount point with the same path. A mount point without a
//! mount gets the pod's volume of the same name or, if there is none, an empty
//! one: the specification leaves open whether such a pod can run, so we run it
//! and print a note.
//!
//! # Invariants
//!
//! 1. No volume is mounted on the target of another volume, the app's root, or
//!    the kernel's file systems. (If a link in the image leads there all the
//!    same, the app hides those from nobody but itself.)
//! 2. A volume is read-only if either the volume or the mount point says so.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::resolve::BY_MANIFEST;
use crate::spec::mounts::{EmptyVolume, Mounted, Place, Tmpfs};
use crate::spec::process::Sourced;
use appc::manifest::app::MountPoint;
use appc::manifest::pod::{EMPTY_MODE, Mount, Volume, VolumeKind};
use appc::types::{AcName, clean};
use error::quote::quoted;
use error::{Context as _, Error, Result};
use image::store::rootfs::Rootfs;
use sys::host_path::Source;

/// A requested volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requested {
    /// The volume.
    pub volume: Volume,
    /// Whether links in the path of its source are followed.
    pub follow_links: bool,
    /// Where it comes from, as the plan shows it.
    pub reason: &'static str,
}

impl Requested {
    /// Wraps a volume of a pod manifest.
    pub(crate) fn by_manifest(volume: Volume) -> Self {
        Self {
            volume,
            follow_links: false,
            reason: BY_MANIFEST,
        }
    }
}

/// What is needed of an app to resolve its volumes.
pub(crate) struct Mounting<'a> {
    /// Its name in the pod.
    pub app: &'a str,
    /// The requested mounts, each path once.
    pub mounts: &'a [Sourced<Mount>],
    /// The mount points of its image.
    pub points: &'a [MountPoint],
    /// The tmpfs mounts that it was given.
    pub tmpfs: &'a [Tmpfs],
    /// Its root file system, without volumes.
    pub rootfs: &'a dyn Rootfs,
}

/// Looks up a path of the host; `None` if it contains links that must not be
/// followed.
pub(crate) type HostLookup<'a> = &'a dyn Fn(&Path, bool) -> Result<Option<Source>>;

/// The volumes of a pod, while its apps are being resolved.
pub(crate) struct Volumes<'a> {
    requested: Vec<Requested>,
    used: BTreeSet<AcName>,
    /// The directory of empty volumes, on the host.
    directory: PathBuf,
    look: HostLookup<'a>,
    empty: Vec<EmptyVolume>,
    notes: Vec<String>,
}

/// The resolved volumes of a pod.
pub struct ResolvedVolumes {
    /// All volumes, including those made for mount points.
    pub volumes: Vec<Volume>,
    /// The directories to make.
    pub empty: Vec<EmptyVolume>,
    /// Notes for the user.
    pub notes: Vec<String>,
}

/// A mount whose volume has not been looked up yet.
struct PendingMount<'a> {
    mount: Sourced<Mount>,
    point: Option<&'a MountPoint>,
}

impl<'a> Volumes<'a> {
    /// Starts with the requested volumes. `pod` is the pod's directory.
    ///
    /// # Errors
    ///
    /// Fails if two volumes have the same name.
    pub(crate) fn new(requested: &[Requested], pod: &Path, look: HostLookup<'a>) -> Result<Self> {
        for (index, one) in requested.iter().enumerate() {
            let name = &one.volume.name;
            if requested[..index]
                .iter()
                .any(|other| other.volume.name == *name)
            {
                return Err(Error::usage(format!("duplicate volume `{name}`")));
            }
        }
        Ok(Self {
            requested: requested.to_vec(),
            used: BTreeSet::new(),
            directory: pod.join("volumes"),
            look,
            empty: Vec::new(),
            notes: Vec::new(),
        })
    }

    /// Returns what an app mounts, and the same as the mounts of a fully
    /// resolved manifest.
    ///
    /// # Errors
    ///
    /// Fails if a volume does not exist, or a source or target cannot be used.
    pub(crate) fn of(&mut self, app: &Mounting<'_>) -> Result<(Vec<Mounted>, Vec<Mount>)> {
        let mut pending: Vec<PendingMount<'_>> = Vec::new();
        for mount in app.mounts {
            let here = |point: &&MountPoint| clean(&point.path) == clean(&mount.value.path);
            pending.push(PendingMount {
                mount: mount.clone(),
                point: app.points.iter().find(here),
            });
        }
        for point in app.points {
            if !pending
                .iter()
                .any(|mount_request| mount_request.point == Some(point))
            {
                pending.push(self.fulfil(app.app, point));
            }
        }
        check_targets(app.app, &pending)?;
        let mut mounted = Vec::new();
        for mount_request in &pending {
            mounted.push(self.mount(app, mount_request)?);
        }
        let places = Place::all(&mounted, app.tmpfs);
        check_places(app.app, &places)?;
        for &place in &places {
            let around = place.around(&places);
            match around.last() {
                Some(Place::Volume(above)) => self.check_place(app, place, above)?,
                Some(Place::Memory(_)) => check_memory(app.app, place, &around)?,
                None => self.check_target(app, place)?,
            }
        }
        let mounts = pending
            .into_iter()
            .map(|mount_request| mount_request.mount.value);
        Ok((mounted, mounts.collect()))
    }

    /// Finds or makes the volume for a mount point that has no mount.
    fn fulfil<'p>(&mut self, app: &str, point: &'p MountPoint) -> PendingMount<'p> {
        let (name, known) = match self.find(&point.name) {
            Some(_) => (point.name.clone(), true),
            None => (self.unused_name(app, &point.name), false),
        };
        if !known {
            let (wanted, path) = (&point.name, quoted(&point.path));
            self.notes.push(format!(
                "app `{app}` has no volume for its mount point `{wanted}` on {path}: \
                     using an empty one, which is removed with the pod"
            ));
            self.requested.push(Requested {
                volume: Volume {
                    name: name.clone(),
                    kind: VolumeKind::Empty {
                        mode: EMPTY_MODE,
                        uid: 0,
                        gid: 0,
                    },
                    read_only: None,
                },
                follow_links: false,
                reason: "fallback",
            });
        }
        let mount = Mount {
            volume: name,
            path: point.path.clone(),
            app_volume: None,
        };
        PendingMount {
            mount: Sourced::new(mount, format!("app {app}")),
            point: Some(point),
        }
    }

    /// Makes a unique name from both, with a number if needed.
    fn unused_name(&self, app: &str, point: &AcName) -> AcName {
        let name = format!("{app}-{point}");
        let names = std::iter::once(name.clone()).chain((2..).map(|n| format!("{name}-{n}")));
        names
            .filter_map(|name| AcName::parse(&name).ok())
            .find(|name| self.find(name).is_none())
            .unwrap_or_else(|| point.clone())
    }

    /// Returns whether there is a volume of this name.
    pub(crate) fn has(&self, name: &AcName) -> bool {
        self.find(name).is_some()
    }

    fn find(&self, name: &AcName) -> Option<&Requested> {
        self.requested.iter().find(|one| one.volume.name == *name)
    }

    fn mount(&mut self, app: &Mounting<'_>, mount_request: &PendingMount<'_>) -> Result<Mounted> {
        let Sourced {
            value: mount,
            reason,
        } = &mount_request.mount;
        let name = &mount.volume;
        let (requested, place) = match &mount.app_volume {
            // It belongs to this mount alone, whatever its name.
            Some(volume) => (
                Requested::by_manifest(volume.clone()),
                format!("{}.{}", app.app, self.empty.len()),
            ),
            None => {
                self.used.insert(name.clone());
                let requested = self.find(name).cloned().ok_or_else(|| {
                    Error::usage(format!(
                        "app `{}` mounts volume `{name}`, which is not defined",
                        app.app
                    ))
                    .hint(format!("`--volume {name},kind=empty` adds an empty one"))
                })?;
                (requested, name.to_string())
            }
        };
        let source = self.source(&requested, &place)?;
        let target = format!("/{}", clean(&mount.path));
        let volume = &requested.volume;
        Ok(Mounted {
            name: name.to_string(),
            source: source.path.into(),
            directory: source.directory,
            ours: matches!(volume.kind, VolumeKind::Empty { .. }),
            target,
            read_only: volume.read_only == Some(true)
                || mount_request.point.is_some_and(|point| point.read_only),
            recursive: matches!(&volume.kind, VolumeKind::Host { recursive, .. } if *recursive != Some(false)),
            reason: format!("volume {name}: {reason}"),
        })
    }

    /// Determines where a volume is on the host.
    fn source(&mut self, requested: &Requested, place: &str) -> Result<Source> {
        let volume = &requested.volume;
        match &volume.kind {
            VolumeKind::Host { source, .. } => {
                let name = &volume.name;
                let found = (self.look)(Path::new(source), requested.follow_links)
                    .map_err(|error| error.at(format!("volume `{name}`")))?;
                let found = found.ok_or_else(|| {
                    Error::invalid(format!(
                        "volume `{name}`: the path {} contains a symbolic link",
                        quoted(source)
                    ))
                    .hint("a link can be redirected; `followSymlinks=true` follows it anyway")
                })?;
                self.settle(requested, &found);
                Ok(found)
            }
            VolumeKind::Empty { mode, uid, gid } => {
                let path = self.directory.join(place);
                if !self.empty.iter().any(|empty| *empty.path == *path) {
                    self.empty.push(EmptyVolume {
                        path: path.clone().into(),
                        mode: *mode,
                        uid: *uid,
                        gid: *gid,
                        reason: format!("volume {}: {}", volume.name, requested.reason),
                    });
                }
                Ok(Source {
                    path,
                    directory: true,
                })
            }
        }
    }

    /// If links were followed, fixes the volume to what they led to.
    fn settle(&mut self, requested: &Requested, found: &Source) {
        let same = |one: &&mut Requested| one.volume.name == requested.volume.name;
        if requested.follow_links
            && let Some(one) = self.requested.iter_mut().find(same)
            && let VolumeKind::Host { source, .. } = &mut one.volume.kind
            && let Some(path) = found.path.to_str()
        {
            path.clone_into(source);
        }
    }

    /// Compares a target with what the image has there.
    fn check_target(&mut self, app: &Mounting<'_>, place: Place<'_>) -> Result<()> {
        let target = place.target();
        let inside = target.trim_start_matches('/');
        let Some(there) = app.rootfs.status(inside)? else {
            return Ok(());
        };
        let noun = |directory| if directory { "directory" } else { "file" };
        if there.directory != place.is_directory() {
            let kind = match place {
                Place::Volume(_) => "volume",
                Place::Memory(_) => "tmpfs",
            };
            return Err(Error::invalid(format!(
                "{}: the {kind} is a {}, but the image has a {} there",
                cannot_mount(app.app, place),
                noun(place.is_directory()),
                noun(there.directory)
            )));
        }
        if let Place::Volume(volume) = place
            && there.directory
            && !app.rootfs.is_empty(inside)?
        {
            self.notes.push(format!(
                "volume `{}` hides files of app `{}`'s image in {}",
                volume.name,
                app.app,
                quoted(target)
            ));
        }
        Ok(())
    }

    /// Checks that there is a mount point in the volume that something is mounted
    /// in. In an empty one, it will be made.
    fn check_place(&self, app: &Mounting<'_>, inner: Place<'_>, above: &Mounted) -> Result<()> {
        let what = || {
            let above = &above.name;
            format!("{}, in volume `{above}`", cannot_mount(app.app, inner))
        };
        if above.ours {
            return Ok(());
        }
        let place = above.place_of(inner);
        let found = (self.look)(&place, false).context(what).map_err(|error| {
            error.hint("make it first: no mount points are made in directories of the host")
        })?;
        let why = match found {
            Some(found) if found.directory == inner.is_directory() => return Ok(()),
            Some(_) if inner.is_directory() => "is a file",
            Some(_) => "is a directory",
            None => "contains a symbolic link",
        };
        let place = quoted(&place.to_string_lossy());
        Err(Error::invalid(format!("{}: {place} {why}", what())))
    }

    /// Returns the result.
    ///
    /// # Errors
    ///
    /// Fails if no app mounts a volume of the command line: its name is
    /// probably misspelt.
    pub(crate) fn finish(mut self) -> Result<ResolvedVolumes> {
        for one in &self.requested {
            let name = &one.volume.name;
            if self.used.contains(name) {
                continue;
            }
            if one.reason != BY_MANIFEST {
                return Err(
                    Error::usage(format!("no app mounts volume `{name}`")).hint(format!(
                        "mount it with `--mount volume={name},target=PATH` after an image"
                    )),
                );
            }
            self.notes.push(format!("no app mounts volume `{name}`"));
        }
        let volumes = self.requested.into_iter().map(|one| one.volume);
        Ok(ResolvedVolumes {
            volumes: volumes.collect(),
            empty: self.empty,
            notes: self.notes,
        })
    }
}

/// Returns where a directory of an image is in its root, without links, or will be
/// made. `None` if it is something else, or the place of a kernel's file system.
pub(crate) fn place_in_root(rootfs: &dyn Rootfs, path: &str) -> Result<Option<String>> {
    let path = clean(path);
    if rootfs.status(&path)?.is_some_and(|there| !there.directory) {
        return Ok(None);
    }
    for above in Path::new(&path).ancestors() {
        let Some(real) = rootfs.real(&above.to_string_lossy())? else {
            continue;
        };
        let rest = Path::new(&path).strip_prefix(above).unwrap_or(above);
        let real = real.join(rest).to_string_lossy().into_owned();
        let place = real.trim_end_matches('/');
        let first = place.split('/').next();
        let reserved = matches!(first, None | Some("" | "proc" | "sys" | "dev"));
        return Ok((!reserved).then(|| format!("/{place}")));
    }
    Ok(None)
}

/// Refuses a tmpfs where something else is mounted.
fn check_places(app: &str, places: &[Place<'_>]) -> Result<()> {
    for (index, place) in places.iter().enumerate() {
        let same = |other: &&Place<'_>| other.target() == place.target();
        if let Some(other) = places[..index].iter().find(same) {
            let other = noun(*other);
            return Err(Error::usage(format!(
                "{}: {other} is mounted there",
                cannot_mount(app, *place)
            )));
        }
    }
    Ok(())
}

/// Refuses what would have its mount point made in a tmpfs on a way through a
/// directory of the host, where others can make links.
fn check_memory(app: &str, place: Place<'_>, around: &[Place<'_>]) -> Result<()> {
    let theirs = around.iter().find_map(|place| match place {
        Place::Volume(volume) if !volume.ours => Some(&volume.name),
        _ => None,
    });
    match theirs {
        Some(name) => Err(Error::invalid(format!(
            "{}: it is in a tmpfs that is in volume `{name}` of the host",
            cannot_mount(app, place)
        ))),
        None => Ok(()),
    }
}

fn cannot_mount(app: &str, place: Place<'_>) -> String {
    let (what, target) = (noun(place), quoted(place.target()));
    format!("cannot mount {what} on {target} of app `{app}`")
}

fn noun(place: Place<'_>) -> String {
    match place {
        Place::Volume(volume) => format!("volume `{}`", volume.name),
        Place::Memory(_) => "a tmpfs".to_owned(),
    }
}

/// Refuses targets that are the same, and those that belong to the kernel's file
/// systems.
fn check_targets(app: &str, pending: &[PendingMount<'_>]) -> Result<()> {
    for (index, mount_request) in pending.iter().enumerate() {
        let (name, path) = (
            &mount_request.mount.value.volume,
            &mount_request.mount.value.path,
        );
        let target = clean(path);
        if matches!(target.as_str(), "" | "proc" | "sys" | "dev") || target.starts_with("proc/") {
            return Err(Error::invalid(format!(
                "cannot mount volume `{name}` on {} of app `{app}`: the path is reserved",
                quoted(path)
            )));
        }
        for other in &pending[..index] {
            let (theirs, above) = (&other.mount.value.volume, clean(&other.mount.value.path));
            if target == above {
                return Err(Error::invalid(format!(
                    "volumes `{theirs}` and `{name}` of app `{app}` are both mounted on {}",
                    quoted(&format!("/{target}"))
                )));
            }
        }
    }
    Ok(())
}

/// Returns whether a path is the same as the other or below it.
pub(crate) fn is_in(path: &str, above: &str) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
#[path = "volumes_tests.rs"]
mod tests;
