//! tmpfs mounts that an operator gives an app (tmpfs(5)).

use crate::resolve::volumes::is_in;
use crate::spec::mounts::{Size, Tmpfs};
use appc::types::{absolute, clean};
use error::quote::quoted;
use error::{Error, Result};

/// Makes one. Like /tmp, it is writable by everybody unless a mode is given.
///
/// # Errors
///
/// Fails if the path is not absolute, or every app has its own mount there.
pub fn tmpfs(path: &str, size: Size, mode: Option<u32>) -> Result<Tmpfs> {
    absolute(path)?;
    let cleaned = clean(path);
    let refuse = |why| Error::usage(format!("cannot mount a tmpfs on {}: {why}", quoted(path)));
    if path.split('/').any(|name| name == "..") {
        return Err(refuse("the path contains `..`"));
    }
    let kernels = ["proc", "sys", "dev"]
        .iter()
        .any(|own| is_in(&cleaned, own));
    if cleaned.is_empty() || kernels {
        return Err(refuse("the path is reserved"));
    }
    Ok(Tmpfs {
        target: format!("/{cleaned}"),
        size,
        mode: mode.unwrap_or(0o1777),
        read_only: false,
        no_exec: false,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_tmpfs_cannot_replace_standard_mounts() {
        for path in [
            "", "tmp", "/", "/proc", "/proc/x", "/sys//fs", "/dev/shm", "/./dev", "/a/../b",
        ] {
            assert!(tmpfs(path, Size::default(), None).is_err(), "{path}");
        }
        let made = tmpfs("//a/./devices/", Size::Bytes(8192), Some(0o700)).unwrap();
        assert_eq!(made.target, "/a/devices");
        assert_eq!(made.data(), "mode=700,size=8192");
        let made = tmpfs("/tmp", Size::default(), None).unwrap();
        assert_eq!(made.data(), crate::spec::defaults::TMP.data);
    }
}
