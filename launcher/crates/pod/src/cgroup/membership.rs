//! Which groups a process is in, and how another process joins them.

use std::path::{Path, PathBuf};

use crate::cgroup::hierarchy::{FREEZER, Mount, mount};
use error::{Context as _, Error, Kind, Result};
use sys::small_file;

/// Moves this process into the groups of another; `theirs` is the content of
/// the other's /proc/PID/cgroup.
///
/// # Errors
///
/// Fails if one of the groups cannot be found or joined. The process may then
/// already be in some of them.
pub fn join(theirs: &str) -> Result<()> {
    let own = small_file::text("/proc/self/cgroup").context(|| CANNOT)?;
    if own == theirs {
        return Ok(());
    }
    let mounts = small_file::list("/proc/self/mountinfo").context(|| CANNOT)?;
    for group in moves(&mounts, &own, theirs)? {
        // The kernel's own paths, so nothing has to be checked.
        crate::cgroup::files::put(&group.join("cgroup.procs"), "0")
            .context(|| format!("cannot join the cgroup `{}`", group.display()))?;
    }
    Ok(())
}

const CANNOT: &str = "cannot determine the cgroups of this process";

/// Returns the directories of the groups that `theirs` is in and `own` is not;
/// both are the content of /proc/PID/cgroup.
fn moves(mounts: &str, own: &str, theirs: &str) -> Result<Vec<PathBuf>> {
    let mut groups = Vec::new();
    for line in theirs.lines() {
        let unreadable = || Error::new(Kind::Failed, format!("cannot read the cgroup `{line}`"));
        let (controllers, path) = entry(line).ok_or_else(unreadable)?;
        let ours = own.lines().filter_map(entry);
        let mut ours = ours.filter(|&(known, _)| known == controllers);
        if ours.any(|(_, own)| own == path) {
            continue;
        }
        groups.push(directory(mounts, controllers, path).ok_or_else(|| {
            let name = match controllers {
                "" => "version 2".to_owned(),
                named => format!("`{named}`"),
            };
            Error::invalid(format!(
                "the cgroup `{path}` of the hierarchy {name} is not mounted"
            ))
        })?);
    }
    Ok(groups)
}

/// Returns the directories of the groups that a process is in and that may freeze
/// it, as far as they are visible from here; `theirs` is the content of its
/// /proc/PID/cgroup.
pub(crate) fn freezable(mounts: &str, theirs: &str) -> Vec<PathBuf> {
    let freezes = |&(controllers, _): &(&str, &str)| {
        controllers.is_empty() || controllers.split(',').any(|one| one == FREEZER)
    };
    let entries = theirs.lines().filter_map(entry).filter(freezes);
    let found = entries.filter_map(|(controllers, path)| directory(mounts, controllers, path));
    found.collect()
}

/// Splits a line into the controllers (empty for version 2) and the path of the
/// group.
fn entry(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.split_once(':')?;
    rest.split_once(':')
}

/// Finds the directory of a group, preferably on a writable mount.
fn directory(mounts: &str, controllers: &str, path: &str) -> Option<PathBuf> {
    let shows = |mount: &Mount<'_>| match controllers {
        "" => mount.kind == "cgroup2",
        named => {
            let mut words = named.split(',');
            let options = || mount.options.split(',');
            mount.kind == "cgroup" && words.all(|word| options().any(|option| option == word))
        }
    };
    let place = |mount: Mount<'_>| {
        let below = Path::new(path).strip_prefix(mount.root).ok()?;
        // A group outside of this process's cgroup namespace is shown with
        // `..`.
        let inside = below.components().all(|part| part.as_os_str() != "..");
        inside.then(|| (mount.read_only, mount.target.join(below)))
    };
    let places = mounts.lines().filter_map(mount).filter(shows);
    let best = places
        .filter_map(place)
        .min_by_key(|(read_only, _)| *read_only);
    best.map(|(_, place)| place)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
33 31 0:32 /docker/x /sys/fs/cgroup/memory ro,relatime - cgroup cgroup rw,memory
34 31 0:32 /docker/x /again rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
    const OWN: &str = "\
9:name=systemd:/user.slice
4:memory:/docker/x
2:freezer:/
1:cpu,cpuacct:/
0::/user.slice
";

    #[test]
    fn unreachable_groups_are_errors() {
        for (theirs, message) in [
            (
                "4:memory:/elsewhere",
                "the cgroup `/elsewhere` of the hierarchy `memory` is not mounted",
            ),
            (
                "4:memory:/docker/x/../y",
                "the cgroup `/docker/x/../y` of the hierarchy `memory` is not mounted",
            ),
            (
                "4:memory:/docker/xy",
                "the cgroup `/docker/xy` of the hierarchy `memory` is not mounted",
            ),
            (
                "0::/../y",
                "the cgroup `/../y` of the hierarchy version 2 is not mounted",
            ),
            (
                "2:freezer:/pod",
                "the cgroup `/pod` of the hierarchy `freezer` is not mounted",
            ),
            (
                "7:pids:/",
                "the cgroup `/` of the hierarchy `pids` is not mounted",
            ),
            ("x", "cannot read the cgroup `x`"),
        ] {
            assert_eq!(moves(MOUNTS, OWN, theirs).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn groups_that_are_invisible_or_cannot_freeze_are_left_out() {
        let theirs =
            "4:memory:/docker/x/y\n2:freezer:/pod\nx\n0::/pod\n1:cpu,cpuacct:/\n0::/../y\n";
        assert_eq!(
            freezable(MOUNTS, theirs),
            [PathBuf::from("/sys/fs/cgroup/unified/pod")]
        );
    }

    #[test]
    fn only_groups_that_differ_are_joined() {
        assert!(moves(MOUNTS, OWN, OWN).unwrap().is_empty());
        let theirs = "\
9:name=systemd:/
4:memory:/docker/x/pod
2:freezer:/
1:cpu,cpuacct:/a:b
0::/pod
";
        assert_eq!(
            moves(MOUNTS, OWN, theirs).unwrap(),
            [
                "/sys/fs/cgroup/systemd",
                "/again/pod",
                "/sys/fs/cgroup/cpu,cpuacct/a:b",
                "/sys/fs/cgroup/unified/pod"
            ]
            .map(PathBuf::from)
        );
    }
}
