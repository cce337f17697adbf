//! Plans written by hand: executed as they are, except that the streams of
//! their apps are connected like those of any other pod. What such a plan says
//! about its pod is read once, when the pod is made, and kept as its spec.

use std::ffi::CStr;

use stage1_init::{CapabilitySet, Directive, Namespaces, Part};

use crate::cgroup::Groups;
use crate::plan::compose::init_filter;
use crate::plan::compose::{Composed, PID_MAX};
use crate::plan::descriptors::{
    DEFAULT_FILTER, HOSTS, INIT_FILTER, Labels, NETWORK, NeededDescriptor, TERMINAL,
};
use crate::plan::directives::{Plan, Step};
use crate::plan::streams::{self, Streams};
use crate::seccomp::Program;
use crate::spec::HostPath;
use crate::spec::environment::Variable;
use crate::spec::limits::Limits;
use crate::spec::pod::{AppSpec, IdMap, Namespace, PodSpec};
use crate::spec::process::{CapabilityBound, ProcessSpec, Rights, SeccompPolicy, Sourced, Stdio};
use appc::types::Uuid;

/// The reason of everything that comes from such a plan.
const REASON: &str = "the plan";

/// Returns whether a plan sets `kernel.pid_max`.
pub fn sets_pid_max(plan: &Plan) -> bool {
    let mut directives = plan.steps().iter().filter_map(Step::directive);
    directives.any(|one| matches!(one, Directive::Sysctl { key, .. } if key == PID_MAX))
}

/// Returns the first root of a plan: in a composed plan, a path in the pod's
/// directory.
pub fn first_root(plan: &Plan) -> Option<String> {
    let mut directives = plan.steps().iter().filter_map(Step::directive);
    directives.find_map(|one| match one {
        Directive::Root { path } => Some(text(path)),
        _ => None,
    })
}

/// Reads from a plan what is known of the pod that it runs.
pub fn spec(plan: &Plan, id: Uuid, directory: impl Into<HostPath>) -> PodSpec {
    let mut spec = PodSpec::new(id, directory, Sourced::new(String::new(), REASON));
    spec.planned = true;
    (spec.processes, spec.network) = (Namespace::Host, Namespace::Host);
    let mut in_app = false;
    let mut kept = None;
    for directive in plan.steps().iter().filter_map(Step::directive) {
        match directive {
            Directive::Unshare { namespaces } => spec.leaves(namespaces, Namespace::Planned),
            Directive::Join { namespaces, fd } => {
                spec.leaves(namespaces, Namespace::Planned);
                if fd == NETWORK {
                    spec.network = Namespace::New;
                }
            }
            Directive::Hostname { name } => spec.hostname.value = text(name),
            Directive::UidMap {
                inside,
                outside,
                count,
            } => spec.user.uids.push(id_map(inside, outside, count.0)),
            Directive::GidMap {
                inside,
                outside,
                count,
            } => spec.user.gids.push(id_map(inside, outside, count.0)),
            Directive::App { name } => {
                (in_app, kept) = (true, None);
                let name = name.as_c_str().to_string_lossy().into_owned();
                // If apps share the host's process numbers, nobody outside
                // could read what they write; and no directory can have these
                // names.
                let readable = spec.processes != Namespace::Host && name != "." && name != "..";
                spec.apps.push(app(name, readable));
            }
            Directive::Init {} | Directive::Undo {} => in_app = false,
            directive if in_app && directive.part() == Part::Process => {
                let outside = spec.processes != Namespace::Host;
                let Some(app) = spec.apps.last_mut() else {
                    continue;
                };
                app.process.read(&directive, outside);
                match (directive, &kept) {
                    (Directive::Capabilities { .. }, _) => kept = Some(directive),
                    (Directive::Main { .. }, Some(kept)) => app.process.check_kept(kept),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    spec
}

/// Connects the streams of the apps, and determines what the plan needs from
/// the launcher.
pub fn compose(plan: &Plan, spec: &PodSpec, streams: Streams) -> Composed {
    let directives = || plan.steps().iter().filter_map(Step::directive);
    let highest = directives().flat_map(|one| one.descriptors()).max();
    let mut labels = Labels::after(highest.unwrap_or(0));
    let mut needed = Vec::new();
    if spec.network == Namespace::New {
        needed.push(NeededDescriptor::Network);
        let mut all = directives().flat_map(|one| one.descriptors());
        needed.extend(all.any(|fd| fd == HOSTS).then_some(NeededDescriptor::Hosts));
    }
    if directives().any(|one| one == Directive::Seccomp { fd: DEFAULT_FILTER }) {
        needed.push(NeededDescriptor::Filter(
            DEFAULT_FILTER,
            Program::default().bytes,
        ));
    }
    if directives().any(|one| one == Directive::Seccomp { fd: INIT_FILTER }) {
        needed.push(init_filter());
    }
    if directives().any(|one| one == Directive::Undo {}) {
        needed.push(NeededDescriptor::Directories);
    }
    if let Some(app) = spec.terminal_app() {
        let (uid, gid) = (app.process.uid.value, app.process.gid.value);
        needed.push(NeededDescriptor::Terminal(streams::owner(spec, uid, gid)));
    }
    let mut led = Plan::default();
    let streams = streams::compose(spec, streams, &mut labels, &mut needed, &mut led);
    let mut streams = streams.into_iter();
    for step in plan.steps() {
        led.append(step.clone());
        if step.directive() == Some(Directive::Process {})
            && let Some(Some(streams)) = streams.next()
        {
            streams.push(&mut led);
        }
    }
    Composed {
        plan: led,
        needed,
        groups: Groups::default(),
    }
}

impl PodSpec {
    fn leaves(&mut self, namespaces: Namespaces, how: Namespace) {
        if namespaces.contains(Namespaces::PID) {
            self.processes = how.clone();
        }
        if namespaces.contains(Namespaces::NET) {
            self.network = how;
        }
    }
}

fn app(name: String, readable: bool) -> AppSpec {
    AppSpec {
        name,
        reason: REASON.to_owned(),
        image: None,
        root: None,
        process: ProcessSpec {
            argv: Sourced::new(Vec::new(), REASON),
            pre_start: None,
            post_stop: None,
            environment: Vec::new(),
            directory: Sourced::new("/".to_owned(), REASON),
            uid: Sourced::new(0, REASON),
            gid: Sourced::new(0, REASON),
            groups: Sourced::new(Vec::new(), REASON),
            rights: Rights {
                capabilities: Sourced::new(CapabilityBound::All, REASON),
                ambient: false,
                no_new_privileges: None,
                oom_score: None,
                seccomp: Sourced::new(SeccompPolicy::Unconfined, REASON),
                apparmor: None,
                selinux: None,
            },
            resources: Vec::new(),
            stdio: match readable {
                true => Stdio::Inherited,
                false => Stdio::Planned,
            },
            beyond: None,
        },
        limits: Limits::default(),
        devices: Vec::new(),
        mounts: Vec::new(),
        tmpfs: Vec::new(),
        sockets: Vec::new(),
        lacks: Vec::new(),
        makes: Vec::new(),
        writable: Vec::new(),
        stop_signal: None,
        health: None,
        zone: None,
    }
}

impl ProcessSpec {
    /// Records what a directive does to each process. `outside`: a process
    /// outside of the pod can read what is written on its terminal.
    fn read(&mut self, directive: &Directive<'_>, outside: bool) {
        let rights = &mut self.rights;
        let score = |score| Some(Sourced::new(score, REASON));
        let label = |text: String| Some(Sourced::new(text, REASON));
        match *directive {
            Directive::Terminal { fd: TERMINAL } if outside => self.stdio = Stdio::Terminal,
            Directive::Stdio { .. } | Directive::Terminal { .. } => self.stdio = Stdio::Planned,
            Directive::OomScoreAdj { score: one } => rights.oom_score = score(one),
            Directive::Attribute { file, text: value } => {
                let value = text(value);
                match (file.to_bytes(), value.strip_prefix("exec ")) {
                    (b"exec" | b"apparmor/exec", Some(profile)) => {
                        rights.apparmor = label(profile.to_owned());
                    }
                    (b"exec", None) => rights.selinux = label(value),
                    _ => self.goes_beyond(directive),
                }
            }
            Directive::Bounding { set } => {
                rights.capabilities.value = both(rights.capabilities.value, set);
            }
            Directive::Groups { groups } => self.groups.value = groups.iter().collect(),
            Directive::Gid { gid } => self.gid.value = gid,
            Directive::Uid { uid } => self.uid.value = uid,
            Directive::Workdir { path } => self.directory.value = text(path),
            Directive::NoNewPrivs {} => rights.no_new_privileges = Some(REASON.to_owned()),
            // That is for PID 1.
            Directive::Seccomp { fd: INIT_FILTER } => self.goes_beyond(directive),
            // Two filters apply both; a spec has only one.
            Directive::Seccomp { .. } if rights.seccomp.value != SeccompPolicy::Unconfined => {
                self.goes_beyond(directive);
            }
            Directive::Seccomp { fd } => {
                rights.seccomp.value = match fd {
                    DEFAULT_FILTER => SeccompPolicy::AsBuilt,
                    fd => SeccompPolicy::Descriptor(fd),
                };
            }
            Directive::Env { pair } => {
                match pair.to_str().ok().and_then(|pair| pair.split_once('=')) {
                    Some((name, value)) => {
                        let variable = Variable::new(name, value);
                        self.environment.push(Sourced::new(variable, REASON));
                    }
                    None => self.goes_beyond(directive),
                }
            }
            Directive::Main { argv } => {
                self.argv.value = argv.0.iter().map(text).collect();
            }
            // A command does these as every app does, or does not need them.
            Directive::Umask { .. }
            | Directive::Session {}
            | Directive::Foreground {}
            | Directive::Keyring {}
            | Directive::JoinCgroup { .. }
            | Directive::Capabilities { .. }
            | Directive::PreStart { .. }
            | Directive::PostStop { .. } => {}
            _ => self.goes_beyond(directive),
        }
    }

    /// Checks the capabilities that an app has `kept`: when root executes a
    /// program it gets back all that the bounding set leaves, unless it cannot
    /// gain rights.
    fn check_kept(&mut self, kept: &Directive<'_>) {
        let bound = self.rights.capabilities.value;
        if let Directive::Capabilities { set } = *kept
            && self.rights.no_new_privileges.is_some()
            && self.uid.value == 0
            && both(bound, set) != bound
        {
            self.goes_beyond(kept);
        }
    }

    /// Records a directive that restricts an app in a way that no spec can
    /// express.
    fn goes_beyond(&mut self, directive: &Directive<'_>) {
        let mut line = Plan::default();
        line.push(*directive, "");
        let line = line.text();
        let line = line.lines().nth(1).unwrap_or_default();
        self.beyond.get_or_insert_with(|| line.to_owned());
    }
}

/// Returns the capabilities that both bounds leave.
fn both(bound: CapabilityBound, set: CapabilitySet) -> CapabilityBound {
    match (bound, set) {
        (bound, CapabilitySet::All) => bound,
        (CapabilityBound::All, CapabilitySet::Only(set)) => CapabilityBound::Only(set),
        (CapabilityBound::Only(bound), CapabilitySet::Only(set)) => {
            CapabilityBound::Only(bound.without(bound.without(set)))
        }
    }
}

const fn id_map(inside: u32, outside: u32, count: u32) -> IdMap {
    IdMap {
        inside,
        outside,
        count,
    }
}

fn text(word: &CStr) -> String {
    word.to_string_lossy().into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
#[path = "written_tests.rs"]
mod tests;
