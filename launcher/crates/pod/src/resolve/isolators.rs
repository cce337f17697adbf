//! Turns isolators into what is enforced: resource limits and the rights of
//! processes, with a report of what became of each isolator.
//!
//! The specification lets an executor ignore isolators it does not know, but
//! not silently, so nothing is dropped here without an entry in the report.
//!
//! # Not here
//!
//! How limits are set ([`crate::cgroup`]) and filters are compiled
//! ([`crate::seccomp`]); what the manifest parser refuses.

use stage1_init::Capabilities;

use crate::resolve::capabilities::member;
use crate::resolve::grant;
use crate::resolve::parameters;
use crate::resolve::report::{Entry, Outcome};
use crate::resolve::settings::Setting;
use crate::seccomp;
use crate::spec::defaults::{CAPABILITIES, PROCESSES as PROCESSES_BY_DEFAULT};
use crate::spec::limits::Limits;
use crate::spec::pod::Parameters;
use crate::spec::process::{Calls, CapabilityBound, Rights, SeccompPolicy, Sourced};
use appc::manifest::isolator::{self, Bound, Isolator, PROCESSES, Scope};
use appc::types::Quantity;
use error::Result;
use sys::host::Host;

/// What the isolators of an app amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppIsolation {
    /// Its limits.
    pub limits: Limits,
    /// Its rights.
    pub rights: Rights,
    /// What became of each isolator.
    pub report: Vec<Entry>,
}

/// What the isolators of a pod amount to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodIsolation {
    /// The limits of all its apps together.
    pub limits: Limits,
    /// Whether the limit of processes is the default rather than requested.
    pub processes_by_default: bool,
    /// Kernel parameters of its namespaces.
    pub parameters: Parameters,
    /// Security module labels for apps that have none of their own.
    pub labels: Labels,
    /// What became of each isolator.
    pub report: Vec<Entry>,
}

/// Security module labels of an app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// An AppArmor profile.
    pub apparmor: Option<String>,
    /// An SELinux context.
    pub selinux: Option<String>,
}

/// Lowers an app's limits to those of the pod, except weights and reservations.
/// Returns the isolators whose limits were lowered, each with the corresponding
/// option.
fn bound_by(app: &mut Limits, pod: &Limits) -> Vec<[&'static str; 2]> {
    let mut bounded = Vec::new();
    for (names, own, outer) in [
        (["resource/cpu", "--cpu"], &mut app.cpu, pod.cpu),
        (["resource/memory", "--memory"], &mut app.memory, pod.memory),
        (
            ["resource/block-bandwidth", ""],
            &mut app.block_bandwidth,
            pod.block_bandwidth,
        ),
        (
            ["resource/block-iops", ""],
            &mut app.block_operations,
            pod.block_operations,
        ),
        (BANDWIDTH, &mut app.network_bandwidth, pod.network_bandwidth),
        (
            [PROCESSES, "--pids-limit"],
            &mut app.processes,
            pod.processes,
        ),
    ] {
        if let (Some(mine), Some(most)) = (*own, outer)
            && mine > most
        {
            *own = Some(most);
            bounded.push(names);
        }
    }
    bounded
}

/// Evaluates the isolators and options of a pod. `own_network`: the pod does
/// not share the host's network.
pub fn of_pod(
    isolators: &[Isolator],
    settings: &[Setting],
    own_network: bool,
    host: &Host,
) -> PodIsolation {
    let mut pod = PodIsolation::default();
    let isolators = not_overridden(isolators, settings);
    for &isolator in &isolators {
        let outcome = match &isolator.bound {
            _ if !isolator.belongs(Scope::Pod) => misplaced(isolator, "a pod"),
            Bound::Sysctl(wanted) => {
                let why = "isolator os/unix/sysctl";
                parameters::keep(wanted, own_network, why, &mut pod.parameters)
            }
            bound => match label(isolator, &mut pod.labels, host) {
                Some(outcome) => outcome,
                None => limit(bound, &mut pod.limits),
            },
        };
        let entry = Entry::of_isolator(isolator, "the pod", outcome);
        pod.report.push(entry);
    }
    for setting in settings {
        let outcome = match setting {
            Setting::Parameters(wanted) => {
                parameters::keep(wanted, own_network, "option --sysctl", &mut pod.parameters)
            }
            setting => set_limit(setting, &mut pod.limits),
        };
        pod.report
            .push(Entry::of_option(setting, "the pod", outcome));
    }
    let by_isolator = |isolator: &&Isolator| matches!(isolator.bound, Bound::Processes(_));
    let by_option = |setting: &Setting| matches!(setting, Setting::Processes(_));
    if !isolators.iter().any(by_isolator) && !settings.iter().any(by_option) {
        pod.limits.processes = Some(PROCESSES_BY_DEFAULT);
        pod.processes_by_default = true;
    }
    pod
}

/// Evaluates the isolators and options of an app, within the limits of its pod.
/// `waits`: the app has programs that wait for their turn.
///
/// # Errors
///
/// Fails if this architecture has no system call filters.
pub fn of_app(
    name: &str,
    isolators: &[Isolator],
    settings: &[Setting],
    pod: &PodIsolation,
    host: &Host,
    waits: bool,
) -> Result<AppIsolation> {
    let subject = format!("app `{name}`");
    let mut app = Draft {
        limits: Limits::default(),
        shares: None,
        labels: pod.labels.clone(),
        rights: Rights {
            capabilities: Sourced::new(
                CapabilityBound::Only(CAPABILITIES),
                "the specification's default",
            ),
            ambient: false,
            no_new_privileges: None,
            oom_score: None,
            seccomp: Sourced::new(SeccompPolicy::Default, "default"),
            apparmor: None,
            selinux: None,
        },
    };
    let mut report: Vec<Entry> = Vec::new();
    for isolator in not_overridden(isolators, settings) {
        let outcome = match isolator.belongs(Scope::App) {
            true => app.take(isolator, host),
            false => misplaced(isolator, "an app"),
        };
        report.push(Entry::of_isolator(isolator, &subject, outcome));
    }
    for setting in settings {
        let outcome = app.set(setting);
        report.push(Entry::of_option(setting, &subject, outcome));
    }
    let Draft {
        mut limits,
        shares,
        labels,
        mut rights,
    } = app;
    limits.cpu_shares = shares.or(limits.cpu_shares);
    let labelled = |label: Option<String>, isolator: &str| {
        label.map(|label| Sourced::new(label, format!("isolator {isolator}")))
    };
    rights.apparmor = labelled(labels.apparmor, "os/linux/apparmor-profile");
    rights.selinux = labelled(labels.selinux, "os/linux/selinux-context");
    let mut modify = |names: &[&str], reason: &str| {
        if let Some(entry) = report.iter_mut().find(|entry| entry.is_of(names)) {
            entry.outcome = Outcome::Modified(reason.to_owned());
        }
    };
    for bounded in bound_by(&mut limits, &pod.limits) {
        modify(&bounded, "reduced to the limit of the pod");
    }
    let capabilities = match rights.capabilities.value {
        CapabilityBound::Only(set) => set,
        CapabilityBound::All => CAPABILITIES,
    };
    let policy = &rights.seccomp.value;
    let mut verdict = seccomp::decide(policy, capabilities, host.kernel, waits)?;
    let beyond: Vec<&str> = verdict.beyond.iter().map(String::as_str).collect();
    verdict.notes.extend(grant::beyond(&beyond));
    if !verdict.notes.is_empty() {
        let calls = [
            "os/linux/seccomp-retain-set",
            "os/linux/seccomp-remove-set",
            "--seccomp",
        ];
        modify(&calls, &verdict.notes.join("; "));
    }
    if !beyond.is_empty() {
        rights.seccomp.reason.push_str(WITHIN);
    }
    Ok(AppIsolation {
        limits,
        rights,
        report,
    })
}

/// Added to the reason of a right that was asked for and reduced to the
/// default.
const WITHIN: &str = ", within the default";

/// The limits and rights of an app, as far as they have been read.
struct Draft {
    limits: Limits,
    /// A weight that was requested as such.
    shares: Option<u64>,
    labels: Labels,
    rights: Rights,
}

impl Draft {
    /// Applies an isolator.
    fn take(&mut self, isolator: &Isolator, host: &Host) -> Outcome {
        match &isolator.bound {
            Bound::CpuShares(wanted) => self.shares = Some(u64::from(*wanted)),
            Bound::RetainCalls(calls) => {
                let (calls, bounded) = (owned(calls), isolator.bounded);
                self.filter(SeccompPolicy::Retain { calls, bounded }, BY_ISOLATOR);
            }
            Bound::RemoveCalls(calls) => {
                self.filter(SeccompPolicy::Remove(owned(calls)), BY_ISOLATOR);
            }
            bound => {
                return right(isolator, &mut self.rights, host)
                    .or_else(|| label(isolator, &mut self.labels, host))
                    .unwrap_or_else(|| limit(bound, &mut self.limits));
            }
        }
        Outcome::Enforced
    }

    /// Applies an option.
    fn set(&mut self, setting: &Setting) -> Outcome {
        let reason = format!("option {}", setting.option());
        match setting {
            Setting::CpuShares(wanted) => self.shares = Some(u64::from(*wanted)),
            Setting::OomScore(score) => {
                self.rights.oom_score = Some(Sourced::new(*score, reason));
            }
            Setting::NoNewPrivileges(wanted) => {
                self.rights.no_new_privileges = wanted.then_some(reason);
            }
            Setting::RetainCapabilities(names) => {
                let (set, notes) = capabilities(names);
                let set = CapabilityBound::Only(set);
                self.rights.capabilities = Sourced::new(set, reason);
                self.rights.ambient = true;
                return modified(&notes);
            }
            Setting::RemoveCapabilities(names) => {
                let (set, notes) = capabilities(names);
                let set = CapabilityBound::Only(CAPABILITIES.without(set));
                self.rights.capabilities = Sourced::new(set, reason);
                return modified(&notes);
            }
            Setting::ChangeCapabilities(change) => {
                let bound = change.of(self.rights.capabilities.value);
                self.rights.capabilities = Sourced::new(bound, reason);
            }
            Setting::RetainCalls(_) | Setting::RemoveCalls(_) => {
                if let Some(policy) = setting.seccomp() {
                    self.filter(policy, &reason);
                }
            }
            setting => return set_limit(setting, &mut self.limits),
        }
        Outcome::Enforced
    }

    fn filter(&mut self, policy: SeccompPolicy, reason: &str) {
        self.rights.seccomp = Sourced::new(policy, reason);
    }
}

/// The reason of a filter that a manifest asks for.
const BY_ISOLATOR: &str = "system call isolator";

fn owned(calls: &isolator::Calls) -> Calls {
    Calls {
        set: calls.set.clone(),
        errno: calls.errno.clone(),
    }
}

/// Applies a limit that an option sets.
fn set_limit(setting: &Setting, limits: &mut Limits) -> Outcome {
    match setting {
        Setting::Cpu(quantity) => return cpu(Some(*quantity), Some(*quantity), limits),
        Setting::Memory(quantity) => {
            limits.memory_request = None;
            return memory(*quantity, limits);
        }
        Setting::NetworkBandwidth(wanted) => return bandwidth(*wanted, limits),
        Setting::Processes(most) => limits.processes = most.map(u64::from),
        // The others are not limits.
        _ => {}
    }
    Outcome::Enforced
}

/// Returns the isolators that no option overrides; of several with the same
/// name, the last.
fn not_overridden<'a>(isolators: &'a [Isolator], settings: &[Setting]) -> Vec<&'a Isolator> {
    let overridden = |isolator: &Isolator| settings.iter().any(|one| one.overrides(isolator));
    let left = last_ones(isolators).filter(|isolator| !overridden(isolator));
    left.collect()
}

/// Returns the last isolator of each name.
fn last_ones(isolators: &[Isolator]) -> impl Iterator<Item = &Isolator> {
    let last = move |at: usize, isolator: &Isolator| {
        let mut later = isolators.iter().skip(at + 1);
        later.all(|other| other.name != isolator.name)
    };
    let numbered = isolators.iter().enumerate();
    numbered.filter_map(move |(at, isolator)| last(at, isolator).then_some(isolator))
}

fn misplaced(isolator: &Isolator, here: &str) -> Outcome {
    Outcome::Ignored(match isolator.bound {
        Bound::Unknown => "it is unknown".to_owned(),
        _ => format!("it does not apply to {here}"),
    })
}

/// Applies a resource limit.
fn limit(bound: &Bound, limits: &mut Limits) -> Outcome {
    match bound {
        Bound::Cpu(wanted) => return cpu(wanted.request(), wanted.limit, limits),
        Bound::Memory(wanted) => {
            // A reservation cannot exceed the limit.
            limits.memory_request = wanted
                .request()
                .filter(|request| Some(*request) != wanted.limit)
                .map(units);
            limits.memory = None;
            if let Some(limit) = wanted.limit {
                return memory(limit, limits);
            }
        }
        Bound::BlockBandwidth(wanted) => limits.block_bandwidth = wanted.map(units),
        Bound::BlockIops(wanted) => limits.block_operations = wanted.map(units),
        Bound::Processes(wanted) => limits.processes = wanted.map(u64::from),
        Bound::NetworkBandwidth(Some(wanted)) => return bandwidth(*wanted, limits),
        // The others are not limits.
        _ => {}
    }
    Outcome::Enforced
}

/// The isolator and the option for what interfaces may carry.
const BANDWIDTH: [&str; 2] = ["resource/network-bandwidth", "--network-bandwidth"];

/// The least, in bytes per second: a packet has to get through in a minute or so.
const LEAST_BANDWIDTH: u64 = 1000;

fn bandwidth(limit: Quantity, limits: &mut Limits) -> Outcome {
    let limit = units(limit);
    limits.network_bandwidth = Some(limit.max(LEAST_BANDWIDTH));
    match limit < LEAST_BANDWIDTH {
        true => Outcome::Modified("raised to the minimum of 1k".to_owned()),
        false => Outcome::Enforced,
    }
}

/// Gives up the limit of what interfaces may carry, for this reason.
pub(crate) fn leave_bandwidth(limits: &mut Limits, report: &mut [Entry], why: &str) {
    limits.network_bandwidth = None;
    for entry in report.iter_mut().filter(|entry| entry.is_of(&BANDWIDTH)) {
        entry.outcome = Outcome::Ignored(why.to_owned());
    }
}

/// The least memory, in bytes, with which an init can start an app, and the app
/// can end by itself.
pub const LEAST_MEMORY: u64 = 768 << 10;

fn memory(limit: Quantity, limits: &mut Limits) -> Outcome {
    let limit = units(limit);
    limits.memory = Some(limit.max(LEAST_MEMORY));
    match limit < LEAST_MEMORY {
        true => Outcome::Modified("raised to the minimum of 768Ki".to_owned()),
        false => Outcome::Enforced,
    }
}

/// The weight of one core: the kernel's default for a group.
const SHARES_OF_A_CORE: u64 = 1024;

/// The weights that version 1 of cgroups accepts.
const SHARES: std::ops::RangeInclusive<u64> = 2..=262_144;

fn cpu(request: Option<Quantity>, limit: Option<Quantity>, limits: &mut Limits) -> Outcome {
    let millis = |quantity: Quantity| u64::try_from(quantity.millis()).unwrap_or(0);
    let limit = limit.map(millis);
    limits.cpu = limit.map(|limit| limit.max(1));
    limits.cpu_shares = request.map(|request| {
        let shares = millis(request).saturating_mul(SHARES_OF_A_CORE) / 1000;
        shares.clamp(*SHARES.start(), *SHARES.end())
    });
    if limit == Some(0) {
        return Outcome::Modified("raised to the minimum of 1m".to_owned());
    }
    Outcome::Enforced
}

fn units(quantity: Quantity) -> u64 {
    u64::try_from(quantity.units()).unwrap_or(0)
}

/// Applies an isolator of rights, if it is one.
fn right(isolator: &Isolator, rights: &mut Rights, host: &Host) -> Option<Outcome> {
    Some(match &isolator.bound {
        Bound::RetainCapabilities(names) => {
            let (set, mut notes) = capabilities(names);
            let beyond = match isolator.bounded {
                true => set.without(CAPABILITIES),
                false => Capabilities::EMPTY,
            };
            let is_beyond = |name: &&String| member(name).is_some_and(|one| beyond.contains(one));
            let names: Vec<_> = names.iter().filter(is_beyond).map(String::as_str).collect();
            notes.extend(grant::beyond(&names));
            let reason = match names.is_empty() {
                true => of_capabilities(set),
                false => format!("{BY_NAMES}{WITHIN}"),
            };
            let set = CapabilityBound::Only(set.without(beyond));
            rights.capabilities = Sourced::new(set, reason);
            modified(&notes)
        }
        Bound::RemoveCapabilities(names) => {
            let (set, notes) = capabilities(names);
            let set = CAPABILITIES.without(set);
            let reason = of_capabilities(set);
            rights.capabilities = Sourced::new(CapabilityBound::Only(set), reason);
            modified(&notes)
        }
        Bound::NoNewPrivileges(wanted) => {
            let reason = "isolator os/linux/no-new-privileges".to_owned();
            rights.no_new_privileges = wanted.then_some(reason);
            Outcome::Enforced
        }
        Bound::OomScoreAdj(score) if isolator.bounded && *score < *host.oom_score => {
            let callers = *host.oom_score;
            Outcome::Ignored(format!(
                "{score} is less than the caller's {callers}; {}",
                grant::HOW
            ))
        }
        Bound::OomScoreAdj(score) => {
            let reason = "isolator os/linux/oom-score-adj";
            rights.oom_score = Some(Sourced::new(*score, reason));
            Outcome::Enforced
        }
        _ => return None,
    })
}

/// The reason of capabilities that a manifest names.
const BY_NAMES: &str = "capability isolator";

fn of_capabilities(set: Capabilities) -> String {
    match set == CAPABILITIES {
        true => "the specification's default".to_owned(),
        false => BY_NAMES.to_owned(),
    }
}

/// Applies a label, if the isolator is one. A host without the security module
/// may ignore it; a host that has the module but does not know the label will
/// not run the app.
fn label(isolator: &Isolator, labels: &mut Labels, host: &Host) -> Option<Outcome> {
    let (module, active, label, value) = match &isolator.bound {
        Bound::Apparmor(profile) => (
            "AppArmor",
            *host.apparmor,
            &mut labels.apparmor,
            profile.clone(),
        ),
        Bound::Selinux(context) => (
            "SELinux",
            *host.selinux,
            &mut labels.selinux,
            context.to_string(),
        ),
        _ => return None,
    };
    if !active {
        return Some(Outcome::Ignored(format!(
            "{module} is not active on this host"
        )));
    }
    // The image's label could be less strict than that of whoever runs the pod,
    // or unconfined.
    if isolator.bounded {
        return Some(Outcome::Ignored(format!(
            "an image may not choose its own label; {}",
            grant::HOW
        )));
    }
    *label = Some(value);
    Some(Outcome::Enforced)
}

/// Parses names like `CAP_CHOWN`; returns notes about unknown ones.
fn capabilities(names: &[String]) -> (Capabilities, Vec<String>) {
    let mut set = Capabilities::EMPTY;
    let mut strangers = Vec::new();
    for name in names {
        match member(name) {
            Some(member) => set = set.with(member),
            None => strangers.push(format!("`{name}`")),
        }
    }
    let notes = match strangers.as_slice() {
        [] => None,
        [one] => Some(format!("{one} is not a capability and was ignored")),
        many => Some(format!(
            "{} are not capabilities and were ignored",
            many.join(", ")
        )),
    };
    (set, notes.into_iter().collect())
}

fn modified(notes: &[String]) -> Outcome {
    match notes {
        [] => Outcome::Enforced,
        notes => Outcome::Modified(notes.join("; ")),
    }
}

#[cfg(test)]
#[path = "isolators_tests.rs"]
mod tests;
