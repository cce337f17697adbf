//! The filter of PID 1, which from the first program on makes few calls: it
//! waits, sends signals to the apps, and reports. An app that may trace it can
//! do no more through it.

use std::collections::BTreeMap;

use super::calls::Arch;
use super::default::EPERM;
use super::program::{Action, Filter, Rule};

/// What stage1-init's README says that a filter must allow, under the names
/// that these calls have on some architecture.
const CALLS: &[&str] = &[
    "clock_gettime",
    "clock_gettime64",
    "close",
    "exit_group",
    "getpid",
    "kill",
    "madvise",
    "munmap",
    "read",
    "restart_syscall",
    "rt_sigaction",
    "rt_sigtimedwait",
    "rt_sigtimedwait_time64",
    "wait4",
    "write",
];

/// Makes the filter.
pub(crate) fn filter(arch: Arch) -> Filter {
    let allowed = CALLS.iter().filter_map(|name| arch.number(name));
    let rules: BTreeMap<u32, Rule> = allowed
        .map(|number| (number, Rule::Always(Action::Allow)))
        .collect();
    Filter {
        arch,
        second: false,
        rules,
        otherwise: Action::Errno(EPERM),
    }
}
