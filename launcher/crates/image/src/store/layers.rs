//! The stored layers: unpacked archives, and trees rendered from several
//! layers.
//!
//! ```text
//! layers/sha512-.../rootfs/     the unpacked tree
//! layers/sha512-.../frame       what else the archive held; see `tar_split`
//! layers/sha512-.../implicit    directories without an entry of their own, if
//!                               there are any: a path and a NUL byte each
//! layers/sha512-.../record      where it came from, and when
//! ```
//!
//! A rendered layer has no frame. Its digest is computed from the layers that
//! it was rendered from.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{BufRead, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::archive::disk::Disk;
use crate::archive::extract::Extract;
use crate::archive::stream::{self, Growth};
use crate::archive::tar_split::{Recorder, Restored};
use crate::archive::walk::Entry;
use crate::archive::writeback::Flush;
use crate::digest::{Algorithm, Digest};
use crate::store::images::Store;
use crate::store::record::Origin;
use crate::store::staging::{Folder, Staging, unwritten};
use error::{Context as _, Error, Result};

/// The name under which a layer is staged.
const STAGED: &str = "layer";

/// The largest frame that is read back, in bytes.
const FRAME_LIMIT: usize = 256 << 20;

/// Returns the path of the tree of a layer, which need not exist.
pub fn rootfs(dir: &Path, layer: &Digest) -> PathBuf {
    dir.join("layers").join(layer.to_string()).join("rootfs")
}

impl Store<'_> {
    /// Returns the path of the tree of a layer.
    pub fn rootfs(&self, layer: &Digest) -> PathBuf {
        rootfs(self.dirs.path(), layer)
    }

    /// Returns whether a layer is stored.
    pub fn has_layer(&self, layer: &Digest) -> Result<bool> {
        self.layers.contains(layer)
    }

    /// Returns the directories of a layer that its archive has no entry for.
    /// They only hold what is in them: if another layer has the same directory,
    /// its attributes are used.
    pub fn implicit(&self, layer: &Digest) -> Result<BTreeSet<PathBuf>> {
        let list = self.layers.read(layer, "implicit", FRAME_LIMIT)?;
        let list = list.unwrap_or_default();
        let paths = list
            .split(|&byte| byte == 0)
            .filter(|path| !path.is_empty());
        Ok(paths.map(|path| OsStr::from_bytes(path).into()).collect())
    }

    /// Opens what a layer is stored as, to read the tar that it was unpacked
    /// from. Keep the lease meanwhile; reading a layer does not count as using
    /// it.
    ///
    /// # Errors
    ///
    /// It is not stored, or part of it is missing.
    pub(crate) fn stored(&self, layer: &Digest) -> Result<Stored> {
        let what = || format!("cannot read {}", self.layers.name(layer));
        let missing = |part: &str| Error::invalid(format!("{}: its {part} is missing", what()));
        let lease = self.layers.lease(layer)?;
        let lease = lease.ok_or_else(|| Error::invalid(format!("{}: it is missing", what())))?;
        let frame = self.layers.read(layer, "frame", FRAME_LIMIT)?;
        Ok(Stored {
            frame: frame.ok_or_else(|| missing("frame"))?,
            rootfs: self.layers.open(layer, "rootfs")?,
            lease,
        })
    }

    /// Returns the path of the tree of a rendered layer, and holds a lease on
    /// it for as long as this process uses the store. If it does not exist,
    /// `render` creates its tree in the directory that it is given.
    pub fn rendered(
        &self,
        id: &Digest,
        of: &[Digest],
        render: &dyn Fn(&Folder) -> Result<()>,
    ) -> Result<PathBuf> {
        if !self.layers.hold(id)? {
            let staging = Staging::make(self.dirs)?;
            let folder = staging.directory(STAGED)?;
            render(&folder.directory("rootfs")?)?;
            folder.write("record", Origin::Layers(of).text().as_bytes())?;
            rustix::fs::syncfs(staging.fd()).context(|| format!("cannot publish layer `{id}`"))?;
            let (lease, _) = self.layers.publish(&staging, STAGED, id)?;
            self.layers.keep(id, lease);
        }
        Ok(self.rootfs(id))
    }
}

/// A stored layer, opened.
pub(crate) struct Stored {
    /// The tree that was unpacked.
    pub(crate) rootfs: OwnedFd,
    /// What else the archive held.
    frame: Vec<u8>,
    /// The layer's directory. The layer stays while this is open.
    pub(crate) lease: OwnedFd,
}

impl Stored {
    /// Reads the tar that it was unpacked from. `read` is given the tar; its
    /// result is returned with the tar's digest.
    ///
    /// # Errors
    ///
    /// Errors of `read`; what is stored does not make a tar any more.
    pub(crate) fn through<T>(
        &self,
        algorithm: Algorithm,
        read: impl FnOnce(&mut dyn BufRead) -> Result<T>,
    ) -> Result<(T, Digest)> {
        let rootfs = self.rootfs.try_clone();
        let rootfs = rootfs.context(|| "cannot use a directory")?;
        let restored = Restored::new(self.frame.clone(), rootfs);
        stream::through(restored, Growth::Any, algorithm, read)
    }
}

/// An archive that was unpacked to a temporary directory.
pub(crate) struct Unpacked {
    /// The digest of its tar.
    pub(crate) id: Digest,
    folder: Folder,
    implicit: BTreeSet<PathBuf>,
    recorder: Recorder,
    flush: Flush,
}

/// Unpacks an archive to a temporary directory. `walk` reads its tar, passes
/// its bytes to a recorder, and its entries to a visitor.
///
/// # Errors
///
/// Errors of `walk`; the compression is not valid, or the `growth` too large;
/// errors of the disk.
pub(crate) fn unpack<T>(
    staging: &Staging,
    input: impl Read + Send + 'static,
    growth: Growth,
    algorithm: Algorithm,
    walk: impl FnOnce(
        &mut dyn BufRead,
        &Recorder,
        &mut dyn FnMut(Entry<'_, '_>) -> Result<()>,
    ) -> Result<T>,
) -> Result<(T, Unpacked)> {
    let folder = staging.directory(STAGED)?;
    let rootfs = folder.directory("rootfs")?;
    let mut extract = Extract::new(Disk::new(rootfs.fd())?);
    let recorder = Recorder::new(folder.create("frame")?);
    let recorder = recorder.context(|| unwritten("frame"))?;
    let fd = staging.fd().try_clone_to_owned();
    let mut flush = Flush::start(fd.context(|| "cannot use a directory")?)?;
    let (value, id) = stream::through(input, growth, algorithm, |tar| {
        let walked = walk(&mut flush.pace(tar), &recorder, &mut |entry| {
            extract.entry(entry)
        });
        // This error names the file that stopped the walk.
        extract.tree.settle()?;
        walked
    })?;
    let (disk, implicit) = extract.done();
    disk.finish()?;
    let unpacked = Unpacked {
        id,
        implicit,
        folder,
        recorder,
        flush,
    };
    Ok((value, unpacked))
}

impl Unpacked {
    /// Publishes the layer, when everything staged has reached the disk. The
    /// lease keeps it until an image refers to it.
    pub(crate) fn publish(
        self,
        store: &Store<'_>,
        staging: &Staging,
        from: Origin<'_>,
    ) -> Result<OwnedFd> {
        if !self.implicit.is_empty() {
            self.folder.write("implicit", &listed(&self.implicit))?;
        }
        self.recorder.finish().context(|| unwritten("frame"))?;
        self.folder.write("record", from.text().as_bytes())?;
        let what = || format!("cannot publish layer `{}`", self.id);
        self.flush.finish().context(what)?;
        Ok(store.layers.publish(staging, STAGED, &self.id)?.0)
    }
}

/// Encodes paths, each followed by a NUL byte.
fn listed(paths: &BTreeSet<PathBuf>) -> Vec<u8> {
    let mut list = Vec::new();
    for path in paths {
        list.extend_from_slice(path.as_os_str().as_bytes());
        list.push(0);
    }
    list
}
