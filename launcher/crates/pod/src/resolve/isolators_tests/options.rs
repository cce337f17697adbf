//! Options that take the place of isolators.

use super::*;
use crate::resolve::capabilities::Change;
use crate::resolve::report::require_all;

/// What an app gets from these options if nobody granted its image's isolators.
fn set(settings: &[Setting], list: &[(&str, &str)], pod: &PodIsolation) -> AppIsolation {
    let list: Vec<_> = list
        .iter()
        .map(|(name, value)| {
            let mut isolator = isolator(name, value);
            isolator.bounded = true;
            isolator
        })
        .collect();
    of_app("web", &list, settings, pod, &host(), false).unwrap()
}

fn quantity(text: &str) -> Quantity {
    Quantity::parse(text).unwrap()
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|&name| name.to_owned()).collect()
}

fn calls(list: &[&str], errno: Option<&str>) -> Calls {
    Calls {
        set: names(list),
        errno: errno.map(str::to_owned),
    }
}

/// An isolator and its value.
type Said = (&'static str, &'static str);

/// Each option, its name, and isolators that contradict it.
fn each() -> Vec<(Setting, &'static str, &'static [Said])> {
    const CAPABILITIES: &[Said] = &[
        (
            "os/linux/capabilities-retain-set",
            r#"{"set": ["CAP_CHOWN"]}"#,
        ),
        (
            "os/linux/capabilities-remove-set",
            r#"{"set": ["CAP_CHOWN"]}"#,
        ),
    ];
    const CALLS: &[Said] = &[
        ("os/linux/seccomp-retain-set", r#"{"set": ["read"]}"#),
        ("os/linux/seccomp-remove-set", r#"{"set": ["read"]}"#),
    ];
    const CPU: &[Said] = &[("resource/cpu", r#"{"request": "1m", "limit": "2m"}"#)];
    const MEMORY: &[Said] = &[("resource/memory", r#"{"request": "1", "limit": "2"}"#)];
    const PIDS: &[Said] = &[("nosecone.net/pids-limit", r#"{"limit": 2}"#)];
    vec![
        (Setting::Cpu(quantity("500m")), "--cpu", CPU),
        (
            Setting::CpuShares(77),
            "--cpu-shares",
            &[("os/linux/cpu-shares", "2048")],
        ),
        (Setting::Memory(quantity("1Mi")), "--memory", MEMORY),
        (
            Setting::NetworkBandwidth(quantity("1M")),
            "--network-bandwidth",
            &[(
                "resource/network-bandwidth",
                r#"{"default": true, "limit": "2M"}"#,
            )],
        ),
        (
            Setting::OomScore(-50),
            "--oom-score-adj",
            &[("os/linux/oom-score-adj", "99")],
        ),
        (
            Setting::NoNewPrivileges(true),
            "--no-new-privileges",
            &[("os/linux/no-new-privileges", "false")],
        ),
        (
            Setting::NoNewPrivileges(false),
            "--no-new-privileges",
            &[("os/linux/no-new-privileges", "true")],
        ),
        (
            Setting::RetainCapabilities(names(&["CAP_KILL", "CAP_SYS_ADMIN"])),
            "--caps-retain",
            CAPABILITIES,
        ),
        (
            Setting::RemoveCapabilities(names(&["CAP_KILL"])),
            "--caps-remove",
            CAPABILITIES,
        ),
        (
            Setting::RetainCalls(calls(&["write", "bpf"], None)),
            "--seccomp",
            CALLS,
        ),
        (
            Setting::RemoveCalls(calls(&["statx"], Some("EXFULL"))),
            "--seccomp",
            CALLS,
        ),
        (Setting::Processes(Some(7)), "--pids-limit", PIDS),
        (Setting::Processes(None), "--pids-limit", PIDS),
    ]
}

#[test]
fn an_option_overrides_isolators_and_is_reported_by_its_name() {
    for (setting, option, isolators) in each() {
        let pod = PodIsolation::default();
        let settings = std::slice::from_ref(&setting);
        let alone = set(settings, &[], &pod);
        let beside = set(settings, isolators, &pod);
        assert_eq!(beside, alone, "{setting:?}");
        assert_eq!(
            sentences(&alone.report),
            [format!("option `{option}` of app `web` is enforced")]
        );
        // The isolators would have had another effect.
        for said in isolators {
            let without = set(&[], &[*said], &pod);
            let has = |app: &AppIsolation| (app.limits.clone(), values(&app.rights));
            assert_ne!(has(&without), has(&alone), "{setting:?} {said:?}");
        }
        // Isolators that the option does not concern stay in force.
        let other = ("resource/block-iops", r#"{"default": true, "limit": 5}"#);
        let other = set(&[setting], &[other], &pod);
        assert_eq!(other.limits.block_operations, Some(5));
        assert_eq!(other.report.len(), 2);
    }
}

/// Rights, with their reasons removed.
fn values(rights: &Rights) -> Rights {
    let mut rights = rights.clone();
    for reason in [&mut rights.capabilities.reason, &mut rights.seccomp.reason]
        .into_iter()
        .chain(rights.oom_score.as_mut().map(|score| &mut score.reason))
        .chain(rights.no_new_privileges.as_mut())
    {
        reason.clear();
    }
    rights
}

#[test]
fn an_option_sets_what_it_names() {
    let of = |setting| set(&[setting], &[], &PodIsolation::default());
    let limits = |setting| of(setting).limits;
    let expected = Limits {
        cpu: Some(500),
        cpu_shares: Some(512),
        ..Limits::default()
    };
    assert_eq!(limits(Setting::Cpu(quantity("500m"))), expected);
    assert_eq!(limits(Setting::CpuShares(77)).cpu_shares, Some(77));
    let expected = Limits {
        memory: Some(1 << 20),
        ..Limits::default()
    };
    assert_eq!(limits(Setting::Memory(quantity("1Mi"))), expected);
    assert_eq!(limits(Setting::Processes(Some(7))).processes, Some(7));
    assert_eq!(limits(Setting::Processes(None)), Limits::default());
    let scored = of(Setting::OomScore(-50)).rights.oom_score;
    assert_eq!(scored, Some(Sourced::new(-50, "option --oom-score-adj")));
    let bounded = |wanted| {
        of(Setting::NoNewPrivileges(wanted))
            .rights
            .no_new_privileges
    };
    assert_eq!(bounded(true).as_deref(), Some("option --no-new-privileges"));
    assert_eq!(bounded(false), None);
    let removed = of(Setting::RemoveCapabilities(names(&["CAP_KILL"])));
    let left = CapabilityBound::Only(CAPABILITIES.without(Capabilities::KILL));
    assert_eq!(
        removed.rights.capabilities,
        Sourced::new(left, "option --caps-remove")
    );
    let removed = of(Setting::RemoveCalls(calls(&["statx"], Some("EXFULL"))));
    assert_eq!(removed.rights.seccomp.reason, "option --seccomp");
    let summary = filter(&removed).unwrap().summary;
    assert!(summary.contains("EXFULL statx"), "{summary}");
}

#[test]
fn an_option_may_exceed_the_default() {
    let host = Host {
        oom_score: LazyCell::new(|| 100),
        ..host()
    };
    let settings = [
        Setting::RetainCapabilities(names(&["CAP_KILL", "CAP_SYS_ADMIN"])),
        Setting::RetainCalls(calls(&["@appc.io/all"], None)),
        Setting::OomScore(-50),
    ];
    let pod = PodIsolation::default();
    let read = of_app("web", &[], &settings, &pod, &host, false).unwrap();
    assert!(read.report.iter().all(Entry::is_enforced));
    assert_eq!(
        read.rights.capabilities,
        Sourced::new(
            CapabilityBound::Only(Capabilities::KILL.with(Capabilities::SYS_ADMIN)),
            "option --caps-retain"
        )
    );
    assert_eq!(filter(&read), None);
    assert_eq!(score(&read), Some(-50));
}

#[test]
fn options_are_reported_by_their_names() {
    let settings = [
        Setting::Cpu(quantity("0")),
        Setting::Memory(quantity("2M")),
        Setting::RetainCapabilities(names(&["CAP_KILL", "ponies"])),
        Setting::RetainCalls(calls(&["read", "ponies"], None)),
        Setting::Processes(Some(9)),
    ];
    let outer = [
        Setting::Memory(quantity("1M")),
        Setting::Processes(Some(8)),
        Setting::Cpu(quantity("0")),
    ];
    let pod = of_pod(&[], &outer, true, &host());
    assert_eq!(
        sentences(&pod.report),
        [
            "option `--memory` of the pod is enforced",
            "option `--pids-limit` of the pod is enforced",
            "option `--cpu` of the pod is modified: raised to the minimum of 1m",
        ]
    );
    let read = set(&settings, &[], &pod);
    assert_eq!(
        sentences(&read.report),
        [
            "option `--cpu` of app `web` is modified: raised to the minimum of 1m",
            "option `--memory` of app `web` is modified: reduced to the limit of the pod",
            "option `--caps-retain` of app `web` is modified: `ponies` is not a capability and was ignored",
            "option `--seccomp` of app `web` is modified: `ponies` is not a system call on this architecture and was ignored",
            "option `--pids-limit` of app `web` is modified: reduced to the limit of the pod",
        ]
    );
    assert_eq!(
        (read.limits.memory, read.limits.processes),
        (Some(1_000_000), Some(8))
    );
    assert_eq!(
        require_all(&read.report[1..]).unwrap_err().to_string(),
        "option `--memory` of app `web` is modified: reduced to the limit of the pod\n\
         hint: without `--strict` the pod runs anyway"
    );
}

#[test]
fn options_of_a_pod_override_its_isolators() {
    let list = [
        isolator("resource/memory", r#"{"request": "1", "limit": 2}"#),
        isolator("resource/cpu", r#"{"limit": 2}"#),
        isolator("nosecone.net/pids-limit", r#"{"limit": 3}"#),
    ];
    let settings = [
        Setting::Memory(quantity("1Mi")),
        Setting::Processes(Some(7)),
    ];
    let pod = of_pod(&list, &settings, true, &host());
    let expected = Limits {
        cpu: Some(2000),
        cpu_shares: Some(2048),
        memory: Some(1 << 20),
        processes: Some(7),
        ..Limits::default()
    };
    assert_eq!(pod.limits, expected);
    assert_eq!(
        sentences(&pod.report),
        [
            "isolator `resource/cpu` of the pod is enforced",
            "option `--memory` of the pod is enforced",
            "option `--pids-limit` of the pod is enforced",
        ]
    );
    // The number of processes is limited by default unless another limit is
    // requested.
    for (isolators, settings, processes, by_default) in [
        (&list[..0], &[][..], Some(PROCESSES_BY_DEFAULT), true),
        (&list[2..], &[], Some(3), false),
        (&list[..0], &[Setting::Processes(Some(7))], Some(7), false),
        (&list[..0], &[Setting::Processes(None)], None, false),
        (&list[2..], &[Setting::Processes(None)], None, false),
    ] {
        let pod = of_pod(isolators, settings, true, &host());
        assert_eq!(
            (pod.limits.processes, pod.processes_by_default),
            (processes, by_default)
        );
    }
}

#[test]
fn an_isolator_has_the_same_effect_as_its_option() {
    for (setting, option, others) in each() {
        let said = setting.isolator().unwrap();
        assert!(setting.overrides(&said), "{option}");
        let overridden = others.iter().map(|(name, value)| isolator(name, value));
        for other in overridden {
            assert!(setting.overrides(&other), "{option} {}", other.name);
        }
        let pod = PodIsolation::default();
        let mut by_option = set(&[setting], &[], &pod);
        // A manifest bounds what root may do, and gives no other user more.
        assert_eq!(by_option.rights.ambient, option == "--caps-retain");
        by_option.rights.ambient = false;
        let by_manifest = of_app("web", &[said], &[], &pod, &host(), false).unwrap();
        assert!(by_manifest.report[0].is_enforced(), "{option}");
        assert_eq!(by_manifest.limits, by_option.limits, "{option}");
        assert_eq!(
            values(&by_manifest.rights),
            values(&by_option.rights),
            "{option}"
        );
    }
}

#[test]
fn capabilities_are_added_to_and_dropped_from_what_the_image_leaves() {
    let change = |added: &[&str], dropped: &[&str]| {
        Setting::ChangeCapabilities(Change {
            added: names(added),
            dropped: names(dropped),
            ..Change::default()
        })
    };
    let image = [(
        "os/linux/capabilities-remove-set",
        r#"{"set": ["CAP_NET_RAW"]}"#,
    )];
    let setting = change(&["CAP_SYS_ADMIN"], &["CAP_CHOWN"]);
    let read = set(
        std::slice::from_ref(&setting),
        &image,
        &PodIsolation::default(),
    );
    let expected = CAPABILITIES
        .with(Capabilities::SYS_ADMIN)
        .without(Capabilities::NET_RAW.with(Capabilities::CHOWN));
    assert_eq!(
        read.rights.capabilities,
        Sourced::new(CapabilityBound::Only(expected), "option --cap-drop")
    );
    assert!(read.report.iter().all(Entry::is_enforced));
    // A manifest has the outcome, whatever isolators the image has.
    let settled = setting.settled(read.rights.capabilities.value);
    let again = set(&[settled], &image, &PodIsolation::default());
    assert_eq!(
        again.rights.capabilities.value,
        CapabilityBound::Only(expected)
    );
    let none = CapabilityBound::Only(Capabilities::EMPTY);
    let settled = change(&[], &["CAP_CHOWN"]).settled(none);
    settled.isolator().unwrap();
    let again = set(&[settled], &image, &PodIsolation::default());
    assert_eq!(again.rights.capabilities.value, none);
}

#[test]
fn parameters_of_options_come_on_top_of_those_of_a_manifest() {
    let manifest = isolator(
        "os/unix/sysctl",
        r#"{"net.core.somaxconn": "512", "kernel.msgmni": "7"}"#,
    );
    let parameter = ("net.core.somaxconn".to_owned(), "99".to_owned());
    let setting = Setting::Parameters([parameter].into());
    assert!(setting.replaces(&manifest));
    let pod = of_pod(&[manifest], &[setting], true, &host());
    let parameters: Vec<_> = pod.parameters.iter().collect();
    let set = |value: &str, why| Sourced::new(value.to_owned(), why);
    assert_eq!(
        parameters,
        [
            (
                &"kernel.msgmni".to_owned(),
                &set("7", "isolator os/unix/sysctl")
            ),
            (
                &"net.core.somaxconn".to_owned(),
                &set("99", "option --sysctl")
            ),
        ]
    );
}
