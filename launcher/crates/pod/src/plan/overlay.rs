//! The mount options of an overlay.
//!
//! Source: the kernel's Documentation/filesystems/overlayfs.rst. Options are
//! separated by commas and layers by colons, so both are escaped in paths.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// The kernel since which an overlay may be told not to sync.
pub(crate) const VOLATILE_SINCE: (u32, u32) = (5, 10);

/// The kernel since which an overlay may be told to be a [`Overlay::plain`] one.
pub(crate) const PLAIN_SINCE: (u32, u32) = (4, 19);

/// What is switched off: notes that a directory has the content of another
/// one, that a file has the content of one below, and that two files are one.
const PLAIN: [&[u8]; 3] = [b"redirect_dir=nofollow", b"metacopy=off", b"index=off"];

/// What an overlay is made of. All paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// Read-only directories, topmost first; at least one.
    pub layers: Vec<PathBuf>,
    /// Where changes go.
    pub upper: PathBuf,
    /// Where the kernel prepares them; on the file system of `upper`.
    pub work: PathBuf,
    /// Changes need not survive a crash.
    pub volatile: bool,
    /// Its parts can be understood without it, by the names in them alone,
    /// whatever the kernel's defaults are.
    pub plain: bool,
}

impl Overlay {
    /// Returns the options as mount(2) takes them.
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
    fn separators_in_paths_separate_nothing() {
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
