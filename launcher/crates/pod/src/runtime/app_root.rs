//! The root of an app as one directory, whatever it is made of: that of its
//! process while it runs, and afterwards its files, mounted again out of sight.
//!
//! What is below belongs to the app. It is used through `sys::root_fd` alone.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{self, FsMountFlags, FsOpenFlags, MountAttrFlags};

use crate::runtime::pod_process::{self, MainProgram};
use crate::spec::pod::{AppSpec, Namespace, PodSpec};
use crate::state::directory::{REPORT, read_in};
use crate::state::records::{STARTED, Started};
use crate::state::subdirectory;
use error::{Context as _, Error, Result};

/// Opens the root of an app of a running pod, with everything that is mounted
/// there; `None` if it has no process any more.
///
/// # Errors
///
/// Fails if the kernel refuses.
pub fn running(pod: &OwnedFd, spec: &PodSpec, app: &AppSpec) -> Result<Option<OwnedFd>> {
    let what = || "cannot find the app's process";
    let started = read_in(pod, STARTED).context(what)?;
    let report = read_in(pod, REPORT).context(what)?.unwrap_or_default();
    let (Some(started), MainProgram::Running(number)) = (
        started.and_then(|record| Started::read(&record)),
        pod_process::main_program(&report, &app.name),
    ) else {
        return Ok(None);
    };
    let Some(outer) = pod_process::outer(&started.process)? else {
        return Ok(None);
    };
    let init = match spec.processes == Namespace::Host {
        true => Some(outer),
        false => pod_process::init(&outer)?,
    };
    let main = init.map(|init| pod_process::main_process(&init, number));
    let Some(main) = main.transpose()?.flatten() else {
        return Ok(None);
    };
    main.root().map(Some).context(what)
}

/// Opens the root of an app of a pod that has ended; its lock must be held. What
/// is changed there stays with the pod.
///
/// # Errors
///
/// The pod has not run, or its changes were in memory; part of the root is
/// missing; the kernel cannot mount an overlay without a place (fsmount(2), Linux
/// 5.2), or one of more than some 15 layers (Linux 6.5).
pub fn ended(pod: &OwnedFd, app: &AppSpec) -> Result<OwnedFd> {
    let root = app.root.as_ref().ok_or_else(|| {
        Error::invalid("the pod ran from a written plan, so the layers of its root are not known")
    })?;
    if root.memory.is_some() {
        return Err(Error::invalid("its files were in memory, and are gone"));
    }
    let what = || "cannot open its files";
    let apps = subdirectory::open(pod, "apps").context(what)?;
    let app = apps.map(|apps| subdirectory::open(apps, &app.name));
    let app = app.transpose().context(what)?.flatten();
    let own = |name: &str| {
        let found = app.as_ref().map(|app| subdirectory::open(app, name));
        let found = found.transpose().context(what)?.flatten();
        found.ok_or_else(|| Error::invalid("it has not run yet"))
    };
    if root.copied {
        return own("rootfs");
    }
    let (upper, work) = (own("upper")?, own("work")?);
    let mut layers = Vec::new();
    for layer in &root.layers {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(CWD, &**layer, flags, Mode::empty());
        layers.push(opened.context(|| format!("cannot open `{}`", layer.display()))?);
    }
    match mounted(&layers, &upper, &work) {
        // Older kernels do not know the parameter for so many.
        Err(Errno::INVAL) if !fits(&names(&layers)) => Err(Error::invalid(format!(
            "{}: its image has {} layers, which takes Linux 6.5",
            what(),
            layers.len()
        ))
        .hint("`launcher export` makes an image of it on any kernel")),
        root => root.context(what),
    }
}

/// Returns the layers as the value of one parameter.
fn names(layers: &[OwnedFd]) -> String {
    let names: Vec<String> = layers.iter().map(name).collect();
    names.join(":")
}

fn name(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

fn fits(value: &str) -> bool {
    value.len() < LONGEST
}

/// The longest value of a parameter that fsconfig(2) takes, with a final NUL.
const LONGEST: usize = 256;

/// Mounts an overlay that has no place in any directory, and is gone when it is
/// closed.
fn mounted(layers: &[OwnedFd], upper: &OwnedFd, work: &OwnedFd) -> rustix::io::Result<OwnedFd> {
    // The kernel notes in `work` that a volatile overlay was not synced, and does
    // not mount it again. Here, as in an export, that does not count.
    let work = subdirectory::make(work.as_fd(), "again")?;
    let overlay = mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let joined = names(layers);
    match fits(&joined) {
        true => mount::fsconfig_set_string(&overlay, "lowerdir", joined)?,
        // Since Linux 6.5.
        false => layers
            .iter()
            .try_for_each(|layer| mount::fsconfig_set_string(&overlay, "lowerdir+", name(layer)))?,
    }
    for (key, value) in [
        ("upperdir", name(upper)),
        ("workdir", name(&work)),
        ("redirect_dir", "nofollow".to_owned()),
        ("metacopy", "off".to_owned()),
        ("index", "off".to_owned()),
    ] {
        mount::fsconfig_set_string(&overlay, key, value)?;
    }
    mount::fsconfig_create(&overlay)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    mount::fsmount(&overlay, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}
