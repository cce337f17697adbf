//! The default filter compared with the default profiles of other runners, as
//! Debian has them. Every difference has its reason in a file of
//! `tests/golden/filters`; `cargo xtask filters` gets the profiles and prints
//! what differs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::*;
use appc::json::{self, Value};
use image::digest::{Algorithm, Hasher};

/// Calls that are decided by an argument, the index of that argument, and
/// values that matter.
const JUDGED: &[(&str, usize, &[u64])] = &[
    ("clone", 0, &[0x11, 0x0002_0011, 0x0200_0011, 0x1000_0011]),
    ("ioctl", 1, &[0x5401, 0x5412, 0x541c]),
    ("personality", 0, &[0, 8, 0x2_0000, 0x2_0008, 0x4_0000]),
];

/// Calls that are decided by an address family, of which there are this many.
const SOCKETS: [&str; 2] = ["socket", "socketpair"];
const FAMILIES: u64 = 46;

/// A profile in Docker's format, for an app with default capabilities.
struct Profile(Vec<Value>);

impl Profile {
    fn read(text: &[u8]) -> Self {
        let Some(Value::List(rules)) = json::parse(text).unwrap().get("syscalls").cloned() else {
            panic!("a profile has system calls");
        };
        Self(rules)
    }

    /// Returns whether a call is allowed. Without a matching rule it is not.
    fn allows(&self, name: &str, argument: usize, value: u64) -> bool {
        let allows = |rule: &&Value| rule.text("action").as_deref() == Some("SCMP_ACT_ALLOW");
        let about = |rule: &&Value| {
            texts(rule, "names").any(|one| one == name)
                || rule.text("name").as_deref() == Some(name)
        };
        let rules = self.0.iter().filter(about).filter(allows);
        rules.filter(|rule| applies(rule)).any(|rule| {
            list(rule, "args").all(|test| {
                let index = test.number("index").unwrap();
                index != argument as u64 || holds(test, value)
            })
        })
    }
}

fn list<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    let found = match value.get(name) {
        Some(Value::List(list)) => list.as_slice(),
        _ => &[],
    };
    found.iter()
}

fn texts<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v str> {
    list(value, name).map(|text| match text {
        Value::Text(text) => text.as_str(),
        other => panic!("no text: {other:?}"),
    })
}

/// Returns whether a rule is for this architecture and the default
/// capabilities.
fn applies(rule: &Value) -> bool {
    let has = |name: &str| {
        let word = name.trim_start_matches("CAP_").to_lowercase();
        Capabilities::member(word.as_bytes()).is_some_and(|one| CAPABILITIES.contains(one))
    };
    let (empty, no) = (Value::Null, Value::Null);
    let includes = rule.get("includes").unwrap_or(&empty);
    let excludes = rule.get("excludes").unwrap_or(&no);
    let here = |value: &Value| texts(value, "arches").any(|arch| arch == "amd64");
    let anywhere = list(includes, "arches").next().is_none();
    texts(includes, "caps").all(has)
        && !texts(excludes, "caps").any(has)
        && (anywhere || here(includes))
        && !here(excludes)
}

/// Returns whether a test of an argument holds (seccomp_rule_add(3)).
fn holds(test: &Value, value: u64) -> bool {
    let wanted = test.number("value").unwrap();
    match test.text("op").unwrap().as_str() {
        "SCMP_CMP_EQ" => value == wanted,
        "SCMP_CMP_NE" => value != wanted,
        "SCMP_CMP_LT" => value < wanted,
        "SCMP_CMP_MASKED_EQ" => value & wanted == test.number("valueTwo").unwrap_or(0),
        other => panic!("no such comparison here: {other}"),
    }
}

/// Returns a line for each call that only one of the two allows, with the
/// values of the argument for which that is so, unless it is so for all.
fn differences(profile: &Profile) -> BTreeSet<String> {
    let program = compiled(&default_filter(Arch::X86_64));
    let families: Vec<u64> = (0..FAMILIES).collect();
    let mut lines = BTreeSet::new();
    for (name, number) in Arch::X86_64.calls() {
        let (argument, values) = match JUDGED.iter().find(|(judged, ..)| *judged == name) {
            Some(&(_, argument, values)) => (argument, values),
            None if SOCKETS.contains(&name) => (0, families.as_slice()),
            None => (0, [0].as_slice()),
        };
        let mut found: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for &value in values {
            let call = Call::of(Arch::X86_64, number).with(argument, value);
            let ours = run(&program, call) == ALLOW;
            if ours != profile.allows(name, argument, value) {
                let who = if ours { "only we allow" } else { "we refuse" };
                found.entry(who).or_default().push(value.to_string());
            }
        }
        for (who, some) in found {
            lines.insert(match some.len() == values.len() {
                true => format!("{who} {name}"),
                false => format!("{who} {name} {}", some.join(",")),
            });
        }
    }
    lines
}

/// Compares with a profile, if it is the version that the reasons are about.
#[allow(clippy::print_stderr, reason = "differences and skips must be seen")]
fn compare(runner: &str, path: &str) {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let kept = std::env::var_os("PROFILES").map(PathBuf::from);
    let kept = kept.unwrap_or_else(|| project.join("target/profiles"));
    let places = [kept, PathBuf::from("/")];
    let found = places
        .iter()
        .find_map(|place| std::fs::read(place.join(path)).ok());
    let Some(text) = found else {
        eprintln!("skipped: needs /{path}; `cargo xtask filters` gets it");
        return;
    };
    let golden = project
        .join("tests/golden/filters")
        .join(format!("{runner}.text"));
    let golden = std::fs::read_to_string(golden).unwrap_or_default();
    let mut hasher = Hasher::new(Algorithm::Sha512);
    hasher.update(&text);
    let head = format!("# of {}", hasher.finish().short());
    let differences = differences(&Profile::read(&text));
    for line in &differences {
        eprintln!("{runner}: {line}");
    }
    if golden.lines().next() != Some(&head) {
        assert!(
            !golden.is_empty(),
            "no reasons for {runner}, which begin `{head}`"
        );
        eprintln!("skipped: the reasons for {runner} are about another version than {head}");
        return;
    }
    let mut wrong = Vec::new();
    let mut reasoned = BTreeSet::new();
    for line in golden
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let (what, reason) = line.split_once(": ").unwrap_or((line, ""));
        if reason.is_empty() || !reasoned.insert(what.to_owned()) {
            wrong.push(format!("no reason, or two: {line}"));
        }
    }
    let without = differences.difference(&reasoned);
    wrong.extend(without.map(|line| format!("a difference without a reason: {line}")));
    let idle = reasoned.difference(&differences);
    wrong.extend(idle.map(|line| format!("a reason without a difference: {line}")));
    assert!(wrong.is_empty(), "{runner}:\n{}", wrong.join("\n"));
}

#[test]
fn every_difference_from_podman_has_a_reason() {
    compare("podman", "usr/share/containers/seccomp.json");
}

#[test]
fn every_difference_from_docker_has_a_reason() {
    compare(
        "docker",
        "usr/share/gocode/src/github.com/docker/docker/profiles/seccomp/default.json",
    );
}

#[test]
fn profiles_are_evaluated_by_their_rules() {
    let profile = Profile::read(
        br#"{"syscalls": [
            {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": []},
            {"names": ["mount"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["chroot"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_CHROOT"]}},
            {"names": ["kcmp"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_KILL"]}},
            {"names": ["iopl"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm"]}},
            {"names": ["socket"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 0, "value": 3, "op": "SCMP_CMP_LT"}]},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
             "args": [{"index": 0, "value": 12, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]}]}"#,
    );
    for (name, value, expected) in [
        ("read", 0, true),
        ("open", 0, false),
        ("mount", 0, false),
        ("chroot", 0, true),
        ("kcmp", 0, false),
        ("iopl", 0, false),
        ("socket", 2, true),
        ("socket", 3, false),
        ("clone", 3, true),
        ("clone", 4, false),
    ] {
        assert_eq!(profile.allows(name, 0, value), expected, "{name} {value}");
    }
}
