//! Composes the plan of a command that runs in an existing pod. It uses the
//! same spec and the same functions as the pod's own plan, so that a command is
//! never missing a restriction that the app has (CVE-2019-10144,
//! CVE-2019-10145). Only these are left out, and none of them is a restriction:
//!
//! * the app's cgroups: the process joins them before anything else
//!   (CVE-2019-10147);
//! * its streams: a command has the caller's, or a terminal of its own;
//! * its handlers, which run once in the life of an app.

use std::ffi::CString;

use stage1_init::{AppName, Directive, Limit, Namespaces, Resource};

use crate::cgroup::Groups;
use crate::plan::compose::process::{self, AS_INIT};
use crate::plan::compose::{Composed, bound_init, give, init_filter};
use crate::plan::descriptors::{Labels, NAMESPACES};
use crate::plan::directives::{Plan, operand};
use crate::spec::environment::Variable;
use crate::spec::pod::AppSpec;
use crate::spec::process::{BY_ACCOUNT, ProcessSpec, SeccompPolicy, Sourced, Stdio};
use error::{Error, Result};
use sys::host::Host;

/// What to run in a pod, and how.
#[derive(Debug)]
pub struct EnterSpec {
    /// The namespaces to join, in order: they have consecutive labels from
    /// [`NAMESPACES`] on.
    pub namespaces: Vec<Namespaces>,
    /// Whether the command has a terminal of its own.
    pub terminal: bool,
    /// The user to run as, if not the app's.
    pub uid: Option<u32>,
    /// The group to run as, if not the app's, and the reason.
    pub gid: Option<Sourced<u32>>,
    /// The supplementary groups, if the user or the group is not the app's.
    pub groups: Vec<u32>,
    /// The variables that go with the user. They replace those of the app's
    /// user, but nothing that was set otherwise.
    pub account: Vec<Variable>,
    /// The working directory, if not the app's.
    pub directory: Option<String>,
    /// Variables that override the app's.
    pub variables: Vec<Variable>,
    /// Resource limits that differ between the pod's init and the caller:
    /// which, the soft limit, and the hard limit.
    pub limits: Vec<(Resource, Limit, Limit)>,
    /// The OOM score adjustment of the pod's init, if it differs from the
    /// caller's.
    pub oom_score: Option<i32>,
    /// The words of the command; at least one.
    pub command: Vec<CString>,
}

/// The reason of what goes with the user of a command.
pub const BY_USER: &str = "option --user";

/// Composes the plan.
///
/// # Errors
///
/// Fails if an operand is invalid, or the app is restricted by something that a
/// command cannot copy.
pub fn compose(app: &AppSpec, enter: &EnterSpec, host: &Host) -> Result<Composed> {
    let process = command(&app.process, enter)?;
    let mut plan = Plan::default();
    for (fd, &namespaces) in (NAMESPACES..).zip(&enter.namespaces) {
        plan.push(Directive::Join { namespaces, fd }, "as the pod");
    }
    let name = operand("the name of an app", app.name.as_str())?;
    let name = AppName::new(&name)
        .ok_or_else(|| Error::invalid(format!("`{}` is not a valid app name", app.name)))?;
    plan.push(Directive::App { name }, "");
    let mut needed = Vec::new();
    let mut labels = Labels::after(0);
    let mut given = give(&process, [].iter(), host, &mut labels, &mut needed)?;
    given.limits.clone_from(&enter.limits);
    given.command = Some(
        enter
            .command
            .iter()
            .flat_map(|word| word.as_bytes_with_nul().to_vec())
            .collect(),
    );
    needed.push(init_filter());
    process::compose(&mut plan, &process, &given, None, host)?;
    // The parent of the command is as attractive a target as PID 1.
    plan.push(Directive::Init {}, "");
    bound_init(&mut plan);
    plan.push(
        Directive::Undo {},
        "nothing, unless there is something to explain",
    );
    Ok(Composed {
        plan,
        needed,
        groups: Groups::default(),
    })
}

/// Derives the spec of the command's process from that of the app's.
fn command(app: &ProcessSpec, enter: &EnterSpec) -> Result<ProcessSpec> {
    if let SeccompPolicy::Descriptor(fd) = app.rights.seccomp.value {
        return Err(Error::invalid(format!(
            "its plan uses descriptor {fd}, which only the process that ran the pod had open"
        )));
    }
    if let Some(directive) = &app.beyond {
        return Err(Error::invalid(format!(
            "its plan restricts the app with `{directive}`, which cannot be applied to a command"
        )));
    }
    let mut process = app.clone();
    (process.pre_start, process.post_stop) = (None, None);
    process.stdio = match enter.terminal {
        true => Stdio::Terminal,
        false => Stdio::Inherited,
    };
    if enter.uid.is_some() || enter.gid.is_some() {
        let id = |wanted: Option<Sourced<u32>>, app: u32| match wanted {
            Some(id) if id.value != app => id,
            _ => Sourced::new(app, "as the app"),
        };
        process.groups = match enter.groups.is_empty() {
            true => Sourced::new(Vec::new(), "none: another user"),
            false => Sourced::new(enter.groups.clone(), BY_USER),
        };
        process.gid = id(enter.gid.clone(), app.gid.value);
        let uid = enter.uid.map(|uid| Sourced::new(uid, BY_USER));
        process.uid = id(uid, app.uid.value);
    }
    if !enter.account.is_empty() {
        let environment = &mut process.environment;
        environment.retain(|known| known.reason != BY_ACCOUNT);
        for variable in &enter.account {
            if !environment
                .iter()
                .any(|known| known.value.name == variable.name)
            {
                environment.push(Sourced::new(variable.clone(), BY_ACCOUNT));
            }
        }
    }
    if let Some(directory) = &enter.directory {
        process.directory = Sourced::new(directory.clone(), "option --cwd");
    }
    for variable in &enter.variables {
        let set = Sourced::new(variable.clone(), "option --set-env");
        let mut known = process.environment.iter_mut();
        match known.find(|known| known.value.name == variable.name) {
            Some(known) => *known = set,
            None => process.environment.push(set),
        }
    }
    if process.rights.oom_score.is_none() {
        let score = enter.oom_score;
        process.rights.oom_score = score.map(|score| Sourced::new(score, AS_INIT));
    }
    Ok(process)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
#[path = "enter_tests.rs"]
mod tests;
