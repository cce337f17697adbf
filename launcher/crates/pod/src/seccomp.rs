//! Which system calls an app may make (seccomp(2)).
//!
//! By default this is decided by the default filter, which the build script
//! compiled into `DEFAULT`. If the image or the operator provides a set of
//! calls, a filter is compiled from it when the plan is made:
//!
//! - *remove* blocks its calls in addition to those that the default blocks;
//!   `@appc.io/empty` in the set means the default alone;
//! - *retain* allows only its calls, and those without which no program can
//!   start or end; `@appc.io/all` in the set means no filter.
//!
//! A retain set that only an image asks for allows nothing beyond the default:
//! calls that the default blocks are dropped from it, and calls that the
//! default decides by an argument are decided in the same way.
//!
//! A set may contain groups of our own: `@nosecone/default` is what the default
//! filter allows or, in a remove set, what it blocks. The names that rkt's
//! users know for such groups mean the same.
//!
//! A filter holds for 32-bit programs on a 64-bit machine, too: the same calls
//! are blocked for both (`second`).

mod calls;
mod default;
mod errno;
#[cfg(test)]
mod init;
mod listing;
mod numbers;
mod program;
mod second;

use std::borrow::Cow;
use std::collections::BTreeMap;

use stage1_init::Capabilities;

use crate::seccomp::calls::Arch;
use crate::seccomp::default::{Conditions, EPERM};
use crate::seccomp::numbers::CALLS;
use crate::seccomp::program::{Action, Filter, Rule, Test};
use crate::spec::defaults::CAPABILITIES;
use crate::spec::process::{Calls, SeccompPolicy};
use error::{Error, Result};

/// The default filter for this architecture, as [`Program::bytes`]. It is for
/// apps with the default capabilities, or with fewer where that makes no
/// difference, on a kernel since [`TRACED_BEFORE_FILTERED`].
static DEFAULT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/default.bpf"));

/// The filter of PID 1, as [`Program::bytes`].
pub(crate) static INIT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init.bpf"));

/// The summary of the default filter, as [`Program::summary`].
static DEFAULT_SUMMARY: &str = include_str!(concat!(env!("OUT_DIR"), "/default.txt"));

/// Since this kernel a tracer cannot change a call after the filter has checked
/// it (commit 93e35efb8de4).
const TRACED_BEFORE_FILTERED: (u32, u32) = (4, 8);

/// A compiled filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// An array of `struct sock_filter`.
    pub bytes: Cow<'static, [u8]>,
    /// What it does, in one line, with the names of calls.
    pub summary: Cow<'static, str>,
}

impl Program {
    /// Returns the default filter, for an app with the default capabilities.
    pub(crate) const fn default() -> Self {
        Self {
            bytes: Cow::Borrowed(DEFAULT),
            summary: Cow::Borrowed(DEFAULT_SUMMARY),
        }
    }

    /// Returns whether it is that one.
    pub(crate) const fn is_default(&self) -> bool {
        matches!(self.bytes, Cow::Borrowed(_))
    }
}

/// The result of evaluating a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The filter; `None` for no filter.
    pub program: Option<Program>,
    /// Notes about what was ignored or reinterpreted.
    pub notes: Vec<String>,
    /// The calls of a bounded set that exceed the default, and are not allowed.
    pub beyond: Vec<String>,
}

/// The meaning of a wildcard.
enum Group {
    /// Everything: no filter.
    All,
    /// The default and nothing else.
    Empty,
    /// What the default filter allows or, in a remove set, blocks.
    Default,
}

/// Allows everything, in a retain set.
const ALL: &str = "@appc.io/all";

const GROUPS: &[(&str, Group)] = &[
    (ALL, Group::All),
    ("@appc.io/empty", Group::Empty),
    ("@nosecone/default", Group::Default),
    ("@rkt/default-whitelist", Group::Default),
    ("@rkt/default-blacklist", Group::Default),
    ("@docker/default-whitelist", Group::Default),
    ("@docker/default-blacklist", Group::Default),
];

/// Every name that a set can have: the calls of all architectures, and groups.
pub fn names() -> impl Iterator<Item = &'static str> {
    let calls = CALLS.iter().map(|(name, _)| *name);
    calls.chain(GROUPS.iter().map(|(name, _)| *name))
}

/// Every error that a blocked call can return.
pub fn errors() -> impl Iterator<Item = &'static str> {
    errno::names()
}

/// The calls without which no program can start, return from a signal handler,
/// or end.
const LIFE: &[&str] = &[
    "execve",
    "exit",
    "exit_group",
    "restart_syscall",
    "rt_sigreturn",
    "sigreturn",
];

/// Makes the filter for an app with these capabilities on a kernel of this
/// version. `waits`: the app has programs that wait for their turn under the
/// filter.
///
/// # Errors
///
/// Fails if there is no table of calls for this architecture.
pub(crate) fn decide(
    policy: &SeccompPolicy,
    capabilities: Capabilities,
    kernel: (u32, u32),
    waits: bool,
) -> Result<Verdict> {
    let arch = Arch::named(std::env::consts::ARCH).ok_or_else(|| {
        Error::invalid(format!(
            "there is no system call filter for {}",
            std::env::consts::ARCH
        ))
    })?;
    let has = |word: &str| {
        let member = Capabilities::member(word.as_bytes());
        member.is_some_and(|member| capabilities.contains(member))
    };
    let ptrace = kernel >= TRACED_BEFORE_FILTERED;
    let usual = CAPABILITIES.contains(capabilities) && has(default::BY_DEFAULT);
    let as_built = *policy == SeccompPolicy::AsBuilt;
    if as_built || *policy == SeccompPolicy::Default && usual && ptrace {
        return Ok(Verdict {
            program: Some(Program::default()),
            notes: Vec::new(),
            beyond: Vec::new(),
        });
    }
    let conditions = Conditions { has: &has, ptrace };
    let mut notes = Vec::new();
    let mut beyond = Vec::new();
    let mut filters = Vec::new();
    let defaults = second::filters(arch, &conditions);
    for (at, default) in defaults.into_iter().enumerate() {
        // What is to be said was said of the first.
        let notes = if at == 0 { &mut notes } else { &mut Vec::new() };
        let filter = match policy {
            SeccompPolicy::Default | SeccompPolicy::AsBuilt => Some(default),
            SeccompPolicy::Retain {
                calls,
                bounded: true,
            } => Some(retain_within(&default, calls, &mut beyond, notes)),
            SeccompPolicy::Retain { calls, .. } => retain(&default, calls, notes),
            SeccompPolicy::Remove(calls) => Some(remove(default, calls, notes)),
            SeccompPolicy::Unconfined | SeccompPolicy::Descriptor(_) => None,
        };
        filters.extend(filter);
    }
    if let [first, second] = filters.as_mut_slice() {
        let named = |name: &str| match policy {
            SeccompPolicy::Retain { calls, .. } | SeccompPolicy::Remove(calls) => {
                calls.set.iter().any(|one| one == name)
            }
            _ => false,
        };
        second::agree(second, first, &named);
    }
    // Only stage1-init waits, which is of the first architecture.
    if waits && let Some(first) = filters.first_mut() {
        let_wait(first);
    }
    let program = filters.first().map(|first| Program {
        bytes: Cow::Owned(program::bytes(&filters)),
        summary: Cow::Owned(listing::listing(first)),
    });
    Ok(Verdict {
        program,
        notes,
        beyond: beyond.into_iter().map(str::to_owned).collect(),
    })
}

/// The calls by which a program that waits for its turn gives up the capability
/// with which it installed the filter.
const GIVING_UP: &[&str] = &["capget", "capset"];

/// Allows an app's handlers, and what follows them, to wait for their turn
/// under its filter: by reading from one descriptor, without any capability.
fn let_wait(filter: &mut Filter) {
    for name in GIVING_UP {
        if let Some(number) = filter.arch.number(name) {
            filter.rules.insert(number, Rule::Always(Action::Allow));
        }
    }
    let read = filter.arch.number("read");
    if let Some(Rule::Always(otherwise)) = read.and_then(|number| filter.rules.get_mut(&number))
        && *otherwise != Action::Allow
    {
        let otherwise = *otherwise;
        let rule = Rule::If {
            argument: 0,
            test: Test::Among(&[stage1_init::GATE]),
            then: Action::Allow,
            otherwise,
        };
        filter.rules.extend(read.map(|number| (number, rule)));
    }
}

/// The valid members of a set.
struct Members {
    groups: Vec<&'static Group>,
    numbers: Vec<u32>,
}

fn members(default: &Filter, calls: &Calls, notes: &mut Vec<String>) -> Members {
    let mut members = Members {
        groups: Vec::new(),
        numbers: Vec::new(),
    };
    let mut strangers = Vec::new();
    for name in &calls.set {
        let group = GROUPS.iter().find(|(known, _)| known == name);
        let numbers = second::numbers(default, name);
        match (group, numbers.as_slice()) {
            (Some((_, group)), _) => {
                if name.starts_with("@rkt/") || name.starts_with("@docker/") {
                    notes.push(format!("`{name}` is treated as `@nosecone/default`"));
                }
                members.groups.push(group);
            }
            (None, []) => {
                // Programs of 32 bits may have it.
                let second = default.arch.second();
                if second.is_none_or(|second| second.number(name).is_none()) {
                    strangers.push(format!("`{name}`"));
                }
            }
            (None, numbers) => members.numbers.extend(numbers),
        }
    }
    match strangers.as_slice() {
        [] => {}
        [one] => notes.push(format!(
            "{one} is not a system call on this architecture and was ignored"
        )),
        many => notes.push(format!(
            "{} are not system calls on this architecture and were ignored",
            many.join(", ")
        )),
    }
    members
}

fn blocked(calls: &Calls, notes: &mut Vec<String>) -> Action {
    let Some(name) = &calls.errno else {
        return Action::Kill;
    };
    errno::number(name).map_or_else(
        || {
            notes.push(format!(
                "`{name}` is not a valid error name, so blocked calls kill"
            ));
            Action::Kill
        },
        Action::Errno,
    )
}

/// Allows only these calls; `None` if they are all.
fn retain(default: &Filter, calls: &Calls, notes: &mut Vec<String>) -> Option<Filter> {
    let members = members(default, calls, notes);
    let mut otherwise = blocked(calls, notes);
    let blocked = Rule::Always(otherwise);
    let known = default.arch.calls().map(|(_, number)| (number, blocked));
    let mut rules: BTreeMap<u32, Rule> = known.collect();
    for group in members.groups {
        match group {
            Group::All => return None,
            Group::Empty => {
                notes.push("`@appc.io/empty` has no effect in a retain set".to_owned());
            }
            Group::Default => {
                // Programs that are given the calls of the default also get its
                // way of reporting a missing one.
                otherwise = default.otherwise;
                let refused = Rule::Always(Action::Errno(EPERM));
                let rules_of_it = default.rules.iter();
                let others = rules_of_it.filter(|(_, rule)| **rule != refused);
                rules.extend(others.map(|(&number, &rule)| (number, rule)));
            }
        }
    }
    let allow = Rule::Always(Action::Allow);
    let life = LIFE.iter().filter_map(|name| default.arch.number(name));
    for number in members.numbers.into_iter().chain(life) {
        rules.insert(number, allow);
    }
    Some(Filter {
        rules,
        otherwise,
        ..*default
    })
}

/// As [`retain`], limited to what the default allows. A call `beyond` that
/// fails as it does by default: a program that has it in its set can do
/// without.
fn retain_within<'a>(
    default: &Filter,
    calls: &'a Calls,
    beyond: &mut Vec<&'a str>,
    notes: &mut Vec<String>,
) -> Filter {
    let Some(mut filter) = retain(default, calls, notes) else {
        exceed(beyond, ALL);
        return default.clone();
    };
    for name in &calls.set {
        for number in second::numbers(default, name) {
            if let Some(&rule) = default.rules.get(&number) {
                if matches!(rule, Rule::Always(Action::Errno(_))) {
                    exceed(beyond, name);
                }
                filter.rules.insert(number, rule);
            }
        }
    }
    filter
}

/// Notes a call that exceeds the default, once for both architectures.
fn exceed<'a>(beyond: &mut Vec<&'a str>, name: &'a str) {
    if !beyond.contains(&name) {
        beyond.push(name);
    }
}

/// The default without these calls.
fn remove(default: Filter, calls: &Calls, notes: &mut Vec<String>) -> Filter {
    let members = members(&default, calls, notes);
    let action = blocked(calls, notes);
    let mut filter = default;
    for group in members.groups {
        match group {
            Group::Empty => return filter,
            Group::All => {
                notes.push("`@appc.io/all` has no effect in a remove set".to_owned());
            }
            // It applies anyway.
            Group::Default => {}
        }
    }
    for number in members.numbers {
        filter.rules.insert(number, Rule::Always(action));
    }
    filter
}

#[cfg(test)]
#[path = "seccomp/tests.rs"]
mod tests;
