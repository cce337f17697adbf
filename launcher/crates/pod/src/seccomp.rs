//! Which system calls an app may make (seccomp(2)).
//!
//! Without a word from the image it is the default filter, which the build
//! script compiled into `DEFAULT`. A set of the image, or of the operator, is
//! compiled when the plan is made:
//!
//! - *remove* takes calls away, besides those that the default takes away;
//!   `@appc.io/empty` in it stands for the default alone;
//! - *retain* leaves only its calls, and those without which no program begins
//!   or ends; `@appc.io/all` in it stands for no filter at all.
//!
//! A set to retain that only an image asks for leaves no call that the default
//! does not: of its calls, and of all, those remain that the default allows, and
//! those that the default judges by an argument are judged as they are there.
//!
//! A set may name our own groups: `@nosecone/default` is what the default
//! filter allows, or, in a set of calls to remove, what it does not. The names
//! by which rkt's users know such groups are understood as that.
//!
//! # Not here
//!
//! Programs of 32 bits on a machine of 64: their calls kill.

mod calls;
mod default;
mod errno;
mod listing;
mod program;

use std::borrow::Cow;
use std::collections::BTreeMap;

use stage1_init::Capabilities;

use crate::seccomp::calls::Arch;
use crate::seccomp::default::{Circumstances, EPERM};
use crate::seccomp::program::{Action, Filter, Rule, Test};
use crate::spec::defaults::CAPABILITIES;
use crate::spec::process::{Calls, SeccompPolicy};
use error::{Error, Result};

/// The default filter for this architecture, as [`Program::bytes`], where the
/// app has the capabilities of the default set, or fewer that change nothing here,
/// and the kernel is of this decade.
static DEFAULT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/default.bpf"));

/// What it does, as [`Program::summary`].
static DEFAULT_SUMMARY: &str = include_str!(concat!(env!("OUT_DIR"), "/default.txt"));

/// Since this kernel a tracer cannot change a call behind a filter's back
/// (commit 93e35efb8de4).
const TRACED_BEFORE_FILTERED: (u32, u32) = (4, 8);

/// A filter, ready for the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// An array of `struct sock_filter`.
    pub bytes: Cow<'static, [u8]>,
    /// What it does, in names of calls: one line.
    pub summary: Cow<'static, str>,
}

impl Program {
    /// Returns the default filter, for an app with default capabilities.
    pub(crate) const fn default() -> Self {
        Self {
            bytes: Cow::Borrowed(DEFAULT),
            summary: Cow::Borrowed(DEFAULT_SUMMARY),
        }
    }

    /// Tells whether it is that one.
    pub(crate) const fn is_default(&self) -> bool {
        matches!(self.bytes, Cow::Borrowed(_))
    }
}

/// What comes of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// `None`: no filter is made.
    pub program: Option<Program>,
    /// Sentences about what was understood differently, or not at all.
    pub notes: Vec<String>,
    /// What a bounded set has beyond the default, and does not get.
    pub beyond: Vec<String>,
}

/// What a wildcard stands for.
enum Group {
    /// Everything: no filter.
    All,
    /// Nothing but the default.
    Empty,
    /// What the default filter allows, or does not allow.
    Default,
}

/// Everything, in a set to retain.
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

/// The calls without which no program begins, returns from a signal, or ends.
const LIFE: &[&str] = &[
    "execve",
    "exit",
    "exit_group",
    "restart_syscall",
    "rt_sigreturn",
    "sigreturn",
];

/// Makes the filter for an app with these capabilities on a kernel of this
/// version. `waits`: programs of it wait for their turn under the filter.
///
/// # Errors
///
/// There is no table of calls for this architecture.
pub(crate) fn decide(
    policy: &SeccompPolicy,
    capabilities: Capabilities,
    kernel: (u32, u32),
    waits: bool,
) -> Result<Verdict> {
    let arch = Arch::named(std::env::consts::ARCH).ok_or_else(|| {
        Error::invalid(format!(
            "there is no filter of system calls for {}",
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
    let default = default::filter(arch, &Circumstances { has: &has, ptrace });
    let mut notes = Vec::new();
    let mut beyond = Vec::new();
    let filter = match policy {
        SeccompPolicy::Default | SeccompPolicy::AsBuilt => Some(default),
        SeccompPolicy::Retain {
            calls,
            bounded: true,
        } => Some(retain_within(&default, calls, &mut beyond, &mut notes)),
        SeccompPolicy::Retain { calls, .. } => retain(&default, calls, &mut notes),
        SeccompPolicy::Remove(calls) => Some(remove(default, calls, &mut notes)),
        SeccompPolicy::Unconfined | SeccompPolicy::Descriptor(_) => None,
    };
    let filter = filter.map(|filter| match waits {
        true => letting_wait(filter),
        false => filter,
    });
    let program = filter.map(|filter| Program {
        bytes: Cow::Owned(filter.bytes()),
        summary: Cow::Owned(listing::listing(&filter)),
    });
    Ok(Verdict {
        program,
        notes,
        beyond: beyond.into_iter().map(str::to_owned).collect(),
    })
}

/// The calls by which a program that waits under the filter for its turn gives
/// up what it needed to install that.
const GIVING_UP: &[&str] = &["capget", "capset"];

/// Lets an app's handlers, and what follows them, wait for their turn under its
/// filter: at one descriptor, and without a right.
fn letting_wait(mut filter: Filter) -> Filter {
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
    filter
}

/// The members of a set that mean something.
struct Members {
    groups: Vec<&'static Group>,
    numbers: Vec<u32>,
}

fn members(arch: Arch, calls: &Calls, notes: &mut Vec<String>) -> Members {
    let mut members = Members {
        groups: Vec::new(),
        numbers: Vec::new(),
    };
    let mut strangers = Vec::new();
    for name in &calls.set {
        let group = GROUPS.iter().find(|(known, _)| known == name);
        match (group, arch.number(name)) {
            (Some((_, group)), _) => {
                if name.starts_with("@rkt/") || name.starts_with("@docker/") {
                    notes.push(format!("`{name}` is taken as `@nosecone/default`"));
                }
                members.groups.push(group);
            }
            (None, Some(number)) => members.numbers.push(number),
            (None, None) => strangers.push(format!("`{name}`")),
        }
    }
    match strangers.as_slice() {
        [] => {}
        [one] => notes.push(format!("{one} is no system call here and is passed over")),
        many => notes.push(format!(
            "{} are no system calls here and are passed over",
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
                "`{name}` is no error here, so a call that is not allowed kills"
            ));
            Action::Kill
        },
        Action::Errno,
    )
}

/// Nothing but these calls; `None` if they are all.
fn retain(default: &Filter, calls: &Calls, notes: &mut Vec<String>) -> Option<Filter> {
    let members = members(default.arch, calls, notes);
    let mut otherwise = blocked(calls, notes);
    let blocked = Rule::Always(otherwise);
    let known = default.arch.calls().map(|(_, number)| (number, blocked));
    let mut rules: BTreeMap<u32, Rule> = known.collect();
    for group in members.groups {
        match group {
            Group::All => return None,
            Group::Empty => {
                notes.push("`@appc.io/empty` has no meaning in a set to retain".to_owned());
            }
            Group::Default => {
                // With what is there goes how programs find out what is not.
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
        arch: default.arch,
        rules,
        otherwise,
    })
}

/// As [`retain`], of these calls as much as the default leaves. What is `beyond`
/// fails as it does there: a program that has it in its set can do without.
fn retain_within<'a>(
    default: &Filter,
    calls: &'a Calls,
    beyond: &mut Vec<&'a str>,
    notes: &mut Vec<String>,
) -> Filter {
    let Some(mut filter) = retain(default, calls, notes) else {
        beyond.push(ALL);
        return default.clone();
    };
    for name in &calls.set {
        if let Some(number) = default.arch.number(name)
            && let Some(&rule) = default.rules.get(&number)
        {
            if matches!(rule, Rule::Always(Action::Errno(_))) {
                beyond.push(name);
            }
            filter.rules.insert(number, rule);
        }
    }
    filter
}

/// The default, without these calls.
fn remove(default: Filter, calls: &Calls, notes: &mut Vec<String>) -> Filter {
    let members = members(default.arch, calls, notes);
    let action = blocked(calls, notes);
    let mut filter = default;
    for group in members.groups {
        match group {
            Group::Empty => return filter,
            Group::All => {
                notes.push("`@appc.io/all` has no meaning in a set to remove".to_owned());
            }
            // It is in force anyway.
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
