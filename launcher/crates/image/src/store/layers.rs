//! The stored layers: unpacked archives, and trees rendered from several
//! layers.
//!
//! ```text
//! layers/sha512-.../rootfs/     the unpacked tree
//! layers/sha512-.../frame       what else the archive held; see `tar_split`
//! layers/sha512-.../replaced/   files that later ones have replaced, if there are
//!                               any; see `replaced`
//! layers/sha512-.../implicit    directories without an entry of their own, if
//!                               there are any: a path and a NUL byte each; `.` is
//!                               the root
//! layers/sha512-.../depends     is there if the tree would be another one on top of
//!                               other layers
//! layers/sha512-.../record      where it came from, and when
//! ```
//!
//! The digest is that of the tar. A layer of an OCI image that depends on those
//! below it is called by its ChainID instead, which names them all.
//!
//! A rendered layer has no frame. Its digest is computed from the layers that
//! it was rendered from.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{BufRead, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::archive::disk::Disk;
use crate::archive::replaced::Replaced;
use crate::archive::stream::{self, Growth};
use crate::archive::tar_split::{Recorder, Restored};
use crate::archive::unpack::{Made, Unpack};
use crate::archive::walk::Entry;
use crate::archive::writeback::Flush;
use crate::digest::{Algorithm, Digest};
use crate::store::images::Store;
use crate::store::record::Origin;
use crate::store::staging::{Folder, Staging, unwritten};
use error::{Context as _, Error, Result};

/// The name under which a layer is staged.
const STAGED: &str = "layer";

/// The file that says that the layer depends on those below it.
const DEPENDS: &str = "depends";

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

    /// Returns whether a layer would be another tree on top of other layers.
    pub(crate) fn depends(&self, layer: &Digest) -> Result<bool> {
        Ok(self.layers.read(layer, DEPENDS, 0)?.is_some())
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
        let replaced = Replaced::open(&lease).context(what)?;
        Ok(Stored {
            replaced: RefCell::new(replaced),
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
    /// The files that later ones have replaced.
    replaced: RefCell<Replaced>,
    /// The layer's directory. The layer stays while this is open.
    pub(crate) lease: OwnedFd,
}

impl Stored {
    /// Reads the tar that it was unpacked from, once. `read` is given the tar; its
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
        let replaced = self.replaced.take();
        let restored = Restored::new(self.frame.clone(), rootfs, replaced);
        stream::through(restored, Growth::Any, algorithm, read)
    }
}

/// An archive that was unpacked to a temporary directory.
pub(crate) struct Unpacked {
    /// The digest of its tar.
    pub(crate) id: Digest,
    folder: Folder,
    made: Made,
    recorder: Recorder,
    flush: Flush,
}

/// Unpacks an archive to a temporary directory. `start` says how, given the empty
/// tree and the directory of the layer; `walk` reads its tar, passes its bytes to
/// a recorder, and its entries to a visitor.
///
/// # Errors
///
/// Errors of `walk`; the compression is not valid, or the `growth` too large;
/// errors of the disk.
pub(crate) fn unpack<T, U: Unpack>(
    staging: &Staging,
    input: impl Read + Send + 'static,
    growth: Growth,
    algorithm: Algorithm,
    start: impl FnOnce(Disk, OwnedFd) -> U,
    walk: impl FnOnce(
        &mut dyn BufRead,
        &Recorder,
        &mut dyn FnMut(Entry<'_, '_>) -> Result<()>,
    ) -> Result<T>,
) -> Result<(T, Unpacked)> {
    let folder = staging.directory(STAGED)?;
    let rootfs = folder.directory("rootfs")?;
    let what = || "cannot use a directory";
    let root = rootfs.fd().try_clone_to_owned().context(what)?;
    let layer = folder.fd().try_clone_to_owned().context(what)?;
    let mut unpack = start(Disk::new(root)?, layer);
    let recorder = Recorder::new(folder.create("frame")?);
    let recorder = recorder.context(|| unwritten("frame"))?;
    let fd = staging.fd().try_clone_to_owned();
    let mut flush = Flush::start(fd.context(what)?)?;
    let (value, id) = stream::through(input, growth, algorithm, |tar| {
        let walked = walk(&mut flush.pace(tar), &recorder, &mut |entry| {
            unpack.entry(entry)
        });
        // This error names the file that stopped the walk.
        unpack.settle()?;
        walked
    })?;
    let unpacked = Unpacked {
        id,
        made: unpack.finish()?,
        folder,
        recorder,
        flush,
    };
    Ok((value, unpacked))
}

impl Unpacked {
    /// Returns whether it would be another tree on top of other layers.
    pub(crate) fn depends(&self) -> bool {
        self.made.depends
    }

    /// Returns the devices that were left out.
    pub(crate) fn left_out(&self) -> &[PathBuf] {
        &self.made.left_out
    }

    /// Publishes the layer under a digest, when everything staged has reached the
    /// disk. The lease keeps it until an image refers to it.
    pub(crate) fn publish(
        self,
        store: &Store<'_>,
        staging: &Staging,
        digest: &Digest,
        from: Origin<'_>,
    ) -> Result<OwnedFd> {
        if !self.made.implicit.is_empty() {
            self.folder
                .write("implicit", &listed(&self.made.implicit))?;
        }
        if self.made.depends {
            self.folder.write(DEPENDS, b"")?;
        }
        self.recorder.finish().context(|| unwritten("frame"))?;
        self.folder.write("record", from.text().as_bytes())?;
        let what = || format!("cannot publish layer `{digest}`");
        self.flush.finish().context(what)?;
        Ok(store.layers.publish(staging, STAGED, digest)?.0)
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
