//! Makes of isolators what is enforced: limits of resources and rights of
//! processes, and a report of what became of each isolator.
//!
//! The specification lets an executor ignore what it does not know, but not
//! silently, so nothing is dropped here without an entry in the report.
//!
//! # Not here
//!
//! How limits are set ([`crate::cgroup`]) and filters are compiled
//! ([`crate::plan::seccomp`]); what the manifest's parser refuses.

use std::collections::BTreeMap;
use std::fmt;

use stage1_init::Capabilities;

use crate::plan::seccomp::{self, Program, Wish};
use crate::resolve::devices::Rule;
use crate::spec::defaults::{CAPABILITIES, PROCESSES as PROCESSES_BY_DEFAULT};
use crate::spec::grant;
use appc::manifest::isolator::{Bound, Isolator, PROCESSES, Reservation, Scope};
use appc::types::Quantity;
use error::{Error, Result};
use sys::host::Host;

/// How much of the machine an app, or a pod, may use. `None` is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Processor time per time, in thousandths of a core; at least 1.
    pub cpu: Option<u64>,
    /// Weight among those who want the processors: 1024 is what everybody has.
    pub cpu_shares: Option<u64>,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Bytes of memory that are not taken away as long as others have more
    /// than they asked for.
    pub memory_request: Option<u64>,
    /// Bytes per second that are read from, and written to, each block device.
    pub block_bandwidth: Option<u64>,
    /// Operations per second, likewise.
    pub block_operations: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
    /// The only devices that can be used.
    pub devices: Option<Vec<Rule>>,
}

/// What the processes of an app may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    /// The capabilities that it may have at most.
    pub capabilities: Capabilities,
    /// What its image asks for beyond the default, and did not get.
    pub kept_back: KeptBack,
    /// It gains no rights by executing programs.
    pub no_new_privileges: bool,
    /// How readily it is killed when memory runs out: from -1000 to 1000.
    pub oom_score: Option<i32>,
    /// Which system calls it may make; `None`: all.
    pub filter: Option<Program>,
    /// What security modules hold it to.
    pub labels: Labels,
}

/// Of which rights an image asks for more than an image gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptBack {
    /// Of capabilities.
    pub capabilities: bool,
    /// Of system calls.
    pub calls: bool,
}

/// What security modules are told about an app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// A profile of AppArmor.
    pub apparmor: Option<String>,
    /// A context of SELinux.
    pub selinux: Option<String>,
}

/// The isolators of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppIsolation {
    /// Its limits.
    pub limits: Limits,
    /// Its rights.
    pub rights: Rights,
    /// What became of each isolator.
    pub report: Vec<Entry>,
}

/// The isolators of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodIsolation {
    /// The limits of all its apps together.
    pub limits: Limits,
    /// Nobody says how many processes there may be, so that it is the default.
    pub processes_by_default: bool,
    /// Kernel parameters of its namespaces.
    pub parameters: BTreeMap<String, String>,
    /// What security modules hold those apps to that say nothing themselves.
    pub labels: Labels,
    /// What became of each isolator.
    pub report: Vec<Entry>,
}

/// What became of an isolator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    isolator: String,
    subject: String,
    fate: Fate,
}

/// Whether an isolator is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// To the letter.
    Enforced,
    /// In another way, for this reason.
    Modified(String),
    /// Not at all, for this reason.
    Ignored(String),
}

impl Limits {
    /// Tells whether there is no limit.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes over what `outer` has less of. Weights and requests stay.
    fn bound_by(&mut self, outer: &Self) -> Vec<&'static str> {
        let mut bounded = Vec::new();
        for (isolator, own, outer) in [
            ("resource/cpu", &mut self.cpu, outer.cpu),
            ("resource/memory", &mut self.memory, outer.memory),
            (
                "resource/block-bandwidth",
                &mut self.block_bandwidth,
                outer.block_bandwidth,
            ),
            (
                "resource/block-iops",
                &mut self.block_operations,
                outer.block_operations,
            ),
            (PROCESSES, &mut self.processes, outer.processes),
        ] {
            if let (Some(mine), Some(most)) = (*own, outer)
                && mine > most
            {
                *own = Some(most);
                bounded.push(isolator);
            }
        }
        bounded
    }
}

impl Entry {
    /// Makes one.
    pub fn new(isolator: &str, subject: &str, fate: Fate) -> Self {
        Self {
            isolator: isolator.to_owned(),
            subject: subject.to_owned(),
            fate,
        }
    }

    /// Tells whether the isolator is in force as it was written.
    pub fn is_enforced(&self) -> bool {
        self.fate == Fate::Enforced
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "isolator `{}` of {} is ", self.isolator, self.subject)?;
        match &self.fate {
            Fate::Enforced => f.write_str("enforced"),
            Fate::Modified(reason) => write!(f, "modified: {reason}"),
            Fate::Ignored(reason) => write!(f, "ignored: {reason}"),
        }
    }
}

/// Refuses a pod of which an isolator is not in force as it was written.
///
/// # Errors
///
/// The first entry that says so.
pub fn require_all<'a>(report: impl IntoIterator<Item = &'a Entry>) -> Result<()> {
    match report.into_iter().find(|entry| !entry.is_enforced()) {
        None => Ok(()),
        Some(entry) => {
            Err(Error::invalid(entry.to_string())
                .hint("without `--strict` the pod runs all the same"))
        }
    }
}

/// Reads the isolators of a pod. `own_network`: it does not share the host's.
pub fn of_pod(isolators: &[Isolator], own_network: bool, host: &Host) -> PodIsolation {
    let mut pod = PodIsolation::default();
    for isolator in last_ones(isolators) {
        let fate = match &isolator.bound {
            _ if !isolator.belongs(Scope::Pod) => misplaced(isolator, "a pod"),
            Bound::Sysctl(wanted) => parameters(wanted, own_network, &mut pod.parameters),
            bound => match label(isolator, &mut pod.labels, host) {
                Some(fate) => fate,
                None => limit(bound, &mut pod.limits),
            },
        };
        let entry = Entry::new(isolator.name.as_str(), "the pod", fate);
        pod.report.push(entry);
    }
    let bounds_processes = |isolator: &Isolator| matches!(isolator.bound, Bound::Processes(_));
    if !isolators.iter().any(bounds_processes) {
        pod.limits.processes = Some(PROCESSES_BY_DEFAULT);
        pod.processes_by_default = true;
    }
    pod
}

/// Reads the isolators of an app, bounded by those of its pod. `waits`: it has
/// programs that wait until it is their turn.
///
/// # Errors
///
/// There are no filters of system calls for this architecture.
pub fn of_app(
    name: &str,
    isolators: &[Isolator],
    pod: &PodIsolation,
    host: &Host,
    waits: bool,
) -> Result<AppIsolation> {
    let subject = format!("app `{name}`");
    let mut limits = Limits::default();
    let mut wish = Wish::Default;
    let mut rights = Rights {
        capabilities: CAPABILITIES,
        kept_back: KeptBack::default(),
        no_new_privileges: false,
        oom_score: None,
        filter: None,
        labels: pod.labels.clone(),
    };
    let mut report: Vec<Entry> = Vec::new();
    let mut shares = None;
    for isolator in last_ones(isolators) {
        let fate = match &isolator.bound {
            _ if !isolator.belongs(Scope::App) => misplaced(isolator, "an app"),
            Bound::CpuShares(wanted) => {
                shares = Some(u64::from(*wanted));
                Fate::Enforced
            }
            Bound::RetainCalls(calls) => {
                let bounded = isolator.bounded;
                wish = Wish::Retain { calls, bounded };
                Fate::Enforced
            }
            Bound::RemoveCalls(calls) => {
                wish = Wish::Remove(calls);
                Fate::Enforced
            }
            bound => right(isolator, &mut rights, host)
                .or_else(|| label(isolator, &mut rights.labels, host))
                .unwrap_or_else(|| limit(bound, &mut limits)),
        };
        report.push(Entry::new(isolator.name.as_str(), &subject, fate));
    }
    limits.cpu_shares = shares.or(limits.cpu_shares);
    let mut modify = |isolator: &str, reason: &str| {
        if let Some(entry) = report.iter_mut().find(|entry| entry.isolator == isolator) {
            entry.fate = Fate::Modified(reason.to_owned());
        }
    };
    for bounded in limits.bound_by(&pod.limits) {
        modify(bounded, "the pod has less");
    }
    let verdict = seccomp::decide(wish, rights.capabilities, host.kernel, waits)?;
    if !verdict.notes.is_empty() {
        for isolator in ["os/linux/seccomp-retain-set", "os/linux/seccomp-remove-set"] {
            modify(isolator, &verdict.notes.join("; "));
        }
    }
    rights.filter = verdict.program;
    rights.kept_back.calls = verdict.kept_back;
    Ok(AppIsolation {
        limits,
        rights,
        report,
    })
}

/// Reads only the limits, as they were asked for.
pub fn limits(isolators: &[Isolator], scope: Scope) -> Limits {
    let mut limits = Limits::default();
    let mut shares = None;
    for isolator in last_ones(isolators).filter(|isolator| isolator.belongs(scope)) {
        match &isolator.bound {
            Bound::CpuShares(wanted) => shares = Some(u64::from(*wanted)),
            bound => drop(limit(bound, &mut limits)),
        }
    }
    limits.cpu_shares = shares.or(limits.cpu_shares);
    limits
}

/// Of several with one name the last one counts.
fn last_ones(isolators: &[Isolator]) -> impl Iterator<Item = &Isolator> {
    let last = move |at: usize, isolator: &Isolator| {
        let mut later = isolators.iter().skip(at + 1);
        later.all(|other| other.name != isolator.name)
    };
    let numbered = isolators.iter().enumerate();
    numbered.filter_map(move |(at, isolator)| last(at, isolator).then_some(isolator))
}

fn misplaced(isolator: &Isolator, here: &str) -> Fate {
    Fate::Ignored(match isolator.bound {
        Bound::Unknown => "it is unknown".to_owned(),
        _ => format!("it does not bound {here}"),
    })
}

/// Takes a limit of resources.
fn limit(bound: &Bound, limits: &mut Limits) -> Fate {
    match bound {
        Bound::Cpu(wanted) => return cpu(*wanted, limits),
        Bound::Memory(wanted) => {
            limits.memory = wanted.limit.map(units);
            // What is set aside up to the limit is what the limit leaves.
            limits.memory_request = wanted
                .request()
                .filter(|request| Some(*request) != wanted.limit)
                .map(units);
        }
        Bound::BlockBandwidth(wanted) => limits.block_bandwidth = wanted.map(units),
        Bound::BlockIops(wanted) => limits.block_operations = wanted.map(units),
        Bound::Processes(wanted) => limits.processes = wanted.map(u64::from),
        Bound::NetworkBandwidth(_) => {
            return Fate::Ignored("the speed of networks is not limited".to_owned());
        }
        // The others are no limits.
        _ => {}
    }
    Fate::Enforced
}

/// The weight of one core: the kernel's for a group of which nothing is said.
const SHARES_OF_A_CORE: u64 = 1024;

/// Weights that cgroups of version 1 take.
const SHARES: std::ops::RangeInclusive<u64> = 2..=262_144;

fn cpu(wanted: Reservation, limits: &mut Limits) -> Fate {
    let millis = |quantity: Quantity| u64::try_from(quantity.millis()).unwrap_or(0);
    let limit = wanted.limit.map(millis);
    limits.cpu = limit.map(|limit| limit.max(1));
    limits.cpu_shares = wanted.request().map(|request| {
        let shares = millis(request).saturating_mul(SHARES_OF_A_CORE) / 1000;
        shares.clamp(*SHARES.start(), *SHARES.end())
    });
    if limit == Some(0) {
        return Fate::Modified("the least that can be given is 1m".to_owned());
    }
    Fate::Enforced
}

fn units(quantity: Quantity) -> u64 {
    u64::try_from(quantity.units()).unwrap_or(0)
}

/// Takes a right, if the isolator is about one.
fn right(isolator: &Isolator, rights: &mut Rights, host: &Host) -> Option<Fate> {
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
            rights.kept_back.capabilities = !names.is_empty();
            rights.capabilities = set.without(beyond);
            modified(&notes)
        }
        Bound::RemoveCapabilities(names) => {
            let (set, notes) = capabilities(names);
            rights.capabilities = CAPABILITIES.without(set);
            modified(&notes)
        }
        Bound::NoNewPrivileges(wanted) => {
            rights.no_new_privileges = *wanted;
            Fate::Enforced
        }
        Bound::OomScoreAdj(score) if isolator.bounded && *score < host.oom_score => {
            let callers = host.oom_score;
            Fate::Ignored(format!(
                "{score} is less than the caller's {callers}; {}",
                grant::HOW
            ))
        }
        Bound::OomScoreAdj(score) => {
            rights.oom_score = Some(*score);
            Fate::Enforced
        }
        _ => return None,
    })
}

/// Takes a label, if the isolator is one. A host without the module may ignore
/// it; one that has it, and does not know the label, will not run the app.
fn label(isolator: &Isolator, labels: &mut Labels, host: &Host) -> Option<Fate> {
    let (module, active, label, value) = match &isolator.bound {
        Bound::Apparmor(profile) => (
            "AppArmor",
            host.apparmor,
            &mut labels.apparmor,
            profile.clone(),
        ),
        Bound::Selinux(context) => (
            "SELinux",
            host.selinux,
            &mut labels.selinux,
            context.to_string(),
        ),
        _ => return None,
    };
    if !active {
        return Some(Fate::Ignored(format!("{module} is not active here")));
    }
    // It may be a laxer one than that of whoever runs the pod, or none at all.
    if isolator.bounded {
        return Some(Fate::Ignored(format!(
            "which label an app has is not for its image to say; {}",
            grant::HOW
        )));
    }
    *label = Some(value);
    Some(Fate::Enforced)
}

/// Reads names like `CAP_CHOWN`; what is none of them is noted.
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
        [one] => Some(format!("{one} is no capability and is passed over")),
        many => Some(format!(
            "{} are no capabilities and are passed over",
            many.join(", ")
        )),
    };
    (set, notes.into_iter().collect())
}

fn member(name: &str) -> Option<Capabilities> {
    let word = name.strip_prefix("CAP_")?.to_ascii_lowercase();
    Capabilities::member(word.as_bytes())
}

fn modified(notes: &[String]) -> Fate {
    match notes {
        [] => Fate::Enforced,
        notes => Fate::Modified(notes.join("; ")),
    }
}

/// Keeps the parameters that a pod has of its own.
fn parameters(
    wanted: &BTreeMap<String, String>,
    own_network: bool,
    kept: &mut BTreeMap<String, String>,
) -> Fate {
    let mut reasons = Vec::new();
    for (key, value) in wanted {
        match why_not(key, own_network) {
            Some(reason) => reasons.push(format!("`{key}` {reason}")),
            None => {
                kept.insert(key.clone(), value.clone());
            }
        }
    }
    match (reasons.is_empty(), kept.is_empty()) {
        (true, _) => Fate::Enforced,
        (_, true) => Fate::Ignored(reasons.join("; ")),
        (_, false) => Fate::Modified(reasons.join("; ")),
    }
}

/// Says why a pod may not set a parameter: it would be set for the host
/// (CVE-2022-0811 is about less).
fn why_not(key: &str, own_network: bool) -> Option<&'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    // A slash stands for a dot in a name, as in `eth0/100`; `//` would lead up.
    let part = |part: &str| {
        part.split('/')
            .all(|name| !name.is_empty() && name.chars().all(plain))
    };
    if !key.split('.').all(part) {
        return Some("is not the name of a kernel parameter");
    }
    match key.split_once('.').unwrap_or((key, "")) {
        ("net", _) if own_network => None,
        ("net", _) => Some("would be set for the host, whose network the pod shares"),
        ("kernel", "hostname") => Some("is set by the option --hostname"),
        ("kernel", "domainname") => Some("cannot be set"),
        ("kernel", "sem") => None,
        ("kernel", name) if name.starts_with("shm") || name.starts_with("msg") => None,
        ("fs", name) if name.starts_with("mqueue.") => None,
        _ => Some("would be set for the whole host"),
    }
}

#[cfg(test)]
#[path = "isolators_tests.rs"]
mod tests;
