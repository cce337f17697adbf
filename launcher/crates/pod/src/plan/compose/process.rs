//! What each process of an app does to itself before it executes its program.

use stage1_init::{Argv, Capabilities, CapabilitySet, Directive, Groups, Mode, WordList};

use crate::plan::compose::PodApp;
use crate::plan::descriptors::{OfApp, TERMINAL};
use crate::plan::text::{Plan, operand};
use crate::resolve::identity::Identity;
use crate::resolve::isolators::Rights;
use crate::spec::defaults::CAPABILITIES;
use crate::spec::request::Sourced;
use appc::manifest::app::HandlerName;
use error::{Error, Result};
use sys::host::Host;

/// What each process of the app does to itself.
pub(crate) fn compose(
    plan: &mut Plan,
    app: &PodApp,
    descriptors: &OfApp,
    host: &Host,
) -> Result<()> {
    plan.push(Directive::Process {}, "");
    for &fd in &descriptors.groups {
        plan.push(Directive::JoinCgroup { fd }, "the limits of its isolators");
    }
    if let Some(score) = app.rights.oom_score {
        let reason = "isolator os/linux/oom-score-adj";
        plan.push(Directive::OomScoreAdj { score }, reason);
    }
    labels(plan, app, host)?;
    plan.push(Directive::Umask { mask: Mode(0o022) }, "default");
    if app.interactive {
        plan.push(Directive::Terminal { fd: TERMINAL }, "option --interactive");
    } else {
        plan.push(
            Directive::Session {},
            "default: no hold on the caller's terminal",
        );
    }
    plan.push(
        Directive::Keyring {},
        "default: keyrings have no namespaces",
    );
    let Rights {
        capabilities,
        kept_back,
        ..
    } = app.rights;
    let set = CapabilitySet::Only(capabilities);
    plan.push(
        Directive::Bounding { set },
        match capabilities == CAPABILITIES {
            _ if kept_back.capabilities => "isolator of capabilities, within the default",
            true => "default of the specification",
            false => "isolator of capabilities",
        },
    );
    let filter = descriptors.filter.zip(app.rights.filter.as_ref());
    let bounds = Bounds {
        capabilities: set,
        filtered: filter.is_some(),
        no_new_privileges: app.rights.no_new_privileges,
    };
    let groups = &app.app.supplementary_gids;
    let reasons = [
        app.reasons.groups.clone(),
        format!("{}: group `{}`", app.reasons.group, app.app.group),
        format!("{}: user `{}`", app.reasons.user, app.app.user),
    ];
    assume(plan, &app.identity, groups, bounds, reasons);
    if app.rights.no_new_privileges {
        let reason = "isolator os/linux/no-new-privileges";
        plan.push(Directive::NoNewPrivs {}, reason);
    }
    let directory = app.app.working_directory.as_deref().unwrap_or("/");
    let directory = operand("the working directory", directory)?;
    plan.push(
        Directive::Workdir { path: &directory },
        app.reasons.directory.as_str(),
    );
    if let Some((fd, program)) = filter {
        let which = match program.is_default() {
            true => "default",
            false if kept_back.calls => "isolator of system calls, within the default",
            false => "isolator of system calls",
        };
        plan.push(
            Directive::Seccomp { fd },
            format!("{which}: {}", program.summary),
        );
        if !app.app.event_handlers.is_empty() && !bounds.no_new_privileges {
            let set = finally(app.identity.uid, set);
            let reason = "whoever waits for its turn keeps no right that was for the filter";
            plan.push(Directive::Capabilities { set }, reason);
        }
    }
    variables(plan, app)?;
    programs(plan, app)
}

/// Names the labels of security modules, which count when a program is executed.
fn labels(plan: &mut Plan, app: &PodApp, host: &Host) -> Result<()> {
    if let Some(profile) = &app.rights.labels.apparmor {
        // Each module has a directory of its own since Linux 5.8.
        let file = match host.kernel >= (5, 8) {
            true => c"apparmor/exec",
            false => c"exec",
        };
        let text = &operand("the profile of AppArmor", format!("exec {profile}"))?;
        let reason = "isolator os/linux/apparmor-profile";
        plan.push(Directive::Attribute { file, text }, reason);
    }
    if let Some(context) = &app.rights.labels.selinux {
        let text = &operand("the context of SELinux", context.as_str())?;
        let reason = "isolator os/linux/selinux-context";
        plan.push(
            Directive::Attribute {
                file: c"exec",
                text,
            },
            reason,
        );
    }
    Ok(())
}

/// What bounds the rights of a process, whoever it becomes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The capabilities that it may have at most.
    pub capabilities: CapabilitySet,
    /// It will install a filter of system calls.
    pub filtered: bool,
    /// It will give up gaining rights by executing programs.
    pub no_new_privileges: bool,
}

/// The steps by which a process becomes somebody, in the order in which the
/// later ones take away what the earlier ones need. `reasons` are those of the
/// supplementary groups, of the group, and of the user.
pub(crate) fn assume(
    plan: &mut Plan,
    identity: &Identity,
    groups: &[u32],
    bounds: Bounds,
    reasons: [String; 3],
) {
    let [of_groups, of_group, of_user] = reasons;
    let gids: Vec<u8> = groups
        .iter()
        .flat_map(|gid| format!("{gid}\0").into_bytes())
        .collect();
    if let Some(groups) = WordList::new(&gids).and_then(Groups::new) {
        plan.push(Directive::Groups { groups }, of_groups);
    }
    let &Identity { uid, gid } = identity;
    plan.push(Directive::Gid { gid }, of_group);
    plan.push(Directive::Uid { uid }, of_user);
    capabilities(plan, uid, bounds);
}

/// A process that may still gain rights must have this capability to install a
/// filter. What a program of root's has is decided by the bounding set when it
/// is executed, and another's has none, so this one does not outlive that.
fn capabilities(plan: &mut Plan, uid: u32, bounds: Bounds) {
    let kept = finally(uid, bounds.capabilities);
    let reason = match uid {
        0 => "root keeps what is left",
        _ => "not root",
    };
    let needed = bounds.filtered && !bounds.no_new_privileges;
    let (set, reason) = match kept {
        CapabilitySet::Only(kept) if needed && !kept.contains(Capabilities::SYS_ADMIN) => (
            CapabilitySet::Only(kept.with(Capabilities::SYS_ADMIN)),
            format!("{reason}; sys_admin goes when it executes"),
        ),
        kept => (kept, reason.to_owned()),
    };
    plan.push(Directive::Capabilities { set }, reason);
}

/// The capabilities of a process before it executes its program.
fn finally(uid: u32, bounds: CapabilitySet) -> CapabilitySet {
    match uid {
        0 => bounds,
        _ => CapabilitySet::Only(Capabilities::EMPTY),
    }
}

/// The environment, which is empty at first.
fn variables(plan: &mut Plan, app: &PodApp) -> Result<()> {
    for Sourced { value, reason } in &app.variables {
        let name = &value.name;
        let pair = operand(
            &format!("the environment variable `{name}`"),
            format!("{name}={}", value.value),
        )?;
        plan.push(Directive::Env { pair: &pair }, reason.as_str());
    }
    Ok(())
}

fn programs(plan: &mut Plan, app: &PodApp) -> Result<()> {
    let section = app.reasons.section.as_str();
    let handler = |wanted: HandlerName| {
        app.app
            .event_handlers
            .iter()
            .find(|handler| handler.name == wanted)
    };
    if let Some(handler) = handler(HandlerName::PreStart) {
        let words = words("the pre-start handler", &handler.exec)?;
        if let Some(argv) = WordList::new(&words).map(Argv) {
            plan.push(Directive::PreStart { argv }, section);
        }
    }
    let words_of_main = words("the command", &app.app.exec)?;
    if let Some(argv) = WordList::new(&words_of_main).map(Argv) {
        plan.push(Directive::Main { argv }, app.reasons.exec.as_str());
    }
    if let Some(handler) = handler(HandlerName::PostStop) {
        let words = words("the post-stop handler", &handler.exec)?;
        if let Some(argv) = WordList::new(&words).map(Argv) {
            plan.push(Directive::PostStop { argv }, section);
        }
    }
    Ok(())
}

/// Terminates each word of a command.
fn words(what: &str, command: &[String]) -> Result<Vec<u8>> {
    if command.is_empty() {
        return Err(Error::invalid(format!("{what} has no words")));
    }
    let mut words = Vec::new();
    for word in command {
        words.extend_from_slice(operand(what, word.as_str())?.as_bytes_with_nul());
    }
    Ok(words)
}
