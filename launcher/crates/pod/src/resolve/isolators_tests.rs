//! What becomes of each isolator, and what the report says.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "isolators_tests/options.rs"]
mod options;

use std::cell::LazyCell;

use super::*;
use crate::resolve::report::require_all;
use crate::seccomp::Program;
use appc::json;

fn host() -> Host {
    Host {
        capabilities: rustix::thread::CapabilitySet::all(),
        kernel: (6, 1),
        overlay: true,
        mqueue: true,
        apparmor: LazyCell::new(|| false),
        selinux: LazyCell::new(|| false),
        oom_score: LazyCell::new(|| 0),
        root: sys::host::Root::Mount,
        throttles: Vec::new(),
        unprivileged: Vec::new(),
    }
}

fn isolator(name: &str, value: &str) -> Isolator {
    Isolator::new(name, json::parse(value.as_bytes()).unwrap()).unwrap()
}

fn app(list: &[(&str, &str)]) -> AppIsolation {
    let list: Vec<_> = list
        .iter()
        .map(|(name, value)| isolator(name, value))
        .collect();
    of_app("web", &list, &[], &PodIsolation::default(), &host(), false).unwrap()
}

/// The filter that results from an app's system call policy.
fn filter(app: &AppIsolation) -> Option<Program> {
    let rights = &app.rights;
    let CapabilityBound::Only(capabilities) = rights.capabilities.value else {
        panic!("nothing bounds its capabilities");
    };
    let verdict = seccomp::decide(&rights.seccomp.value, capabilities, host().kernel, false);
    verdict.unwrap().program
}

fn score(app: &AppIsolation) -> Option<i32> {
    app.rights.oom_score.as_ref().map(|score| score.value)
}

fn sentences(report: &[Entry]) -> Vec<String> {
    report.iter().map(Entry::to_string).collect()
}

#[test]
fn valid_parameters_are_set_and_others_reported() {
    let list = [isolator(
        "os/unix/sysctl",
        r#"{"net.core.somaxconn": "512", "kernel.core_pattern": "|/x"}"#,
    )];
    let pod = of_pod(&list, &[], true, &host());
    assert_eq!(
        sentences(&pod.report),
        [
            "isolator `os/unix/sysctl` of the pod is modified: `kernel.core_pattern` would affect the whole host"
        ]
    );
    assert_eq!(pod.parameters.len(), 1);
    assert_eq!(
        pod.parameters["net.core.somaxconn"],
        Sourced::new("512".to_owned(), "isolator os/unix/sysctl")
    );
}

#[test]
fn misplaced_isolators_are_ignored_and_reported() {
    let read = app(&[
        ("os/unix/sysctl", r#"{"net.core.somaxconn": "512"}"#),
        ("resource/network-ponies", "1"),
        ("os/linux/apparmor-profile", r#"{"profile": "x"}"#),
        (
            "os/linux/selinux-context",
            r#"{"user": "u", "role": "r", "type": "t", "level": "s0:c1"}"#,
        ),
    ]);
    assert_eq!(
        sentences(&read.report),
        [
            "isolator `os/unix/sysctl` of app `web` is ignored: it does not apply to an app",
            "isolator `resource/network-ponies` of app `web` is ignored: it is unknown",
            "isolator `os/linux/apparmor-profile` of app `web` is ignored: AppArmor is not active on this host",
            "isolator `os/linux/selinux-context` of app `web` is ignored: SELinux is not active on this host",
        ]
    );
    assert_eq!(read.limits, Limits::default());
    assert_eq!(read.rights, app(&[]).rights);
    let pod = of_pod(
        &[isolator("os/linux/no-new-privileges", "true")],
        &[],
        true,
        &host(),
    );
    assert_eq!(
        sentences(&pod.report),
        ["isolator `os/linux/no-new-privileges` of the pod is ignored: it does not apply to a pod"]
    );
}

#[test]
fn labels_of_an_app_override_its_pods() {
    let host = Host {
        apparmor: LazyCell::new(|| true),
        selinux: LazyCell::new(|| true),
        ..host()
    };
    let profile = |name: &str| {
        let value = format!(r#"{{"profile": "{name}"}}"#);
        isolator("os/linux/apparmor-profile", &value)
    };
    let context = isolator(
        "os/linux/selinux-context",
        r#"{"user": "u", "role": "r", "type": "t", "level": "s0:c1"}"#,
    );
    let pod = of_pod(&[profile("outer"), context], &[], true, &host);
    assert!(pod.report.iter().all(Entry::is_enforced));
    let labels = |list: &[Isolator]| {
        let read = of_app("web", list, &[], &pod, &host, false).unwrap();
        assert!(read.report.iter().all(Entry::is_enforced));
        (read.rights.apparmor, read.rights.selinux)
    };
    let profile_of = |name: &str| {
        let reason = "isolator os/linux/apparmor-profile";
        Some(Sourced::new(name.to_owned(), reason))
    };
    let context = Sourced::new(
        "u:r:t:s0:c1".to_owned(),
        "isolator os/linux/selinux-context",
    );
    assert_eq!(labels(&[]), (profile_of("outer"), Some(context.clone())));
    let own = [profile("inner")];
    assert_eq!(labels(&own), (profile_of("inner"), Some(context)));
}

#[test]
fn strict_refuses_whatever_is_not_in_force_as_written() {
    let read = app(&[
        ("os/linux/no-new-privileges", "true"),
        ("resource/network-ponies", "1"),
    ]);
    assert_eq!(
        require_all(&read.report).unwrap_err().to_string(),
        "isolator `resource/network-ponies` of app `web` is ignored: it is unknown\n\
         hint: without `--strict` the pod runs anyway"
    );
    let read = app(&[("os/linux/no-new-privileges", "true")]);
    require_all(&read.report).unwrap();
}

#[test]
fn limits_are_read_in_the_kernels_units() {
    for (name, value, expected) in [
        (
            "resource/cpu",
            r#"{"limit": "1500m"}"#,
            Limits {
                cpu: Some(1500),
                cpu_shares: Some(1536),
                ..Limits::default()
            },
        ),
        (
            "resource/cpu",
            r#"{"request": "250m"}"#,
            Limits {
                cpu_shares: Some(256),
                ..Limits::default()
            },
        ),
        (
            "resource/memory",
            r#"{"limit": "1Gi"}"#,
            Limits {
                memory: Some(1 << 30),
                ..Limits::default()
            },
        ),
        (
            "resource/memory",
            r#"{"request": "1M", "limit": "2M"}"#,
            Limits {
                memory: Some(2_000_000),
                memory_request: Some(1_000_000),
                ..Limits::default()
            },
        ),
        (
            "resource/block-bandwidth",
            r#"{"default": true, "limit": "2M"}"#,
            Limits {
                block_bandwidth: Some(2_000_000),
                ..Limits::default()
            },
        ),
        (
            "resource/block-iops",
            r#"{"default": true, "limit": "1k"}"#,
            Limits {
                block_operations: Some(1000),
                ..Limits::default()
            },
        ),
        (
            "os/linux/cpu-shares",
            "2048",
            Limits {
                cpu_shares: Some(2048),
                ..Limits::default()
            },
        ),
    ] {
        let read = app(&[(name, value)]);
        assert_eq!(read.limits, expected, "{name} {value}");
        assert!(read.report[0].is_enforced(), "{name} {value}");
    }
}

#[test]
fn explicit_shares_override_those_of_a_request() {
    for order in [[0, 1], [1, 0]] {
        let both = [
            ("resource/cpu", r#"{"request": 1}"#),
            ("os/linux/cpu-shares", "12345"),
        ];
        let read = app(&order.map(|at| both[at]));
        assert_eq!(read.limits.cpu_shares, Some(12345));
    }
}

#[test]
fn zero_processors_become_the_minimum() {
    let read = app(&[("resource/cpu", r#"{"limit": 0}"#)]);
    assert_eq!(read.limits.cpu, Some(1));
    assert_eq!(
        sentences(&read.report),
        ["isolator `resource/cpu` of app `web` is modified: raised to the minimum of 1m"]
    );
}

#[test]
fn the_last_of_several_counts() {
    let read = app(&[
        ("resource/memory", r#"{"limit": "1M"}"#),
        ("resource/memory", r#"{"limit": "2M"}"#),
    ]);
    assert_eq!(read.limits.memory, Some(2_000_000));
    assert_eq!(read.report.len(), 1);
}

#[test]
fn an_app_gets_no_more_than_its_pod_has() {
    let pod = of_pod(
        &[
            isolator("resource/memory", r#"{"limit": "1M"}"#),
            isolator("resource/cpu", r#"{"limit": 2}"#),
        ],
        &[],
        true,
        &host(),
    );
    let list = [
        isolator("resource/memory", r#"{"limit": "2M"}"#),
        isolator("resource/cpu", r#"{"limit": 1}"#),
    ];
    let read = of_app("web", &list, &[], &pod, &host(), false).unwrap();
    assert_eq!(read.limits.memory, Some(1_000_000));
    assert_eq!(read.limits.cpu, Some(1000));
    assert_eq!(
        sentences(&read.report),
        [
            "isolator `resource/memory` of app `web` is modified: reduced to the limit of the pod",
            "isolator `resource/cpu` of app `web` is enforced",
        ]
    );
}

#[test]
fn capabilities_are_retained_or_taken_from_the_default() {
    let retained = app(&[(
        "os/linux/capabilities-retain-set",
        r#"{"set": ["CAP_KILL", "CAP_SYS_ADMIN"]}"#,
    )]);
    assert_eq!(
        retained.rights.capabilities.value,
        CapabilityBound::Only(Capabilities::KILL.with(Capabilities::SYS_ADMIN))
    );
    let removed = app(&[(
        "os/linux/capabilities-remove-set",
        r#"{"set": ["CAP_KILL", "CAP_SYS_ADMIN"]}"#,
    )]);
    assert_eq!(
        removed.rights.capabilities.value,
        CapabilityBound::Only(CAPABILITIES.without(Capabilities::KILL))
    );
    assert!(removed.report[0].is_enforced());
}

#[test]
fn unknown_capabilities_are_reported() {
    let read = app(&[(
        "os/linux/capabilities-retain-set",
        r#"{"set": ["CAP_KILL", "CAP_PONIES", "chwon"]}"#,
    )]);
    assert_eq!(
        read.rights.capabilities.value,
        CapabilityBound::Only(Capabilities::KILL)
    );
    assert_eq!(
        sentences(&read.report),
        [
            "isolator `os/linux/capabilities-retain-set` of app `web` is modified: `CAP_PONIES`, \
             `chwon` are not capabilities and were ignored"
        ]
    );
}

#[test]
fn a_capability_that_is_spelt_in_another_way_is_not_left_to_the_app() {
    let read = app(&[(
        "os/linux/capabilities-remove-set",
        r#"{"set": ["net_raw", "Cap_Chown"]}"#,
    )]);
    let removed = Capabilities::NET_RAW.with(Capabilities::CHOWN);
    assert_eq!(
        read.rights.capabilities.value,
        CapabilityBound::Only(CAPABILITIES.without(removed))
    );
    assert!(read.report[0].is_enforced());
}

#[test]
fn memory_below_what_an_init_needs_is_raised_to_it() {
    for (limit, memory, outcome) in [
        (
            "1",
            LEAST_MEMORY,
            "modified: raised to the minimum of 768Ki",
        ),
        (
            "786431",
            LEAST_MEMORY,
            "modified: raised to the minimum of 768Ki",
        ),
        ("768Ki", LEAST_MEMORY, "enforced"),
        ("769Ki", 769 << 10, "enforced"),
    ] {
        let value = format!(r#"{{"limit": "{limit}"}}"#);
        let read = app(&[("resource/memory", &value)]);
        assert_eq!(read.limits.memory, Some(memory), "{limit}");
        let sentence = format!("isolator `resource/memory` of app `web` is {outcome}");
        assert_eq!(sentences(&read.report), [sentence]);
    }
    let read = app(&[("resource/memory", r#"{"request": "1"}"#)]);
    assert_eq!(
        (read.limits.memory, read.limits.memory_request),
        (None, Some(1))
    );
}

#[test]
fn the_other_rights_are_as_written() {
    let read = app(&[
        ("os/linux/no-new-privileges", "true"),
        ("os/linux/oom-score-adj", "-50"),
        (
            "os/linux/seccomp-remove-set",
            r#"{"set": ["statx"], "errno": "EXFULL"}"#,
        ),
    ]);
    assert!(read.rights.no_new_privileges.is_some());
    assert_eq!(score(&read), Some(-50));
    let filter = filter(&read).unwrap();
    assert!(
        filter.summary.contains("EXFULL statx"),
        "{}",
        filter.summary
    );
    assert!(read.report.iter().all(Entry::is_enforced));
}

#[test]
fn unknown_calls_are_reported() {
    let read = app(&[(
        "os/linux/seccomp-retain-set",
        r#"{"set": ["read", "ponies"]}"#,
    )]);
    assert_eq!(
        sentences(&read.report),
        [
            "isolator `os/linux/seccomp-retain-set` of app `web` is modified: `ponies` is not a system call on this architecture and was ignored"
        ]
    );
    let all = app(&[(
        "os/linux/seccomp-retain-set",
        r#"{"set": ["@appc.io/all"]}"#,
    )]);
    assert_eq!(filter(&all), None);
    assert!(all.report[0].is_enforced());
}

#[test]
fn an_app_without_isolators_has_the_default_filter() {
    assert!(filter(&app(&[])).unwrap().is_default());
}

// --- isolators that only an image asks for ---

/// As [`app`], on this host, with isolators that nobody granted.
fn of_image(list: &[(&str, &str)], host: &Host) -> AppIsolation {
    let list: Vec<_> = list
        .iter()
        .map(|(name, value)| {
            let mut isolator = isolator(name, value);
            isolator.bounded = true;
            isolator
        })
        .collect();
    let pod = PodIsolation::default();
    of_app("web", &list, &[], &pod, host, false).unwrap()
}

#[test]
fn an_image_cannot_raise_its_rights() {
    let host = Host {
        apparmor: LazyCell::new(|| true),
        selinux: LazyCell::new(|| true),
        oom_score: LazyCell::new(|| 100),
        ..host()
    };
    let context = r#"{"user": "u", "role": "r", "type": "t", "level": "s0:c1"}"#;
    let read = of_image(
        &[
            (
                "os/linux/capabilities-retain-set",
                r#"{"set": ["CAP_KILL", "CAP_SYS_ADMIN", "CAP_BPF", "CAP_PONIES"]}"#,
            ),
            (
                "os/linux/seccomp-retain-set",
                r#"{"set": ["@appc.io/all"]}"#,
            ),
            ("os/linux/oom-score-adj", "99"),
            ("os/linux/apparmor-profile", r#"{"profile": "unconfined"}"#),
            ("os/linux/selinux-context", context),
        ],
        &host,
    );
    assert_eq!(
        sentences(&read.report),
        [
            "isolator `os/linux/capabilities-retain-set` of app `web` is modified: `CAP_PONIES` \
             is not a capability and was ignored; `CAP_SYS_ADMIN`, `CAP_BPF` exceed the default; allow it with `--allow-isolators`",
            "isolator `os/linux/seccomp-retain-set` of app `web` is modified: `@appc.io/all` exceeds the default; allow it with `--allow-isolators`",
            "isolator `os/linux/oom-score-adj` of app `web` is ignored: 99 is less than the \
             caller's 100; allow it with `--allow-isolators`",
            "isolator `os/linux/apparmor-profile` of app `web` is ignored: an image may not choose its own label; allow it with `--allow-isolators`",
            "isolator `os/linux/selinux-context` of app `web` is ignored: an image may not choose its own label; allow it with `--allow-isolators`",
        ]
    );
    assert_eq!(
        read.rights.capabilities.value,
        CapabilityBound::Only(Capabilities::KILL)
    );
    assert_eq!(score(&read), None);
    assert_eq!(
        (&read.rights.apparmor, &read.rights.selinux),
        (&None, &None)
    );
    assert_eq!(filter(&read).unwrap().summary, Program::default().summary);
}

#[test]
fn an_image_that_asks_only_for_more_than_the_default_gets_nothing() {
    let value = r#"{"set": ["CAP_SYS_ADMIN"]}"#;
    let read = of_image(&[("os/linux/capabilities-retain-set", value)], &host());
    assert_eq!(
        read.rights.capabilities.value,
        CapabilityBound::Only(Capabilities::EMPTY)
    );
}

#[test]
fn an_image_can_give_up_any_right() {
    let read = of_image(
        &[
            (
                "os/linux/capabilities-remove-set",
                r#"{"set": ["CAP_KILL"]}"#,
            ),
            (
                "os/linux/seccomp-retain-set",
                r#"{"set": ["read", "socket"]}"#,
            ),
            ("os/linux/oom-score-adj", "0"),
            ("os/linux/no-new-privileges", "true"),
        ],
        &host(),
    );
    assert!(read.report.iter().all(Entry::is_enforced));
    assert_eq!(
        read.rights.capabilities.value,
        CapabilityBound::Only(CAPABILITIES.without(Capabilities::KILL))
    );
    assert!(read.rights.no_new_privileges.is_some());
    assert_eq!(score(&read), Some(0));
}

#[test]
fn what_interfaces_carry_is_at_least_a_packet_and_at_most_what_the_pods_may() {
    let limit = |text: &str| format!(r#"{{"default": true, "limit": "{text}"}}"#);
    let wanted = |text: &str| isolator("resource/network-bandwidth", &limit(text));
    let pod = of_pod(&[wanted("1M")], &[], true, &host());
    assert_eq!(pod.limits.network_bandwidth, Some(1_000_000));
    for (text, expected, outcome) in [
        ("500k", 500_000, "is enforced"),
        (
            "2M",
            1_000_000,
            "is modified: reduced to the limit of the pod",
        ),
        ("0", 1000, "is modified: raised to the minimum of 1k"),
    ] {
        let mut app = of_app("web", &[wanted(text)], &[], &pod, &host(), false).unwrap();
        assert_eq!(app.limits.network_bandwidth, Some(expected), "{text}");
        let told = sentences(&app.report);
        assert!(told[0].ends_with(outcome), "{told:?}");
        leave_bandwidth(&mut app.limits, &mut app.report, "why");
        assert_eq!(app.limits, Limits::default());
        assert!(sentences(&app.report)[0].ends_with("is ignored: why"));
    }
}
