//! OCI images that are asked for: what files are, what is selected in them or in a
//! registry.

use std::fs::File;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::digest::Digest;
use crate::fetch::lookaside::Beside;
use crate::fetch::options::Options;
use crate::fetch::registry::Registry;
use crate::fetch::sources::Sources;
use crate::format::oci::blobs::Blobs;
use crate::format::oci::docker_archive::{LIST, Saved};
use crate::format::oci::files::{Archive, Directory, Files, first};
use crate::format::oci::import::{Offer, Selected, identify};
use crate::format::oci::layout::{Layout, MARKER};
use crate::reference::{Local, Shape};
use crate::store::images::Store;
use crate::trust::policy::Policy;
use crate::trust::signatures::Unsigned;
use crate::trust::verify::Grounds;
use error::{Context as _, Error, Result};
use oci::layout::REF_NAME;
use oci::manifest::Index;
use oci::platform::Platform;
use oci::policy::place::Place;
use oci::reference::Reference;
use sys::dirs::Dirs;
use sys::small_file;

/// Stores an image of a file, unless it is stored.
///
/// # Errors
///
/// There is no such image, or it is not valid; errors of the disk.
pub(crate) fn take(
    store: &Store<'_>,
    dirs: &Dirs,
    local: &Local,
    (options, policy): (&Options, &Policy),
    note: &mut dyn FnMut(String),
) -> Result<Digest> {
    let aside = || unnamed(dirs.tmp()?);
    let platform = options.platform.as_ref();
    offered(local, platform, policy, aside, |mut offer| {
        offer.keeps = options.keep_blobs;
        store.take_oci(&offer, note)
    })
}

/// Stores an image of a registry. Layers that are stored are not fetched.
///
/// # Errors
///
/// The registry cannot be reached or has no such image; what it has is not valid;
/// errors of the disk.
pub(crate) fn pull(
    store: &Store<'_>,
    image: &Reference,
    (options, policy): (&Options, &Policy),
    note: &mut dyn FnMut(String),
) -> Result<Digest> {
    let place = Place::registry(image);
    policy.allows(&place)?;
    let (sources, found) = Sources::find(image, options, store.dirs)?;
    if let (Some(tag), Some(_)) = (image.tag(), image.digest()) {
        note(format!(
            "Not checked: tag `{tag}` of {image}: the digest counts"
        ));
    }
    let from = sources.first();
    let grounds = match (image.digest(), from.is_some_and(Registry::is_unchecked)) {
        (Some(_), _) => Grounds::Pinned,
        (None, true) => Grounds::Waived,
        (None, false) => Grounds::Registry,
    };
    let by = match (image.digest(), from) {
        (None, Some(from)) => from.described(image),
        _ => "the operator, by digest".to_owned(),
    };
    let digest = found.manifests.first().map(|found| found.digest.clone());
    let signatures = Beside {
        sources: &sources,
        image,
        options,
    };
    let admitted = policy.admit(&place, digest.as_ref(), (grounds, by), &signatures)?;
    let platform = wanted(options.platform.as_ref())?;
    if matches!(admitted.grounds, Grounds::Signed) {
        note(format!("Verified: {image}: {}", admitted.by));
    }
    if policy.is_skipped(&place) {
        note(format!("Not verified: {image}: {}", admitted.by));
    }
    let offer = Offer {
        from: format!("docker://{image}"),
        name: image.to_string(),
        is_claimed: false,
        blobs: &sources,
        selected: Selected::Index(found),
        platform: &platform,
        max_size: options.max_size,
        admitted,
        keeps: options.keep_blobs,
    };
    let id = store.take_oci(&offer, note)?;
    if let (true, Some(signed)) = (options.keep_blobs, &digest)
        && let Err(error) = sources.keep_signatures(store, &id, signed)
    {
        note(format!("cannot keep the signatures of {image}: {error}"));
    }
    Ok(id)
}

/// Returns the ID of an image of a file, without storing it.
///
/// # Errors
///
/// There is no such image.
pub fn look(local: &Local, platform: Option<&Platform>, policy: &Policy) -> Result<Digest> {
    let aside = || {
        let place = std::env::temp_dir();
        let what = || format!("cannot use `{}`", place.display());
        unnamed(File::open(&place).context(what)?)
    };
    offered(local, platform, policy, aside, |offer| identify(&offer))
}

/// Makes a file without a name in a directory.
fn unnamed(directory: impl std::os::fd::AsFd) -> Result<File> {
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, c".", flags, Mode::RUSR | Mode::WUSR);
    file.map(File::from)
        .context(|| "cannot create a temporary file")
}

/// Tells what a file is, if it has OCI images: by its content, not by its name.
///
/// # Errors
///
/// It cannot be opened.
pub fn sniff(path: &Path) -> Result<Option<Shape>> {
    let what = || format!("cannot open image `{}`", path.display());
    let status = std::fs::metadata(path).context(what)?;
    if status.is_dir() {
        let is_layout = Directory::open(path)?.has(MARKER);
        return Ok(is_layout.then_some(Shape::Directory));
    }
    if !status.is_file() {
        return Ok(None);
    }
    // An App Container image begins with one of these, and a list of its files need
    // not be made.
    let first = first(&File::open(path).context(what)?);
    let first = first
        .as_deref()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    if first == "manifest" || first.starts_with("rootfs") || first.is_empty() {
        return Ok(None);
    }
    let shapes = [
        ("blobs", Shape::Archive),
        (MARKER, Shape::Archive),
        ("index.json", Shape::Archive),
    ];
    let is_first = |(name, _): &&(&str, Shape)| first.split('/').next() == Some(name);
    Ok(match shapes.iter().find(is_first) {
        Some((_, shape)) => Some(*shape),
        // Files of docker are called by digests.
        None if is_of_docker(first) => Some(Shape::Docker),
        None => None,
    })
}

/// Tells whether the files of `docker save` have such names.
fn is_of_docker(name: &str) -> bool {
    let name = name.split(['/', '.']).next().unwrap_or_default();
    let is_digest = name.len() == 64 && name.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_digest || matches!(name, "manifest" | "repositories")
}

fn offered<T>(
    local: &Local,
    platform: Option<&Platform>,
    policy: &Policy,
    aside: impl FnOnce() -> Result<File>,
    then: impl FnOnce(Offer<'_>) -> Result<T>,
) -> Result<T> {
    let what = || format!("cannot use image `{local}`");
    let wanted = local.wanted.as_deref();
    let platform = self::wanted(platform)?;
    let place = place(local);
    policy.allows(&place)?;
    let offer = |blobs: &dyn Blobs, name: Option<&str>, selected: Selected| {
        let digest = match &selected {
            Selected::Index(Index { manifests, .. }) if manifests.len() == 1 => {
                manifests.first().map(|one| one.digest.clone())
            }
            _ => None,
        };
        let grounds = (Grounds::File, "the operator, as a file".to_owned());
        let admitted = policy.admit(&place, digest.as_ref(), grounds, &Unsigned)?;
        then(Offer {
            from: local.to_string(),
            name: called(&local.path, name),
            is_claimed: true,
            blobs,
            selected,
            platform: &platform,
            max_size: None,
            admitted,
            keeps: false,
        })
    };
    let of_layout = |index: Index| {
        let names = index.manifests.iter();
        let mut names = names.filter_map(|image| image.annotations.get(REF_NAME));
        let name = names.next().cloned();
        (name, Selected::Index(index))
    };
    if local.shape == Shape::Directory {
        let layout = Layout::new(Directory::open(&local.path).context(what)?).context(what)?;
        let (name, selected) = of_layout(layout.select(wanted).context(what)?);
        return offer(&layout, name.as_deref(), selected);
    }
    let open = || -> Result<Archive> {
        let path = &local.path;
        let file = File::open(path).context(|| format!("cannot open `{}`", path.display()))?;
        Archive::open(file, aside)
    };
    let mut archive = open().context(what)?;
    let is_saved = archive.has(LIST);
    if archive.has(MARKER) {
        let layout = Layout::new(archive).context(what)?;
        let selected = layout.select(wanted).context(what);
        // What docker writes has both lists, this one sometimes without layers; and
        // the other one has numbers.
        match selected {
            Ok(index) if !is_saved || !layout.lacks_layers(&index) => {
                let (name, selected) = of_layout(index);
                return offer(&layout, name.as_deref(), selected);
            }
            Err(error) if !is_saved => return Err(error),
            _ => archive = layout.into_files(),
        }
    } else if !is_saved {
        let fault = format!("{}: it has neither `{MARKER}` nor `{LIST}`", what());
        return Err(Error::invalid(fault));
    }
    let saved = Saved::select(archive, wanted).context(what)?;
    let selected = Selected::Manifest(saved.manifest.clone());
    offer(&saved, saved.name(), selected)
}

/// Returns where a policy finds an image of a file.
fn place(local: &Local) -> Place {
    let path = local
        .path
        .canonicalize()
        .unwrap_or_else(|_| local.path.clone());
    let path = path.to_string_lossy();
    Place::file(local.shape.scheme(), &path, local.wanted.as_deref())
}

/// Returns what an image of a file is called: by the whole name that the file has
/// for it, or by the name of the file and a tag.
fn called(path: &Path, name: Option<&str>) -> String {
    let file = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let file = file.file_name().unwrap_or_default().to_string_lossy();
    let file = file.split('.').next().unwrap_or_default();
    match name {
        Some(name) if name.contains(['/', ':']) => name.to_owned(),
        Some(tag) => format!("{file}:{tag}"),
        None => file.to_owned(),
    }
}

/// Returns the platform that was asked for, or that of this host.
fn wanted(asked: Option<&Platform>) -> Result<Platform> {
    asked.map_or_else(of_host, |platform| Ok(platform.clone()))
}

/// Returns the platform of this host.
fn of_host() -> Result<Platform> {
    let machine = rustix::system::uname()
        .machine()
        .to_string_lossy()
        .into_owned();
    let processors = small_file::list("/proc/cpuinfo");
    let processors = processors.context(|| "cannot examine the processor")?;
    Ok(Platform::of_host(&machine, &processors))
}
