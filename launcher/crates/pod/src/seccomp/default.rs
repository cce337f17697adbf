//! The filter of every app whose image does not ask for another.
//!
//! It blocks what other container runners block, and what has led out of
//! containers since: calls that only administer the machine, calls on objects
//! that have no namespaces, and calls whose code in the kernel has been broken
//! again and again. A number that the table of calls does not have returns
//! ENOSYS, so that a libc newer than this table falls back to what it did
//! before. A call that is blocked on purpose returns EPERM, or the error of a
//! kernel that does not have it if programs use that to find out.
//!
//! An app that was given a capability also gets the calls that need it.

use std::collections::BTreeMap;

use super::calls::Arch;
use super::program::{Action, Filter, Rule, Test};

/// Operation not permitted: programs that probe for a call understand this as a
/// refusal, too.
pub(crate) const EPERM: u16 = 1;

/// No such call: programs do without.
pub(crate) const ENOSYS: u16 = 38;

/// Address family not supported: programs try another, or do without. They
/// would take EPERM to mean that they need root.
const EAFNOSUPPORT: u16 = 97;

/// Calls that are blocked, and for whom.
struct Refused {
    /// Apps with this capability may make them; nobody may if it is empty.
    unless: &'static str,
    calls: &'static [&'static str],
}

const REFUSED: &[Refused] = &[
    // Mounts, namespaces, and whatever else the kernel requires CAP_SYS_ADMIN
    // for. A user namespace would give that to anybody (CVE-2022-0185).
    Refused {
        unless: "sys_admin",
        calls: &[
            "fanotify_init",
            "fsconfig",
            "fsmount",
            "fsopen",
            "fspick",
            "lookup_dcookie",
            "mount",
            "mount_setattr",
            "move_mount",
            "open_tree",
            "open_tree_attr",
            "pivot_root",
            "quotactl",
            "quotactl_fd",
            "setdomainname",
            "sethostname",
            "setns",
            "swapoff",
            "swapon",
            "umount",
            "umount2",
            "unshare",
        ],
    },
    Refused {
        unless: "sys_boot",
        calls: &["kexec_file_load", "kexec_load", "reboot"],
    },
    Refused {
        unless: "sys_module",
        calls: &["delete_module", "finit_module", "init_module"],
    },
    Refused {
        unless: "sys_pacct",
        calls: &["acct"],
    },
    Refused {
        unless: "sys_ptrace",
        calls: &["kcmp", "pidfd_getfd", "process_madvise", "userfaultfd"],
    },
    Refused {
        unless: "sys_rawio",
        calls: &[
            "ioperm",
            "iopl",
            "pciconfig_iobase",
            "pciconfig_read",
            "pciconfig_write",
        ],
    },
    Refused {
        unless: "sys_time",
        calls: &["clock_settime", "clock_settime64", "settimeofday", "stime"],
    },
    Refused {
        unless: "sys_tty_config",
        calls: &["vhangup"],
    },
    // Where memory is located reveals facts about the machine, and moving it
    // disturbs others.
    Refused {
        unless: "sys_nice",
        calls: &[
            "get_mempolicy",
            "mbind",
            "migrate_pages",
            "move_pages",
            "set_mempolicy",
            "set_mempolicy_home_node",
        ],
    },
    Refused {
        unless: "syslog",
        calls: &["syslog"],
    },
    Refused {
        unless: "bpf",
        calls: &["bpf"],
    },
    Refused {
        unless: "perfmon",
        calls: &["perf_event_open"],
    },
    // A handle can open a file that no path leads to (CVE-2014-3519).
    Refused {
        unless: "dac_read_search",
        calls: &["open_by_handle_at"],
    },
    // Keys have no namespaces. io_uring makes calls that a filter does not see.
    Refused {
        unless: "",
        calls: &[
            "add_key",
            "io_uring_enter",
            "io_uring_register",
            "io_uring_setup",
            "keyctl",
            "request_key",
        ],
    },
    // Unused for decades, where it exists at all.
    Refused {
        unless: "",
        calls: &[
            "_sysctl",
            "afs_syscall",
            "bdflush",
            "create_module",
            "get_kernel_syms",
            "getpmsg",
            "nfsservctl",
            "putpmsg",
            "query_module",
            "security",
            "sysfs",
            "tuxcall",
            "uselib",
            "ustat",
            "vm86",
            "vm86old",
            "vserver",
        ],
    },
];

/// The flags of clone(2) that make namespaces: all except `CLONE_NEWTIME`,
/// which only unshare(2) and clone3(2) accept.
const NEW_NAMESPACES: u32 = 0x7e02_0000;

/// The execution domains (personality(2)) that programs are known to need:
/// Linux, and Linux with 32-bit limits, each also pretending to be an older
/// release (`UNAME26`); and the query. Others turn off memory protections.
const PERSONALITIES: &[u32] = &[0, 8, 0x2_0000, 0x2_0008, u32::MAX];

/// Newer interfaces to what every process has in /proc/self/attr, and to a list
/// of the host's security modules that no file in a pod shows. Programs that
/// use them do without where they are missing.
const LABELS: &[&str] = &["lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr"];

/// The address families of sockets (linux/socket.h) that apps may have: those
/// that every app needs, and around them those that need a capability. For any
/// other, the kernel would load a module; most of these are old and rarely
/// reviewed, and some have led out of containers (CVE-2017-6074,
/// CVE-2021-43267).
///
/// With net_admin an app also gets keys of IPsec, PPPoE, CAN and XDP, which
/// belong to network namespaces. No app gets `AF_ALG` (CVE-2026-31431) or
/// `AF_VSOCK`, the connection to the hypervisor: they have no namespaces.
const FAMILIES: &[u32] = &[
    15, 24, 29, 44, // AF_KEY, AF_PPPOX, AF_CAN, AF_XDP
    1, 2, 10, 16, // AF_UNIX, AF_INET, AF_INET6, AF_NETLINK
    17, // AF_PACKET
];

/// Returns the families for an app.
fn families(has: &dyn Fn(&str) -> bool) -> &'static [u32] {
    let from = if has("net_admin") { 0 } else { 4 };
    let to = if has(BY_DEFAULT) { 9 } else { 8 };
    FAMILIES.get(from..to).unwrap_or_default()
}

/// Requests that inject input into a terminal that others read: `TIOCSTI`
/// (CVE-2017-5226), and `TIOCLINUX`, which can paste a selection.
const TERMINAL: &[u32] = &[0x5412, 0x541c];

/// The only capability in the default set that makes a difference here.
pub(crate) const BY_DEFAULT: &str = "net_raw";

/// What the filter depends on besides the architecture.
pub(crate) struct Conditions<'a> {
    /// Returns whether the app has a capability, by its name in a plan.
    pub has: &'a dyn Fn(&str) -> bool,
    /// Whether to allow ptrace(2): since Linux 4.8 a tracer cannot change a
    /// call that the filter has let pass.
    pub ptrace: bool,
}

/// Makes the filter.
pub(crate) fn filter(arch: Arch, conditions: &Conditions<'_>) -> Filter {
    let refuse = Action::Errno(EPERM);
    let allow = Rule::Always(Action::Allow);
    let mut rules: BTreeMap<u32, Rule> = arch.calls().map(|(_, number)| (number, allow)).collect();
    let mut set = |call: &str, rule| {
        if let Some(number) = arch.number(call) {
            rules.insert(number, rule);
        }
    };
    for Refused { unless, calls } in REFUSED {
        if unless.is_empty() || !(conditions.has)(unless) {
            for call in *calls {
                set(call, Rule::Always(refuse));
            }
        }
    }
    let unless = |argument, test| Rule::If {
        argument,
        test,
        then: refuse,
        otherwise: Action::Allow,
    };
    if !(conditions.has)("sys_admin") {
        set("clone", unless(0, Test::HasAny(NEW_NAMESPACES)));
        // Its flags are in memory, where a filter cannot look. Libcs fall back
        // to clone(2).
        set("clone3", Rule::Always(Action::Errno(ENOSYS)));
        for call in LABELS {
            set(call, Rule::Always(Action::Errno(ENOSYS)));
        }
    }
    if !conditions.ptrace {
        for call in ["ptrace", "process_vm_readv", "process_vm_writev"] {
            set(call, Rule::Always(refuse));
        }
    }
    for call in ["socket", "socketpair"] {
        set(
            call,
            Rule::If {
                argument: 0,
                test: Test::Among(families(conditions.has)),
                then: Action::Allow,
                otherwise: Action::Errno(EAFNOSUPPORT),
            },
        );
    }
    set("ioctl", unless(1, Test::Among(TERMINAL)));
    set(
        "personality",
        Rule::If {
            argument: 0,
            test: Test::Among(PERSONALITIES),
            then: Action::Allow,
            otherwise: refuse,
        },
    );
    Filter {
        arch,
        second: false,
        rules,
        otherwise: Action::Errno(ENOSYS),
    }
}
