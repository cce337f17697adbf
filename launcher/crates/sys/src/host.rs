//! Facts about the host that a plan depends on, observed once.
//!
//! Composing a plan is pure: everything it needs to know about the machine is a
//! field here.

use std::path::Path;

use error::{Error, Kind, Result};

/// Facts about the machine and the caller.
#[derive(Clone, Debug)]
pub struct Host {
    /// The caller is root, or has at least root's capabilities.
    pub privileged: bool,
    /// Major and minor number of the running kernel.
    pub kernel: (u32, u32),
    /// The kernel has overlayfs, or can load it.
    pub overlay: bool,
    /// The kernel has POSIX message queues.
    pub mqueue: bool,
    /// The security module AppArmor is active.
    pub apparmor: bool,
    /// The security module SELinux is active.
    pub selinux: bool,
    /// The caller's OOM score adjustment, from -1000 to 1000.
    pub oom_score: i32,
    /// The numbers of the processors that have a `thermal_throttle`
    /// directory in sysfs.
    pub throttles: Vec<u32>,
}

impl Host {
    /// Observes the machine. What cannot be found out counts as absent.
    pub fn observe() -> Self {
        let release = rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned();
        let filesystems = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
        Self {
            privileged: rustix::process::geteuid().is_root(),
            kernel: version(&release).unwrap_or((0, 0)),
            overlay: has(&filesystems, "overlay") || load_overlay(),
            mqueue: has(&filesystems, "mqueue"),
            apparmor: std::fs::read("/sys/module/apparmor/parameters/enabled")
                .is_ok_and(|answer| answer.starts_with(b"Y")),
            selinux: Path::new("/sys/fs/selinux/enforce").exists(),
            oom_score: std::fs::read_to_string("/proc/self/oom_score_adj")
                .ok()
                .and_then(|score| score.trim().parse().ok())
                .unwrap_or(0),
            throttles: throttles(Path::new("/sys/devices/system/cpu")),
        }
    }

    /// Rejects callers who cannot create namespaces and mounts.
    pub fn require_privilege(&self) -> Result<()> {
        if self.privileged {
            return Ok(());
        }
        Err(Error::new(Kind::Failed, "pods can only be run by root")
            .hint("`launcher plan` shows without privileges what would be done"))
    }
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

/// Returns which processors have a `thermal_throttle` directory. The numbers
/// have gaps if a socket is empty or a processor is offline.
fn throttles(processors: &Path) -> Vec<u32> {
    let entries = std::fs::read_dir(processors)
        .into_iter()
        .flatten()
        .flatten();
    let with = entries.filter(|entry| entry.path().join("thermal_throttle").exists());
    let number = |name: &str| name.strip_prefix("cpu")?.parse().ok();
    let numbers = with.filter_map(|entry| number(entry.file_name().to_str()?));
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
        assert_eq!(throttles(&place), [0, 3, 12]);
        std::fs::remove_dir_all(&place).unwrap();
        assert_eq!(throttles(&place), [0; 0]);
    }

    #[test]
    fn kernel_releases_are_read_up_to_the_minor_number() {
        assert_eq!(version("6.18.44-fc"), Some((6, 18)));
        assert_eq!(version("5.4"), Some((5, 4)));
        assert_eq!(version("6.1-rc2"), Some((6, 1)));
        assert_eq!(version("linux"), None);
    }
}
