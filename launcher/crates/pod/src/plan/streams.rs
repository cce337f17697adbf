//! Connects the standard streams of a pod's apps.
//!
//! An app that runs detached writes into two pipes, one for its standard output
//! and one for its standard error. `stage1-init` reads the other ends:
//!
//! ```text
//! log 102 101 out 1048576
//! log 104 101 err 1048576
//! app web
//! process
//! stdio 0 103 105
//! ```
//!
//! It also reads what the app writes on the pod's terminal, except while a
//! client is attached:
//!
//! ```text
//! attended 96
//! log 97 101 tty 1048576
//! ```

use std::collections::BTreeMap;
use std::ffi::CStr;

use stage1_init::{AppName, Directive};

use crate::plan::descriptors::{ATTACHED, Labels, MASTER, NeededDescriptor, Owner};
use crate::plan::directives::Plan;
use crate::spec::log::{Log, Place};
use crate::spec::pod::PodSpec;
use crate::spec::process::Stdio;

/// Where the streams of a pod's apps go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// To the streams of the pod.
    Inherited,
    /// Nowhere.
    Silent,
    /// Into a log.
    Logged(Log),
}

/// The streams of one app, as in [`Directive::Stdio`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AppStreams {
    input: u32,
    output: u32,
    error: u32,
    reason: &'static str,
}

impl AppStreams {
    /// Appends the directive; it follows `process`.
    pub(crate) fn push(self, plan: &mut Plan) {
        let Self {
            input,
            output,
            error,
            reason,
        } = self;
        let stdio = Directive::Stdio {
            input,
            output,
            error,
        };
        plan.push(stdio, reason);
    }
}

/// Appends the directives that read what the apps write, and returns the
/// streams of each app, in the order of the apps.
pub(crate) fn compose(
    spec: &PodSpec,
    streams: Streams,
    labels: &mut Labels,
    needed: &mut Vec<NeededDescriptor>,
    plan: &mut Plan,
) -> Vec<Option<AppStreams>> {
    match streams {
        Streams::Inherited => vec![None; spec.apps.len()],
        Streams::Silent => {
            let null = labels.next();
            needed.push(NeededDescriptor::Null(null));
            let silent = AppStreams {
                input: null,
                output: null,
                error: null,
                reason: "option -wait",
            };
            let apps = spec.apps.iter();
            apps.map(|app| (app.process.stdio == Stdio::Inherited).then_some(silent))
                .collect()
        }
        Streams::Logged(log) => logged(spec, log, labels, needed, plan),
    }
}

fn logged(
    spec: &PodSpec,
    log: Log,
    labels: &mut Labels,
    needed: &mut Vec<NeededDescriptor>,
    plan: &mut Plan,
) -> Vec<Option<AppStreams>> {
    let kept = log.place != Place::Nowhere;
    // Apps with the same name share a log.
    let mut directories = BTreeMap::new();
    let mut streams = Vec::new();
    for app in &spec.apps {
        let pipes = kept && app.process.stdio == Stdio::Inherited;
        let terminal = app.process.stdio == Stdio::Terminal;
        if !pipes && !terminal {
            streams.push(None);
            continue;
        }
        let directory = match kept {
            true => *directories.entry(&*app.name).or_insert_with(|| {
                let label = labels.next();
                needed.push(NeededDescriptor::LogDirectory(label, app.name.clone()));
                label
            }),
            // The terminal must be read all the same. The label is not a
            // directory, so nothing is kept.
            false => ATTACHED,
        };
        let mut lines = Lines {
            plan,
            log,
            directory,
            app: &app.name,
        };
        if terminal {
            lines.attended();
            lines.read(MASTER, c"tty", "option --interactive");
            streams.push(None);
            continue;
        }
        let owner = owner(spec, app.process.uid.value, app.process.gid.value);
        let mut pipe = |tag| {
            let (read, write) = (labels.next(), labels.next());
            needed.push(NeededDescriptor::Pipe { read, write, owner });
            lines.read(read, tag, "option --detach");
            write
        };
        streams.push(Some(AppStreams {
            input: 0,
            output: pipe(c"out"),
            error: pipe(c"err"),
            reason: "option --detach: output to the log",
        }));
    }
    streams
}

/// Appends the directives that read the streams of one app.
struct Lines<'a> {
    plan: &'a mut Plan,
    log: Log,
    directory: u32,
    app: &'a str,
}

impl Lines<'_> {
    fn read(&mut self, fd: u32, tag: &CStr, option: &str) {
        if let Some(tag) = AppName::new(tag) {
            let log = Directive::Log {
                fd,
                directory: self.directory,
                tag,
                size: self.log.size.bytes(),
            };
            let reason = format!("{option}: the output of app `{}`", self.app);
            self.plan.push(log, reason);
        }
    }

    fn attended(&mut self) {
        let reason = "an attached client reads it instead";
        self.plan.push(Directive::Attended { fd: ATTACHED }, reason);
    }
}

/// Returns the owner of an app's pipes or terminal, in ids of the host.
pub(crate) fn owner(spec: &PodSpec, uid: u32, gid: u32) -> Owner {
    let (uid, gid) = spec.user.on_host(uid, gid);
    Owner { uid, gid }
}
