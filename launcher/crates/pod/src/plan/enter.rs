//! Composes the plan of a command in a pod that runs: one pure function, like
//! [`compose`](crate::plan::compose::compose), and of what that composed.
//!
//! The pod's plan is kept with it, out of the pod's reach. What each process of
//! an app does to itself is taken from there, in the same order, so that nothing
//! that bounds the app can be forgotten for a command (CVE-2019-10144,
//! CVE-2019-10145). What is left out is no bound:
//!
//! * the app's cgroups: the process is in them before anything else
//!   (CVE-2019-10147);
//! * its streams: they are the caller's;
//! * its handlers, which run once in its life.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::path::PathBuf;

use stage1_init::{AppName, Argv, CapabilitySet, Directive, Namespaces, Part, WordList};

use crate::plan::compose::process::{Bounds, assume};
use crate::plan::overlay::Overlay;
use crate::plan::text::{Plan, operand};
use crate::resolve::identity::Identity;
use crate::runtime::inherited::Inherited;
use appc::manifest::app::Variable;
use error::{Error, Result};

/// What is wanted of a command in a pod.
#[derive(Debug)]
pub struct Entrance {
    /// The app.
    pub app: String,
    /// The namespaces to be joined, and the descriptors of them.
    pub namespaces: Vec<(Namespaces, u32)>,
    /// Descriptors that stand in the place of those that the pod's plan names.
    pub filters: BTreeMap<u32, u32>,
    /// What the caller has, and what the init of the pod has, from whoever
    /// started them.
    pub inherited: [Inherited; 2],
    /// Where its streams go.
    pub streams: Streams,
    /// Whom it runs as, if not as the app.
    pub identity: Option<Identity>,
    /// Where it starts, if not where the app does.
    pub directory: Option<CString>,
    /// Variables, which count more than the app's.
    pub variables: Vec<Variable>,
    /// Its words; at least one.
    pub command: Vec<CString>,
}

/// Where the streams of a command go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// To where those of the caller do, without a hold on its terminal.
    Callers,
    /// To a terminal of the command's own, an inherited descriptor.
    Terminal(u32),
}

/// Composes the plan.
///
/// # Errors
///
/// An operand that cannot be one; a filter of the pod that is not at hand.
pub fn compose(stored: &Plan, entrance: &Entrance) -> Result<Plan> {
    let mut plan = Plan::default();
    for &(namespaces, fd) in &entrance.namespaces {
        plan.push(Directive::Join { namespaces, fd }, "as the pod");
    }
    let name = operand("the name of an app", entrance.app.as_str())?;
    let name = AppName::new(&name).ok_or_else(|| {
        Error::invalid(format!("`{}` cannot be the name of an app", entrance.app))
    })?;
    plan.push(Directive::App { name }, "");
    plan.push(Directive::Process {}, "");
    let was = Was::read(stored, &entrance.app);
    let [ours, theirs] = &entrance.inherited;
    theirs.compose(ours, was.scored, &mut plan);
    let mut steps = Steps {
        plan,
        entrance,
        was,
        streams: Some(entrance.streams),
        identity: entrance.identity.as_ref(),
        directory: entrance.directory.as_deref(),
        variables: entrance.variables.iter().collect(),
    };
    let mut failure = None;
    of_app(stored, &entrance.app, &mut |directive, reason| {
        if failure.is_none() {
            failure = steps.take(directive, reason).err();
        }
    });
    // The parent of the command is as worth attacking as PID 1.
    of_init(stored, &mut |directive, reason| {
        if failure.is_none() {
            failure = steps.take_of_init(directive, reason).err();
        }
    });
    match failure {
        Some(error) => Err(error),
        None => Ok(steps.plan),
    }
}

/// Tells whether a pod has a pid namespace of its own, and so an init in it.
pub fn has_own_processes(stored: &Plan) -> bool {
    let own = stored.find(|_, directive, _| match directive {
        Directive::Unshare { namespaces } | Directive::Join { namespaces, .. } => {
            namespaces.contains(Namespaces::PID).then_some(())
        }
        _ => None,
    });
    own.is_some()
}

/// Finds where the image's files are that an app has under its changes, topmost
/// first; `None` if its root is no overlay.
pub fn layers(stored: &Plan, app: &str) -> Option<Vec<PathBuf>> {
    let mut here = false;
    stored.find(|_, directive, _| match directive {
        Directive::App { name } => {
            here = name.as_c_str().to_bytes() == app.as_bytes();
            None
        }
        Directive::Mount { kind, data, .. } if here && *kind == c"overlay" => {
            Some(Overlay::read(data.to_bytes())?.layers)
        }
        _ => None,
    })
}

/// Returns whom an app runs as.
pub fn identity(stored: &Plan, app: &str) -> Identity {
    Was::read(stored, app).identity
}

/// Calls `look` with each directive of an app's processes.
fn of_app(stored: &Plan, app: &str, look: &mut dyn FnMut(&Directive<'_>, &str)) {
    let mut here = false;
    stored.find(|_, directive, reason| -> Option<()> {
        match directive {
            Directive::App { name } => here = name.as_c_str().to_bytes() == app.as_bytes(),
            Directive::Init {} => here = false,
            _ if here && directive.part() == Part::Process => look(directive, reason),
            _ => {}
        }
        None
    });
}

/// Calls `look` with the mark of what the pod's init does, and with what it does
/// to itself.
fn of_init(stored: &Plan, look: &mut dyn FnMut(&Directive<'_>, &str)) {
    let mut here = false;
    stored.find(|_, directive, reason| -> Option<()> {
        let begins = *directive == Directive::Init {};
        here |= begins;
        if begins || here && directive.part() == Part::Process {
            look(directive, reason);
        }
        None
    });
}

/// What the processes of an app are in the pod's plan.
struct Was {
    identity: Identity,
    bounds: Bounds,
    /// The plan says how readily they are killed.
    scored: bool,
}

impl Was {
    fn read(stored: &Plan, app: &str) -> Self {
        let mut was = Self {
            identity: Identity { uid: 0, gid: 0 },
            bounds: Bounds {
                capabilities: CapabilitySet::All,
                filtered: false,
                no_new_privileges: false,
            },
            scored: false,
        };
        of_app(stored, app, &mut |directive, _| match *directive {
            Directive::Uid { uid } => was.identity.uid = uid,
            Directive::Gid { gid } => was.identity.gid = gid,
            Directive::Bounding { set } => was.bounds.capabilities = set,
            Directive::Seccomp { .. } => was.bounds.filtered = true,
            Directive::NoNewPrivs {} => was.bounds.no_new_privileges = true,
            Directive::OomScoreAdj { .. } => was.scored = true,
            _ => {}
        });
        was
    }
}

/// The steps of a process, while they are taken over. What is changed comes
/// where the pod's plan has it, or at the latest where it still can come.
struct Steps<'a> {
    plan: Plan,
    entrance: &'a Entrance,
    was: Was,
    // What of it is still to come.
    streams: Option<Streams>,
    identity: Option<&'a Identity>,
    directory: Option<&'a CStr>,
    variables: Vec<&'a Variable>,
}

impl Steps<'_> {
    fn take(&mut self, directive: &Directive<'_>, reason: &str) -> Result<()> {
        use Directive as D;
        match directive {
            // Left out; see the head of this file.
            D::JoinCgroup { .. } | D::PreStart { .. } | D::PostStop { .. } => {}
            D::Session {} | D::Foreground {} | D::Terminal { .. } | D::Stdio { .. } => {
                self.settle_streams();
            }
            D::Groups { .. }
            | D::Gid { .. }
            | D::Uid { .. }
            | D::Capabilities { .. }
            | D::Ambient { .. }
                if self.entrance.identity.is_some() =>
            {
                self.settle_identity();
            }
            D::NoNewPrivs {} => {
                self.settle_streams();
                self.settle_identity();
                self.plan.push(*directive, reason);
            }
            D::Workdir { .. } if self.entrance.directory.is_some() => self.settle_directory(),
            D::Seccomp { fd } => {
                // It may leave no call for anything else.
                self.settle_directory();
                self.filter(*fd, reason)?;
            }
            D::Env { pair } => {
                let name = pair.to_bytes().split(|&byte| byte == b'=').next();
                let same = |one: &&Variable| Some(one.name.as_bytes()) == name;
                match self.variables.iter().position(same) {
                    Some(at) => {
                        let variable = self.variables.remove(at);
                        self.set(variable)?;
                    }
                    None => self.plan.push(*directive, reason),
                }
            }
            D::Main { .. } => self.end()?,
            other => self.plan.push(*other, reason),
        }
        Ok(())
    }

    fn take_of_init(&mut self, directive: &Directive<'_>, reason: &str) -> Result<()> {
        match directive {
            Directive::Seccomp { fd } => self.filter(*fd, reason)?,
            other => self.plan.push(*other, reason),
        }
        Ok(())
    }

    fn filter(&mut self, named: u32, reason: &str) -> Result<()> {
        let opened = self.entrance.filters.get(&named);
        let fd = opened.copied().ok_or_else(|| {
            Error::invalid(format!(
                "its plan names the descriptor {named}, which only whoever ran it had open"
            ))
        })?;
        self.plan.push(Directive::Seccomp { fd }, reason);
        Ok(())
    }

    fn settle_streams(&mut self) {
        if let Some(streams) = self.streams.take() {
            match streams {
                Streams::Callers => {
                    let reason = "no hold on the caller's terminal";
                    self.plan.push(Directive::Session {}, reason);
                }
                Streams::Terminal(fd) => {
                    let reason = "option --interactive";
                    self.plan.push(Directive::Terminal { fd }, reason);
                }
            }
        }
    }

    fn settle_identity(&mut self) {
        if let Some(identity) = self.identity.take() {
            let was = &self.was.identity;
            let reason = |same: bool, option: &str| match same {
                true => "as the app".to_owned(),
                false => format!("option {option}"),
            };
            let reasons = [
                "none: another user".to_owned(),
                reason(was.gid == identity.gid, "--group"),
                reason(was.uid == identity.uid, "--user"),
            ];
            assume(&mut self.plan, identity, &[], self.was.bounds, reasons);
        }
    }

    fn settle_directory(&mut self) {
        self.settle_streams();
        self.settle_identity();
        if let Some(path) = self.directory.take() {
            self.plan.push(Directive::Workdir { path }, "option --cwd");
        }
    }

    fn set(&mut self, variable: &Variable) -> Result<()> {
        let Variable { name, value } = variable;
        let what = format!("the environment variable `{name}`");
        let pair = operand(&what, format!("{name}={value}"))?;
        self.plan
            .push(Directive::Env { pair: &pair }, "option --set-env");
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.settle_directory();
        for variable in std::mem::take(&mut self.variables) {
            self.set(variable)?;
        }
        let words = self.entrance.command.iter();
        let words: Vec<u8> = words
            .flat_map(|word| word.as_bytes_with_nul().to_vec())
            .collect();
        if let Some(argv) = WordList::new(&words).map(Argv) {
            self.plan.push(Directive::Main { argv }, "the command");
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
#[path = "enter_tests.rs"]
mod tests;
