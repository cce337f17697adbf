//! The mount options of an overlay.
//!
//! Source: the kernel's Documentation/filesystems/overlayfs.rst. Options are
//! separated by commas and layers by colons, so both are escaped in paths.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// The first kernel with the option `volatile`, which turns syncing off.
pub(crate) const VOLATILE_SINCE: (u32, u32) = (5, 10);

/// The first kernel with the options of a [`Overlay::plain`] overlay.
pub(crate) const PLAIN_SINCE: (u32, u32) = (4, 19);

/// These turn off the attributes that say that a directory has the content of
/// another, that a file's content is in a layer below, and that two files are
/// one.
const PLAIN: [&[u8]; 3] = [b"redirect_dir=nofollow", b"metacopy=off", b"index=off"];

/// The most bytes that mount(2) takes as options, with a final NUL.
pub(crate) const PAGE: usize = 4096;

/// The parts of an overlay. All paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// Read-only directories, topmost first; at least one.
    pub layers: Vec<PathBuf>,
    /// The directory that changes are written to.
    pub upper: PathBuf,
    /// The kernel's scratch directory, on the same file system as `upper`.
    pub work: PathBuf,
    /// Whether changes may be lost in a crash.
    pub volatile: bool,
    /// Whether the layers can be read without the overlay, by names alone,
    /// whatever the kernel's defaults are.
    pub plain: bool,
}

impl Overlay {
    /// Returns the options in the form that mount(2) takes.
    pub fn options(&self) -> Vec<u8> {
        let mut options = b"lowerdir=".to_vec();
        for (index, layer) in self.layers.iter().enumerate() {
            if index > 0 {
                options.push(b':');
            }
            options.extend(escaped(layer));
        }
        options.extend_from_slice(b",upperdir=");
        options.extend(escaped(&self.upper));
        options.extend_from_slice(b",workdir=");
        options.extend(escaped(&self.work));
        if self.volatile {
            options.extend_from_slice(b",volatile");
        }
        for option in PLAIN.iter().filter(|_| self.plain) {
            options.push(b',');
            options.extend_from_slice(option);
        }
        options
    }
}

fn escaped(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for &byte in path.as_os_str().as_bytes() {
        if matches!(byte, b'\\' | b':' | b',') {
            bytes.push(b'\\');
        }
        bytes.push(byte);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Overlay {
        Overlay {
            layers: vec!["/a,b/c:d".into(), r"/e\f\".into(), "/g".into()],
            upper: "/p,q/upper".into(),
            work: "/p:q/work".into(),
            volatile: true,
            plain: true,
        }
    }

    #[test]
    fn separators_in_paths_are_escaped() {
        assert_eq!(
            sample().options(),
            [
                br"lowerdir=/a\,b/c\:d:/e\\f\\:/g,upperdir=/p\,q/upper,workdir=/p\:q/work"
                    .as_slice(),
                b",volatile,redirect_dir=nofollow,metacopy=off,index=off",
            ]
            .concat()
        );
    }
}
