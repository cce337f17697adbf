//! The environment of every app on Linux, whatever its image says: file
//! systems, devices, masks, capabilities and variables.
//!
//! It is what the App Container specification's OS-SPEC requires for Linux,
//! plus what other runners hide and write-protect by default: the union of
//! their lists, since a path that one of them found dangerous is dangerous.

use stage1_init::{Capabilities, MountFlags};

/// The search path of programs, if the image sets none.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The value of the variable `container`, by which programs see where they run.
pub(crate) const CONTAINER: &str = "nosecone";

/// The most capabilities of an app without an isolator for them: the
/// specification's default for `os/linux/capabilities-remove-set`.
pub(crate) const CAPABILITIES: Capabilities = Capabilities::CHOWN
    .with(Capabilities::DAC_OVERRIDE)
    .with(Capabilities::FOWNER)
    .with(Capabilities::FSETID)
    .with(Capabilities::KILL)
    .with(Capabilities::SETGID)
    .with(Capabilities::SETUID)
    .with(Capabilities::SETPCAP)
    .with(Capabilities::NET_BIND_SERVICE)
    .with(Capabilities::NET_RAW)
    .with(Capabilities::SYS_CHROOT)
    .with(Capabilities::MKNOD)
    .with(Capabilities::AUDIT_WRITE)
    .with(Capabilities::SETFCAP);

/// The default limit of processes and threads in a pod: more than servers need,
/// and few enough for the host to keep working.
pub(crate) const PROCESSES: u64 = 4096;

/// A file system that is mounted for every app.
pub(crate) struct Fixture {
    /// Its type, and the source that /proc/self/mountinfo will show.
    pub kind: &'static str,
    /// Where it is mounted.
    pub target: &'static str,
    /// Mount flags.
    pub flags: MountFlags,
    /// Options of the file system.
    pub data: &'static str,
    /// The mode of the directory, if the image does not have it.
    pub mode: u32,
}

const SAFE: MountFlags = MountFlags::NOSUID
    .with(MountFlags::NODEV)
    .with(MountFlags::NOEXEC);

/// No component of the target may be a link: if an image's /proc were a link,
/// the mount, and the masks of /proc, would end up somewhere else
/// (CVE-2019-16884, CVE-2023-27561).
const PINNED: MountFlags = SAFE.with(MountFlags::NOFOLLOW);

/// Kernel file systems, mounted before anything of the image is touched.
pub(crate) const KERNEL: [Fixture; 2] = [
    Fixture {
        kind: "proc",
        target: "/proc",
        flags: PINNED,
        data: "",
        mode: 0o755,
    },
    Fixture {
        kind: "sysfs",
        target: "/sys",
        flags: PINNED.with(MountFlags::RO),
        data: "",
        mode: 0o755,
    },
];

/// The directory of devices. Each node in it becomes a mount of its own, so
/// /dev itself can be `nodev` once they are made: an app that can make nodes
/// cannot use them, even without a device cgroup.
pub(crate) const DEV: Fixture = Fixture {
    kind: "tmpfs",
    target: "/dev",
    flags: MountFlags::NOSUID
        .with(MountFlags::NOEXEC)
        .with(MountFlags::NOFOLLOW),
    data: "mode=755,size=64k",
    mode: 0o755,
};

/// What is mounted below /dev.
pub(crate) const BELOW_DEV: [Fixture; 3] = [
    Fixture {
        kind: "devpts",
        target: "/dev/pts",
        flags: MountFlags::NOSUID.with(MountFlags::NOEXEC),
        data: "newinstance,ptmxmode=0666,mode=0620,gid=5",
        mode: 0o755,
    },
    SHM,
    MQUEUE,
];

/// POSIX shared memory and semaphores.
pub(crate) const SHM: Fixture = Fixture {
    kind: "tmpfs",
    target: "/dev/shm",
    flags: SAFE,
    data: "mode=1777,size=64m",
    mode: 0o1777,
};

/// POSIX message queues, if the kernel has them.
const MQUEUE: Fixture = Fixture {
    kind: "mqueue",
    target: "/dev/mqueue",
    flags: SAFE,
    data: "",
    mode: 0o755,
};

/// A temporary directory for images without one. The kernel's default size
/// would be half of the memory.
pub(crate) const TMP: Fixture = Fixture {
    kind: "tmpfs",
    target: "/tmp",
    flags: MountFlags::NOSUID.with(MountFlags::NODEV),
    data: "mode=1777,size=25%",
    mode: 0o1777,
};

/// What an image may have its own version of, which is then left alone.
pub(crate) const OPTIONAL: [&str; 4] = ["/tmp", "/etc/hosts", "/etc/hostname", "/etc/mtab"];

/// The file that names servers of names. One that is empty, or a link that
/// leads nowhere, is left by whatever made the image.
pub(crate) const RESOLVER: &str = "/etc/resolv.conf";

/// The target of /etc/mtab, where old programs look for mounts.
pub(crate) const MTAB: &str = "../proc/self/mounts";

/// Returns the /etc/hosts of a pod: whatever its network, it finds itself.
pub(crate) fn hosts(hostname: &str) -> String {
    format!("127.0.0.1\tlocalhost {hostname}\n::1\tlocalhost {hostname}\n")
}

/// Character devices: name, major and minor number (the kernel's devices.txt).
/// The console is the null device: the host's is none of an app's business.
pub(crate) const DEVICES: [(&str, u32, u32); 7] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
    ("console", 1, 3),
];

/// Links in /dev: target and name.
pub(crate) const LINKS: [(&str, &str); 6] = [
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("/proc/kcore", "/dev/core"),
    ("pts/ptmx", "/dev/ptmx"),
];

/// What is hidden: kernel memory, keys and addresses, other processes' timers,
/// firmware, power measurements, hardware controls.
pub(crate) const MASKED: [&str; 14] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/selinux",
];
