//! Operands that are fixed words: one of them, or a set.

use crate::operand::{Operand, Operands};
use crate::packed::{self, packed};
use crate::words::Sink;

/// Defines an enum whose values are written as one word each.
macro_rules! one_word {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $word:literal $value:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$value_doc])* $value,)* }

        impl $name {
            /// Every value and its word, in the order of the documentation.
            pub const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$value),)*];

            /// Returns the word for the value.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$value => $word,)* }
            }
        }

        impl Operand<'_> for $name {
            fn read(operands: &mut Operands<'_, '_>) -> Self {
                packed!(NAMES: $($word),*);
                const VALUES: &[$name] = &[$($name::$value),*];
                let [first, ..] = VALUES else { unreachable!() };
                *VALUES.get(operands.choice(NAMES)).unwrap_or(first)
            }

            fn write(&self, sink: &mut dyn Sink) {
                sink.write(self.word().as_bytes());
                sink.write(b"\0");
            }
        }
    };
}

/// Defines a set whose members are written as words, separated by commas.
///
/// The empty set is the empty word. Members are written in the order in which
/// they are listed here, whatever order they were read in.
macro_rules! word_set {
    ($(#[$doc:meta])* $name:ident: $bits:ty { $($(#[$value_doc:meta])* $word:literal $value:ident = $bit:expr,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name($bits);

        impl $name {
            /// The set without members.
            pub const EMPTY: Self = Self(0);
            $($(#[$value_doc])* pub const $value: Self = Self(1 << $bit);)*

            /// Every member and its word, in the order in which they are
            /// written.
            pub const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$value),)*];

            /// Tells whether all members of `other` are members of this set.
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// Returns the members of either set.
            #[must_use]
            pub const fn with(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// Returns the members of this set that are not in `other`.
            #[must_use]
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }

            /// Tells whether there are no members.
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// Returns an iterator over the members, in the order of
            /// [`Self::WORDS`].
            pub fn iter(self) -> impl Iterator<Item = Self> {
                Self::WORDS.iter().map(|&(_, member)| member).filter(move |&member| self.contains(member))
            }

            packed!(
                /// The words of the members, in the order of their bits.
                NAMES: $($word),*
            );

            /// Returns the member for a word.
            pub fn member(word: &[u8]) -> Option<Self> {
                packed::position(Self::NAMES, word).map(|bit| Self(1 << bit))
            }

            fn from_bits(bits: u64) -> Self {
                Self(<$bits>::try_from(bits).unwrap_or_default())
            }

            fn write_members(self, sink: &mut dyn Sink) {
                let mut comma: &[u8] = b"";
                for &(name, member) in Self::WORDS {
                    if self.contains(member) {
                        sink.write(comma);
                        sink.write(name.as_bytes());
                        comma = b",";
                    }
                }
            }
        }

        impl Operand<'_> for $name {
            fn read(operands: &mut Operands<'_, '_>) -> Self {
                let word = operands.word().to_bytes();
                Self::from_bits(operands.members(word, Self::NAMES))
            }

            fn write(&self, sink: &mut dyn Sink) {
                self.write_members(sink);
                sink.write(b"\0");
            }
        }
    };
}

word_set! {
    /// Kinds of namespace, as in namespaces(7).
    Namespaces: u8 {
        /// Mount points.
        "mnt" MNT = 0,
        /// Process ids; the process that continues is PID 1 of the new
        /// namespace.
        "pid" PID = 1,
        /// System V and POSIX inter-process communication.
        "ipc" IPC = 2,
        /// Host name and domain name.
        "uts" UTS = 3,
        /// Network devices, addresses, ports.
        "net" NET = 4,
        /// The view of the cgroup hierarchy.
        "cgroup" CGROUP = 5,
        /// User and group ids; see `uid-map`.
        "user" USER = 6,
        /// Offsets of the monotonic and boot-time clocks; see `clock-offset`.
        "time" TIME = 7,
    }
}

word_set! {
    /// How to mount something: the per-mount flags of mount(8), and some of our
    /// own.
    MountFlags: u16 {
        /// Nothing on it can be written; with `rec`, nothing below it either.
        "ro" RO = 0,
        /// Set-user-ID, set-group-ID and file capabilities have no effect.
        "nosuid" NOSUID = 1,
        /// Device nodes cannot be opened.
        "nodev" NODEV = 2,
        /// Programs cannot be executed.
        "noexec" NOEXEC = 3,
        /// Symbolic links are not followed (Linux 5.10).
        "nosymfollow" NOSYMFOLLOW = 4,
        /// Access times are not updated.
        "noatime" NOATIME = 5,
        /// Access times are always updated.
        "strictatime" STRICTATIME = 6,
        /// Times are kept in memory as long as possible.
        "lazytime" LAZYTIME = 7,
        /// Includes everything mounted below the source (bind only).
        "rec" REC = 8,
        /// No component of the target may be a symbolic link. For targets that
        /// an image must not be able to move.
        "nofollow" NOFOLLOW = 9,
        /// A target that does not exist is skipped.
        "optional" OPTIONAL = 10,
        /// No component of the source may be a symbolic link (bind only). For
        /// sources that somebody could replace after they were checked.
        "pinned" PINNED = 11,
    }
}

word_set! {
    /// Capabilities, as in capabilities(7), but in lower case and without
    /// `CAP_`.
    ///
    /// As an operand, `all` is every capability that the kernel knows.
    Capabilities: u64 {
        /// `CAP_CHOWN`
        "chown" CHOWN = 0,
        /// `CAP_DAC_OVERRIDE`
        "dac_override" DAC_OVERRIDE = 1,
        /// `CAP_DAC_READ_SEARCH`
        "dac_read_search" DAC_READ_SEARCH = 2,
        /// `CAP_FOWNER`
        "fowner" FOWNER = 3,
        /// `CAP_FSETID`
        "fsetid" FSETID = 4,
        /// `CAP_KILL`
        "kill" KILL = 5,
        /// `CAP_SETGID`
        "setgid" SETGID = 6,
        /// `CAP_SETUID`
        "setuid" SETUID = 7,
        /// `CAP_SETPCAP`
        "setpcap" SETPCAP = 8,
        /// `CAP_LINUX_IMMUTABLE`
        "linux_immutable" LINUX_IMMUTABLE = 9,
        /// `CAP_NET_BIND_SERVICE`
        "net_bind_service" NET_BIND_SERVICE = 10,
        /// `CAP_NET_BROADCAST`
        "net_broadcast" NET_BROADCAST = 11,
        /// `CAP_NET_ADMIN`
        "net_admin" NET_ADMIN = 12,
        /// `CAP_NET_RAW`
        "net_raw" NET_RAW = 13,
        /// `CAP_IPC_LOCK`
        "ipc_lock" IPC_LOCK = 14,
        /// `CAP_IPC_OWNER`
        "ipc_owner" IPC_OWNER = 15,
        /// `CAP_SYS_MODULE`
        "sys_module" SYS_MODULE = 16,
        /// `CAP_SYS_RAWIO`
        "sys_rawio" SYS_RAWIO = 17,
        /// `CAP_SYS_CHROOT`
        "sys_chroot" SYS_CHROOT = 18,
        /// `CAP_SYS_PTRACE`
        "sys_ptrace" SYS_PTRACE = 19,
        /// `CAP_SYS_PACCT`
        "sys_pacct" SYS_PACCT = 20,
        /// `CAP_SYS_ADMIN`
        "sys_admin" SYS_ADMIN = 21,
        /// `CAP_SYS_BOOT`
        "sys_boot" SYS_BOOT = 22,
        /// `CAP_SYS_NICE`
        "sys_nice" SYS_NICE = 23,
        /// `CAP_SYS_RESOURCE`
        "sys_resource" SYS_RESOURCE = 24,
        /// `CAP_SYS_TIME`
        "sys_time" SYS_TIME = 25,
        /// `CAP_SYS_TTY_CONFIG`
        "sys_tty_config" SYS_TTY_CONFIG = 26,
        /// `CAP_MKNOD`
        "mknod" MKNOD = 27,
        /// `CAP_LEASE`
        "lease" LEASE = 28,
        /// `CAP_AUDIT_WRITE`
        "audit_write" AUDIT_WRITE = 29,
        /// `CAP_AUDIT_CONTROL`
        "audit_control" AUDIT_CONTROL = 30,
        /// `CAP_SETFCAP`
        "setfcap" SETFCAP = 31,
        /// `CAP_MAC_OVERRIDE`
        "mac_override" MAC_OVERRIDE = 32,
        /// `CAP_MAC_ADMIN`
        "mac_admin" MAC_ADMIN = 33,
        /// `CAP_SYSLOG`
        "syslog" SYSLOG = 34,
        /// `CAP_WAKE_ALARM`
        "wake_alarm" WAKE_ALARM = 35,
        /// `CAP_BLOCK_SUSPEND`
        "block_suspend" BLOCK_SUSPEND = 36,
        /// `CAP_AUDIT_READ`
        "audit_read" AUDIT_READ = 37,
        /// `CAP_PERFMON`
        "perfmon" PERFMON = 38,
        /// `CAP_BPF`
        "bpf" BPF = 39,
        /// `CAP_CHECKPOINT_RESTORE`
        "checkpoint_restore" CHECKPOINT_RESTORE = 40,
    }
}

impl MountFlags {
    /// Returns `ro`, `nosuid`, `nodev` and `noexec` as the kernel numbers them,
    /// both as flags of mount(2) and as attributes of mount_setattr(2).
    pub const fn elementary(self) -> u32 {
        (self.0 & 0b1111) as u32
    }
}

impl Capabilities {
    /// Returns the set as in capget(2): bit 0 is `CAP_CHOWN`.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

one_word! {
    /// How mounts are propagated between namespaces; see mount_namespaces(7).
    Propagation {
        /// Mounts are neither sent nor received.
        "private" Private,
        /// Mounts are received from the peer, but not sent.
        "slave" Slave,
        /// Mounts are sent and received.
        "shared" Shared,
        /// As `private`, and cannot be bound.
        "unbindable" Unbindable,
        /// `private`, for the whole tree below.
        "rprivate" RecPrivate,
        /// `slave`, for the whole tree below.
        "rslave" RecSlave,
        /// `shared`, for the whole tree below.
        "rshared" RecShared,
        /// `unbindable`, for the whole tree below.
        "runbindable" RecUnbindable,
    }
}

one_word! {
    /// The kinds of device node.
    NodeKind {
        /// A character device.
        "c" Character,
        /// A block device.
        "b" Block,
    }
}

one_word! {
    /// The clocks that a time namespace can shift.
    Clock {
        /// `CLOCK_MONOTONIC`
        "monotonic" Monotonic,
        /// `CLOCK_BOOTTIME`
        "boottime" Boottime,
    }
}

one_word! {
    /// Whether setgroups(2) works in a new user namespace.
    SetGroups {
        /// It works. An ordinary user can then not write a gid map.
        "allow" Allow,
        /// It is denied.
        "deny" Deny,
    }
}

one_word! {
    /// The resources of setrlimit(2), in lower case and without `RLIMIT_`.
    Resource {
        /// Address space, bytes.
        "as" As,
        /// Size of a core file, bytes.
        "core" Core,
        /// Processor time, seconds.
        "cpu" Cpu,
        /// Data segment, bytes.
        "data" Data,
        /// Size of a file, bytes.
        "fsize" Fsize,
        /// Number of flocks and leases.
        "locks" Locks,
        /// Locked memory, bytes.
        "memlock" Memlock,
        /// POSIX message queues, bytes.
        "msgqueue" Msgqueue,
        /// Ceiling of the nice value.
        "nice" Nice,
        /// One more than the highest file descriptor.
        "nofile" Nofile,
        /// Processes of the user.
        "nproc" Nproc,
        /// Resident set, bytes; has no effect in current kernels.
        "rss" Rss,
        /// Ceiling of the real-time priority.
        "rtprio" Rtprio,
        /// Processor time in real-time scheduling without a system call, microseconds.
        "rttime" Rttime,
        /// Pending signals of the user.
        "sigpending" Sigpending,
        /// Stack, bytes.
        "stack" Stack,
    }
}

/// A set of capabilities as an operand: its members, or the word `all`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapabilitySet {
    /// Every capability that the running kernel knows.
    All,
    /// These capabilities.
    Only(Capabilities),
}

impl Operand<'_> for CapabilitySet {
    fn read(operands: &mut Operands<'_, '_>) -> Self {
        let word = operands.word();
        if word == c"all" {
            return Self::All;
        }
        let bits = operands.members(word.to_bytes(), Capabilities::NAMES);
        Self::Only(Capabilities::from_bits(bits))
    }

    fn write(&self, sink: &mut dyn Sink) {
        match self {
            Self::All => sink.write(b"all"),
            Self::Only(members) => members.write_members(sink),
        }
        sink.write(b"\0");
    }
}
