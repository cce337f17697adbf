//! The mount options of an overlay, written and read back.
//!
//! Source: the kernel's Documentation/filesystems/overlayfs.rst. Options are
//! separated by commas and layers by colons, so both are escaped in paths.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
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

    /// Reads options that [`Self::options`] wrote; `None` if they are others.
    pub fn read(options: &[u8]) -> Option<Self> {
        let mut overlay = Self {
            layers: Vec::new(),
            upper: PathBuf::new(),
            work: PathBuf::new(),
            volatile: false,
            plain: false,
        };
        for option in split(options, b',') {
            if let Some(layers) = option.strip_prefix(b"lowerdir=") {
                overlay.layers = split(layers, b':').map(unescaped).collect();
            } else if let Some(path) = option.strip_prefix(b"upperdir=") {
                overlay.upper = unescaped(path);
            } else if let Some(path) = option.strip_prefix(b"workdir=") {
                overlay.work = unescaped(path);
            } else if option == b"volatile" {
                overlay.volatile = true;
            } else if PLAIN.contains(&option) {
                overlay.plain = true;
            } else {
                return None;
            }
        }
        (!overlay.layers.is_empty()).then_some(overlay)
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

fn unescaped(bytes: &[u8]) -> PathBuf {
    let mut path = Vec::new();
    let mut bytes = bytes.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\\' => path.extend(bytes.next()),
            byte => path.push(byte),
        }
    }
    PathBuf::from(OsString::from_vec(path))
}

/// Splits at separators that no backslash stands before.
fn split(bytes: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut escape = false;
    bytes.split(move |&byte| {
        let separates = byte == separator && !escape;
        escape = byte == b'\\' && !escape;
        separates
    })
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

    #[test]
    fn options_survive_the_round_trip() {
        assert_eq!(Overlay::read(&sample().options()), Some(sample()));
    }

    #[test]
    fn other_options_are_not_read() {
        assert_eq!(Overlay::read(b"mode=755"), None);
        assert_eq!(Overlay::read(b""), None);
    }
}
