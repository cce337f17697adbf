//! The images that are kept: each in a directory that is complete if it exists.
//!
//! ```text
//! images/sha512-.../manifest    as it was in the archive, byte for byte
//! images/sha512-.../rootfs/     the unpacked tree; nobody writes to it again
//! images/sha512-.../record      where it came from, and when
//! names/file-...                the ID of an archive that was stored before
//! ```
//!
//! # Invariants
//!
//! 1. An image appears by one rename(2), after all of it has reached the disk.
//!    Whatever is interrupted leaves nothing but rubbish in `tmp/`, which the
//!    next image that is stored clears away.
//! 2. An image is stored once, however many processes want it at a time.
//! 3. Only what was verified is stored.

use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::archive::{Limits, walk};
use super::extract::Extract;
use super::staging::Staging;
use super::stream;
use super::tree::Tree;
use super::verify::Verified;
use crate::ground::dirs::Dirs;
use crate::ground::{Context as _, Result, beneath};
use crate::words::digest::ImageId;
use crate::words::manifest::ImageManifest;

/// The store.
pub(crate) struct Store<'a> {
    dirs: &'a Dirs,
    images: OwnedFd,
}

/// A stored image.
pub(crate) struct Image {
    manifest: ImageManifest,
    directory: PathBuf,
}

impl Image {
    /// Returns its manifest.
    pub(crate) const fn manifest(&self) -> &ImageManifest {
        &self.manifest
    }

    /// Returns where its unpacked tree is.
    pub(crate) fn rootfs_path(&self) -> PathBuf {
        self.directory.join("rootfs")
    }

    /// Opens its unpacked tree.
    pub(crate) fn tree(&self) -> Result<Tree> {
        Tree::open(&self.rootfs_path())
    }
}

/// Largest manifest that is read back, in bytes.
const MANIFEST_LIMIT: usize = 4 << 20;

impl<'a> Store<'a> {
    /// Opens the store.
    pub(crate) fn open(dirs: &'a Dirs) -> Result<Self> {
        let images = dirs.images()?;
        Ok(Self { dirs, images })
    }

    /// Returns the ID of an archive, and sees to it that the image is stored.
    ///
    /// # Errors
    ///
    /// What is wrong with the archive, and what the disk refuses. Nothing is
    /// left behind.
    pub(crate) fn ensure(&self, verified: &Verified) -> Result<ImageId> {
        let known = self.known(verified)?;
        if let Some(id) = known.read()?
            && self.contains(&id)?
        {
            return Ok(id);
        }
        // Whoever else stores this file waits here, and then finds it stored.
        known.lock()?;
        if let Some(id) = known.read()?
            && self.contains(&id)?
        {
            return Ok(id);
        }
        let id = self
            .unpack(verified)
            .context(|| format!("cannot store image `{}`", verified.name))?;
        known.write(&id)?;
        Ok(id)
    }

    /// Returns a stored image.
    pub(crate) fn image(&self, id: &ImageId) -> Result<Option<Image>> {
        let what = || format!("cannot read image `{id}`");
        let path = PathBuf::from(id.to_string()).join("manifest");
        let Some(text) = beneath::read(&self.images, &path, MANIFEST_LIMIT).context(what)? else {
            return Ok(None);
        };
        Ok(Some(Image {
            manifest: ImageManifest::parse(&text).context(what)?.value,
            directory: self.dirs.path().join("images").join(id.to_string()),
        }))
    }

    fn contains(&self, id: &ImageId) -> Result<bool> {
        match rustix::fs::accessat(
            &self.images,
            id.to_string(),
            rustix::fs::Access::EXISTS,
            rustix::fs::AtFlags::empty(),
        ) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno).context(|| format!("cannot look for image `{id}`")),
        }
    }

    /// Unpacks aside, and publishes.
    fn unpack(&self, verified: &Verified) -> Result<ImageId> {
        let staging = Staging::make(self.dirs)?;
        let rootfs = staging.directory("rootfs")?;
        let mut extract = Extract::new(rootfs.as_fd());
        let file = verified.file.try_clone().context(|| "cannot read it")?;
        let (manifest, id) = stream::through(file, |tar| {
            let manifest = walk(tar, &Limits::default(), &mut |entry| extract.entry(entry))?;
            ImageManifest::parse(&manifest)?;
            Ok(manifest)
        })?;
        extract.finish()?;
        staging.write("manifest", &manifest)?;
        staging.write("record", record(verified).as_bytes())?;
        self.publish(&staging, &id)?;
        Ok(id)
    }

    /// Makes a complete image visible, for good: its files reach the disk
    /// before its name does.
    fn publish(&self, staging: &Staging, id: &ImageId) -> Result<()> {
        let what = || format!("cannot publish image `{id}`");
        rustix::fs::syncfs(staging.fd()).context(what)?;
        let published = rustix::fs::renameat_with(
            staging.parent(),
            staging.name(),
            &self.images,
            id.to_string(),
            RenameFlags::NOREPLACE,
        );
        match published {
            // The same image, from another archive: compressed otherwise, or a copy.
            Err(Errno::EXIST | Errno::NOTEMPTY) => return Ok(()),
            published => published.context(what)?,
        }
        rustix::fs::fsync(&self.images).context(what)
    }

    /// Opens what is remembered about an archive, if it was stored before.
    fn known(&self, verified: &Verified) -> Result<Known> {
        let what = || format!("cannot look at image `{}`", verified.name);
        let status = verified.file.metadata().context(what)?;
        if !status.is_file() {
            return Err(crate::ground::Error::invalid(format!(
                "image `{}` is no regular file",
                verified.name
            )));
        }
        // Whoever changes a file changes its ctime, which nobody can set.
        let name = format!(
            "file-{:x}-{:x}-{:x}-{:x}.{:x}-{:x}.{:x}",
            status.dev(),
            status.ino(),
            status.size(),
            status.mtime(),
            status.mtime_nsec(),
            status.ctime(),
            status.ctime_nsec(),
        );
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = rustix::fs::openat(self.dirs.names()?, &name, flags, mode).context(what)?;
        Ok(Known(File::from(file)))
    }
}

/// A file in `names/` that holds the ID of an archive, or nothing yet.
struct Known(File);

impl Known {
    fn read(&self) -> Result<Option<ImageId>> {
        let mut text = [0; 256];
        let count = rustix::io::pread(&self.0, &mut text, 0).context(|| "cannot read an index")?;
        // What a crash left of it is as good as nothing.
        let text = std::str::from_utf8(&text[..count]).unwrap_or_default();
        Ok(text
            .strip_suffix('\n')
            .and_then(|id| ImageId::parse(id).ok()))
    }

    fn lock(&self) -> Result<()> {
        rustix::fs::flock(&self.0, FlockOperation::LockExclusive)
            .context(|| "cannot wait for another process that stores the image")
    }

    fn write(&self, id: &ImageId) -> Result<()> {
        rustix::io::pwrite(&self.0, format!("{id}\n").as_bytes(), 0)
            .map(|_| ())
            .context(|| "cannot write an index")
    }
}

/// What is known of where an image came from.
fn record(verified: &Verified) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = now.map_or(0, |time| time.as_secs());
    let size = verified.file.metadata().map_or(0, |status| status.size());
    let record = serde_json::json!({
        "from": verified.name,
        "size": size,
        "stored": seconds,
    });
    format!("{record:#}\n")
}
