//! What pods need from the store: every image and layer that is named in a file
//! of a pod.
//!
//! Not only what plans mount: a pod that is prepared, or has exited and was not
//! removed, needs its images as well, whichever of its files names them. A
//! digest too many keeps an image a little longer; one too few would delete a
//! running pod's files. Pods in memory are not looked at, because the data
//! directory can be visible where they are not: what such a pod needs is
//! recorded in its scratch directory.

use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use appc::types::Uuid;
use error::{Context as _, Result};
use image::store::gc::Needs;
use sys::dirs::{Dirs, Part};

/// The lengths of digests in hexadecimal: SHA-256, SHA-512.
const DIGITS: [usize; 2] = [64, 128];

/// Collects what all pods need, whatever their state.
///
/// # Errors
///
/// Fails if a file of a pod cannot be read: then it is not known what the pod
/// needs.
pub fn read(dirs: &Dirs) -> Result<Needs> {
    let what = || "cannot determine which images pods need";
    let mut needs = Needs::default();
    if let Some(scratch) = dirs.find(Part::Scratch)? {
        in_directory(&scratch, &mut needs)?;
    }
    let Some(states) = dirs.find(Part::AllPods)? else {
        return Ok(needs);
    };
    for state in names(&states).context(what)? {
        let Some(state) = open(states.as_fd(), &state, OFlags::DIRECTORY).context(what)? else {
            continue;
        };
        in_directory(&state, &mut needs)?;
    }
    Ok(needs)
}

/// Looks at the pods in a directory.
fn in_directory(pods: &OwnedFd, needs: &mut Needs) -> Result<()> {
    let what = || "cannot determine which images pods need";
    for name in names(pods).context(what)? {
        let (Ok(uuid), Some(pod)) = (
            Uuid::parse(&name),
            open(pods.as_fd(), &name, OFlags::DIRECTORY).context(what)?,
        ) else {
            continue;
        };
        let context = || format!("cannot determine which images pod `{uuid}` needs");
        pod_needs(&pod, uuid, needs).context(context)?;
    }
    Ok(())
}

/// Reads the files in a pod's directory, but not in its subdirectories, which
/// belong to the apps.
fn pod_needs(pod: &OwnedFd, uuid: Uuid, needs: &mut Needs) -> rustix::io::Result<()> {
    for name in names(pod)? {
        let Some(file) = open(pod.as_fd(), &name, OFlags::NONBLOCK)? else {
            continue;
        };
        if !FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode).is_file() {
            continue;
        }
        let mut content = Vec::new();
        std::fs::File::from(file)
            .read_to_end(&mut content)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        for name in named(&content) {
            needs.entry(name).or_insert_with(|| uuid.to_string());
        }
    }
    Ok(())
}

/// Finds the hexadecimal digits of digests in any text.
fn named(text: &[u8]) -> Vec<String> {
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.split(|byte| !is_digit(byte))
        .filter(|word| DIGITS.contains(&word.len()))
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

fn names(directory: &OwnedFd) -> rustix::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    Ok(names)
}

/// Opens a file, unless it is a link or no longer exists: pods come and go
/// meanwhile.
fn open(parent: BorrowedFd<'_>, name: &str, flags: OFlags) -> rustix::io::Result<Option<OwnedFd>> {
    let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(parent, name, flags, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => Ok(None),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_found_in_any_text() {
        let key = "0123456789abcdef".repeat(8);
        let other = "f".repeat(64);
        let long = "a".repeat(129);
        for text in [
            format!("lowerdir=/x/layers/sha512-{key}/rootfs:/x/layers/sha256-{other}/rootfs"),
            format!("{{\"id\": \"sha512-{key}\", \"layer\": \"sha256:{other}\"}}"),
            format!("{long}\0{key}\0\n{other}"),
        ] {
            assert_eq!(named(text.as_bytes()), [&*key, &*other], "{text}");
        }
        assert!(named(b"sha512-0123 and nothing else").is_empty());
    }
}
