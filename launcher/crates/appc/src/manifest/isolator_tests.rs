//! The isolators of the specification's tests, and the choices beyond them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::json::{Warnings, parse};

/// Reads a list of isolators, each a name and the text of its value.
fn list(scope: Scope, isolators: &[(&str, &str)]) -> (Result<Vec<Isolator>>, Vec<String>) {
    let item = |(name, value): &(&str, &str)| format!(r#"{{"name":"{name}","value":{value}}}"#);
    let items: Vec<String> = isolators.iter().map(item).collect();
    let document = parse(format!("[{}]", items.join(",")).as_bytes()).unwrap();
    let warnings = Warnings::default();
    let list = read(&Node::root(&document, &warnings), scope);
    (list, warnings.into_vec())
}

fn bound_of(name: &str, value: &str) -> Bound {
    let (list, warnings) = list(Scope::App, &[(name, value)]);
    assert_eq!(warnings, Vec::<String>::new(), "{name} {value}");
    list.unwrap().remove(0).bound
}

fn quantity_of(text: &str) -> Option<Quantity> {
    Some(Quantity::parse(text).unwrap())
}

#[test]
fn what_the_operator_says_takes_the_place_of_what_excludes_it() {
    let one = |name: &str, set: &str| {
        let value = Object::new().with("set", [set].into_iter().collect::<Value>());
        Isolator::new(name, value.into()).unwrap()
    };
    let mut list = vec![
        one("os/linux/capabilities-retain-set", "CAP_KILL"),
        one("os/linux/seccomp-remove-set", "mount"),
        one("os/linux/capabilities-retain-set", "CAP_CHOWN"),
    ];
    replace(
        &mut list,
        one("os/linux/capabilities-remove-set", "CAP_MKNOD"),
    );
    replace(&mut list, one("os/linux/seccomp-remove-set", "bpf"));
    let names: Vec<_> = list
        .iter()
        .map(|one| format!("{} {}", one.name, one.raw))
        .collect();
    assert_eq!(
        names,
        [
            r#"os/linux/capabilities-remove-set {"set":["CAP_MKNOD"]}"#,
            r#"os/linux/seccomp-remove-set {"set":["bpf"]}"#,
        ]
    );
}

#[test]
fn values_that_break_a_rule_are_refused() {
    for (name, values) in [
        (
            "resource/cpu",
            &[
                "null",
                "1",
                r#"{"default":true,"limit":"1"}"#,
                r#"{"limit":""}"#,
                r#"{"request":"1","limit":"such garbage"}"#,
                r#"{"limit":true}"#,
                r#"{"limit":"-1"}"#,
                r#"{"limit":-1}"#,
                r#"{"request":"-1m","limit":"1"}"#,
                r#"{"limit":"1 G"}"#,
                r#"{"limit":"0x10"}"#,
                r#"{"limit":[1]}"#,
            ][..],
        ),
        (
            "resource/memory",
            &[
                r#"{"default":true,"limit":"1G"}"#,
                r#"{"limit":"1K"}"#,
                r#""1G""#,
            ],
        ),
        (
            "resource/block-bandwidth",
            &[
                r#"{"limit":"1G"}"#,
                r#"{"default":false,"limit":"1G"}"#,
                r#"{"default":true,"request":"1G","limit":"2G"}"#,
                r#"{"default":"true","limit":"1G"}"#,
            ],
        ),
        (
            "resource/block-iops",
            &[r#"{"default":false,"limit":"1G"}"#],
        ),
        (
            "resource/network-bandwidth",
            &[r#"{"default":true,"request":"0","limit":"2G"}"#],
        ),
        (
            "os/linux/capabilities-retain-set",
            &[
                r#"{"set":[]}"#,
                r#"{"set":"CAP_KILL"}"#,
                "{}",
                "[]",
                r#"{"set":[1]}"#,
            ],
        ),
        ("os/linux/capabilities-remove-set", &[r#"{"set":[]}"#]),
        (
            "os/linux/no-new-privileges",
            &["123", "{}", r#""foo""#, r#""true""#, "null"],
        ),
        (
            "os/linux/seccomp-retain-set",
            &[
                r#"{"set":[]}"#,
                r#"{"set":["chmod"],"errno":"-EPERM"}"#,
                r#"{"set":["chmod"],"errno":"eaccess"}"#,
                r#"{"set":["chmod"],"errno":"E"}"#,
                r#"{"set":["chmod"],"errno":13}"#,
            ],
        ),
        (
            "os/linux/seccomp-remove-set",
            &[r#"{"set":[]}"#, r#"{"errno":"EPERM"}"#],
        ),
        (
            "os/linux/selinux-context",
            &[
                r#"{"user":"a:b","role":"c","type":"d","level":"e"}"#,
                r#"{"user":"a","role":"b:c","type":"d","level":"e"}"#,
                r#"{"user":"a","role":"","type":"d","level":"e"}"#,
                r#"{"user":"a","role":"b","level":"e"}"#,
                r#"{"user":"a","role":"b","type":"d","level":""}"#,
            ],
        ),
        (
            "os/linux/apparmor-profile",
            &[r#"{"profile":""}"#, "{}", r#""rkt-default""#],
        ),
        (
            "os/linux/oom-score-adj",
            &["-2500", "1001", r#""pants""#, r#""250""#, "1.5"],
        ),
        (
            "os/linux/cpu-shares",
            &["1", "262145", r#""pants""#, r#""2048""#, "-1"],
        ),
        (
            "os/unix/sysctl",
            &[r#"{"net.ipv4.ip_forward":1}"#, r#""malformed""#, "[]"],
        ),
    ] {
        for value in values {
            let (list, _) = list(Scope::App, &[(name, value)]);
            assert!(list.is_err(), "{name} {value}");
        }
    }
}

#[test]
fn a_value_must_be_there() {
    let document = parse(br#"[{"name":"resource/cpu"}]"#).unwrap();
    let warnings = Warnings::default();
    let error = read(&Node::root(&document, &warnings), Scope::App).unwrap_err();
    assert_eq!(error.to_string(), "field `[0].value` is missing");
}

#[test]
fn amounts_are_read_as_they_were_meant() {
    let Bound::Cpu(cpu) = bound_of("resource/cpu", r#"{"request":"1m","limit":"30m"}"#) else {
        panic!("cpu was written");
    };
    assert_eq!(
        (cpu.request(), cpu.limit),
        (quantity_of("1m"), quantity_of("30m"))
    );
    let Bound::Memory(memory) = bound_of("resource/memory", r#"{"limit":" 2Gi "}"#) else {
        panic!("memory was written");
    };
    // What is not requested is the limit.
    assert_eq!(
        (memory.request(), memory.limit),
        (quantity_of("2Gi"), quantity_of("2Gi"))
    );
    for (value, expected) in [
        (r#"{"limit":1}"#, "1"),
        (r#"{"limit":0.5}"#, "500m"),
        (r#"{"limit":1e3}"#, "1k"),
        (r#"{"limit":1E18}"#, "1E"),
        (r#"{"limit":"100M","request":null}"#, "100M"),
    ] {
        let Bound::Memory(memory) = bound_of("resource/memory", value) else {
            panic!("memory was written");
        };
        assert_eq!(memory.limit, quantity_of(expected), "{value}");
    }
}

#[test]
fn every_isolator_of_the_specification_is_known() {
    let texts = |texts: &[&str]| {
        texts
            .iter()
            .map(|&text| text.to_owned())
            .collect::<Vec<_>>()
    };
    let calls = |set: &[&str], errno: Option<&str>| Calls {
        set: texts(set),
        errno: errno.map(str::to_owned),
    };
    for (name, value, expected) in [
        (
            "resource/block-bandwidth",
            r#"{"default":true,"limit":"1G"}"#,
            Bound::BlockBandwidth(quantity_of("1G")),
        ),
        (
            "resource/block-iops",
            r#"{"default":true,"request":null,"limit":"1k"}"#,
            Bound::BlockIops(quantity_of("1k")),
        ),
        (
            "resource/network-bandwidth",
            r#"{"default":true,"limit":"1G"}"#,
            Bound::NetworkBandwidth(quantity_of("1G")),
        ),
        (
            "os/linux/capabilities-retain-set",
            r#"{"set":["CAP_KILL","CAP_PONIES"]}"#,
            Bound::RetainCapabilities(texts(&["CAP_KILL", "CAP_PONIES"])),
        ),
        (
            "os/linux/capabilities-remove-set",
            r#"{"set":["CAP_KILL"]}"#,
            Bound::RemoveCapabilities(texts(&["CAP_KILL"])),
        ),
        (
            "os/linux/no-new-privileges",
            "true",
            Bound::NoNewPrivileges(true),
        ),
        (
            "os/linux/no-new-privileges",
            "false",
            Bound::NoNewPrivileges(false),
        ),
        (
            "os/linux/seccomp-retain-set",
            r#"{"set":["chmod"],"errno":"EACCESS"}"#,
            Bound::RetainCalls(calls(&["chmod"], Some("EACCESS"))),
        ),
        (
            "os/linux/seccomp-remove-set",
            r#"{"set":["@appc.io/empty","chown"],"errno":""}"#,
            Bound::RemoveCalls(calls(&["@appc.io/empty", "chown"], None)),
        ),
        (
            "os/linux/apparmor-profile",
            r#"{"profile":"rkt-default"}"#,
            Bound::Apparmor("rkt-default".into()),
        ),
        ("os/linux/oom-score-adj", "250", Bound::OomScoreAdj(250)),
        ("os/linux/oom-score-adj", "-1000", Bound::OomScoreAdj(-1000)),
        ("os/linux/cpu-shares", "2048", Bound::CpuShares(2048)),
        ("os/linux/cpu-shares", "262144", Bound::CpuShares(262_144)),
    ] {
        assert_eq!(bound_of(name, value), expected);
    }
    let context = r#"{"user":"u","role":"object_r","type":"t","level":"s0-s0:c0"}"#;
    let Bound::Selinux(context) = bound_of("os/linux/selinux-context", context) else {
        panic!("a context was written");
    };
    assert_eq!(context.to_string(), "u:object_r:t:s0-s0:c0");
}

#[test]
fn every_known_name_has_a_reader() {
    for name in KNOWN {
        let warnings = Warnings::default();
        let nothing = Value::Null;
        let read = bound(name, &Node::root(&nothing, &warnings));
        assert!(read.is_err(), "{name}");
    }
}

#[test]
fn what_nobody_knows_is_kept_with_a_warning() {
    for (name, value) in [
        ("resource/network-ponies", r#"{"a":[1.5]}"#),
        ("cpu/shares", r#""20""#),
    ] {
        let (list, warnings) = list(Scope::App, &[(name, value)]);
        let isolator = list.unwrap().remove(0);
        assert_eq!(isolator.bound, Bound::Unknown);
        assert!(!isolator.belongs(Scope::App) && !isolator.belongs(Scope::Pod));
        assert_eq!(
            warnings,
            [format!(
                "field `[0]`: isolator `{name}` is unknown and ignored"
            )]
        );
        let written = isolator.write().to_string();
        assert_eq!(written, format!(r#"{{"name":"{name}","value":{value}}}"#));
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    let capabilities = r#"{"set":["CAP_KILL"]}"#;
    let calls = r#"{"set":["chmod"]}"#;
    let context = r#"{"user":"a","role":"b","type":"c","level":"d"}"#;
    let profile = r#"{"profile":"p"}"#;
    for isolators in [
        &[
            ("os/linux/capabilities-retain-set", capabilities),
            ("os/linux/capabilities-remove-set", capabilities),
        ],
        &[
            ("os/linux/seccomp-retain-set", calls),
            ("os/linux/seccomp-remove-set", calls),
        ],
        &[
            ("os/linux/seccomp-retain-set", calls),
            ("os/linux/seccomp-retain-set", calls),
        ],
        &[
            ("os/linux/seccomp-remove-set", calls),
            ("os/linux/seccomp-remove-set", calls),
        ],
        &[
            ("os/linux/selinux-context", context),
            ("os/linux/selinux-context", context),
        ],
        &[
            ("os/linux/apparmor-profile", profile),
            ("os/linux/apparmor-profile", profile),
        ],
        &[
            ("os/linux/oom-score-adj", "1"),
            ("os/linux/oom-score-adj", "1"),
        ],
        &[("os/linux/cpu-shares", "2"), ("os/linux/cpu-shares", "2")],
    ] {
        assert!(list(Scope::App, isolators).0.is_err(), "{isolators:?}");
    }
}

#[test]
fn what_is_odd_is_noted() {
    for (scope, isolators, warning) in [
        (
            Scope::App,
            &[("resource/cpu", r#"{"request":"30m","limit":"1m"}"#)][..],
            "field `[0].value`: `request` (30m) is more than `limit` (1m)",
        ),
        (
            Scope::App,
            &[("resource/memory", "{}")],
            "field `[0].value` has neither `request` nor `limit`, so it has no effect",
        ),
        (
            Scope::App,
            &[("resource/block-iops", r#"{"default":true}"#)],
            "field `[0].value` has no `limit`, so it has no effect",
        ),
        (
            Scope::App,
            &[("resource/memory", r#"{"limit":0}"#)],
            "field `[0].value.limit` is zero, so nothing could be used",
        ),
        (
            Scope::App,
            &[
                ("resource/cpu", r#"{"limit":1}"#),
                ("resource/cpu", r#"{"limit":2}"#),
            ],
            "isolator `resource/cpu` is given more than once; the last one is used",
        ),
        (
            Scope::App,
            &[("os/unix/sysctl", r#"{"kernel.hostname":"a"}"#)],
            "field `[0]`: isolator `os/unix/sysctl` applies to a pod, not to an app, and is ignored",
        ),
        (
            Scope::Pod,
            &[("os/linux/cpu-shares", "2")],
            "field `[0]`: isolator `os/linux/cpu-shares` applies to an app, not to a pod, and is ignored",
        ),
    ] {
        let (list, warnings) = list(scope, isolators);
        assert_eq!(list.unwrap().len(), isolators.len());
        assert_eq!(warnings, [warning]);
    }
}

#[test]
fn an_operator_makes_isolators_by_the_same_rules() {
    let isolator = Isolator::new("os/linux/cpu-shares", Value::Integer(2)).unwrap();
    assert_eq!(isolator.bound, Bound::CpuShares(2));
    assert!(Isolator::new("os/linux/cpu-shares", Value::Integer(1)).is_err());
    assert!(Isolator::new("Not/A/Name", Value::Null).is_err());
}
