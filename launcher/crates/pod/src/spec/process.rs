//! How a program runs: its command, environment, user, and rights.

use serde::{Deserialize, Serialize};
use stage1_init::{Capabilities, Resource};

use crate::spec::environment::Variable;
use crate::spec::text;

/// A value and its reason, as the plan shows it: an image, an option, a
/// default, a fallback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub reason: String,
}

impl<T> Sourced<T> {
    /// Combines both.
    pub fn new(value: T, reason: impl Into<String>) -> Self {
        Self {
            value,
            reason: reason.into(),
        }
    }
}

/// The reason of variables that come from the account of the user, in the
/// image's /etc/passwd. `enter` replaces these for another user.
pub const BY_ACCOUNT: &str = "default: for this user";

/// The processes of an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessSpec {
    /// The program and its arguments; at least one word.
    pub argv: Sourced<Vec<String>>,
    /// What runs before the program is started.
    pub pre_start: Option<Sourced<Vec<String>>>,
    /// What runs after the program has ended.
    pub post_stop: Option<Sourced<Vec<String>>>,
    /// All variables; each name occurs once.
    pub environment: Vec<Sourced<Variable>>,
    /// The working directory.
    pub directory: Sourced<String>,
    /// The user id.
    pub uid: Sourced<u32>,
    /// The primary group id.
    pub gid: Sourced<u32>,
    /// The supplementary groups.
    pub groups: Sourced<Vec<u32>>,
    /// What it may do.
    pub rights: Rights,
    /// Resource limits that it does not inherit from whoever runs the pod; of
    /// each resource at most one.
    #[serde(default)]
    pub resources: Vec<ResourceLimit>,
    /// Where its streams go.
    pub stdio: Stdio,
    /// A directive of a written plan that restricts the app in a way that this
    /// spec cannot express. If there is one, no command can run with the same
    /// restrictions.
    pub beyond: Option<String>,
}

/// A resource limit (setrlimit(2)). `None` means unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceLimit {
    /// The resource.
    #[serde(with = "text::resource")]
    pub resource: Resource,
    /// What is enforced, in the resource's own unit; at most `hard`.
    pub soft: Option<u64>,
    /// What the process can raise it to.
    pub hard: Option<u64>,
}

/// Where the streams of an app go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stdio {
    /// To those of the pod.
    Inherited,
    /// To a terminal of the pod's own.
    Terminal,
    /// Wherever a written plan leads them.
    Planned,
}

/// What the processes of an app may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rights {
    /// The most capabilities they may have.
    pub capabilities: Sourced<CapabilityBound>,
    /// Whether a user other than root keeps these capabilities when it executes
    /// a program: the operator has named them.
    #[serde(default)]
    pub ambient: bool,
    /// The reason why they gain no rights by executing programs, if so.
    pub no_new_privileges: Option<String>,
    /// The OOM score adjustment: from -1000 to 1000.
    pub oom_score: Option<Sourced<i32>>,
    /// Which system calls it may make.
    pub seccomp: Sourced<SeccompPolicy>,
    /// An AppArmor profile.
    pub apparmor: Option<Sourced<String>>,
    /// An SELinux context.
    pub selinux: Option<Sourced<String>>,
}

/// A limit of capabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CapabilityBound {
    /// No limit.
    All,
    /// These at most.
    Only(#[serde(with = "text::capabilities")] Capabilities),
}

/// Which system calls a program may make (seccomp(2)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeccompPolicy {
    /// The default filter, with the calls that go with the app's capabilities.
    Default,
    /// The default filter as it was built, whatever capabilities the app has:
    /// what a written plan names.
    AsBuilt,
    /// Only these calls.
    Retain {
        /// The calls.
        calls: Calls,
        /// Whether nothing beyond the default is allowed.
        bounded: bool,
    },
    /// The default without these calls.
    Remove(Calls),
    /// No filter.
    Unconfined,
    /// A filter that a written plan names by this descriptor, which only the
    /// caller had open.
    Descriptor(u32),
}

/// A set of system calls, and what happens to a call that is blocked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calls {
    /// Names of system calls, and wildcards, which start with `@`. Never empty.
    pub set: Vec<String>,
    /// The error that a blocked call returns, such as `EPERM`; if there is
    /// none, the call kills.
    pub errno: Option<String>,
}
