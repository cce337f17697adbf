//! Kernel parameters that a pod has for itself: those of its network, and of
//! its shared memory, semaphores and message queues (sysctl(8), namespaces(7)).

use std::collections::BTreeMap;

use crate::resolve::report::Outcome;
use crate::spec::pod::Parameters;
use crate::spec::process::Sourced;
use error::quote::quoted;
use error::{Error, Result};

/// Parses `NAME=VALUE`.
///
/// # Errors
///
/// Fails if a pod cannot have that parameter for itself.
pub fn parse(text: &str) -> Result<(String, String)> {
    let Some((key, value)) = text.split_once('=') else {
        let what = format!("{} is not `NAME=VALUE`", quoted(text));
        return Err(Error::usage(what).hint("for instance `net.core.somaxconn=512`"));
    };
    // sysctl(8) lets people align them.
    let (key, value) = (key.trim_end(), value.trim_start());
    match why_not(key, true) {
        Some(reason) => Err(Error::usage(format!("{} {reason}", quoted(key))).hint(OWN)),
        None if value.is_empty() => Err(Error::usage(format!("{} has no value", quoted(key)))),
        None => Ok((key.to_owned(), value.to_owned())),
    }
}

/// What a pod can have for itself.
const OWN: &str = "a pod has its own `net.*`, `kernel.shm*`, `kernel.msg*`, `kernel.sem` and \
                   `fs.mqueue.*`";

/// Adds the parameters that the pod can have for itself.
pub(crate) fn keep(
    wanted: &BTreeMap<String, String>,
    own_network: bool,
    why: &str,
    kept: &mut Parameters,
) -> Outcome {
    let mut reasons = Vec::new();
    for (key, value) in wanted {
        match why_not(key, own_network) {
            Some(reason) => reasons.push(format!("`{key}` {reason}")),
            None => {
                kept.insert(key.clone(), Sourced::new(value.clone(), why));
            }
        }
    }
    match (reasons.is_empty(), kept.is_empty()) {
        (true, _) => Outcome::Enforced,
        (_, true) => Outcome::Ignored(reasons.join("; ")),
        (_, false) => Outcome::Modified(reasons.join("; ")),
    }
}

/// Returns why a pod may not set a parameter: it would be set for the host
/// (CVE-2022-0811 is about less).
fn why_not(key: &str, own_network: bool) -> Option<&'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    // A slash stands for a dot in a component, as in `eth0/100`; `//` would
    // lead out of the directory.
    let part = |part: &str| {
        part.split('/')
            .all(|name| !name.is_empty() && name.chars().all(plain))
    };
    if !key.split('.').all(part) {
        return Some("is not the name of a kernel parameter");
    }
    match key.split_once('.').unwrap_or((key, "")) {
        ("net", _) if own_network => None,
        ("net", _) => Some("would affect others, whose network the pod shares"),
        ("kernel", "hostname") => Some("is set with `--hostname`"),
        ("kernel", "domainname") => Some("cannot be set"),
        ("kernel", "sem") => None,
        ("kernel", name) if name.starts_with("shm") || name.starts_with("msg") => None,
        ("fs", name) if name.starts_with("mqueue.") => None,
        _ => Some("would affect the whole host"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_the_host_are_not_for_pods() {
        const HOSTS: &str = "would affect the whole host";
        const NO_NAME: &str = "is not the name of a kernel parameter";
        for (key, reason) in [
            ("kernel.core_pattern", HOSTS),
            ("vm.swappiness", HOSTS),
            ("fs.file-max", HOSTS),
            ("fs.mqueue", HOSTS),
            ("kernel", HOSTS),
            ("network.x", HOSTS),
            ("", NO_NAME),
            ("net.", NO_NAME),
            ("net..x", NO_NAME),
            ("net.//.kernel.core_pattern", NO_NAME),
            ("net./.x", NO_NAME),
            ("kernel/../core_pattern", NO_NAME),
            ("kernel.shm_rmid_forced=1+kernel.core_pattern", NO_NAME),
            ("net.ipv4.ip_forward\nx", NO_NAME),
            ("kernel.hostname", "is set with `--hostname`"),
            ("kernel.domainname", "cannot be set"),
        ] {
            assert_eq!(why_not(key, true), Some(reason), "{key}");
        }
        for key in [
            "net.ipv4.ip_forward",
            "net.ipv4.conf.eth0/100.forwarding",
            "kernel.shmmax",
            "kernel.shm_rmid_forced",
            "kernel.msgmni",
            "kernel.sem",
            "fs.mqueue.msg_max",
        ] {
            assert_eq!(why_not(key, true), None, "{key}");
        }
        assert_eq!(
            why_not("net.core.somaxconn", false),
            Some("would affect others, whose network the pod shares")
        );
    }

    #[test]
    fn only_parameters_of_namespaces_can_be_set() {
        for (text, key, value) in [
            ("net.core.somaxconn=512", "net.core.somaxconn", "512"),
            (
                "net.ipv4.ping_group_range=0 9",
                "net.ipv4.ping_group_range",
                "0 9",
            ),
            ("kernel.shmmax = 4096", "kernel.shmmax", "4096"),
            ("fs.mqueue.msg_max=5", "fs.mqueue.msg_max", "5"),
        ] {
            assert_eq!(parse(text).unwrap(), (key.to_owned(), value.to_owned()));
        }
        for (text, message) in [
            (
                "net.core.somaxconn",
                "`net.core.somaxconn` is not `NAME=VALUE`",
            ),
            ("net.core.somaxconn=", "`net.core.somaxconn` has no value"),
            (
                "kernel.hostname=x",
                "`kernel.hostname` is set with `--hostname`",
            ),
            (
                "vm.swappiness=1",
                "`vm.swappiness` would affect the whole host",
            ),
            (
                "kernel.core_pattern=|/x",
                "`kernel.core_pattern` would affect the whole host",
            ),
            ("fs.mqueuex=1", "`fs.mqueuex` would affect the whole host"),
            (
                "net/../kernel/x=1",
                "`net/../kernel/x` is not the name of a kernel parameter",
            ),
            ("=1", "`` is not the name of a kernel parameter"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert_eq!(error.lines().next(), Some(message), "{text}");
        }
    }
}
