//! The mount options of an overlay.
//!
//! Source: the kernel's Documentation/filesystems/overlayfs.rst. Options are
//! separated by commas and layers by colons, so both are escaped in paths.
//!
//! mount(2) takes one page of options: some twenty paths of layers. More layers
//! have short names: links in a directory that is found by its descriptor. A
//! descriptor of a layer itself would not do, since it belongs to the mount
//! namespace that it was opened in, and an overlay takes nothing from there; the
//! links are absolute, and are followed in the pod's.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::plan::descriptors::FILES;

/// The first kernel with the option `volatile`, which turns syncing off.
pub(crate) const VOLATILE_SINCE: (u32, u32) = (5, 10);

/// The first kernel with the options of a [`Overlay::plain`] overlay.
pub(crate) const PLAIN_SINCE: (u32, u32) = (4, 19);

/// These turn off the attributes that say that a directory has the content of
/// another, that a file's content is in a layer below, and that two files are
/// one.
const PLAIN: [&[u8]; 3] = [b"redirect_dir=nofollow", b"metacopy=off", b"index=off"];

/// The most bytes that mount(2) takes as options, with a final NUL.
const PAGE: usize = 4096;

/// The most layers of an overlay, which is as many as docker takes. With short
/// names, they leave a quarter of the page to the other paths. (The kernel takes
/// 500.)
pub(crate) const MOST: usize = 128;

/// The directory of the links, in that of the pod's files.
pub(crate) const LINKS: &str = "lower";

/// How many digits the number of a descriptor may have.
const DIGITS: usize = 4;

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
    /// Returns the same overlay with layers that have short names, if the options
    /// would not fit into a page otherwise, and what the links are to lead to.
    /// `first` is the number of the first link.
    pub fn links(self, first: usize) -> (Self, Vec<PathBuf>) {
        if self.fits() {
            return (self, Vec::new());
        }
        let numbers = first..first + self.layers.len();
        let names = numbers.map(|number| short(FILES, &format!("{LINKS}/{number}")));
        let short = Self {
            layers: names.map(PathBuf::from).collect(),
            ..self
        };
        (short, self.layers)
    }

    /// Tells whether mount(2) takes the options.
    pub fn fits(&self) -> bool {
        let label = FILES.to_string().len();
        let names = self.layers.iter().filter(|layer| layer.is_relative());
        self.options().len() + names.count() * (DIGITS - label) < PAGE
    }

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

/// Returns the path of a file below a directory, as stage1-init finds it by the
/// number of the directory's descriptor. The paths in its mount options start in
/// the procfs of the host.
fn short(fd: u32, path: &str) -> String {
    format!("self/fd/{fd}/{path}")
}

/// Returns the words of an overlay with the number of the pod's files in place of its label.
pub(crate) fn renumbered(words: &[u8], number: u32) -> Vec<u8> {
    let [label, real] = [FILES, number].map(|fd| short(fd, LINKS).into_bytes());
    let mut rest = words;
    let mut all = Vec::with_capacity(words.len());
    while let Some(&byte) = rest.first() {
        match rest.strip_prefix(&*label) {
            Some(after) => {
                all.extend_from_slice(&real);
                rest = after;
            }
            None => {
                all.push(byte);
                rest = &rest[1..];
            }
        }
    }
    all
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
#[allow(clippy::unwrap_used, reason = "a test may panic")]
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

    fn of(layers: usize) -> Overlay {
        let path = |number| format!("/var/lib/nosecone/layers/sha256-{number:064}/rootfs");
        Overlay {
            layers: (0..layers).map(|number| path(number).into()).collect(),
            ..sample()
        }
    }

    #[test]
    fn names_are_short_only_where_paths_do_not_fit() {
        let (same, links) = of(20).links(0);
        assert_eq!((same, links), (of(20), vec![]));
        let (short, links) = of(MOST).links(7);
        assert_eq!(links, of(MOST).layers);
        assert!(short.fits());
        let numbers = [&short.layers[0], &short.layers[MOST - 1]];
        let numbers = numbers.map(|path| path.to_str().unwrap());
        assert_eq!(numbers, ["self/fd/90/lower/7", "self/fd/90/lower/134"]);
        // Whatever number the descriptor has.
        let options = renumbered(&short.options(), 9999);
        assert!(options.len() < PAGE - PAGE / 4, "{}", options.len());
        assert!(options.starts_with(b"lowerdir=self/fd/9999/lower/7:self/fd/9999/lower/8:"));
        assert!(options.ends_with(b"index=off"));
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
