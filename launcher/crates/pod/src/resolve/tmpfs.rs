//! tmpfs mounts that an operator gives an app (tmpfs(5)).

use crate::resolve::volumes::is_in;
use crate::spec::mounts::{Mounted, Size, Tmpfs};
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

/// Refuses tmpfs mounts of an app that overlap each other or a volume.
pub fn check(app: &str, all: &[Tmpfs], volumes: &[Mounted]) -> Result<()> {
    let volumes: Vec<String> = volumes.iter().map(|volume| clean(&volume.target)).collect();
    for (index, one) in all.iter().enumerate() {
        let here = clean(&one.target);
        let others = all[..index].iter().map(|other| clean(&other.target));
        let mut others = others.chain(volumes.iter().cloned());
        if let Some(other) = others.find(|other| is_in(&here, other) || is_in(other, &here)) {
            return Err(Error::usage(format!(
                "two mounts of app `{app}` overlap: {} and {}",
                quoted(&format!("/{other}")),
                quoted(&one.target)
            )));
        }
    }
    Ok(())
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

    #[test]
    fn mounts_do_not_overlap() {
        let memory = |path| tmpfs(path, Size::default(), None).unwrap();
        let volume = |target: &str| Mounted {
            name: "v".to_owned(),
            source: "/srv".into(),
            directory: true,
            ours: false,
            target: target.to_owned(),
            read_only: false,
            recursive: true,
            reason: String::new(),
        };
        for (all, volumes) in [
            (vec![memory("/a"), memory("/a")], vec![]),
            (vec![memory("/a/b"), memory("/a")], vec![]),
            (vec![memory("/a")], vec![volume("/a/b")]),
            (vec![memory("/a/b")], vec![volume("/x"), volume("//a/")]),
        ] {
            assert!(check("web", &all, &volumes).is_err(), "{all:?}");
        }
        let apart = [memory("/a"), memory("/ab")];
        check("web", &apart, &[volume("/abc")]).unwrap();
    }
}
