//! Makes of images and options a pod in which nothing is left open: every app
//! with its name, its command, its identity and the layers of its root.

use std::path::PathBuf;

use super::compose::{Pod, PodApp, Root, Sourced};
use super::identity;
use crate::ground::host::Host;
use crate::ground::{Error, Result};
use crate::image::rootfs::{Rootfs, Status};
use crate::words::manifest::ImageManifest;
use crate::words::types::{AcName, Uuid};

/// An image, as far as a pod depends on it.
pub(crate) struct Source<'a> {
    /// Its manifest.
    pub(crate) manifest: &'a ImageManifest,
    /// Its files.
    pub(crate) rootfs: &'a dyn Rootfs,
    /// Where they are on the host, topmost first.
    pub(crate) layers: Vec<PathBuf>,
}

/// What the caller wishes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// Host name of the pod, instead of its UUID.
    pub(crate) hostname: Option<String>,
    /// Words that are appended to the app's command.
    pub(crate) arguments: Vec<String>,
    /// The app takes over the terminal.
    pub(crate) interactive: bool,
    /// The image's files are copied, even where overlayfs could lay them under.
    pub(crate) no_overlay: bool,
}

/// Longest host name that sethostname(2) takes, in bytes.
const MAX_HOSTNAME: usize = 64;

/// Makes the pod.
///
/// # Errors
///
/// An image without an app; a user or group that the image does not have; a
/// host name that cannot be one.
pub(crate) fn reify(
    uuid: Uuid,
    directory: PathBuf,
    host: &Host,
    request: &Request,
    source: &Source<'_>,
) -> Result<Pod> {
    Ok(Pod {
        directory,
        hostname: hostname(uuid, request)?,
        apps: vec![app(host, request, source)?],
    })
}

fn hostname(uuid: Uuid, request: &Request) -> Result<Sourced<String>> {
    let Some(name) = &request.hostname else {
        return Ok(Sourced {
            value: uuid.to_string(),
            reason: "default: the pod's UUID".to_owned(),
        });
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    if name.is_empty() || name.len() > MAX_HOSTNAME || !name.chars().all(fits) {
        return Err(Error::usage(format!("`{name}` cannot be a host name"))
            .hint("letters, digits, `-` and `.`, at most 64 of them"));
    }
    Ok(Sourced {
        value: name.clone(),
        reason: "option --hostname".to_owned(),
    })
}

fn app(host: &Host, request: &Request, source: &Source<'_>) -> Result<PodApp> {
    let image = source.manifest.name.as_str();
    let Some(mut app) = source.manifest.app.clone() else {
        return Err(Error::invalid(format!("image `{image}` has no app to run"))
            .hint("it is meant to be a dependency of other images"));
    };
    if app.exec.is_empty() {
        return Err(Error::invalid(format!(
            "the app of image `{image}` names no program"
        )));
    }
    app.exec.extend(request.arguments.iter().cloned());
    let top = source.rootfs.status("")?.unwrap_or(Status {
        directory: true,
        uid: 0,
        gid: 0,
        mode: 0o755,
    });
    Ok(PodApp {
        name: name(image),
        identity: identity::resolve(&app.user, &app.group, source.rootfs)?,
        app,
        reason: format!("image {image}"),
        root: Root {
            layers: source.layers.clone(),
            top: (top.uid, top.gid, top.mode),
            copied: request.no_overlay || !host.overlay,
        },
        has_tmp: source.rootfs.status("tmp")?.is_some(),
        interactive: request.interactive,
    })
}

/// Derives the name of an app from its image's: the last part, with what
/// cannot stand in an AC Name made into hyphens.
fn name(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    match AcName::sanitize(last) {
        Some(name) => name.as_str().to_owned(),
        None => "app".to_owned(),
    }
}

#[cfg(test)]
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
            assert_eq!(name(image), app);
        }
    }
}
