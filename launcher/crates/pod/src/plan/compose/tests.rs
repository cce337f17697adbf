//! Which labels a plan uses, and what it does first and last.

use std::cell::LazyCell;

use super::*;
use crate::plan::descriptors::{DEFAULT_FILTER, Owner};
use crate::seccomp::Program;
use crate::spec::log::{Log, Place};
use crate::spec::mounts::Mounted;
use crate::spec::pod::Root;
use crate::spec::process::{Calls, Rights, Stdio};
use appc::types::Uuid;

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

fn process(policy: SeccompPolicy) -> ProcessSpec {
    ProcessSpec {
        argv: Sourced::new(vec!["/bin/x".to_owned()], ""),
        pre_start: None,
        post_stop: None,
        environment: Vec::new(),
        directory: Sourced::new("/".to_owned(), ""),
        uid: Sourced::new(7, ""),
        gid: Sourced::new(8, ""),
        groups: Sourced::new(Vec::new(), ""),
        rights: Rights {
            capabilities: Sourced::new(
                CapabilityBound::Only(crate::spec::defaults::CAPABILITIES),
                "",
            ),
            ambient: false,
            no_new_privileges: None,
            oom_score: None,
            seccomp: Sourced::new(policy, ""),
            apparmor: None,
            selinux: None,
        },
        resources: Vec::new(),
        stdio: Stdio::Inherited,
        beyond: None,
    }
}

fn app(name: &str, policy: SeccompPolicy) -> AppSpec {
    AppSpec {
        name: name.to_owned(),
        reason: String::new(),
        image: None,
        root: Some(Root {
            layers: vec!["/images/b".into(), "/images/a".into()],
            top: (0, 0, 0o755),
            copied: false,
            read_only: None,
            memory: None,
        }),
        process: process(policy),
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

fn pod(apps: Vec<AppSpec>) -> PodSpec {
    let id = Uuid::parse("6f0c1d52-8f4e-4a55-9c0f-2f6f2a6f7a10").unwrap();
    let hostname = Sourced::new("web".to_owned(), "");
    let mut pod = PodSpec::new(id, "/pod", hostname);
    pod.apps = apps;
    pod
}

fn own() -> SeccompPolicy {
    SeccompPolicy::Remove(Calls {
        set: vec!["statx".to_owned()],
        errno: None,
    })
}

fn composed(pod: &PodSpec, streams: Streams) -> Composed {
    let composed = compose(pod, &host(), &Cgroups::default(), streams).unwrap();
    // It is valid, and survives the round trip through text.
    let text = composed.plan.text();
    assert_eq!(Plan::read(text.as_bytes()).unwrap(), composed.plan);
    composed
}

fn lines(plan: &Plan) -> Vec<String> {
    let text = plan.text();
    let lines = text.lines().map(|line| line.split(" #").next().unwrap());
    lines.map(|line| line.trim_end().to_owned()).collect()
}

#[test]
fn the_default_filter_has_a_fixed_label_and_others_their_own() {
    let apps = [
        (SeccompPolicy::Default, &[][..]),
        (own(), &["/a", "/b"]),
        (SeccompPolicy::Unconfined, &[]),
        (SeccompPolicy::Descriptor(5), &[]),
        (SeccompPolicy::Default, &["/c"]),
    ];
    let (mut labels, mut needed) = (Labels::after(0), Vec::new());
    let given = apps.map(|(policy, groups)| {
        let groups: Vec<PathBuf> = groups.iter().map(PathBuf::from).collect();
        let process = process(policy);
        let given = give(&process, groups.iter(), &host(), &mut labels, &mut needed).unwrap();
        let filter = given.filter.map(|(label, program)| {
            assert_eq!(program.is_default(), label == DEFAULT_FILTER);
            label
        });
        (filter, given.groups)
    });
    assert_eq!(
        given,
        [
            (Some(100), vec![]),
            (Some(101), vec![102, 103]),
            (None, vec![]),
            (None, vec![]),
            (Some(100), vec![104]),
        ]
    );
    let capabilities = crate::spec::defaults::CAPABILITIES;
    let own = seccomp::decide(&own(), capabilities, host().kernel, false);
    let own = own.unwrap().program.unwrap();
    assert_eq!(
        needed,
        [
            NeededDescriptor::Filter(100, Program::default().bytes),
            NeededDescriptor::Filter(101, own.bytes),
            NeededDescriptor::Group(102, "/a".into()),
            NeededDescriptor::Group(103, "/b".into()),
            NeededDescriptor::Group(104, "/c".into()),
        ]
    );
}

#[test]
fn labels_of_pipes_follow_those_of_filters() {
    let one = app("one", SeccompPolicy::Default);
    let pod = pod(vec![one, app("two", own())]);
    let log = Log::default();
    assert_eq!(log.place, Place::Disk);
    let composed = composed(&pod, Streams::Logged(log));
    let lines = lines(&composed.plan);
    // Readers are started before anything writes.
    assert_eq!(
        lines[1..6],
        [
            "log 103 102 out 1048576",
            "log 105 102 err 1048576",
            "log 108 107 out 1048576",
            "log 110 107 err 1048576",
            "grace 10",
        ]
    );
    let begin = |line: &String| line == "process";
    let streams = lines.iter().enumerate().filter(|(_, line)| begin(line));
    let streams: Vec<_> = streams.map(|(at, _)| lines[at + 1].as_str()).collect();
    assert_eq!(streams, ["stdio 0 104 106", "stdio 0 109 111"]);
    let owner = Owner {
        uid: Some(7),
        gid: Some(8),
    };
    let pipe = |read, write| NeededDescriptor::Pipe { read, write, owner };
    assert_eq!(
        composed.needed[4..],
        [
            NeededDescriptor::LogDirectory(102, "one".to_owned()),
            pipe(103, 104),
            pipe(105, 106),
            NeededDescriptor::LogDirectory(107, "two".to_owned()),
            pipe(108, 109),
            pipe(110, 111),
        ]
    );
}

#[test]
fn a_pod_without_a_log_has_the_callers_streams_or_none() {
    let pod = pod(vec![app("one", SeccompPolicy::Default)]);
    let inherited = composed(&pod, Streams::Inherited);
    let always = [
        NeededDescriptor::Network,
        NeededDescriptor::Filter(100, Program::default().bytes),
        init_filter(),
    ];
    assert_eq!(inherited.needed, always);
    let silent = composed(&pod, Streams::Silent);
    assert_eq!(silent.needed[..3], always);
    assert_eq!(silent.needed[3..], [NeededDescriptor::Null(101)]);
    let mut expected = lines(&inherited.plan);
    let at = expected.iter().position(|line| line == "process").unwrap();
    expected.insert(at + 1, "stdio 101 101 101".to_owned());
    assert_eq!(lines(&silent.plan), expected);
}

#[test]
fn a_terminal_belongs_to_its_app_and_is_logged_while_nobody_is_attached() {
    let mut one = app("one", SeccompPolicy::Default);
    one.process.stdio = Stdio::Terminal;
    let pod = pod(vec![one]);
    let owner = Owner {
        uid: Some(7),
        gid: Some(8),
    };
    let logged = composed(&pod, Streams::Logged(Log::default()));
    assert_eq!(
        logged.needed[3..],
        [
            NeededDescriptor::Terminal(owner),
            NeededDescriptor::LogDirectory(101, "one".to_owned())
        ]
    );
    let plan = lines(&logged.plan);
    assert_eq!(plan[1..3], ["attended 96", "log 97 101 tty 1048576"]);
    assert!(plan.iter().any(|line| line == "terminal 98"), "{plan:?}");
    for streams in [Streams::Inherited, Streams::Silent] {
        let composed = composed(&pod, streams);
        assert_eq!(composed.needed[3], NeededDescriptor::Terminal(owner));
        assert!(!lines(&composed.plan).iter().any(|line| {
            line.starts_with("stdio ") || line.starts_with("log ") || line == "attended 96"
        }));
    }
}

#[test]
fn every_directive_knows_its_app() {
    let mut two = app("two", own());
    two.mounts.push(Mounted {
        name: "data".to_owned(),
        source: "/srv".into(),
        directory: true,
        ours: false,
        target: "/data".to_owned(),
        read_only: false,
        recursive: true,
        reason: "volume data: option --volume".to_owned(),
    });
    let pod = pod(vec![app("one", SeccompPolicy::Default), two]);
    let plan = composed(&pod, Streams::Silent).plan;
    let mut expected = None;
    let mut seen = 0;
    for step in plan.steps() {
        match step.directive().unwrap() {
            Directive::App { .. } => {
                expected = Some(seen);
                seen += 1;
            }
            Directive::Init {} => expected = None,
            _ => {}
        }
        assert_eq!(step.app(), expected, "{step:?}");
    }
    assert_eq!(seen, 2);
}

#[test]
fn the_kernels_first_file_system_is_covered_and_any_other_root_detached() {
    let apps = || {
        vec![
            app("one", SeccompPolicy::Default),
            app("two", SeccompPolicy::Default),
        ]
    };
    for (root, expected) in [
        (sys::host::Root::Mount, "pivot"),
        (sys::host::Root::First, "move-root"),
    ] {
        let host = Host { root, ..host() };
        let composed = compose(&pod(apps()), &host, &Cgroups::default(), Streams::Silent);
        let plan = composed.unwrap().plan;
        let words = plan.steps().iter().filter_map(|step| {
            let word = step.directive()?.word();
            ["pivot", "move-root"]
                .contains(&word)
                .then_some((word, step.reason()))
        });
        let words: Vec<_> = words.collect();
        // Those of both apps, and PID 1's.
        assert_eq!(words.len(), 3);
        for (word, reason) in words {
            assert_eq!(word, expected);
            assert_eq!(
                reason.contains("initramfs"),
                word == "move-root",
                "{reason}"
            );
        }
    }
}
