//! What each process of an app does to itself before it executes its program.
//!
//! A user other than root loses its capabilities when it executes a program,
//! unless they are ambient (capabilities(7)). They are made so only if the
//! operator has named them, as podman does for `--cap-add`: what an image asks
//! for limits what root in it can do, and never gives another user more. The
//! kernel demands that an ambient capability be inheritable. This is no way
//! around the bounds, as it was for the engines that left the whole set
//! inheritable (CVE-2022-24769): a file could only add what its process has
//! already. Without ambient capabilities the inheritable set is empty.

use stage1_init::{
    Argv, Capabilities, CapabilitySet, Directive, Groups, Limit, Mode, Resource, WordList,
};

use crate::plan::descriptors::TERMINAL;
use crate::plan::directives::{Plan, operand};
use crate::plan::streams::AppStreams;
use crate::seccomp::Program;
use crate::spec::environment::Variable;
use crate::spec::process::{CapabilityBound, ProcessSpec, Rights, Sourced, Stdio};
use error::{Error, Result};
use sys::host::Host;

/// What the processes of an app are given, by labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AppInputs {
    /// The groups they move to.
    pub groups: Vec<u32>,
    /// Their filter, if they have one.
    pub filter: Option<(u32, Program)>,
    /// The command to run instead of the app's, as NUL-terminated words.
    pub command: Option<Vec<u8>>,
    /// Resource limits that they would not inherit.
    pub limits: Vec<(Resource, Limit, Limit)>,
    /// Descriptors that are passed to it, by their places, with their reasons.
    pub sockets: Vec<(u32, u32, String)>,
    /// Variables that are known only when the pod is started.
    pub variables: Vec<Sourced<Variable>>,
}

/// The reason of whatever a command copies from the pod's init rather than from
/// the plan.
pub(crate) const AS_INIT: &str = "as for the pod's init";

/// Appends what each process of the app does to itself.
pub(crate) fn compose(
    plan: &mut Plan,
    process: &ProcessSpec,
    given: &AppInputs,
    streams: Option<AppStreams>,
    host: &Host,
) -> Result<()> {
    let rights = &process.rights;
    plan.push(Directive::Process {}, "");
    if let Some(streams) = streams {
        streams.push(plan);
    }
    let own = |resource| process.resources.iter().any(|one| one.resource == resource);
    for &(resource, soft, hard) in given.limits.iter().filter(|(resource, ..)| !own(*resource)) {
        let limit = Directive::Rlimit {
            resource,
            soft,
            hard,
        };
        plan.push(limit, AS_INIT);
    }
    for limit in &process.resources {
        let limit = Directive::Rlimit {
            resource: limit.resource,
            soft: Limit(limit.soft),
            hard: Limit(limit.hard),
        };
        plan.push(limit, "option --ulimit");
    }
    for &fd in &given.groups {
        plan.push(Directive::JoinCgroup { fd }, "limits of the app");
    }
    if let Some(Sourced { value, reason }) = &rights.oom_score {
        plan.push(Directive::OomScoreAdj { score: *value }, reason.as_str());
    }
    labels(plan, rights, host)?;
    plan.push(Directive::Umask { mask: Mode(0o022) }, "default");
    if process.stdio == Stdio::Terminal {
        plan.push(Directive::Terminal { fd: TERMINAL }, "option --interactive");
    } else {
        plan.push(
            Directive::Session {},
            "default: no access to the caller's terminal",
        );
    }
    plan.push(
        Directive::Keyring {},
        "default: keyrings are not namespaced",
    );
    let set = match rights.capabilities.value {
        CapabilityBound::All => CapabilitySet::All,
        CapabilityBound::Only(set) => CapabilitySet::Only(set),
    };
    plan.push(
        Directive::Bounding { set },
        rights.capabilities.reason.as_str(),
    );
    let bounds = Bounds {
        capabilities: set,
        ambient: rights.ambient,
        filtered: given.filter.is_some(),
        no_new_privileges: rights.no_new_privileges.is_some(),
    };
    assume(plan, process, bounds);
    if let Some(reason) = &rights.no_new_privileges {
        plan.push(Directive::NoNewPrivs {}, reason.as_str());
    }
    let directory = operand("the working directory", process.directory.value.as_str())?;
    plan.push(
        Directive::Workdir { path: &directory },
        process.directory.reason.as_str(),
    );
    for (fd, number, reason) in &given.sockets {
        let (fd, number) = (*fd, *number);
        plan.push(Directive::Pass { fd, number }, reason.as_str());
    }
    if let Some((fd, program)) = &given.filter {
        let reason = format!("{}: {}", rights.seccomp.reason, program.summary);
        plan.push(Directive::Seccomp { fd: *fd }, reason);
        let waits = process.pre_start.is_some() || process.post_stop.is_some();
        if waits && !bounds.no_new_privileges {
            let set = bounds.finally(process.uid.value);
            let reason = "drops the right to install a filter before waiting";
            plan.push(Directive::Capabilities { set }, reason);
            bounds.keep(plan, process.uid.value);
        }
    }
    variables(plan, process, &given.variables)?;
    if let Some(words) = &given.command {
        if let Some(argv) = WordList::new(words).map(Argv) {
            plan.push(Directive::Main { argv }, "the command");
        }
        return Ok(());
    }
    programs(plan, process)
}

/// Sets the labels of security modules, which take effect when a program is
/// executed.
fn labels(plan: &mut Plan, rights: &Rights, host: &Host) -> Result<()> {
    if let Some(Sourced { value, reason }) = &rights.apparmor {
        // Since Linux 5.8 each module has its own directory.
        let file = match host.kernel >= (5, 8) {
            true => c"apparmor/exec",
            false => c"exec",
        };
        let text = &operand("the profile of AppArmor", format!("exec {value}"))?;
        plan.push(Directive::Attribute { file, text }, reason.as_str());
    }
    if let Some(Sourced { value, reason }) = &rights.selinux {
        let (file, text) = (c"exec", &operand("the context of SELinux", value.as_str())?);
        plan.push(Directive::Attribute { file, text }, reason.as_str());
    }
    Ok(())
}

/// The limits of a process's rights, whatever user it becomes.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// The most capabilities it may have.
    capabilities: CapabilitySet,
    /// Whether it keeps them if it is not root.
    ambient: bool,
    /// Whether it will install a system call filter.
    filtered: bool,
    /// Whether it will set no_new_privs.
    no_new_privileges: bool,
}

/// Appends the steps that change a process's identity and drop its rights,
/// ordered so that no step takes away what a later one needs.
fn assume(plan: &mut Plan, process: &ProcessSpec, bounds: Bounds) {
    let gids: Vec<u8> = process
        .groups
        .value
        .iter()
        .flat_map(|gid| format!("{gid}\0").into_bytes())
        .collect();
    if let Some(groups) = WordList::new(&gids).and_then(Groups::new) {
        plan.push(Directive::Groups { groups }, process.groups.reason.as_str());
    }
    let (uid, gid) = (process.uid.value, process.gid.value);
    plan.push(Directive::Gid { gid }, process.gid.reason.as_str());
    plan.push(Directive::Uid { uid }, process.uid.reason.as_str());
    capabilities(plan, uid, bounds);
}

/// A process that may still gain rights needs this capability to install a
/// filter. It does not outlive the execution of the program: root then has what
/// the bounding set leaves, and any other user has none.
fn capabilities(plan: &mut Plan, uid: u32, bounds: Bounds) {
    let kept = bounds.finally(uid);
    let reason = match uid {
        0 => "root keeps what the bounding set leaves",
        _ if bounds.ambient => "kept by this user",
        _ => "not root",
    };
    let needed = bounds.filtered && !bounds.no_new_privileges;
    let (set, reason) = match kept {
        CapabilitySet::Only(kept) if needed && !kept.contains(Capabilities::SYS_ADMIN) => (
            CapabilitySet::Only(kept.with(Capabilities::SYS_ADMIN)),
            format!("{reason}; sys_admin is dropped on execution"),
        ),
        kept => (kept, reason.to_owned()),
    };
    plan.push(Directive::Capabilities { set }, reason);
    bounds.keep(plan, uid);
}

impl Bounds {
    /// Returns the capabilities of a process just before it executes its
    /// program.
    fn finally(&self, uid: u32) -> CapabilitySet {
        match uid {
            0 => self.capabilities,
            _ if self.ambient => self.capabilities,
            _ => CapabilitySet::Only(Capabilities::EMPTY),
        }
    }

    /// Lets a user other than root keep capabilities when it executes a program.
    fn keep(&self, plan: &mut Plan, uid: u32) {
        let set = self.capabilities;
        if uid != 0 && self.ambient && set != CapabilitySet::Only(Capabilities::EMPTY) {
            plan.push(Directive::Ambient { set }, "kept by this user");
        }
    }
}

/// Sets the environment, which is empty at first.
fn variables(plan: &mut Plan, process: &ProcessSpec, given: &[Sourced<Variable>]) -> Result<()> {
    let is_given = |name: &str| given.iter().any(|one| one.value.name == name);
    let own = process.environment.iter();
    let own = own.filter(|one| !is_given(&one.value.name));
    for Sourced { value, reason } in own.chain(given) {
        let name = &value.name;
        let pair = operand(
            &format!("the environment variable `{name}`"),
            format!("{name}={}", value.value),
        )?;
        plan.push(Directive::Env { pair: &pair }, reason.as_str());
    }
    Ok(())
}

fn programs(plan: &mut Plan, process: &ProcessSpec) -> Result<()> {
    let mut push =
        |what: &str, program: &Sourced<Vec<String>>, make: fn(Argv<'_>) -> Directive<'_>| {
            let words = words(what, &program.value)?;
            if let Some(argv) = WordList::new(&words).map(Argv) {
                plan.push(make(argv), program.reason.as_str());
            }
            Ok::<_, Error>(())
        };
    if let Some(handler) = &process.pre_start {
        push("the pre-start handler", handler, |argv| {
            Directive::PreStart { argv }
        })?;
    }
    push("the command", &process.argv, |argv| Directive::Main {
        argv,
    })?;
    if let Some(handler) = &process.post_stop {
        push("the post-stop handler", handler, |argv| {
            Directive::PostStop { argv }
        })?;
    }
    Ok(())
}

/// Terminates each word of a command with a NUL byte.
fn words(what: &str, command: &[String]) -> Result<Vec<u8>> {
    if command.is_empty() {
        return Err(Error::invalid(format!("{what} is empty")));
    }
    let mut words = Vec::new();
    for word in command {
        words.extend_from_slice(operand(what, word.as_str())?.as_bytes_with_nul());
    }
    Ok(words)
}
