//! Packs the root of an app that is over into an image: what the app left of
//! its image's files, and none of what was mounted there for it.
//!
//! Nothing is mounted for that: the plan says which layers the root was made
//! of, and `overlay_reader` reads them.
//!
//! Not in the image is what images do not have, of which `note` hears: sockets,
//! and device 0:0, which would be a whiteout. Nor are files that the plan made
//! and the app left as they were: they name the pod, or were made to mount
//! something on.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{CStr, OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use stage1_init::Directive;

use crate::plan::overlay::Overlay;
use crate::plan::text::Plan;
use crate::runtime::overlay_reader::{Found, Kind, Union};
use crate::state::lock;
use appc::manifest::pod::PodApp;
use appc::manifest::{ImageManifest, SPECIFICATION};
use appc::types::{AcName, Version};
use error::quote::quoted;
use error::{Context as _, Error, Result};
use image::format::pack::{Attributes, EntryKind, Pack, shown};

/// Returns the manifest of the image that an app becomes: what it ran, as it
/// ran, on files that need no others.
pub fn manifest(image: ImageManifest, app: &PodApp) -> Result<ImageManifest> {
    Ok(ImageManifest {
        ac_version: Version::parse(SPECIFICATION)?,
        app: app.app.clone().or(image.app),
        dependencies: Vec::new(),
        path_whitelist: Vec::new(),
        ..image
    })
}

/// Opens the root of an app, of a pod that does not run and whose lock is held.
///
/// # Errors
///
/// The plan does not say what it was made of; a part of it is not there.
pub fn open(pod: &OwnedFd, plan: &Plan, app: &AcName) -> Result<Union> {
    let made = Made::of(plan, app).ok_or_else(|| {
        Error::invalid("its plan does not say what its root file system was made of")
    })?;
    let own = |name: &str| -> rustix::io::Result<Option<OwnedFd>> {
        let Some(apps) = lock::open(pod, "apps")? else {
            return Ok(None);
        };
        let Some(app) = lock::open(apps, app.as_str())? else {
            return Ok(None);
        };
        lock::open(app, name)
    };
    let Some(overlay) = made.overlay else {
        let rootfs = own("rootfs").and_then(|fd| fd.ok_or(Errno::NOENT));
        let rootfs = rootfs.context(|| "cannot open its root file system")?;
        return Ok(Union::new(vec![rootfs], false, made.files));
    };
    let mut layers = Vec::new();
    let mut files = BTreeMap::new();
    // Before it ran for the first time there are no changes.
    if let Some(upper) = own("upper").context(|| "cannot open the changes to its files")? {
        layers.push(upper);
        files = made.files;
    }
    for layer in &overlay.layers {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::open(layer, flags, Mode::empty());
        layers.push(opened.context(|| format!("cannot open `{}`", layer.display()))?);
    }
    Ok(Union::new(layers, true, files))
}

/// What a plan makes the root of an app of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Made {
    /// An overlay; without one, of a copy.
    overlay: Option<Overlay>,
    /// Files that are written into it.
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Made {
    fn of(plan: &Plan, app: &AcName) -> Option<Self> {
        let (mut its, mut is_known) = (false, false);
        let mut made = Self::default();
        plan.find(|_, directive, _| -> Option<()> {
            match directive {
                Directive::App { name } => {
                    its = name.as_c_str().to_bytes() == app.as_str().as_bytes();
                }
                _ if !its => {}
                Directive::Mount { kind, data, .. } if !is_known && *kind == c"overlay" => {
                    made.overlay = Overlay::read(data.to_bytes());
                    is_known = made.overlay.is_some();
                }
                // A root that is a copy is mounted on itself, to be a mount.
                Directive::Bind { source, target, .. } if !is_known => {
                    is_known = source == target;
                }
                Directive::File { path, content, .. } => {
                    made.files
                        .insert(relative(path), content.to_bytes().to_vec());
                }
                _ => {}
            }
            None
        });
        is_known.then_some(made)
    }
}

fn relative(path: &CStr) -> PathBuf {
    let path = Path::new(OsStr::from_bytes(path.to_bytes()));
    path.strip_prefix("/").unwrap_or(path).to_owned()
}

/// Packs a root. `note` is told of what is left out.
///
/// # Errors
///
/// A file cannot be read; the archive cannot be written, or holds too much.
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
    fn add(&mut self, found: Found) -> Result<()> {
        let Found {
            path,
            kind,
            status,
            attributes,
        } = found;
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
                    (self.note)(format!("{} is {what}, and left out", shown(&path)));
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
            // In an archive a name ends with the first one.
            let fits = !name.as_bytes().contains(&b'=');
            if !fits {
                let (path, name) = (shown(path), quoted(&name.to_string_lossy()));
                (self.note)(format!("attribute {name} of {path} is left out"));
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

/// Returns what a device or a fifo is in an image, or what it is that images
/// do not have.
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

    /// What a plan of two apps makes the root of one of.
    fn made(app: &str) -> Option<Made> {
        let plan = "plan 1\n\
            file /etc/outside 0644 0 0 outside\n\
            app one\n\
            mount tmpfs tmpfs /elsewhere '' ''\n\
            mount overlay overlay /p/one nodev lowerdir=/a:/b,upperdir=/u,workdir=/w\n\
            root /p/one\n\
            file /etc/hosts 0644 0 0 $'hosts\\nof one'\n\
            bind /zone /etc/localtime ro\n\
            mount overlay overlay /v nodev lowerdir=/volume\n\
            process\n\
            main 1 /bin/one\n\
            app two\n\
            bind /p/two /p/two nodev\n\
            root /p/two\n\
            file /etc/hosts 0644 0 0 ''\n\
            mount overlay overlay /v nodev lowerdir=/volume\n\
            process\n\
            main 1 /bin/two\n\
            app three\n\
            bind /p/three /elsewhere nodev\n\
            process\n\
            main 1 /bin/three\n";
        Made::of(
            &Plan::read(plan.as_bytes()).unwrap(),
            &AcName::parse(app).unwrap(),
        )
    }

    #[test]
    fn a_plan_says_what_roots_are_made_of() {
        let one = made("one").unwrap();
        let overlay = one.overlay.unwrap();
        assert_eq!(overlay.layers, [Path::new("/a"), Path::new("/b")]);
        let file = |content: &[u8]| BTreeMap::from([("etc/hosts".into(), content.to_vec())]);
        assert_eq!(one.files, file(b"hosts\nof one"));
        let two = Made {
            overlay: None,
            files: file(b""),
        };
        assert_eq!(made("two"), Some(two));
    }

    #[test]
    fn what_a_plan_does_not_say_is_not_guessed() {
        assert_eq!(made("three"), None);
        assert_eq!(made("four"), None);
    }
}
