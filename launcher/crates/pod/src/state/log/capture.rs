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
//! What it writes on a terminal of its own is read there, unless somebody
//! attends to that:
//!
//! ```text
//! attended 96
//! log 97 101 tty 1048576
//! ```
//!
//! Which lines these are decides a pure function, [`capture`]: the same plan
//! always becomes the same. With a pod the plan is kept that does not have
//! them yet.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd as _, BorrowedFd};

use rustix::fs::{Gid, Uid};
use stage1_init::{AppName, Directive, Namespaces};

use crate::plan::descriptors::{ATTENDED, DEFAULT_FILTER, MASTER, Named, TERMINAL};
use crate::plan::text::Plan;
use crate::state::log::{Log, Place, place};
use error::{Context as _, Result};

/// A plan that is executed, and what it needs for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// With the lines of the log.
    pub plan: Plan,
    /// The apps that are captured.
    apps: Vec<App>,
}

/// An app that is captured.
#[derive(Clone, Debug, PartialEq, Eq)]
struct App {
    name: String,
    user: User,
    /// Label of the directory of its log.
    directory: u32,
    streams: Streams,
}

/// How it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Streams {
    /// Into pipes: standard output and standard error.
    Pipes(Pipe, Pipe),
    /// On the pod's terminal.
    Terminal,
}

/// The labels of the ends of a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pipe {
    read: u32,
    write: u32,
}

/// Makes of a plan the one that keeps what its apps write. An app is left alone
/// for which the plan says itself where it writes, and all are if nobody stays
/// outside of the pod who could read it.
pub fn capture(plan: &Plan, log: Log) -> Captured {
    let kept = log.place != Place::Nowhere;
    let mut next = highest(plan).max(DEFAULT_FILTER);
    let mut number = || {
        next = next.saturating_add(1);
        next
    };
    // Apps of one name have one log.
    let mut directories = BTreeMap::new();
    let mut directory = |number: &mut dyn FnMut() -> u32, name: &str| match kept {
        true => *directories.entry(name.to_owned()).or_insert_with(number),
        // It must be read all the same; in what is no directory nothing is kept.
        false => ATTENDED,
    };
    let apps = planned(plan).into_iter().map(|app| {
        let (directory, streams) = match app.writes {
            Writes::WhereItIsTold if kept => {
                let directory = directory(&mut number, &app.name);
                let mut pipe = || Pipe {
                    read: number(),
                    write: number(),
                };
                (directory, Streams::Pipes(pipe(), pipe()))
            }
            Writes::OnTheTerminal => (directory(&mut number, &app.name), Streams::Terminal),
            _ => return None,
        };
        Some(App {
            name: app.name,
            user: app.user,
            directory,
            streams,
        })
    });
    let apps: Vec<Option<App>> = apps.collect();
    Captured {
        plan: with_lines(plan, &apps, log.size.bytes()),
        apps: apps.into_iter().flatten().collect(),
    }
}

/// Makes of a plan one whose apps write nowhere and read nothing, but for those
/// of which it says itself where they write. Returns what label it has for
/// the null device.
pub fn silence(plan: &Plan) -> (Plan, u32) {
    let null = highest(plan).max(DEFAULT_FILTER).saturating_add(1);
    let mut apps = planned(plan).into_iter();
    let mut silent = Plan::default();
    plan.find(|_, directive, reason| -> Option<()> {
        silent.push(*directive, reason);
        if let Directive::Process {} = directive
            && let Some(app) = apps.next()
            && app.writes == Writes::WhereItIsTold
        {
            let stdio = Directive::Stdio {
                input: null,
                output: null,
                error: null,
            };
            silent.push(stdio, "option -wait");
        }
        None
    });
    (silent, null)
}

/// Puts the lines into a plan; `apps` are all of its apps, in their order.
fn with_lines(plan: &Plan, apps: &[Option<App>], size: u32) -> Plan {
    let mut lined = Plan::default();
    for app in apps.iter().flatten() {
        app.log(&mut lined, size);
    }
    let mut apps = apps.iter();
    plan.find(|_, directive, reason| -> Option<()> {
        lined.push(*directive, reason);
        if let Directive::Process {} = directive
            && let Some(Some(app)) = apps.next()
            && let Streams::Pipes(out, err) = app.streams
        {
            let stdio = Directive::Stdio {
                input: 0,
                output: out.write,
                error: err.write,
            };
            lined.push(stdio, "option --detach: into its log");
        }
        None
    });
    lined
}

impl App {
    /// Appends what reads what it writes.
    fn log(&self, plan: &mut Plan, size: u32) {
        let (streams, option): (&[_], _) = match self.streams {
            Streams::Pipes(out, err) => {
                (&[(out.read, c"out"), (err.read, c"err")], "option --detach")
            }
            Streams::Terminal => {
                let attended = Directive::Attended { fd: ATTENDED };
                plan.push(attended, "who attends to the terminal reads it instead");
                (&[(MASTER, c"tty")], "option --interactive")
            }
        };
        for &(fd, tag) in streams {
            if let Some(tag) = AppName::new(tag) {
                let log = Directive::Log {
                    fd,
                    directory: self.directory,
                    tag,
                    size,
                };
                plan.push(log, format!("{option}: what app `{}` writes", self.name));
            }
        }
    }
}

/// An app as a plan has it.
struct Planned {
    name: String,
    user: User,
    writes: Writes,
}

/// Where an app writes, as far as a plan says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writes {
    /// Wherever its standard streams lead.
    WhereItIsTold,
    /// On the pod's terminal.
    OnTheTerminal,
    /// Elsewhere, or nobody could read it.
    Elsewhere,
}

/// Who an app runs as, as far as the plan says it, in ids of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct User {
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
                    writes: match outside && name != "." && name != ".." {
                        true => Writes::WhereItIsTold,
                        false => Writes::Elsewhere,
                    },
                    name,
                    user: User::default(),
                });
            }
            _ => {}
        }
        let app = apps.last_mut()?;
        match *directive {
            Directive::Terminal { fd: TERMINAL } if outside => app.writes = Writes::OnTheTerminal,
            Directive::Stdio { .. } | Directive::Terminal { .. } => app.writes = Writes::Elsewhere,
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

/// Returns whom the pod's terminal belongs to, if an app of the plan has it.
pub(crate) fn terminal_user(plan: &Plan) -> Option<User> {
    let apps = planned(plan).into_iter();
    let mut users = apps.filter(|app| app.writes == Writes::OnTheTerminal);
    users.next().map(|app| app.user)
}

/// Returns the highest number or label of a descriptor that a plan names.
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
    pub fn open(&self, log: BorrowedFd<'_>) -> Result<Named> {
        let mut named = Named::new();
        let mut made = BTreeSet::new();
        for app in &self.apps {
            let what = || format!("cannot make the log of app `{}`", app.name);
            if app.directory != ATTENDED && made.insert(app.directory) {
                let directory = place::make_in(log, &app.name).context(what)?;
                named.insert(app.directory, directory);
            }
            let Streams::Pipes(out, err) = app.streams else {
                continue;
            };
            for pipe in [out, err] {
                let (reader, writer) = std::io::pipe().context(what)?;
                app.user.give(writer.as_fd());
                named.insert(pipe.read, reader.into());
                named.insert(pipe.write, writer.into());
            }
        }
        Ok(named)
    }
}

impl User {
    /// Makes it the owner of a pipe or a terminal: an app that opens /dev/stdout
    /// opens that once more, for which it needs the right. Without, all else works.
    pub fn give(self, pipe: BorrowedFd<'_>) {
        let (uid, gid) = (self.uid.map(Uid::from_raw), self.gid.map(Gid::from_raw));
        let _ = rustix::fs::fchown(pipe, uid, gid);
    }
}

/// statfs(2), `f_type`: of pipes that have no name.
const PIPE: rustix::fs::FsWord = 0x5049_5045;

/// Gives the caller's pipes to the only app of a pod that writes into them. What
/// has a name is the caller's, and stays so.
pub fn give_pipes(plan: &Plan) {
    let [app] = &planned(plan)[..] else {
        return;
    };
    let (input, output, error) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    for fd in [input.as_fd(), output.as_fd(), error.as_fd()] {
        if app.writes == Writes::WhereItIsTold
            && rustix::fs::fstatfs(fd).is_ok_and(|status| status.f_type == PIPE)
        {
            app.user.give(fd);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
#[path = "capture_tests.rs"]
mod tests;
