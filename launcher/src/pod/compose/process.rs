//! What each process of an app does to itself before it executes its program.

use stage1_init::{Argv, CapabilitySet, Directive, Groups, Mode, WordList};

use super::PodApp;
use crate::ground::{Error, Result};
use crate::pod::identity::Identity;
use crate::pod::plan::{Plan, operand};
use crate::pod::request::Sourced;
use crate::pod::standard::CAPABILITIES;
use crate::words::manifest::app::HandlerName;
use crate::words::manifest::isolator::Bound;

/// What each process of the app does to itself.
pub(super) fn compose(plan: &mut Plan, app: &PodApp) -> Result<()> {
    plan.push(Directive::Process {}, "");
    plan.push(Directive::Umask { mask: Mode(0o022) }, "default");
    if app.interactive {
        plan.push(Directive::Foreground {}, "option --interactive");
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
    let set = CapabilitySet::Only(CAPABILITIES);
    plan.push(Directive::Bounding { set }, "default of the specification");
    let mut gids = Vec::new();
    for gid in &app.app.supplementary_gids {
        gids.extend_from_slice(format!("{gid}\0").as_bytes());
    }
    if let Some(groups) = WordList::new(&gids).and_then(Groups::new) {
        plan.push(Directive::Groups { groups }, app.reasons.groups.as_str());
    }
    let Identity { uid, gid } = app.identity;
    plan.push(
        Directive::Gid { gid },
        format!("{}: group `{}`", app.reasons.group, app.app.group),
    );
    plan.push(
        Directive::Uid { uid },
        format!("{}: user `{}`", app.reasons.user, app.app.user),
    );
    if uid == 0 {
        plan.push(Directive::Capabilities { set }, "root keeps what is left");
    } else {
        let set = CapabilitySet::Only(stage1_init::Capabilities::EMPTY);
        plan.push(Directive::Capabilities { set }, "not root");
    }
    if no_new_privileges(app) {
        plan.push(
            Directive::NoNewPrivs {},
            "isolator os/linux/no-new-privileges",
        );
    }
    let directory = app.app.working_directory.as_deref().unwrap_or("/");
    let directory = operand("the working directory", directory)?;
    plan.push(
        Directive::Workdir { path: &directory },
        app.reasons.directory.as_str(),
    );
    variables(plan, app)?;
    programs(plan, app)
}

/// The last isolator counts.
fn no_new_privileges(app: &PodApp) -> bool {
    let mut isolators = app.app.isolators.iter().rev();
    isolators.find_map(|isolator| match isolator.bound {
        Bound::NoNewPrivileges(yes) => Some(yes),
        _ => None,
    }) == Some(true)
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
