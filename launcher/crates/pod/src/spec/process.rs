//! What a program runs as: its words, its environment, who it is and what it may
//! do.

use serde::{Deserialize, Serialize};
use stage1_init::Capabilities;

use crate::spec::environment::Variable;
use crate::spec::text;

/// A value, and where it comes from, as the plan will say: an image, an option,
/// a default, a fallback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sourced<T> {
    /// What.
    pub value: T,
    /// Why.
    pub reason: String,
}

impl<T> Sourced<T> {
    /// Puts both together.
    pub fn new(value: T, reason: impl Into<String>) -> Self {
        Self {
            value,
            reason: reason.into(),
        }
    }
}

/// The processes of an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessSpec {
    /// The program and its arguments; at least one word.
    pub argv: Sourced<Vec<String>>,
    /// What runs before the program, which waits for it.
    pub pre_start: Option<Sourced<Vec<String>>>,
    /// What runs when the program has ended.
    pub post_stop: Option<Sourced<Vec<String>>>,
    /// All variables, no name twice.
    pub environment: Vec<Sourced<Variable>>,
    /// Where it starts.
    pub directory: Sourced<String>,
    /// The user id.
    pub uid: Sourced<u32>,
    /// The primary group id.
    pub gid: Sourced<u32>,
    /// The only other groups.
    pub groups: Sourced<Vec<u32>>,
    /// What it may do.
    pub rights: Rights,
    /// Where its streams lead.
    pub stdio: Stdio,
    /// A directive of a plan that bounds the app and that nothing here says; with
    /// one, no other process can become the same.
    pub beyond: Option<String>,
}

/// Where the streams of an app lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stdio {
    /// To where those of the pod do.
    Inherited,
    /// To a terminal of the pod's own.
    Terminal,
    /// Elsewhere: somebody who wrote the plan decided on that.
    Planned,
}

/// What the processes of an app may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rights {
    /// The capabilities that it may have at most.
    pub capabilities: Sourced<CapabilityBound>,
    /// Why it gains no rights by executing programs, if that is so.
    pub no_new_privileges: Option<String>,
    /// How readily it is killed when memory runs out: from -1000 to 1000.
    pub oom_score: Option<Sourced<i32>>,
    /// Which system calls it may make.
    pub seccomp: Sourced<SeccompPolicy>,
    /// A profile of AppArmor.
    pub apparmor: Option<Sourced<String>>,
    /// A context of SELinux.
    pub selinux: Option<Sourced<String>>,
}

/// A bound of capabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CapabilityBound {
    /// All that there are.
    All,
    /// These at most.
    Only(#[serde(with = "text::capabilities")] Capabilities),
}

/// Which system calls a program may make (seccomp(2)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeccompPolicy {
    /// What every app may.
    Default,
    /// The same, whatever other capabilities it has: what a written plan names.
    AsBuilt,
    /// These; `bounded`: and none beyond the default.
    Retain {
        /// What remains.
        calls: Calls,
        /// Nothing beyond the default.
        bounded: bool,
    },
    /// The default, without these.
    Remove(Calls),
    /// No filter.
    Unconfined,
    /// A filter that only whoever ran the pod had open, by this number.
    Descriptor(u32),
}

/// System calls, and what becomes of one that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calls {
    /// Names of system calls, and wildcards, which start with `@`. Never empty.
    pub set: Vec<String>,
    /// The error that it returns, such as `EPERM`. Without, it kills.
    pub errno: Option<String>,
}
