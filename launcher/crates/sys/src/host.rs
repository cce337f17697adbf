//! Facts about the host that a plan depends on, observed once.
//!
//! Composing a plan is pure: everything it needs to know about the machine is a
//! field here.

use std::cell::LazyCell;
use std::path::Path;

use error::{Context as _, Error, Kind, Result};
use rustix::fs::{Access, AtFlags, CWD, StatVfsMountFlags, Statx, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use rustix::thread::CapabilitySet;

use crate::small_file;

/// Facts about the machine and the caller. What few plans depend on is observed
/// when it is first asked for.
#[derive(Debug)]
pub struct Host {
    /// The caller's effective capabilities.
    pub capabilities: CapabilitySet,
    /// Major and minor number of the running kernel.
    pub kernel: (u32, u32),
    /// The kernel has overlayfs, or can load it.
    pub overlay: bool,
    /// The kernel has POSIX message queues.
    pub mqueue: bool,
    /// The security module AppArmor is active.
    pub apparmor: LazyCell<bool>,
    /// The security module SELinux is active.
    pub selinux: LazyCell<bool>,
    /// The caller's OOM score adjustment, from -1000 to 1000.
    pub oom_score: LazyCell<i32>,
    /// The kind of root directory that the caller has.
    pub root: Root,
    /// The numbers of the processors, if they have a `thermal_throttle`
    /// directory in sysfs.
    pub throttles: Vec<u32>,
    /// Those of [`UNPRIVILEGED`] that the kernel has and the host lets be set.
    pub unprivileged: Vec<&'static str>,
}

/// What pivot_root(2) does with a root directory depends on what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// A mount, which another can take the place of.
    Mount,
    /// The kernel's first file system, which an initramfs is unpacked into: it
    /// cannot be detached, but another can be moved over it.
    First,
    /// A directory of a mount that is out of sight, after chroot(2).
    Directory,
}

impl Root {
    fn observe() -> Self {
        let root = examine(Path::new("/"));
        // The first file system is on no device.
        let on_device = root.is_some_and(|root| root.stx_dev_major != 0);
        let mounts = || small_file::list("/proc/self/mountinfo").unwrap_or_default();
        if !on_device && has_no_parent(&mounts()) {
            return Self::First;
        }
        match root.and_then(|root| is_mount_point(&root)) {
            Some(false) => Self::Directory,
            _ => Self::Mount,
        }
    }
}

/// Tells whether the mount at `/` is its own parent, in the format of
/// /proc/self/mountinfo: any other is on top of one.
fn has_no_parent(mounts: &str) -> bool {
    mounts.lines().any(|line| {
        let mut words = line.split(' ');
        let (id, parent) = (words.next(), words.next());
        id == parent && words.nth(2) == Some("/")
    })
}

/// Tells whether a directory is the root of a mount; `None` before Linux 5.8.
fn is_mount_point(found: &Statx) -> Option<bool> {
    let flag = StatxAttributes::MOUNT_ROOT;
    let known = found.stx_attributes_mask.contains(flag);
    known.then(|| found.stx_attributes.contains(flag))
}

fn examine(path: &Path) -> Option<Statx> {
    rustix::fs::statx(CWD, path, AtFlags::empty(), StatxFlags::TYPE).ok()
}

/// Parameters of a network namespace that say what everybody in it may do:
/// listen on ports below 1024, and send echo requests (ip(7), icmp(7)).
pub const UNPRIVILEGED: [&str; 2] = [LOW_PORTS, PING];

/// The first port that everybody may use (since Linux 4.11).
pub const LOW_PORTS: &str = "net.ipv4.ip_unprivileged_port_start";

/// The groups that may ping.
pub const PING: &str = "net.ipv4.ping_group_range";

impl Host {
    /// Observes the machine. What cannot be found out counts as absent.
    pub fn observe() -> Self {
        let release = rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned();
        let filesystems = small_file::text("/proc/filesystems").unwrap_or_default();
        Self {
            capabilities: capabilities(),
            kernel: version(&release).unwrap_or((0, 0)),
            overlay: has(&filesystems, "overlay") || load_overlay(),
            mqueue: has(&filesystems, "mqueue"),
            apparmor: LazyCell::new(has_apparmor),
            selinux: LazyCell::new(has_selinux),
            oom_score: LazyCell::new(own_oom_score),
            root: Root::observe(),
            throttles: throttles(Path::new("/sys/devices/system/cpu"), processor()),
            unprivileged: unprivileged(),
        }
    }

    /// Checks that the caller has what a step needs.
    ///
    /// # Errors
    ///
    /// Procfs is not mounted, or a capability is missing: the first.
    pub fn require(&self, operation: Operation) -> Result<()> {
        require_proc().context(|| operation.cannot())?;
        if operation == Operation::RunPods && self.root == Root::Directory {
            let what = "cannot run pods: `/` is not a mount point, as after `chroot`";
            let hint = "before `chroot DIR`, run `unshare --mount` and `mount --rbind DIR DIR`";
            return Err(Error::new(Kind::Failed, what).hint(hint));
        }
        let mut needs = operation.needs().iter();
        let Some((name, _)) = needs.find(|(_, one)| !self.capabilities.contains(*one)) else {
            return Ok(());
        };
        let what = format!("{}: the caller lacks {name}", operation.cannot());
        Err(Error::new(Kind::Failed, what).hint(operation.hint()))
    }
}

/// A step that the kernel only lets some callers do (capabilities(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Create the namespaces of a pod, mount in them, and become its users.
    RunPods,
    /// Join the namespaces of a pod.
    EnterPods,
}

/// A capability and its name.
type Named = (&'static str, CapabilitySet);

impl Operation {
    const fn cannot(self) -> &'static str {
        match self {
            Self::RunPods => "cannot run pods",
            Self::EnterPods => "cannot enter pods",
        }
    }

    const fn hint(self) -> &'static str {
        match self {
            Self::RunPods => {
                "run it as root; `launcher plan` shows what would be done, without privileges"
            }
            Self::EnterPods => "run it as root",
        }
    }

    const fn needs(self) -> &'static [Named] {
        const ENTER: &[Named] = &[
            ("CAP_SYS_ADMIN", CapabilitySet::SYS_ADMIN),
            ("CAP_SYS_PTRACE", CapabilitySet::SYS_PTRACE),
            ("CAP_SETUID", CapabilitySet::SETUID),
            ("CAP_SETGID", CapabilitySet::SETGID),
        ];
        const RUN: &[Named] = &[
            ("CAP_SYS_ADMIN", CapabilitySet::SYS_ADMIN),
            ("CAP_SETUID", CapabilitySet::SETUID),
            ("CAP_SETGID", CapabilitySet::SETGID),
            ("CAP_SETPCAP", CapabilitySet::SETPCAP),
            ("CAP_CHOWN", CapabilitySet::CHOWN),
            ("CAP_MKNOD", CapabilitySet::MKNOD),
            ("CAP_NET_ADMIN", CapabilitySet::NET_ADMIN),
        ];
        match self {
            Self::RunPods => RUN,
            Self::EnterPods => ENTER,
        }
    }
}

/// Returns the caller's effective capabilities; what cannot be read counts as none.
fn capabilities() -> CapabilitySet {
    rustix::thread::capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective)
}

/// Tells whether the security module AppArmor is active.
fn has_apparmor() -> bool {
    let answer = small_file::text("/sys/module/apparmor/parameters/enabled");
    answer.is_ok_and(|answer| answer.starts_with('Y'))
}

/// Tells whether the security module SELinux is active.
fn has_selinux() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}

/// Returns the OOM score adjustment of this process.
fn own_oom_score() -> i32 {
    let score = small_file::text("/proc/self/oom_score_adj");
    let score = score.ok().and_then(|score| score.trim().parse().ok());
    score.unwrap_or(0)
}

/// Returns those of [`UNPRIVILEGED`] that the kernel has, unless they are mounted
/// read-only, as in most containers. Every kernel that has the first has the
/// other (since Linux 3.0), but groups can only be named in a namespace that has
/// them.
fn unprivileged() -> Vec<&'static str> {
    let path = Path::new("/proc/sys").join(LOW_PORTS.replace('.', "/"));
    let status = rustix::fs::statvfs(path);
    if !status.is_ok_and(|status| !status.f_flag.contains(StatVfsMountFlags::RDONLY)) {
        return Vec::new();
    }
    let all = UNPRIVILEGED.into_iter();
    all.filter(|&key| key != PING || has_all_ids("gid"))
        .collect()
}

/// `PROC_USER_INIT_INO` of the kernel's linux/proc_ns.h: the inode number of the
/// first user namespace.
const FIRST_USER_NAMESPACE: u64 = 0xEFFF_FFFD;

/// Tells whether this process is in a user namespace that has all users or
/// groups, as the first one does (user_namespaces(7)).
fn has_all_ids(kind: &str) -> bool {
    let namespace = rustix::fs::stat("/proc/self/ns/user");
    if namespace.is_ok_and(|status| status.st_ino == FIRST_USER_NAMESPACE) {
        return true;
    }
    let map = small_file::text(&format!("/proc/self/{kind}_map"));
    let map = map.unwrap_or_default();
    let numbers: Vec<&str> = map.split_whitespace().collect();
    numbers == ["0", "0", "4294967295"]
}

/// Checks that procfs is there: the kernel says what it knows of processes, and
/// takes most of what is set for them, in its files.
///
/// # Errors
///
/// It is not mounted.
pub fn require_proc() -> Result<()> {
    match rustix::fs::access("/proc/self/ns", Access::EXISTS) {
        Err(Errno::NOENT) => {
            let what = "`/proc` is not mounted";
            Err(Error::new(Kind::Failed, what).hint("`mount -t proc proc /proc` mounts it"))
        }
        _ => Ok(()),
    }
}

/// Returns what may be the reason for "Operation not permitted" or "Permission
/// denied": what root has and the caller does not.
pub fn lacks() -> Option<String> {
    if !has_all_ids("uid") {
        return Some("the caller is root in a user namespace only".to_owned());
    }
    let own = capabilities();
    let needed = Operation::RunPods.needs().iter().chain(USUAL);
    let missing = needed.filter(|(_, one)| !own.contains(*one));
    let names: Vec<&str> = missing.map(|(name, _)| *name).collect();
    (!names.is_empty()).then(|| format!("the caller lacks {}", names.join(", ")))
}

/// What pods are given by default, and what is needed to get at the files of
/// others.
const USUAL: &[Named] = &[
    ("CAP_AUDIT_WRITE", CapabilitySet::AUDIT_WRITE),
    ("CAP_DAC_OVERRIDE", CapabilitySet::DAC_OVERRIDE),
    ("CAP_FOWNER", CapabilitySet::FOWNER),
    ("CAP_FSETID", CapabilitySet::FSETID),
    ("CAP_KILL", CapabilitySet::KILL),
    ("CAP_NET_BIND_SERVICE", CapabilitySet::NET_BIND_SERVICE),
    ("CAP_NET_RAW", CapabilitySet::NET_RAW),
    ("CAP_SETFCAP", CapabilitySet::SETFCAP),
    ("CAP_SYS_CHROOT", CapabilitySet::SYS_CHROOT),
];

/// Tells whether the caller may create files of other owners, and devices.
pub fn may_set_owners() -> bool {
    capabilities().contains(CapabilitySet::CHOWN | CapabilitySet::MKNOD)
}

/// Tells whether a list in the format of /proc/filesystems contains a file
/// system.
fn has(list: &str, name: &str) -> bool {
    list.lines()
        .any(|line| line.trim_start_matches("nodev").trim() == name)
}

/// Opens overlayfs, which makes the kernel load its module.
fn load_overlay() -> bool {
    use rustix::mount::{FsOpenFlags, fsopen};
    fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).is_ok()
}

/// Returns the number of the processor that this process runs on. It is online,
/// so that sysfs shows all that it has.
fn processor() -> usize {
    rustix::thread::sched_getcpu()
}

/// Returns the numbers of all processors, if the one that is `online` has a
/// `thermal_throttle` directory: nearly none of those of virtual machines have.
/// The numbers have gaps if a socket is empty.
fn throttles(processors: &Path, online: usize) -> Vec<u32> {
    let throttle = processors.join(format!("cpu{online}/thermal_throttle"));
    if rustix::fs::access(throttle, Access::EXISTS).is_err() {
        return Vec::new();
    }
    let entries = std::fs::read_dir(processors)
        .into_iter()
        .flatten()
        .flatten();
    let number = |name: &str| name.strip_prefix("cpu")?.parse().ok();
    let numbers = entries.filter_map(|entry| number(entry.file_name().to_str()?));
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable();
    numbers
}

/// Reads `6.1.0-56-cloud-amd64` as (6, 1).
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_capability_that_a_step_lacks_is_named() {
        let mut host = Host::observe();
        let all = |operation: Operation| {
            let needs = operation.needs().iter();
            needs.fold(CapabilitySet::empty(), |all, (_, one)| all | *one)
        };
        for operation in [Operation::RunPods, Operation::EnterPods] {
            host.capabilities = all(operation);
            assert!(host.require(operation).is_ok());
            for &(name, one) in operation.needs() {
                host.capabilities = all(operation) - one;
                let error = host.require(operation).err().map(|error| error.to_string());
                let expected = format!("{}: the caller lacks {name}\n", operation.cannot());
                assert!(
                    error.is_some_and(|error| error.starts_with(&expected)),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn a_root_without_a_parent_is_the_first() {
        let others = "24 1 0:22 / /proc rw - proc proc rw\n";
        for (root, expected) in [
            ("1 1 0:2 / / rw - rootfs none rw\n", true),
            ("25 1 8:1 / / rw,relatime - ext4 /dev/root rw\n", false),
        ] {
            assert_eq!(has_no_parent(&format!("{others}{root}")), expected);
        }
    }

    #[test]
    fn file_systems_are_found_by_their_whole_name() {
        let list = "nodev\tsysfs\n\text4\nnodev\toverlay\n";
        assert!(has(list, "overlay") && has(list, "ext4"));
        assert!(!has(list, "ext") && !has(list, "nodev"));
    }

    #[test]
    #[allow(clippy::unwrap_used, reason = "a test may panic")]
    fn no_processor_is_missed_for_a_gap_in_the_numbers() {
        let name = format!("nosecone-processors-{}", std::process::id());
        let place = std::env::temp_dir().join(name);
        for name in [
            "cpu0/thermal_throttle",
            "cpu2/topology",
            "cpu3/thermal_throttle",
            "cpu12/thermal_throttle",
            "cpufreq/thermal_throttle",
        ] {
            std::fs::create_dir_all(place.join(name)).unwrap();
        }
        assert_eq!(throttles(&place, 3), [0, 2, 3, 12]);
        assert_eq!(throttles(&place, 2), [0; 0]);
        std::fs::remove_dir_all(&place).unwrap();
        assert_eq!(throttles(&place, 3), [0; 0]);
    }

    #[test]
    fn kernel_releases_are_read_up_to_the_minor_number() {
        assert_eq!(version("6.18.44-fc"), Some((6, 18)));
        assert_eq!(version("5.4"), Some((5, 4)));
        assert_eq!(version("6.1-rc2"), Some((6, 1)));
        assert_eq!(version("linux"), None);
    }
}
