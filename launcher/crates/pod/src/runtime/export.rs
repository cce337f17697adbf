//! Packs the root of an app that has exited into an image: the image's files as
//! the app left them, without anything that was mounted there for it. Any other
//! directory can be packed as well.
//!
//! Nothing is mounted to do this: the spec lists the layers of the root, and
//! `overlay_reader` reads them.
//!
//! What images cannot contain is left out and reported to `note`: sockets, and
//! device 0:0, which would be a whiteout. Files that the plan made are left out
//! as well, unless the app changed them: they name the pod, or are mount
//! points.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::plan::compose::made_files;
pub use crate::runtime::overlay_reader::Union;
use crate::runtime::overlay_reader::{Kind, Visible};
use crate::spec::pod::{AppSpec, PodSpec, Root};
use crate::state::subdirectory;
use appc::manifest::pod::PodApp;
use appc::manifest::{ImageManifest, SPECIFICATION};
use appc::types::Version;
use error::quote::quoted;
use error::{Context as _, Error, Result};
use image::format::pack::{Attributes, EntryKind, Pack, shown};
use image::store::rootfs::Status;

/// Returns the manifest of the new image: it runs what the app ran, and has no
/// dependencies.
pub fn manifest(image: ImageManifest, app: &PodApp) -> Result<ImageManifest> {
    Ok(ImageManifest {
        ac_version: Version::parse(SPECIFICATION)?,
        app: app.app.clone().or(image.app),
        dependencies: Vec::new(),
        path_whitelist: Vec::new(),
        ..image
    })
}

/// Opens the root of an app. The pod must not be running, and its lock must be
/// held.
///
/// # Errors
///
/// Fails if part of the root is missing, or if the pod has a written plan, so
/// that its layers are not known.
pub fn open(pod: &OwnedFd, spec: &PodSpec, app: &AppSpec) -> Result<Union> {
    let root = app.root.as_ref().ok_or_else(|| {
        Error::invalid("the pod ran from a written plan, so the layers of its root are not known")
    })?;
    if root.memory.is_some() {
        let what = "its changes to the image's files are kept in memory only";
        return Err(Error::invalid(what).hint("run it without `--writable=memory`"));
    }
    let own = |name: &str| -> rustix::io::Result<Option<OwnedFd>> {
        let Some(apps) = subdirectory::open(pod, "apps")? else {
            return Ok(None);
        };
        let Some(app) = subdirectory::open(apps, &app.name)? else {
            return Ok(None);
        };
        subdirectory::open(app, name)
    };
    let made = made_files(spec, app).into_iter();
    let made = made.map(|file| (relative(file.path), file.content.into_bytes()));
    if root.copied {
        let rootfs = own("rootfs").and_then(|fd| fd.ok_or(Errno::NOENT));
        let rootfs = rootfs.context(|| "cannot open its root file system")?;
        return Ok(Union::new(vec![rootfs], false, made.collect()));
    }
    let mut layers = Vec::new();
    let mut files = BTreeMap::new();
    // Before it first runs there are no changes.
    if let Some(upper) = own("upper").context(|| "cannot open the changes to its files")? {
        layers.push(upper);
        files = made.collect();
    }
    layers.extend(of_images(root)?);
    Ok(Union::new(layers, true, files))
}

/// Opens the root of an app as its images have it.
///
/// # Errors
///
/// Fails if part of it is missing.
pub fn images(root: &Root) -> Result<Union> {
    Ok(Union::new(of_images(root)?, true, BTreeMap::new()))
}

fn of_images(root: &Root) -> Result<Vec<OwnedFd>> {
    root.layers.iter().map(|layer| open_layer(layer)).collect()
}

/// Opens the files of an image in these directories, topmost first; the attributes
/// of its root are these.
///
/// # Errors
///
/// Fails if one is missing.
pub fn layers(directories: &[PathBuf], top: Option<Status>) -> Result<Union> {
    let layers = directories
        .iter()
        .map(|layer| open_layer(layer))
        .collect::<Result<_>>()?;
    Ok(Union::new(layers, true, BTreeMap::new()).with_top(top))
}

fn open_layer(layer: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::open(layer, flags, Mode::empty());
    opened.context(|| format!("cannot open `{}`", layer.display()))
}

/// Opens a directory of the host as a root.
///
/// # Errors
///
/// Fails if it cannot be opened.
pub fn directory(path: &Path) -> std::io::Result<Union> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::empty())?;
    Ok(Union::new(vec![fd], false, BTreeMap::new()))
}

fn relative(path: &str) -> PathBuf {
    path.trim_start_matches('/').into()
}

/// Packs a root. `note` is told what is left out.
///
/// # Errors
///
/// Fails if a file cannot be read, the archive cannot be written, or its limits
/// are exceeded.
pub fn pack(root: &Union, pack: &mut Pack<'_>, note: &mut dyn FnMut(String)) -> Result<()> {
    let mut packing = Packing {
        pack,
        note,
        linked: HashMap::new(),
    };
    root.walk(&mut |found| packing.add(found))
}

struct Packing<'p, 'o> {
    pack: &'p mut Pack<'o>,
    note: &'p mut dyn FnMut(String),
    /// Where files with several names were put, by inode.
    linked: HashMap<(u64, u64), PathBuf>,
}

impl Packing<'_, '_> {
    fn add(&mut self, found: Visible) -> Result<()> {
        let Visible {
            path,
            kind,
            status,
            attributes,
            mounted,
        } = found;
        if mounted {
            let path = shown(&path);
            (self.note)(format!(
                "{path} is a mount point, and what is there was left out"
            ));
        }
        let attributes = self.attributes(&path, &status, attributes);
        let inode = (status.st_dev, status.st_ino);
        let several = status.st_nlink > 1 && !matches!(kind, Kind::Directory);
        if let Some(first) = self.linked.get(&inode).filter(|_| several) {
            let kind = EntryKind::HardLink(first.clone());
            return self.pack.entry(&path, &kind, &attributes);
        }
        let kind = match kind {
            Kind::File(file) => {
                let size = u64::try_from(status.st_size).unwrap_or(0);
                self.pack.file(&path, &attributes, &file, size)?;
                EntryKind::File
            }
            Kind::Directory => EntryKind::Directory,
            Kind::Symlink(target) => EntryKind::Symlink(target),
            Kind::Node(kind) => match node(kind, &status) {
                Ok(kind) => kind,
                Err(what) => {
                    (self.note)(format!("{} is {what} and was left out", shown(&path)));
                    return Ok(());
                }
            },
        };
        if kind != EntryKind::File {
            self.pack.entry(&path, &kind, &attributes)?;
        }
        if several {
            self.linked.insert(inode, path);
        }
        Ok(())
    }

    fn attributes(
        &mut self,
        path: &Path,
        status: &Stat,
        mut extended: BTreeMap<OsString, Vec<u8>>,
    ) -> Attributes {
        extended.retain(|name, _| {
            // In an archive, `=` ends the name.
            let fits = !name.as_bytes().contains(&b'=');
            if !fits {
                let (path, name) = (shown(path), quoted(&name.to_string_lossy()));
                (self.note)(format!("attribute {name} of {path} was left out"));
            }
            fits
        });
        let nanoseconds = u32::try_from(status.st_mtime_nsec).unwrap_or(0);
        Attributes {
            uid: status.st_uid,
            gid: status.st_gid,
            mode: status.st_mode & 0o7777,
            mtime: (status.st_mtime, nanoseconds),
            extended,
        }
    }
}

/// Returns the kind of entry for a device or fifo, or what it is if images
/// cannot contain it.
fn node(kind: FileType, status: &Stat) -> std::result::Result<EntryKind, &'static str> {
    let (major, minor) = (
        rustix::fs::major(status.st_rdev),
        rustix::fs::minor(status.st_rdev),
    );
    match (kind, major, minor) {
        (FileType::CharacterDevice, 0, 0) => Err("a device 0:0"),
        (FileType::CharacterDevice, ..) => Ok(EntryKind::Character(major, minor)),
        (FileType::BlockDevice, ..) => Ok(EntryKind::Block(major, minor)),
        (FileType::Fifo, ..) => Ok(EntryKind::Fifo),
        (FileType::Socket, ..) => Err("a socket"),
        _ => Err("of an unknown kind"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::plan::written;
    use crate::spec::pod::Root;
    use appc::types::Uuid;

    /// The directory of a pod, and its layers.
    struct Sample(PathBuf);

    impl Sample {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let name = format!("nosecone-export-{}-{name}", std::process::id());
            let sample = Self(std::env::temp_dir().join(name));
            std::fs::create_dir(&sample.0).unwrap();
            for (path, content) in files {
                let path = sample.0.join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, content).unwrap();
            }
            sample
        }

        /// A pod with an app `one`, whose image has no /etc/hosts and whose
        /// layers are `a` over `b`.
        fn spec(&self, copied: bool) -> PodSpec {
            let plan = b"plan 1\nhostname web\napp one\nprocess\nmain 1 /x\n";
            let plan = crate::plan::directives::Plan::read(plan).unwrap();
            let id = Uuid::parse("6f0c1d52-8f4e-4a55-9c0f-2f6f2a6f7a10").unwrap();
            let mut spec = written::spec(&plan, id, self.0.clone());
            let one = &mut spec.apps[0];
            one.root = Some(Root {
                layers: ["a", "b"].map(|layer| self.0.join(layer).into()).into(),
                top: (0, 0, 0o755),
                copied,
                read_only: None,
                memory: None,
            });
            one.lacks = vec!["/etc/hosts".to_owned()];
            one.zone = Some("/zone".into());
            spec
        }

        /// The visible files, with their content.
        fn shown(&self, spec: &PodSpec) -> Result<Vec<String>> {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let pod = rustix::fs::open(&self.0, flags, Mode::empty()).unwrap();
            let mut shown = Vec::new();
            open(&pod, spec, &spec.apps[0])?.walk(&mut |found| {
                if let Kind::File(mut file) = found.kind {
                    let mut content = String::new();
                    std::io::Read::read_to_string(&mut file, &mut content).unwrap();
                    shown.push(format!("{}={content}", found.path.display()));
                }
                Ok(())
            })?;
            Ok(shown)
        }
    }

    impl Drop for Sample {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    const HOSTS: &str = "127.0.0.1\tlocalhost web\n::1\tlocalhost web\n";

    #[test]
    fn a_spec_lists_the_layers_of_roots() {
        let layers = [("a/file", "a"), ("b/file", "b"), ("b/other", "b")];
        let sample = Sample::new("layers", &layers);
        let spec = sample.spec(false);
        // Before it runs there are no changes.
        assert_eq!(sample.shown(&spec).unwrap(), ["file=a", "other=b"]);
        drop(sample);
        // Files made for the app are left out as long as they are unchanged.
        for (hosts, zone, shows) in [
            (HOSTS, "", &["new=c", "other=c"][..]),
            (
                "own",
                "own",
                &["new=c", "other=c", "etc/hosts=own", "etc/localtime=own"],
            ),
        ] {
            let changes = [
                ("apps/one/upper/etc/hosts", hosts),
                ("apps/one/upper/etc/localtime", zone),
                ("apps/one/upper/new", "c"),
                ("apps/one/upper/other", "c"),
            ];
            let sample = Sample::new("upper", &[&layers[..], &changes].concat());
            let spec = sample.spec(false);
            let all = [&["file=a"][..], shows].concat();
            assert_eq!(sample.shown(&spec).unwrap(), all);
        }
    }

    #[test]
    fn a_root_that_was_copied_has_no_layers() {
        let files = [
            ("a/file", "a"),
            ("apps/one/rootfs/etc/hosts", HOSTS),
            ("apps/one/rootfs/own", "c"),
        ];
        let sample = Sample::new("copied", &files);
        assert_eq!(sample.shown(&sample.spec(true)).unwrap(), ["own=c"]);
        drop(sample);
        let sample = Sample::new("none", &files[..1]);
        assert_eq!(
            sample.shown(&sample.spec(true)).unwrap_err().to_string(),
            "cannot open its root file system: No such file or directory"
        );
    }

    #[test]
    fn the_root_of_a_written_plan_is_not_guessed() {
        let sample = Sample::new("planned", &[("a/file", "a")]);
        let mut spec = sample.spec(false);
        spec.apps[0].root = None;
        assert_eq!(
            sample.shown(&spec).unwrap_err().to_string(),
            "the pod ran from a written plan, so the layers of its root are not known"
        );
    }
}
