//! Limits and rights that options set, overriding an image or a manifest:
//! `--cpu`, `--memory`, `--caps-retain` and so on.

use std::collections::BTreeMap;

use appc::json::{Object, Value};
use appc::manifest::isolator::{Isolator, PROCESSES};
use appc::types::Quantity;
use error::Result;

use crate::resolve::capabilities::{self, Change};
use crate::spec::defaults;
use crate::spec::pod::Parameters;
use crate::spec::process::{Calls, CapabilityBound, SeccompPolicy};

/// What one option sets.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// `--cpu`: processors.
    Cpu(Quantity),
    /// `--cpu-shares`: a weight, in the units of version 1 of cgroups.
    CpuShares(u32),
    /// `--memory`: bytes.
    Memory(Quantity),
    /// `--network-bandwidth`: bytes per second.
    NetworkBandwidth(Quantity),
    /// `--oom-score-adj`
    OomScore(i32),
    /// `--no-new-privileges`
    NoNewPrivileges(bool),
    /// `--caps-retain`: `CAP_...`; the only capabilities to keep.
    RetainCapabilities(Vec<String>),
    /// `--caps-remove`: `CAP_...`, removed from the default set.
    RemoveCapabilities(Vec<String>),
    /// `--cap-add`, `--cap-drop`: changes of what the app would have.
    ChangeCapabilities(Change),
    /// `--seccomp mode=retain`
    RetainCalls(Calls),
    /// `--seccomp mode=remove`
    RemoveCalls(Calls),
    /// `--pids-limit`: processes and threads; `None` for `unlimited`.
    Processes(Option<u32>),
    /// `--sysctl`: kernel parameters, in addition to those of a manifest.
    Parameters(BTreeMap<String, String>),
}

impl Setting {
    /// Returns the name of the option.
    pub(crate) fn option(&self) -> &'static str {
        match self {
            Self::Cpu(_) => "--cpu",
            Self::CpuShares(_) => "--cpu-shares",
            Self::Memory(_) => "--memory",
            Self::NetworkBandwidth(_) => "--network-bandwidth",
            Self::OomScore(_) => "--oom-score-adj",
            Self::NoNewPrivileges(_) => "--no-new-privileges",
            Self::RetainCapabilities(_) => "--caps-retain",
            Self::RemoveCapabilities(_) => "--caps-remove",
            Self::ChangeCapabilities(change) => {
                match change.all_dropped || !change.dropped.is_empty() {
                    true => "--cap-drop",
                    false => "--cap-add",
                }
            }
            Self::RetainCalls(_) | Self::RemoveCalls(_) => "--seccomp",
            Self::Processes(_) => "--pids-limit",
            Self::Parameters(_) => "--sysctl",
        }
    }

    /// Returns the equivalent isolator, and the isolators that it overrides.
    fn isolators(&self) -> (&'static str, &'static [&'static str]) {
        const CAPABILITIES: &[&str] = &[
            "os/linux/capabilities-retain-set",
            "os/linux/capabilities-remove-set",
        ];
        const CALLS: &[&str] = &["os/linux/seccomp-retain-set", "os/linux/seccomp-remove-set"];
        match self {
            Self::Cpu(_) => ("resource/cpu", &["resource/cpu"]),
            Self::CpuShares(_) => ("os/linux/cpu-shares", &["os/linux/cpu-shares"]),
            Self::Memory(_) => ("resource/memory", &["resource/memory"]),
            Self::NetworkBandwidth(_) => (
                "resource/network-bandwidth",
                &["resource/network-bandwidth"],
            ),
            Self::OomScore(_) => ("os/linux/oom-score-adj", &["os/linux/oom-score-adj"]),
            Self::NoNewPrivileges(_) => (
                "os/linux/no-new-privileges",
                &["os/linux/no-new-privileges"],
            ),
            Self::RetainCapabilities(_) => (CAPABILITIES[0], CAPABILITIES),
            Self::RemoveCapabilities(_) => (CAPABILITIES[1], CAPABILITIES),
            Self::ChangeCapabilities(_) => (CAPABILITIES[0], &[]),
            Self::RetainCalls(_) => (CALLS[0], CALLS),
            Self::RemoveCalls(_) => (CALLS[1], CALLS),
            Self::Processes(_) => (PROCESSES, &[PROCESSES]),
            Self::Parameters(_) => ("os/unix/sysctl", &[]),
        }
    }

    /// Returns whether it overrides an isolator.
    pub(crate) fn overrides(&self, isolator: &Isolator) -> bool {
        self.isolators().1.contains(&isolator.name.as_str())
    }

    /// Returns whether it takes the place of an isolator in a manifest: because
    /// it overrides it, or because its own includes it.
    pub(crate) fn replaces(&self, isolator: &Isolator) -> bool {
        self.overrides(isolator) || isolator.name.as_str() == self.isolators().0
    }

    /// Returns the setting that has the same effect whatever isolators there
    /// are, for an app that got these capabilities.
    pub(crate) fn settled(&self, bound: CapabilityBound) -> Self {
        let set = match (self, bound) {
            (Self::ChangeCapabilities(_), CapabilityBound::Only(set)) => set,
            (Self::ChangeCapabilities(_), CapabilityBound::All) => capabilities::all(),
            _ => return self.clone(),
        };
        match capabilities::names(set) {
            // A retain set has at least one member.
            none if none.is_empty() => {
                Self::RemoveCapabilities(capabilities::names(defaults::CAPABILITIES))
            }
            names => Self::RetainCapabilities(names),
        }
    }

    /// Returns the equivalent isolator for a manifest.
    pub(crate) fn isolator(&self) -> Result<Isolator> {
        let limit = |limit: Value| Object::new().with("limit", limit).into();
        let set = |set: &[String]| -> Value { set.iter().map(String::as_str).collect() };
        let calls = |calls: &Calls| {
            let object = Object::new().with("set", set(&calls.set));
            object.with_some("errno", calls.errno.as_deref()).into()
        };
        let value: Value = match self {
            Self::Cpu(quantity) | Self::Memory(quantity) => limit(quantity.to_string().into()),
            Self::NetworkBandwidth(quantity) => Object::new()
                .with("default", true)
                .with("limit", quantity.to_string())
                .into(),
            Self::CpuShares(shares) => i64::from(*shares).into(),
            Self::OomScore(score) => i64::from(*score).into(),
            Self::NoNewPrivileges(wanted) => (*wanted).into(),
            Self::RetainCapabilities(names) | Self::RemoveCapabilities(names) => {
                Object::new().with("set", set(names)).into()
            }
            Self::ChangeCapabilities(change) => {
                let bound = change.of(CapabilityBound::Only(defaults::CAPABILITIES));
                return self.settled(bound).isolator();
            }
            Self::Parameters(parameters) => {
                let object = parameters
                    .iter()
                    .fold(Object::new(), |object, (key, value)| {
                        object.with(key, value.as_str())
                    });
                object.into()
            }
            Self::RetainCalls(wanted) | Self::RemoveCalls(wanted) => calls(wanted),
            Self::Processes(most) => limit(match most {
                Some(most) => i64::from(*most).into(),
                None => "unlimited".into(),
            }),
        };
        Isolator::new(self.isolators().0, value)
    }

    /// Returns the system call policy, if it is one.
    pub(crate) fn seccomp(&self) -> Option<SeccompPolicy> {
        match self {
            Self::RetainCalls(calls) => Some(SeccompPolicy::Retain {
                calls: calls.clone(),
                bounded: false,
            }),
            Self::RemoveCalls(calls) => Some(SeccompPolicy::Remove(calls.clone())),
            _ => None,
        }
    }
}

/// Appends the isolators that correspond to options, for the manifest.
pub(crate) fn with_settings(
    mut isolators: Vec<Isolator>,
    settings: &[Setting],
) -> Result<Vec<Isolator>> {
    for setting in settings {
        isolators.retain(|isolator| !setting.replaces(isolator));
        isolators.push(setting.isolator()?);
    }
    Ok(isolators)
}

/// Returns the settings with all parameters of a pod where some are set.
pub(crate) fn with_parameters(settings: &[Setting], parameters: &Parameters) -> Vec<Setting> {
    let all = || {
        let each = parameters.iter();
        each.map(|(key, value)| (key.clone(), value.value.clone()))
    };
    let settings = settings.iter().map(|setting| match setting {
        Setting::Parameters(_) => Setting::Parameters(all().collect()),
        setting => setting.clone(),
    });
    settings.collect()
}
