//! Images that are provided with the host: archives in directories, named as in
//! simple discovery. Whoever fills such a directory vouches for its contents.
//! No network is needed.
//!
//! ```text
//! DIRECTORY/example.com/web-1.2.0-linux-amd64.aci
//! ```

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, OFlags};

use appc::reference::Name;
use appc::types::Version;
use error::{Context as _, Result};
use sys::root_fd;

/// Where vendors and operators put archives.
pub(crate) const DIRECTORIES: [&str; 2] = [
    "/usr/local/share/nosecone/images",
    "/usr/share/nosecone/images",
];

/// Finds the archive for a name: from the first directory that has one, and,
/// without a version, the latest.
///
/// # Errors
///
/// A directory cannot be read. Missing directories are skipped.
pub fn find(directories: &[PathBuf], name: &Name) -> Result<Option<(PathBuf, File)>> {
    for directory in directories {
        let what = || format!("cannot search for images in `{}`", directory.display());
        if let Some((path, file)) = find_in(directory, name).context(what)? {
            return Ok(Some((directory.join(path), file)));
        }
    }
    Ok(None)
}

/// Says why [`find`] found nothing in a directory.
pub(crate) fn absence(directory: &Path) -> &'static str {
    match directory.is_dir() {
        true => "the image is not in it",
        false => "no such directory",
    }
}

fn find_in(directory: &Path, name: &Name) -> io::Result<Option<(PathBuf, File)>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Some(root) = present(
        rustix::fs::open(directory, flags, rustix::fs::Mode::empty()).map_err(io::Error::from),
    )?
    else {
        return Ok(None);
    };
    // A name has no `..`, no empty part and no leading slash.
    let whole = Path::new(name.name.as_str());
    let parent = whole.parent().unwrap_or(Path::new(""));
    let Some(folder) = present(root_fd::open(
        &root,
        parent,
        OFlags::RDONLY | OFlags::DIRECTORY,
    ))?
    else {
        return Ok(None);
    };
    let Some(file) = best(names(&folder)?, name) else {
        return Ok(None);
    };
    let path = parent.join(file);
    let file = root_fd::open(&root, &path, OFlags::RDONLY)?;
    Ok(Some((path, File::from(file))))
}

fn present(opened: io::Result<OwnedFd>) -> io::Result<Option<OwnedFd>> {
    match opened {
        Err(error) if root_fd::is_absent(&error) => Ok(None),
        opened => opened.map(Some),
    }
}

fn names(folder: &OwnedFd) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        // Names that are not text cannot match.
        names.extend(entry?.file_name().to_str().map(str::to_owned));
    }
    Ok(names)
}

/// Chooses the matching file with the latest version.
fn best(files: Vec<String>, name: &Name) -> Option<String> {
    let last = name.name.as_str().rsplit('/').next()?;
    let asked = name.labels.get("version").filter(|asked| !asked.is_empty());
    let end = format!("-{}-{}.aci", name.rendered("os")?, name.rendered("arch")?);
    let version = |file: &String| -> Option<String> {
        let version = file.strip_prefix(last)?.strip_prefix('-')?;
        Some(version.strip_suffix(&end)?.to_owned())
    };
    if let Some(asked) = asked {
        return files
            .into_iter()
            .find(|file| version(file).as_deref() == Some(asked));
    }
    // `web-1.0.0` and `web-admin-1.0.0` have the same prefix: if the rest is
    // not a version, it is part of another name.
    let mut found: Vec<(Version, String)> = files
        .into_iter()
        .filter_map(|file| Some((Version::parse(&version(&file)?).ok()?, file)))
        .collect();
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    found.pop().map(|(_, file)| file)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn chosen(files: &[&str], name: &str) -> Option<String> {
        let files = files.iter().map(|file| (*file).to_owned()).collect();
        best(
            files,
            &Name::parse(&format!("{name},os=linux,arch=amd64")).unwrap(),
        )
    }

    #[test]
    fn nothing_is_taken_for_an_image_of_another_name_version_or_processor() {
        for file in [
            "web-admin-1.0.0-linux-amd64.aci",
            "web-1.0.0-linux-aarch64.aci",
            "web-1.0.0.aci",
            "web-1.0.0-linux-amd64.aci.asc",
            "web-latest-linux-amd64.aci",
            "web.aci",
        ] {
            assert_eq!(chosen(&[file], "example.com/web"), None, "{file}");
        }
        let file = "web-1.0.0-linux-amd64.aci";
        assert_eq!(chosen(&[file], "example.com/web:1.0"), None);
    }

    #[test]
    fn the_latest_version_is_chosen_where_none_was_asked_for() {
        let files = [
            "web-1.9.0-linux-amd64.aci",
            "web-1.10.0-linux-amd64.aci",
            "web-1.10.0-rc1-linux-amd64.aci",
            "web-1.2.0-linux-amd64.aci",
        ];
        let found = chosen(&files, "example.com/web");
        assert_eq!(found.as_deref(), Some("web-1.10.0-linux-amd64.aci"));
    }

    #[test]
    fn a_version_that_was_asked_for_is_free_text() {
        let file = "web-latest-linux-amd64.aci";
        assert_eq!(chosen(&[file], "web:latest").as_deref(), Some(file));
    }

    #[test]
    fn a_directory_that_is_there_is_not_said_to_be_missing() {
        let there = std::env::temp_dir();
        assert_eq!(absence(&there), "the image is not in it");
        let not = there.join("nosecone-no-such-directory");
        assert_eq!(absence(&not), "no such directory");
    }
}
