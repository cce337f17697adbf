//! The environment that every app on Linux gets, whatever its image says: the
//! file systems, devices, masks, capabilities and variables.
//!
//! What the App Container specification's OS-SPEC demands of Linux, and what
//! the runners of the field hide and write-protect by default: the union of
//! their lists, since a path that one of them found dangerous is dangerous.

use stage1_init::{Capabilities, MountFlags};

/// Search path of programs, where the image sets none.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Value of the variable `container`, by which programs see where they are.
pub(crate) const CONTAINER: &str = "nosecone";

/// Capabilities that an app may have at most where no isolator says otherwise:
/// the specification's default for `os/linux/capabilities-remove-set`.
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

/// Processes and threads that a pod may have where nobody says otherwise: more
/// than servers have, and few enough for the host to go on.
pub(crate) const PROCESSES: u64 = 4096;

/// A file system that is mounted for every app.
pub(crate) struct Fixture {
    /// Type, and source as /proc/self/mountinfo will show it.
    pub kind: &'static str,
    /// Where.
    pub target: &'static str,
    /// Flags of the mount.
    pub flags: MountFlags,
    /// Options of the file system.
    pub data: &'static str,
    /// Mode of the directory, where the image has none.
    pub mode: u32,
}

const SAFE: MountFlags = MountFlags::NOSUID
    .with(MountFlags::NODEV)
    .with(MountFlags::NOEXEC);

/// No component of the target may be a link: an image whose /proc is a link
/// would get the mount, and the masks of /proc, somewhere else (CVE-2019-16884,
/// CVE-2023-27561).
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

/// The directory of devices. Nodes that we make in it are mounts of their own,
/// so it becomes `nodev` when they are made: an app that may make nodes cannot
/// use one, even where no device cgroup is at hand.
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

/// POSIX message queues, where the kernel has them.
const MQUEUE: Fixture = Fixture {
    kind: "mqueue",
    target: "/dev/mqueue",
    flags: SAFE,
    data: "",
    mode: 0o755,
};

/// A temporary directory for images that bring none. Left alone the kernel would
/// let it take half of the memory.
pub(crate) const TMP: Fixture = Fixture {
    kind: "tmpfs",
    target: "/tmp",
    flags: MountFlags::NOSUID.with(MountFlags::NODEV),
    data: "mode=1777,size=25%",
    mode: 0o1777,
};

/// Where an image may have something of its own, which then stays as it is.
pub(crate) const OPTIONAL: [&str; 4] = ["/tmp", "/etc/hosts", "/etc/hostname", "/etc/mtab"];

/// Where /etc/mtab leads, from which old programs read what is mounted.
pub(crate) const MTAB: &str = "../proc/self/mounts";

/// Returns /etc/hosts of a pod: its network is loopback.
pub(crate) fn hosts(hostname: &str) -> String {
    format!("127.0.0.1\tlocalhost {hostname}\n::1\tlocalhost {hostname}\n")
}

/// Character devices: name, major and minor number (the kernel's devices.txt).
/// The console is the null device: an app has no business on the host's.
pub(crate) const DEVICES: [(&str, u32, u32); 7] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
    ("console", 1, 3),
];

/// Links in /dev: where each leads, and its name.
pub(crate) const LINKS: [(&str, &str); 6] = [
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
    ("/proc/kcore", "/dev/core"),
    ("pts/ptmx", "/dev/ptmx"),
];

/// What is hidden: kernel memory, keys and addresses, timers of other
/// processes, firmware, power measurements, hardware controls.
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
