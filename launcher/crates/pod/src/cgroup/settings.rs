//! Limits as the kernel's files expect them, for both versions of cgroups
//! (Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst).

use std::borrow::Cow;

use crate::spec::limits::Limits;

/// The versions of cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// One hierarchy for each controller.
    One,
    /// One hierarchy for all controllers.
    Two,
}

/// A controller: what limits one kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Controller {
    /// Processor time.
    Cpu,
    /// Memory.
    Memory,
    /// Block devices.
    Block,
    /// The number of processes.
    Processes,
    /// Access to devices. In version 2 this controller has no files.
    Devices,
}

impl Controller {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Cpu,
        Self::Memory,
        Self::Block,
        Self::Processes,
        Self::Devices,
    ];

    /// Returns the kernel's name for it.
    pub(crate) const fn word(self, version: Version) -> &'static str {
        match (self, version) {
            (Self::Cpu, _) => "cpu",
            (Self::Memory, _) => "memory",
            (Self::Block, Version::One) => "blkio",
            (Self::Block, Version::Two) => "io",
            (Self::Processes, _) => "pids",
            (Self::Devices, _) => "devices",
        }
    }

    /// Returns the kernel configuration options it needs.
    pub(crate) const fn options(self) -> &'static str {
        match self {
            Self::Cpu => "CONFIG_FAIR_GROUP_SCHED and CONFIG_CFS_BANDWIDTH",
            Self::Memory => "CONFIG_MEMCG",
            Self::Block => "CONFIG_BLK_CGROUP and CONFIG_BLK_DEV_THROTTLING",
            Self::Processes => "CONFIG_CGROUP_PIDS",
            Self::Devices => "CONFIG_CGROUP_DEVICE",
        }
    }

    /// Returns what it limits, in the user's terms.
    pub(crate) const fn noun(self) -> &'static str {
        match self {
            Self::Cpu => "processor time",
            Self::Memory => "memory",
            Self::Block => "block devices",
            Self::Processes => "processes",
            Self::Devices => "devices",
        }
    }
}

/// A value to write into a file of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The controller that the file belongs to.
    pub controller: Controller,
    /// Its name.
    pub file: Cow<'static, str>,
    /// The content, written in a single call.
    pub value: String,
    /// Skipped if the file does not exist.
    pub optional: bool,
}

/// Returns the controllers that the limits need.
pub(crate) fn controllers(limits: &Limits) -> impl Iterator<Item = Controller> {
    let cpu = limits.cpu.is_some() || limits.cpu_shares.is_some();
    let memory = limits.memory.is_some() || limits.memory_request.is_some();
    let block = limits.block_bandwidth.is_some() || limits.block_operations.is_some();
    [
        (cpu, Controller::Cpu),
        (memory, Controller::Memory),
        (block, Controller::Block),
        (limits.processes.is_some(), Controller::Processes),
        (limits.devices.is_some(), Controller::Devices),
    ]
    .into_iter()
    .filter_map(|(wanted, controller)| wanted.then_some(controller))
}

/// Returns the settings that apply the limits of one controller. `disks` are
/// the numbers of the block devices, such as `8:0`.
pub(crate) fn settings(
    version: Version,
    controller: Controller,
    limits: &Limits,
    disks: &[String],
) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut set = |file: &'static str, value: Option<String>, optional| {
        settings.extend(value.map(|value| Setting {
            controller,
            file: Cow::Borrowed(file),
            value,
            optional,
        }));
    };
    let text = |number: Option<u64>| number.map(|number| number.to_string());
    match (controller, version) {
        (Controller::Cpu, Version::One) => {
            let slice = limits.cpu.map(slice);
            set(
                "cpu.cfs_period_us",
                text(slice.map(|(_, period)| period)),
                false,
            );
            set(
                "cpu.cfs_quota_us",
                text(slice.map(|(quota, _)| quota)),
                false,
            );
            set("cpu.shares", text(limits.cpu_shares), false);
        }
        (Controller::Cpu, Version::Two) => {
            let slice = limits.cpu.map(slice);
            let slice = slice.map(|(quota, period)| format!("{quota} {period}"));
            set("cpu.max", slice, false);
            set("cpu.weight", text(limits.cpu_shares.map(weight)), false);
        }
        (Controller::Memory, Version::One) => {
            set("memory.limit_in_bytes", text(limits.memory), false);
            // Memory and swap together, so that an app cannot escape its limit
            // by swapping.
            set("memory.memsw.limit_in_bytes", text(limits.memory), true);
            set(
                "memory.soft_limit_in_bytes",
                text(limits.memory_request),
                false,
            );
        }
        (Controller::Memory, Version::Two) => {
            set("memory.max", text(limits.memory), false);
            set(
                "memory.swap.max",
                limits.memory.map(|_| "0".to_owned()),
                true,
            );
            set("memory.low", text(limits.memory_request), false);
        }
        (Controller::Block, Version::One) => {
            for disk in disks {
                let bound = |number: Option<u64>| number.map(|number| format!("{disk} {number}"));
                let (bytes, operations) = (limits.block_bandwidth, limits.block_operations);
                set("blkio.throttle.read_bps_device", bound(bytes), false);
                set("blkio.throttle.write_bps_device", bound(bytes), false);
                set("blkio.throttle.read_iops_device", bound(operations), false);
                set("blkio.throttle.write_iops_device", bound(operations), false);
            }
        }
        (Controller::Block, Version::Two) => {
            for disk in disks {
                let mut line = disk.clone();
                if let Some(bytes) = limits.block_bandwidth {
                    line += &format!(" rbps={bytes} wbps={bytes}");
                }
                if let Some(operations) = limits.block_operations {
                    line += &format!(" riops={operations} wiops={operations}");
                }
                set("io.max", Some(line), false);
            }
        }
        (Controller::Processes, _) => set("pids.max", text(limits.processes), false),
        (Controller::Devices, Version::One) => {
            if let Some(rules) = &limits.devices {
                set("devices.deny", Some("a".to_owned()), false);
                for rule in rules {
                    set("devices.allow", Some(rule.to_string()), false);
                }
            }
        }
        // Set by a program, not by files.
        (Controller::Devices, Version::Two) => {}
    }
    settings
}

/// The smallest quota that the kernel accepts, in microseconds.
const LEAST: u64 = 1000;

/// Returns the quota and the period in microseconds. The period is a tenth of a
/// second, or a whole one where the quota would be too small for the kernel.
fn slice(millis: u64) -> (u64, u64) {
    const SHORT: u64 = 100_000;
    const LONG: u64 = 1_000_000;
    let quota = |period: u64| millis.saturating_mul(period / 1000);
    match quota(SHORT) {
        small if small < LEAST => (quota(LONG), LONG),
        enough => (enough, SHORT),
    }
}

/// Converts a version 1 weight to version 2. Both become the same multiple of
/// the default, which is 1024 in version 1 and 100 in version 2.
fn weight(shares: u64) -> u64 {
    (shares * 100 / 1024).clamp(1, 10_000)
}

/// Returns the numbers of this machine's non-empty block devices.
pub(super) fn disks() -> Vec<String> {
    let entries = std::fs::read_dir("/sys/block").into_iter().flatten();
    let read = |path: std::path::PathBuf| std::fs::read_to_string(path).ok();
    let mut disks: Vec<String> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let size = read(path.join("size"))?;
            let number = read(path.join("dev"))?;
            (size.trim() != "0").then(|| number.trim().to_owned())
        })
        .collect();
    disks.sort();
    disks
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::spec::limits::Rule;

    fn all() -> Limits {
        Limits {
            cpu: Some(1500),
            cpu_shares: Some(2048),
            memory: Some(1 << 30),
            memory_request: Some(1 << 20),
            block_bandwidth: Some(1_000_000),
            block_operations: Some(500),
            network_bandwidth: None,
            processes: Some(77),
            devices: Some(vec![Rule::parse("c 1:3 rwm").unwrap()]),
        }
    }

    fn lines(version: Version, limits: &Limits) -> Vec<String> {
        let disks = ["8:0".to_owned(), "254:16".to_owned()];
        controllers(limits)
            .flat_map(|controller| settings(version, controller, limits, &disks))
            .map(|set| {
                let optional = if set.optional { " (optional)" } else { "" };
                format!("{}={}{optional}", set.file, set.value)
            })
            .collect()
    }

    #[test]
    fn version_1_has_a_file_for_each_number() {
        assert_eq!(
            lines(Version::One, &all()),
            [
                "cpu.cfs_period_us=100000",
                "cpu.cfs_quota_us=150000",
                "cpu.shares=2048",
                "memory.limit_in_bytes=1073741824",
                "memory.memsw.limit_in_bytes=1073741824 (optional)",
                "memory.soft_limit_in_bytes=1048576",
                "blkio.throttle.read_bps_device=8:0 1000000",
                "blkio.throttle.write_bps_device=8:0 1000000",
                "blkio.throttle.read_iops_device=8:0 500",
                "blkio.throttle.write_iops_device=8:0 500",
                "blkio.throttle.read_bps_device=254:16 1000000",
                "blkio.throttle.write_bps_device=254:16 1000000",
                "blkio.throttle.read_iops_device=254:16 500",
                "blkio.throttle.write_iops_device=254:16 500",
                "pids.max=77",
                "devices.deny=a",
                "devices.allow=c 1:3 rwm",
            ]
        );
    }

    #[test]
    fn version_2_has_one_for_each_purpose() {
        assert_eq!(
            lines(Version::Two, &all()),
            [
                "cpu.max=150000 100000",
                "cpu.weight=200",
                "memory.max=1073741824",
                "memory.swap.max=0 (optional)",
                "memory.low=1048576",
                "io.max=8:0 rbps=1000000 wbps=1000000 riops=500 wiops=500",
                "io.max=254:16 rbps=1000000 wbps=1000000 riops=500 wiops=500",
                "pids.max=77",
            ]
        );
    }

    #[test]
    fn no_limit_writes_nothing() {
        for version in [Version::One, Version::Two] {
            assert_eq!(lines(version, &Limits::default()), [""; 0]);
        }
        let limits = Limits {
            block_operations: Some(7),
            ..Limits::default()
        };
        assert_eq!(
            lines(Version::Two, &limits),
            [
                "io.max=8:0 riops=7 wiops=7",
                "io.max=254:16 riops=7 wiops=7"
            ]
        );
    }

    #[test]
    fn a_quota_is_never_below_the_kernels_minimum() {
        for (millis, expected) in [
            (1, (1000, 1_000_000)),
            (9, (9000, 1_000_000)),
            (10, (1000, 100_000)),
            (1000, (100_000, 100_000)),
            (64_000, (6_400_000, 100_000)),
        ] {
            assert_eq!(slice(millis), expected, "{millis}");
        }
    }

    #[test]
    fn weights_keep_their_ratio_to_the_default() {
        for (shares, expected) in [
            (2, 1),
            (512, 50),
            (1024, 100),
            (2048, 200),
            (262_144, 10_000),
        ] {
            assert_eq!(weight(shares), expected, "{shares}");
        }
    }
}
