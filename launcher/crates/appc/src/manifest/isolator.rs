//! Isolators: the limits of an app or a whole pod.
//!
//! All isolators of the specification have types, as do two that only its
//! schema has (`oom-score-adj`, `cpu-shares`) and one of our own, for which it
//! has none (`nosecone.net/pids-limit`). Unknown isolators are kept with a
//! warning: the specification lets an executor ignore them, provided that the
//! user is told.
//!
//! # Not here
//!
//! Whether a capability, system call or errno of that name exists: only the
//! machine that runs the app can tell.

use std::collections::BTreeMap;

use crate::json::{Fields, Node, Object, Value};
use crate::manifest::shared::{identifier, owned};
use crate::types::{AcIdentifier, Quantity};
use error::quote::quoted;
use error::{Error, Result};

/// What an isolator applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One app.
    App,
    /// All apps of a pod together.
    Pod,
}

/// One isolator.
#[derive(Clone, Debug, PartialEq)]
pub struct Isolator {
    /// Its name, such as `resource/memory`.
    pub name: AcIdentifier,
    /// What it requires.
    pub bound: Bound,
    /// Whether only an image asks for it, so that it cannot grant more than
    /// the default. Every manifest counts as an image's until the caller
    /// says otherwise.
    pub bounded: bool,
    /// Its value as it was written.
    raw: Value,
}

/// What an isolator requires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// `resource/cpu`: cores; a thousandth is a millisecond per second.
    Cpu(Reservation),
    /// `resource/memory`: bytes.
    Memory(Reservation),
    /// `resource/block-bandwidth`: bytes per second, every block device.
    BlockBandwidth(Option<Quantity>),
    /// `resource/block-iops`: operations per second, every block device.
    BlockIops(Option<Quantity>),
    /// `resource/network-bandwidth`: bytes per second, every interface but loopback.
    NetworkBandwidth(Option<Quantity>),
    /// `os/linux/capabilities-retain-set`: `CAP_...`, no others remain.
    RetainCapabilities(Vec<String>),
    /// `os/linux/capabilities-remove-set`: `CAP_...`, taken from the default.
    RemoveCapabilities(Vec<String>),
    /// `os/linux/no-new-privileges`
    NoNewPrivileges(bool),
    /// `os/linux/seccomp-retain-set`: no other system calls remain.
    RetainCalls(Calls),
    /// `os/linux/seccomp-remove-set`: these are taken away.
    RemoveCalls(Calls),
    /// `os/linux/selinux-context`
    Selinux(SelinuxContext),
    /// `os/linux/apparmor-profile`
    Apparmor(String),
    /// `os/linux/oom-score-adj`
    OomScoreAdj(i32),
    /// `os/linux/cpu-shares`: a weight, as cgroup v1 counts it.
    CpuShares(u32),
    /// `nosecone.net/pids-limit`: processes and threads; `None` means
    /// `unlimited`.
    Processes(Option<u32>),
    /// `os/unix/sysctl`
    Sysctl(BTreeMap<String, String>),
    /// An unknown isolator.
    Unknown,
}

/// The reserved amount of a resource, and its limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reservation {
    request: Option<Quantity>,
    /// The limit.
    pub limit: Option<Quantity>,
}

/// System calls, and what happens on one that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calls {
    /// Names of system calls, and wildcards, which start with `@`. Never empty.
    pub set: Vec<String>,
    /// The error it returns, such as `EPERM`. If absent, it kills the
    /// process.
    pub errno: Option<String>,
}

/// An SELinux security context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelinuxContext {
    /// Its user.
    pub user: String,
    /// Its role.
    pub role: String,
    /// Its type.
    pub kind: String,
    /// Its level, the only part that may contain colons.
    pub level: String,
}

impl Reservation {
    /// The reserved amount: the limit unless it is given.
    pub fn request(&self) -> Option<Quantity> {
        self.request.or(self.limit)
    }
}

impl std::fmt::Display for SelinuxContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            user,
            role,
            kind,
            level,
        } = self;
        write!(f, "{user}:{role}:{kind}:{level}")
    }
}

impl Isolator {
    /// Makes an isolator from a value that the operator gives.
    pub fn new(name: &str, value: Value) -> Result<Self> {
        let warnings = crate::json::Warnings::default();
        let bound = bound(name, &Node::root(&value, &warnings))?;
        Ok(Self {
            name: AcIdentifier::parse(name)?,
            bound,
            bounded: false,
            raw: value,
        })
    }

    /// Tells whether the isolator has a meaning where it is used.
    pub fn belongs(&self, scope: Scope) -> bool {
        match self.bound {
            Bound::RetainCapabilities(_)
            | Bound::RemoveCapabilities(_)
            | Bound::NoNewPrivileges(_)
            | Bound::RetainCalls(_)
            | Bound::RemoveCalls(_)
            | Bound::OomScoreAdj(_)
            | Bound::CpuShares(_) => scope == Scope::App,
            Bound::Sysctl(_) => scope == Scope::Pod,
            Bound::Unknown => false,
            _ => true,
        }
    }

    pub(crate) fn write(&self) -> Value {
        Object::new()
            .with("name", self.name.as_str())
            .with("value", self.raw.clone())
            .into()
    }
}

/// Limits the number of processes: `{"limit": 100}`, or `"unlimited"`.
pub const PROCESSES: &str = "nosecone.net/pids-limit";

/// Replaces isolators of the same name and those that it excludes: what the
/// operator says takes precedence over the image.
pub fn replace(list: &mut Vec<Isolator>, isolator: Isolator) {
    let name = isolator.name.as_str();
    let is_rival = |other: &str| {
        RIVALS
            .iter()
            .any(|&rivals| rivals == (name, other) || rivals == (other, name))
    };
    list.retain(|other| other.name != isolator.name && !is_rival(other.name.as_str()));
    list.push(isolator);
}

/// Reads the isolators of an app or a pod.
pub(crate) fn read(node: &Node<'_>, scope: Scope) -> Result<Vec<Isolator>> {
    let list = node.items(|node| {
        let isolator = one(node)?;
        if isolator.bound == Bound::Unknown {
            node.warn(format!(
                "isolator `{}` is unknown and ignored",
                isolator.name
            ));
        } else if !isolator.belongs(scope) {
            let (here, there) = match scope {
                Scope::App => ("an app", "a pod"),
                Scope::Pod => ("a pod", "an app"),
            };
            let name = &isolator.name;
            node.warn(format!(
                "isolator `{name}` applies to {there}, not to {here}, and is ignored"
            ));
        }
        Ok(isolator)
    })?;
    let in_force = list.iter().filter(|isolator| isolator.belongs(scope));
    check_together(node, &in_force.collect::<Vec<_>>())?;
    Ok(list)
}

fn one(node: &Node<'_>) -> Result<Isolator> {
    let mut fields = node.fields()?;
    let name = fields.required("name", identifier)?;
    let (bound, raw) = if is_known(name.as_str()) {
        fields.required("value", |value| {
            Ok((bound(name.as_str(), value)?, value.value().clone()))
        })?
    } else {
        let raw = fields.or_default("value", |value| Ok(Some(value.value().clone())))?;
        (Bound::Unknown, raw.unwrap_or(Value::Null))
    };
    fields.finish();
    Ok(Isolator {
        name,
        bound,
        bounded: true,
        raw,
    })
}

/// Isolators that may occur only once in a list.
const SINGLE: &[&str] = &[
    "os/linux/seccomp-remove-set",
    "os/linux/seccomp-retain-set",
    "os/linux/selinux-context",
    "os/linux/apparmor-profile",
    "os/linux/oom-score-adj",
    "os/linux/cpu-shares",
    "os/unix/sysctl",
    PROCESSES,
];

/// Isolators that exclude each other.
const RIVALS: &[(&str, &str)] = &[
    ("os/linux/seccomp-remove-set", "os/linux/seccomp-retain-set"),
    (
        "os/linux/capabilities-remove-set",
        "os/linux/capabilities-retain-set",
    ),
];

fn check_together(node: &Node<'_>, list: &[&Isolator]) -> Result<()> {
    let count = |name: &str| list.iter().filter(|one| one.name.as_str() == name).count();
    for (left, right) in RIVALS {
        if count(left) > 0 && count(right) > 0 {
            return Err(node.fault(format!("`{left}` and `{right}` cannot be used together")));
        }
    }
    for (index, isolator) in list.iter().enumerate() {
        let name = isolator.name.as_str();
        let first = list[..index]
            .iter()
            .all(|earlier| earlier.name != isolator.name);
        if !first || count(name) == 1 {
            continue;
        }
        if SINGLE.contains(&name) {
            return Err(node.fault(format!("isolator `{name}` stands more than once")));
        }
        node.warn(format!(
            "isolator `{name}` is given more than once; the last one is used"
        ));
    }
    Ok(())
}

/// Every name that [`bound`] reads.
const KNOWN: &[&str] = &[
    "resource/cpu",
    "resource/memory",
    "resource/block-bandwidth",
    "resource/block-iops",
    "resource/network-bandwidth",
    "os/linux/capabilities-retain-set",
    "os/linux/capabilities-remove-set",
    "os/linux/no-new-privileges",
    "os/linux/seccomp-retain-set",
    "os/linux/seccomp-remove-set",
    "os/linux/selinux-context",
    "os/linux/apparmor-profile",
    "os/linux/oom-score-adj",
    "os/linux/cpu-shares",
    "os/unix/sysctl",
    PROCESSES,
];

fn is_known(name: &str) -> bool {
    KNOWN.contains(&name)
}

fn bound(name: &str, value: &Node<'_>) -> Result<Bound> {
    Ok(match name {
        "resource/cpu" => Bound::Cpu(reservation(value)?),
        "resource/memory" => Bound::Memory(reservation(value)?),
        "resource/block-bandwidth" => Bound::BlockBandwidth(default_limit(value)?),
        "resource/block-iops" => Bound::BlockIops(default_limit(value)?),
        "resource/network-bandwidth" => Bound::NetworkBandwidth(default_limit(value)?),
        "os/linux/capabilities-retain-set" => Bound::RetainCapabilities(capabilities(value)?),
        "os/linux/capabilities-remove-set" => Bound::RemoveCapabilities(capabilities(value)?),
        "os/linux/no-new-privileges" => Bound::NoNewPrivileges(value.bool()?),
        "os/linux/seccomp-retain-set" => Bound::RetainCalls(calls(value)?),
        "os/linux/seccomp-remove-set" => Bound::RemoveCalls(calls(value)?),
        "os/linux/selinux-context" => Bound::Selinux(selinux(value)?),
        "os/linux/apparmor-profile" => Bound::Apparmor(apparmor(value)?),
        "os/linux/oom-score-adj" => Bound::OomScoreAdj(value.integer(-1000, 1000)?),
        "os/linux/cpu-shares" => Bound::CpuShares(value.integer(2, 262_144)?),
        "os/unix/sysctl" => Bound::Sysctl(value.text_map()?),
        PROCESSES => Bound::Processes(processes(value)?),
        _ => Bound::Unknown,
    })
}

/// Reads `{"request": ..., "limit": ...}`.
fn reservation(node: &Node<'_>) -> Result<Reservation> {
    let mut fields = node.fields()?;
    if fields.or_default("default", Node::bool)? {
        return Err(node.fault("`default` must not be true for this resource"));
    }
    let bound = Reservation {
        request: fields.optional("request", quantity)?,
        limit: limit(&mut fields)?,
    };
    fields.finish();
    match (bound.request, bound.limit) {
        (None, None) => node.warn_that_it("has neither `request` nor `limit`, so it has no effect"),
        (Some(request), Some(limit)) if request > limit => node.warn(format!(
            "`request` ({request}) is more than `limit` ({limit})"
        )),
        _ => {}
    }
    Ok(bound)
}

/// Reads `{"default": true, "limit": ...}`: the same limit for every device.
fn default_limit(node: &Node<'_>) -> Result<Option<Quantity>> {
    let mut fields = node.fields()?;
    if !fields.or_default("default", Node::bool)? {
        return Err(node.fault("`default` must be true for this resource"));
    }
    let request = |request: &Node<'_>| -> Result<()> {
        Err(request.fault("must not be given for this resource"))
    };
    fields.optional("request", request)?;
    let limit = limit(&mut fields)?;
    fields.finish();
    if limit.is_none() {
        node.warn_that_it("has no `limit`, so it has no effect");
    }
    Ok(limit)
}

fn limit(fields: &mut Fields<'_, '_>) -> Result<Option<Quantity>> {
    fields.optional("limit", |node| {
        let limit = quantity(node)?;
        if limit.is_zero() {
            node.warn_that_it("is zero, so nothing could be used");
        }
        Ok(limit)
    })
}

/// Reads a quantity: a number, or text, where outer blanks are ignored.
fn quantity(node: &Node<'_>) -> Result<Quantity> {
    let text = match node.value() {
        Value::Integer(number) => number.to_string(),
        // Without an exponent, with the fewest digits that are unambiguous.
        Value::Decimal(number) => number.to_string(),
        _ => node.text()?.trim().to_owned(),
    };
    let quantity = node.attributed(Quantity::parse(&text))?;
    if quantity.is_negative() {
        return Err(node.fault(format!("{} is negative", quoted(&text))));
    }
    Ok(quantity)
}

fn processes(node: &Node<'_>) -> Result<Option<u32>> {
    let mut fields = node.fields()?;
    let limit = fields.required("limit", |node| match node.value() {
        Value::Text(text) if text == "unlimited" => Ok(None),
        _ => node
            .integer(1, i32::MAX)
            .map(|most| Some(most.unsigned_abs())),
    })?;
    fields.finish();
    Ok(limit)
}

fn capabilities(node: &Node<'_>) -> Result<Vec<String>> {
    let mut fields = node.fields()?;
    let set = set(&mut fields)?;
    fields.finish();
    Ok(set)
}

fn calls(node: &Node<'_>) -> Result<Calls> {
    let mut fields = node.fields()?;
    let calls = Calls {
        set: set(&mut fields)?,
        errno: fields
            .optional("errno", |node| node.parsed(errno))?
            .flatten(),
    };
    fields.finish();
    Ok(calls)
}

fn set(fields: &mut Fields<'_, '_>) -> Result<Vec<String>> {
    fields.required("set", |node| {
        let set = node.items(owned)?;
        if set.is_empty() {
            return Err(node.fault("must not be empty"));
        }
        Ok(set)
    })
}

/// Reads the name of an error, such as `EPERM`; an empty one is none.
///
/// # Errors
///
/// It cannot be the name of an error.
pub fn errno(text: &str) -> Result<Option<String>> {
    let later = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    match text.strip_prefix('E') {
        _ if text.is_empty() => Ok(None),
        Some(rest) if !rest.is_empty() && rest.bytes().all(later) => Ok(Some(text.to_owned())),
        _ => Err(Error::invalid(format!(
            "{} is not a valid errno name, such as `EPERM`",
            quoted(text)
        ))),
    }
}

fn selinux(node: &Node<'_>) -> Result<SelinuxContext> {
    let part = |node: &Node<'_>| match node.some_text()? {
        text if text.contains(':') => Err(node.fault(format!("{} contains a colon", quoted(text)))),
        text => Ok(text.to_owned()),
    };
    let mut fields = node.fields()?;
    let context = SelinuxContext {
        user: fields.required("user", part)?,
        role: fields.required("role", part)?,
        kind: fields.required("type", part)?,
        level: fields.required("level", |node| node.some_text().map(str::to_owned))?,
    };
    fields.finish();
    Ok(context)
}

fn apparmor(node: &Node<'_>) -> Result<String> {
    let mut fields = node.fields()?;
    let profile = fields.required("profile", |node| node.some_text().map(str::to_owned))?;
    fields.finish();
    Ok(profile)
}

#[cfg(test)]
#[path = "isolator_tests.rs"]
mod tests;
