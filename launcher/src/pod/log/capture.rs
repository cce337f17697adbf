//! How what an app writes comes into its log: through pipes, one for its
//! standard output and one for its standard error, whose other ends
//! `stage1-init` reads.
//!
//! ```text
//! log 102 101 out 1048576
//! log 104 101 err 1048576
//! ...
//! app web
//! ...
//! process
//! stdio 0 103 105
//! ```
//!
//! Which lines these are decides a pure function, [`capture`]: the same plan
//! always becomes the same. With a pod the plan is kept that does not have
//! them yet.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{Gid, Uid};
use stage1_init::{AppName, Directive, Namespaces};

use super::{Log, Place, place};
use crate::ground::{Context as _, Result};
use crate::pod::descriptors::{DEFAULT_FILTER, renumbered};
use crate::pod::plan::Plan;

/// A plan that is executed, and what it needs for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Captured {
    /// With the lines of the log.
    pub(crate) plan: Plan,
    /// The apps that are captured.
    apps: Vec<App>,
}

/// An app that is captured.
#[derive(Clone, Debug, PartialEq, Eq)]
struct App {
    name: String,
    user: User,
    /// Number of the directory of its log.
    directory: u32,
    out: Pipe,
    err: Pipe,
}

/// The numbers of the ends of a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pipe {
    read: u32,
    write: u32,
}

/// Makes of a plan the one that keeps what its apps write. An app is left alone
/// for which the plan says itself where it writes, and all are if nobody stays
/// outside of the pod who could read it.
pub(crate) fn capture(plan: &Plan, log: Log) -> Captured {
    let planned = match log.place {
        Place::Nowhere => Vec::new(),
        Place::Disk | Place::Memory => planned(plan),
    };
    let mut next = highest(plan).max(DEFAULT_FILTER);
    let mut number = || {
        next = next.saturating_add(1);
        next
    };
    // Apps of one name have one log.
    let mut directories = BTreeMap::new();
    let apps = planned.into_iter().map(|app| {
        let directory = directories.entry(app.name.clone());
        app.free.then(|| App {
            directory: *directory.or_insert_with(&mut number),
            out: Pipe {
                read: number(),
                write: number(),
            },
            err: Pipe {
                read: number(),
                write: number(),
            },
            name: app.name,
            user: app.user,
        })
    });
    let apps: Vec<Option<App>> = apps.collect();
    Captured {
        plan: with_lines(plan, &apps, log.size.bytes()),
        apps: apps.into_iter().flatten().collect(),
    }
}

/// Puts the lines into a plan; `apps` are all of its apps, in their order.
fn with_lines(plan: &Plan, apps: &[Option<App>], size: u32) -> Plan {
    let mut lined = Plan::default();
    for app in apps.iter().flatten() {
        for (pipe, tag) in [(app.out, c"out"), (app.err, c"err")] {
            if let Some(tag) = AppName::new(tag) {
                let log = Directive::Log {
                    fd: pipe.read,
                    directory: app.directory,
                    tag,
                    size,
                };
                lined.push(
                    log,
                    format!("option --detach: what app `{}` writes", app.name),
                );
            }
        }
    }
    let mut apps = apps.iter();
    plan.find(|_, directive, reason| -> Option<()> {
        lined.push(*directive, reason);
        if let Directive::Process {} = directive
            && let Some(Some(app)) = apps.next()
        {
            let stdio = Directive::Stdio {
                input: 0,
                output: app.out.write,
                error: app.err.write,
            };
            lined.push(stdio, "option --detach: into its log");
        }
        None
    });
    lined
}

/// An app as a plan has it.
struct Planned {
    name: String,
    user: User,
    /// The plan does not say where it writes.
    free: bool,
}

/// Who an app runs as, as far as the plan says it, in ids of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct User {
    uid: Option<u32>,
    gid: Option<u32>,
}

/// Returns the apps of a plan.
fn planned(plan: &Plan) -> Vec<Planned> {
    let mut apps: Vec<Planned> = Vec::new();
    let (mut users, mut groups) = (Vec::new(), Vec::new());
    let mut outside = false;
    plan.find(|_, directive, _| -> Option<()> {
        match *directive {
            Directive::Unshare { namespaces } | Directive::Join { namespaces, .. } => {
                outside |= namespaces.contains(Namespaces::PID);
            }
            Directive::UidMap {
                inside,
                outside,
                count,
            } => users.push((inside, outside, count.0)),
            Directive::GidMap {
                inside,
                outside,
                count,
            } => groups.push((inside, outside, count.0)),
            Directive::App { name } => {
                let name = name.as_c_str().to_string_lossy().into_owned();
                apps.push(Planned {
                    // No directory can have these names.
                    free: outside && name != "." && name != "..",
                    name,
                    user: User::default(),
                });
            }
            _ => {}
        }
        let app = apps.last_mut()?;
        match *directive {
            Directive::Stdio { .. } | Directive::Terminal { .. } => app.free = false,
            Directive::Uid { uid } => app.user.uid = on_host(&users, uid),
            Directive::Gid { gid } => app.user.gid = on_host(&groups, gid),
            _ => {}
        }
        None
    });
    apps
}

/// Translates an id of the pod's, where it has a user namespace.
fn on_host(maps: &[(u32, u32, u32)], id: u32) -> Option<u32> {
    let translated = maps.iter().find_map(|&(inside, outside, count)| {
        let at = id.checked_sub(inside).filter(|&at| at < count)?;
        outside.checked_add(at)
    });
    translated.or_else(|| maps.is_empty().then_some(id))
}

/// Returns the highest number of a descriptor that a plan names.
fn highest(plan: &Plan) -> u32 {
    let mut highest = 0;
    plan.find(|_, directive, _| -> Option<()> {
        highest = directive.descriptors().into_iter().fold(highest, u32::max);
        None
    });
    highest
}

impl Captured {
    /// Makes the directories of the apps' logs, and the pipes: all that the
    /// lines of the log name.
    pub(crate) fn open(&self, log: BorrowedFd<'_>) -> Result<Vec<(u32, OwnedFd)>> {
        let mut named = Vec::new();
        // At once, lest those of many apps get the numbers of others first.
        let mut name = |number, fd| {
            let fd = renumbered(fd, number)?;
            named.push((number, fd));
            Result::Ok(())
        };
        let mut made = BTreeSet::new();
        for app in &self.apps {
            let what = || format!("cannot make the log of app `{}`", app.name);
            if made.insert(app.directory) {
                let directory = place::make_in(log, &app.name).context(what)?;
                name(app.directory, directory)?;
            }
            for pipe in [app.out, app.err] {
                let (reader, writer) = std::io::pipe().context(what)?;
                app.user.give(writer.as_fd());
                name(pipe.read, reader.into())?;
                name(pipe.write, writer.into())?;
            }
        }
        Ok(named)
    }
}

impl User {
    /// Makes it the owner of a pipe: an app that opens /dev/stdout opens the
    /// pipe once more, for which it needs the right. Without, all else works.
    fn give(self, pipe: BorrowedFd<'_>) {
        let (uid, gid) = (self.uid.map(Uid::from_raw), self.gid.map(Gid::from_raw));
        let _ = rustix::fs::fchown(pipe, uid, gid);
    }
}

/// statfs(2), `f_type`: of pipes that have no name.
const PIPE: rustix::fs::FsWord = 0x5049_5045;

/// Gives the caller's pipes to the only app of a pod that writes into them. What
/// has a name is the caller's, and stays so.
pub(crate) fn give_pipes(plan: &Plan) {
    let [app] = &planned(plan)[..] else {
        return;
    };
    let (input, output, error) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    for fd in [input.as_fd(), output.as_fd(), error.as_fd()] {
        if app.free && rustix::fs::fstatfs(fd).is_ok_and(|status| status.f_type == PIPE) {
            app.user.give(fd);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
#[path = "capture_tests.rs"]
mod tests;
