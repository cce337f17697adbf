//! Whiteouts: entries of a layer that say what it takes away from the layers
//! below (image-spec, layer.md, "Whiteouts").

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use error::{Error, Result};

/// What the name of a whiteout begins with.
const PREFIX: &[u8] = b".wh.";

/// What the names begin with that aufs keeps its own files under.
const AUFS: &[u8] = b".wh..wh.";

/// The name of what hides everything in its directory.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What an entry of a layer is. For a whiteout, its type and content do not
/// matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// What it says: a file, a directory.
    Entry,
    /// Takes away what the layers below have at this path, if anything.
    Remove(PathBuf),
    /// Takes away what the layers below have in this directory; what this layer
    /// has in it stays, before or after.
    Opaque(PathBuf),
    /// Something that aufs left behind: ignored.
    Leftover,
}

/// Tells what an entry is by its path below the root.
///
/// # Errors
///
/// It is a whiteout of nothing or of a directory itself, or lies below one.
pub fn mark(path: &Path) -> Result<Mark> {
    let mut above = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.as_bytes()),
        _ => None,
    });
    let Some(name) = above.next_back() else {
        return Ok(Mark::Entry);
    };
    for directory in above {
        if directory.starts_with(AUFS) {
            return Ok(Mark::Leftover);
        }
        if directory.starts_with(PREFIX) {
            return Err(Error::invalid(
                "it lies below a whiteout, which is no directory",
            ));
        }
    }
    let directory = path.parent().unwrap_or(Path::new(""));
    if name == OPAQUE {
        return Ok(Mark::Opaque(directory.to_owned()));
    }
    if name.starts_with(AUFS) {
        return Ok(Mark::Leftover);
    }
    match name.strip_prefix(PREFIX) {
        None => Ok(Mark::Entry),
        Some(b"" | b"." | b"..") => Err(Error::invalid("it is a whiteout that names no file")),
        Some(name) => Ok(Mark::Remove(directory.join(OsStr::from_bytes(name)))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_whiteout_of_nothing_is_refused() {
        for path in [
            ".wh.",
            "a/.wh.",
            ".wh..",
            "a/.wh...",
            "a/.wh../",
            ".wh.a/b",
            "a/.wh.b/c/d",
            ".wh.a/.wh.b",
        ] {
            assert!(mark(Path::new(path)).is_err(), "{path}");
        }
        let error = mark(Path::new("a/.wh..")).unwrap_err().to_string();
        assert_eq!(error, "it is a whiteout that names no file");
    }

    #[test]
    fn names_that_only_look_alike_are_entries() {
        for path in [
            "", ".", "/", "a", "a.wh.b", ".wh", ".whb", ".WH.a", "wh.a", "a/.wh/b", "...wh.a",
        ] {
            assert_eq!(mark(Path::new(path)).unwrap(), Mark::Entry, "{path}");
        }
    }

    #[test]
    fn a_whiteout_names_what_it_takes_away() {
        for (path, removed) in [
            (".wh.a", "a"),
            ("a/b/.wh.c", "a/b/c"),
            ("a/.wh.b/", "a/b"),
            ("./.wh.a", "./a"),
            (".wh.....", "...."),
            (".wh.wh.a", "wh.a"),
            (".wh..a", ".a"),
        ] {
            let removed = Mark::Remove(removed.into());
            assert_eq!(mark(Path::new(path)).unwrap(), removed, "{path}");
        }
        let bytes = OsStr::from_bytes(b"a/.wh.\xff");
        let removed = OsStr::from_bytes(b"a/\xff");
        assert_eq!(
            mark(Path::new(bytes)).unwrap(),
            Mark::Remove(removed.into())
        );
    }

    #[test]
    fn an_opaque_directory_hides_what_is_below_it() {
        for (path, directory) in [(".wh..wh..opq", ""), ("a/b/.wh..wh..opq", "a/b")] {
            let opaque = Mark::Opaque(directory.into());
            assert_eq!(mark(Path::new(path)).unwrap(), opaque, "{path}");
        }
    }

    #[test]
    fn what_aufs_left_behind_is_ignored() {
        for path in [
            ".wh..wh.plnk",
            ".wh..wh.plnk/123.456",
            ".wh..wh.aufs",
            "a/.wh..wh.orph/b/c",
            ".wh..wh..tmp",
        ] {
            assert_eq!(mark(Path::new(path)).unwrap(), Mark::Leftover, "{path}");
        }
    }
}
