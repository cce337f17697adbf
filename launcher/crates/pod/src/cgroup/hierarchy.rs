//! Finds the cgroup hierarchies of this machine: version 2, version 1 with its
//! controllers, or both (cgroups(7)).

use std::path::{Path, PathBuf};

use crate::cgroup::settings::{Controller, Version};
use sys::small_file;

/// A mounted hierarchy that has controllers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Its version.
    pub version: Version,
    /// Its controllers, by the kernel's names.
    pub controllers: Vec<String>,
    /// The directory below which groups are made.
    pub base: PathBuf,
    /// Whether it is mounted read-only.
    pub read_only: bool,
}

/// The version 1 controller that freezes processes. In version 2 every group
/// can be frozen.
pub(super) const FREEZER: &str = "freezer";

impl Hierarchy {
    /// Returns whether its groups can be frozen, as far as can be told without
    /// making one.
    pub(crate) fn freezes(&self) -> bool {
        self.version == Version::Two || self.controllers.iter().any(|word| word == FREEZER)
    }
}

/// Discovers the hierarchies of this machine. One that cannot be read is
/// ignored.
pub fn discover() -> Vec<Hierarchy> {
    let mounts = small_file::list("/proc/self/mountinfo").unwrap_or_default();
    let own = small_file::text("/proc/self/cgroup").unwrap_or_default();
    read(&mounts, &own, |path| {
        std::fs::read_to_string(path.join("cgroup.controllers")).unwrap_or_default()
    })
}

/// Finds the hierarchy that has a controller.
pub(crate) fn find(hierarchies: &[Hierarchy], controller: Controller) -> Option<&Hierarchy> {
    let has = |hierarchy: &&Hierarchy| {
        let wanted = controller.word(hierarchy.version);
        hierarchy.controllers.iter().any(|word| word == wanted)
    };
    // Every version 2 group can be given a program that restricts devices.
    let programs = |hierarchy: &&Hierarchy| {
        controller == Controller::Devices && hierarchy.version == Version::Two
    };
    let found = hierarchies.iter().find(has);
    found.or_else(|| hierarchies.iter().find(programs))
}

/// Returns whether groups can count processes. With `unasked`, only if that
/// takes no change to existing groups and cannot be expected to fail.
pub(super) fn counts_processes(hierarchies: &[Hierarchy], unasked: bool) -> bool {
    let Some(found) = find(hierarchies, Controller::Processes) else {
        return false;
    };
    let handed_down = || {
        let file = found.base.join("cgroup.subtree_control");
        let text = std::fs::read_to_string(file).unwrap_or_default();
        found.version == Version::One || text.split_whitespace().any(|word| word == "pids")
    };
    let writable = || rustix::fs::access(&found.base, rustix::fs::Access::WRITE_OK).is_ok();
    !found.read_only && (!unasked || writable() && handed_down())
}

/// Parses /proc/self/mountinfo and /proc/self/cgroup; `controllers` reads a
/// version 2 file that lists controllers.
///
/// Version 1 groups are made below the launcher's own group, so that the limits
/// of the caller apply to the pod. In version 2 the launcher's group contains
/// processes, so its children cannot have controllers; groups are made below
/// the root instead.
pub(crate) fn read(
    mounts: &str,
    own: &str,
    controllers: impl Fn(&Path) -> String,
) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for mount in mounts.lines().filter_map(mount) {
        let hierarchy = match mount.kind {
            "cgroup2" => Hierarchy {
                version: Version::Two,
                controllers: words(&controllers(&mount.target), ' '),
                base: mount.target,
                read_only: mount.read_only,
            },
            _ => {
                let known = |word: &String| {
                    let mut all = Controller::ALL.iter();
                    all.any(|controller| controller.word(Version::One) == word) || word == FREEZER
                };
                let mut options = words(mount.options, ',');
                options.retain(known);
                let Some(first) = options.first() else {
                    continue;
                };
                let group = own_group(own, first).unwrap_or("/");
                let below = group.strip_prefix(mount.root).unwrap_or_default();
                Hierarchy {
                    version: Version::One,
                    base: mount.target.join(below.trim_start_matches('/')),
                    controllers: options,
                    read_only: mount.read_only,
                }
            }
        };
        // Such a path would not fit on a line of the record; see `record`.
        if hierarchy.base.to_string_lossy().contains(['\t', '\n']) {
            continue;
        }
        // A hierarchy may be mounted twice; prefer the writable mount.
        match found.iter_mut().find(|other| {
            other.version == hierarchy.version && other.controllers == hierarchy.controllers
        }) {
            None => found.push(hierarchy),
            Some(other) if other.read_only && !hierarchy.read_only => *other = hierarchy,
            Some(_) => {}
        }
    }
    found
}

/// A line of mountinfo (proc_pid_mountinfo(5)).
pub(crate) struct Mount<'a> {
    /// Type of the file system.
    pub(crate) kind: &'a str,
    /// The group that is mounted there.
    pub(crate) root: &'a str,
    /// Where it is mounted.
    pub(crate) target: PathBuf,
    /// Whether the mount or the file system is read-only.
    pub(crate) read_only: bool,
    /// Options of the file system.
    pub(crate) options: &'a str,
}

/// Parses a line, if it is about cgroups.
pub(crate) fn mount(line: &str) -> Option<Mount<'_>> {
    let (front, back) = line.split_once(" - ")?;
    let mut back = back.split(' ');
    let kind = back.next().filter(|kind| kind.starts_with("cgroup"))?;
    let options = back.nth(1)?;
    let mut front = front.split(' ').skip(3);
    let (root, target, flags) = (front.next()?, front.next()?, front.next()?);
    let read_only = |flags: &str| flags.split(',').any(|flag| flag == "ro");
    Some(Mount {
        kind,
        root,
        target: PathBuf::from(unescaped(target)),
        read_only: read_only(flags) || read_only(options),
        options,
    })
}

/// Returns the launcher's own group in the version 1 hierarchy of a controller.
fn own_group<'a>(own: &'a str, controller: &str) -> Option<&'a str> {
    own.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let mut controllers = controllers.split(',');
        controllers.any(|word| word == controller).then_some(path)
    })
}

fn words(text: &str, separator: char) -> Vec<String> {
    let words = text.trim().split(separator).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// Undoes the escapes of mountinfo, such as `\040` for a space.
fn unescaped(text: &str) -> String {
    let mut pieces = text.split('\\');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece
            .split_at_checked(3)
            .map(|(digits, rest)| (u8::from_str_radix(digits, 8), rest))
        {
            Some((Ok(byte), rest)) => {
                plain.push(char::from(byte));
                plain.push_str(rest);
            }
            _ => {
                plain.push('\\');
                plain.push_str(piece);
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "\
31 23 0:28 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
36 31 0:33 /docker/x /sys/fs/cgroup/devices ro,relatime - cgroup cgroup rw,devices
37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
    const OWN: &str = "\
9:name=systemd:/user.slice
5:devices:/docker/x/y
4:memory:/some/group
1:cpu,cpuacct:/
0::/user.slice
";

    fn one(controllers: &[&str], base: &str, read_only: bool) -> Hierarchy {
        Hierarchy {
            version: Version::One,
            controllers: controllers.iter().map(|&word| word.to_owned()).collect(),
            base: PathBuf::from(base),
            read_only,
        }
    }

    fn two(controllers: &[&str], base: &str) -> Hierarchy {
        Hierarchy {
            version: Version::Two,
            ..one(controllers, base, false)
        }
    }

    #[test]
    fn with_both_versions_each_controller_is_found() {
        let found = read(V1, OWN, |_| "hugetlb\n".to_owned());
        assert_eq!(
            found,
            [
                one(&["cpu"], "/sys/fs/cgroup/cpu,cpuacct", false),
                one(&["memory"], "/sys/fs/cgroup/memory/some/group", false),
                one(&["devices"], "/sys/fs/cgroup/devices/y", true),
                one(&["freezer"], "/sys/fs/cgroup/freezer", false),
                two(&["hugetlb"], "/sys/fs/cgroup/unified"),
            ]
        );
        let freezes: Vec<bool> = found.iter().map(Hierarchy::freezes).collect();
        assert_eq!(freezes, [false, false, false, true, true]);
        let memory = find(&found, Controller::Memory).map(|found| found.version);
        assert_eq!(memory, Some(Version::One));
        assert_eq!(find(&found, Controller::Block), None);
    }

    #[test]
    fn with_version_2_all_controllers_are_in_one_place() {
        let mounts = "24 1 0:21 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
        let found = read(mounts, "0::/user.slice/x.scope\n", |path| {
            assert_eq!(path, Path::new("/sys/fs/cgroup"));
            "cpuset cpu io memory pids\n".to_owned()
        });
        assert_eq!(
            found,
            [two(
                &["cpuset", "cpu", "io", "memory", "pids"],
                "/sys/fs/cgroup"
            )]
        );
        assert!(find(&found, Controller::Block).is_some());
    }

    #[test]
    fn writable_mounts_are_preferred() {
        let mounts = "\
1 0 0:1 / /read ro - cgroup cgroup rw,memory
2 0 0:1 / /odd\\040place\\134x rw - cgroup cgroup rw,memory
";
        let found = read(mounts, "4:memory:/\n", |_| String::new());
        assert_eq!(found, [one(&["memory"], "/odd place\\x", false)]);
    }

    #[test]
    fn a_machine_without_cgroups_has_none() {
        assert_eq!(
            read("1 0 0:1 / / rw - ext4 /dev/sda rw\n\nx\n", "", |_| {
                String::new()
            }),
            []
        );
    }
}
