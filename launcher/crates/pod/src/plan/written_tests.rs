//! What is read from a written plan, and how the streams of its apps are
//! connected.

use super::*;
use crate::plan::descriptors::Owner;
use crate::spec::log::{Log, Place};
use stage1_init::Capabilities;

fn plan(lines: &[&str]) -> Plan {
    Plan::read(format!("plan 1\n{}\n", lines.join("\n")).as_bytes()).unwrap()
}

fn read(lines: &[&str]) -> PodSpec {
    let id = Uuid::parse("6f0c1d52-8f4e-4a55-9c0f-2f6f2a6f7a10").unwrap();
    let spec = spec(&plan(lines), id, "/pod");
    assert!(spec.planned);
    // The spec survives being kept with the pod.
    assert_eq!(PodSpec::read(&spec.text().unwrap()).unwrap(), spec);
    spec
}

/// The only app of a plan.
fn app_of(process: &[&str]) -> AppSpec {
    let lines = [&["unshare pid", "app a", "process"][..], process].concat();
    read(&lines).apps.remove(0)
}

fn composed(of: &[&str], streams: Streams) -> Composed {
    let composed = compose(&plan(of), &read(of), streams);
    // It is a valid plan.
    Plan::read(&composed.plan.words()).unwrap();
    composed
}

fn logged(of: &[&str], place: Place) -> Composed {
    let log = Log {
        place,
        ..Log::default()
    };
    composed(of, Streams::Logged(log))
}

fn lines(plan: &Plan) -> Vec<String> {
    let text = plan.text();
    let line = |line: &str| {
        line.split(" #")
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    text.lines().skip(1).map(line).collect()
}

/// The lines that such a plan becomes.
fn captured(of: &[&str]) -> Vec<String> {
    lines(&logged(of, Place::Disk).plan)
}

fn owner(uid: Option<u32>, gid: Option<u32>) -> Owner {
    Owner { uid, gid }
}

fn pipe(read: u32, write: u32, owner: Owner) -> NeededDescriptor {
    NeededDescriptor::Pipe { read, write, owner }
}

const TWO: [&str; 12] = [
    "unshare mnt,pid",
    "join net 99",
    "app one",
    "process",
    "uid 7",
    "gid 8",
    "seccomp 107",
    "main 1 /a",
    "app two",
    "process",
    "join-cgroup 5",
    "main 1 /b",
];

#[test]
fn each_app_has_two_pipes_and_a_directory_with_new_labels() {
    let composed = logged(&TWO, Place::Memory);
    let expected = [
        &[
            "log 109 108 out 1048576",
            "log 111 108 err 1048576",
            "log 114 113 out 1048576",
            "log 116 113 err 1048576",
        ][..],
        &TWO[..4],
        &["stdio 0 110 112"],
        &TWO[4..10],
        &["stdio 0 115 117"],
        &TWO[10..],
    ];
    assert_eq!(lines(&composed.plan), expected.concat());
    // stage1-init gets what the plan names, each once.
    let (one, two) = (owner(Some(7), Some(8)), owner(Some(0), Some(0)));
    assert_eq!(
        composed.needed,
        [
            NeededDescriptor::Network,
            NeededDescriptor::LogDirectory(108, "one".to_owned()),
            pipe(109, 110, one),
            pipe(111, 112, one),
            NeededDescriptor::LogDirectory(113, "two".to_owned()),
            pipe(114, 115, two),
            pipe(116, 117, two),
        ]
    );
    assert!(composed.groups.is_empty());
}

#[test]
fn a_plan_without_a_log_is_unchanged() {
    for composed in [
        logged(&TWO, Place::Nowhere),
        composed(&TWO, Streams::Inherited),
    ] {
        assert_eq!(composed.plan, plan(&TWO));
        assert_eq!(composed.needed, [NeededDescriptor::Network]);
    }
}

#[test]
fn reasons_and_apps_of_directives_are_kept() {
    let with = [
        "unshare pid # default",
        "app a # image x",
        "process",
        "main 1 /a # y",
    ];
    let led = logged(&with, Place::Disk).plan;
    let text = led.text();
    let reasons = text.lines().filter_map(|line| line.split_once("# "));
    let reasons: Vec<_> = reasons.map(|(_, reason)| reason).collect();
    let expected = [
        "option --detach: the output of app `a`",
        "option --detach: the output of app `a`",
        "default",
        "image x",
        "option --detach: output to the log",
        "y",
    ];
    assert_eq!(reasons, expected);
    let apps: Vec<_> = led.steps().iter().map(Step::app).collect();
    let (none, app) = (None, Some(0));
    assert_eq!(apps, [none, none, none, app, app, app, app]);
}

#[test]
fn streams_that_a_plan_sets_are_kept() {
    for own in ["stdio 0 5 6", "terminal 5"] {
        let mut lines = TWO.to_vec();
        lines.insert(5, own);
        let captured = captured(&lines);
        let ours = captured
            .iter()
            .filter(|line| !lines.contains(&line.as_str()));
        let ours: Vec<_> = ours.collect();
        let two = [
            "log 109 108 out 1048576",
            "log 111 108 err 1048576",
            "stdio 0 110 112",
        ];
        assert_eq!(ours, two, "{own}");
        assert_eq!(read(&lines).apps[0].process.stdio, Stdio::Planned, "{own}");
    }
}

#[test]
fn output_that_could_not_be_read_is_not_captured() {
    for (first, is_read) in [
        ("unshare pid", true),
        ("join net,pid 5", true),
        ("unshare mnt", false),
        ("loopback", false),
    ] {
        let of = [first, "app a", "process", "main 1 /a"];
        let same = captured(&of) == of;
        assert_eq!(same, !is_read, "{first}");
        let own = read(&of).processes != Namespace::Host;
        assert_eq!(own, is_read, "{first}");
        // Nor is it the pod's terminal.
        let of = [first, "app a", "process", "terminal 98", "main 1 /a"];
        assert_eq!(read(&of).has_terminal(), is_read, "{first}");
    }
}

#[test]
fn an_app_that_is_named_like_a_place_has_no_directory() {
    let app = |name: &'static str| [name, "process", "main 1 /a"];
    let of = [
        &["unshare pid"][..],
        &app("app a"),
        &app("app .."),
        &app("app ."),
    ];
    let needed = logged(&of.concat(), Place::Disk).needed;
    let root = owner(Some(0), Some(0));
    assert_eq!(
        needed,
        [
            NeededDescriptor::LogDirectory(101, "a".to_owned()),
            pipe(102, 103, root),
            pipe(104, 105, root),
        ]
    );
}

#[test]
fn users_are_those_of_the_host() {
    let of = |last: &'static str| {
        [
            "uid-map 0 1000 1",
            "uid-map 1 100000 10",
            "gid-map 0 1000 1",
            "unshare user,pid",
            "app a",
            "process",
            "uid 3",
            "gid 3",
            last,
            "main 1 /a",
        ]
    };
    let user = owner(Some(100_002), None);
    let needed = logged(&of("keyring"), Place::Disk).needed;
    assert_eq!(needed[1..], [pipe(102, 103, user), pipe(104, 105, user)]);
    let needed = composed(&of("terminal 98"), Streams::Inherited).needed;
    assert_eq!(needed, [NeededDescriptor::Terminal(user)]);
}

#[test]
fn the_terminal_is_logged_while_nobody_is_attached() {
    let of = [
        "unshare pid",
        "app a",
        "process",
        "terminal 98",
        "main 1 /a",
    ];
    let root = owner(Some(0), Some(0));
    let composed = logged(&of, Place::Disk);
    let expected = [&["attended 96", "log 97 101 tty 1048576"][..], &of].concat();
    assert_eq!(lines(&composed.plan), expected);
    let directory = NeededDescriptor::LogDirectory(101, "a".to_owned());
    assert_eq!(
        composed.needed,
        [NeededDescriptor::Terminal(root), directory]
    );
    // The terminal must be read, or the app would block. Label 96 is not a
    // directory, so nothing is kept.
    let expected = [&["attended 96", "log 97 96 tty 1048576"][..], &of].concat();
    let nowhere = logged(&of, Place::Nowhere);
    assert_eq!(lines(&nowhere.plan), expected);
    assert_eq!(nowhere.needed, [NeededDescriptor::Terminal(root)]);
    // Any other terminal belongs to the author of the plan.
    let other = ["unshare pid", "app a", "process", "terminal 9", "main 1 /a"];
    assert_eq!(captured(&other), other);
    assert_eq!(logged(&other, Place::Disk).needed, []);
}

#[test]
fn the_output_of_a_silent_pod_is_discarded() {
    let silent = composed(&TWO, Streams::Silent);
    let expected = [
        &TWO[..4],
        &["stdio 108 108 108"],
        &TWO[4..10],
        &["stdio 108 108 108"],
        &TWO[10..],
    ];
    assert_eq!(lines(&silent.plan), expected.concat());
    assert_eq!(
        silent.needed,
        [NeededDescriptor::Network, NeededDescriptor::Null(108)]
    );
    let mut own = TWO.to_vec();
    own.insert(5, "stdio 0 5 6");
    let silent = lines(&composed(&own, Streams::Silent).plan);
    let ours = silent.iter().filter(|line| line.ends_with(" 108 108 108"));
    assert_eq!(ours.count(), 1);
}

#[test]
fn labels_in_a_plan_are_provided() {
    let filter = NeededDescriptor::Filter(100, Program::default().bytes);
    for (line, needed) in [
        ("seccomp 100", &[filter][..]),
        ("seccomp 101", &[]),
        ("no-new-privs", &[]),
    ] {
        for of in [
            ["app a", "process", line, "main 1 /a", "init"],
            ["app a", "process", "main 1 /a", "init", line],
        ] {
            assert_eq!(composed(&of, Streams::Inherited).needed, needed, "{line}");
        }
    }
    for (line, network) in [
        ("join net 99", Namespace::New),
        ("join net 5", Namespace::Planned),
        ("unshare net", Namespace::Planned),
        ("unshare uts", Namespace::Host),
    ] {
        let of = [line, "app a", "process", "main 1 /a"];
        assert_eq!(read(&of).network, network, "{line}");
        let given = composed(&of, Streams::Inherited).needed == [NeededDescriptor::Network];
        assert_eq!(given, network == Namespace::New, "{line}");
    }
}

#[test]
fn a_plan_becomes_the_spec_of_its_apps() {
    let pod = [
        "unshare pid",
        "hostname web",
        "app a",
        "process",
        "oom-score-adj 300",
        "attribute apparmor/exec 'exec profile'",
        "umask 0022",
        "session",
        "keyring",
        "bounding chown,kill",
        "groups 2 7 8",
        "gid 1001",
        "uid 1000",
        "capabilities sys_admin",
        "workdir /srv",
        "no-new-privs",
        "seccomp 100",
        "env A=1",
        "env B=2=3",
        "pre-start 1 before",
        "main 2 /bin/a -f",
        "app b",
        "process",
        "main 1 /bin/b",
        "init",
        // What the init does to itself does not concern the app.
        "bounding kill",
        "no-new-privs",
        "seccomp 100",
    ];
    let spec = read(&pod);
    assert_eq!(spec.hostname.value, "web");
    let names: Vec<_> = spec.apps.iter().map(|app| app.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(spec.apps.iter().all(|app| app.root.is_none()));
    let a = &spec.apps[0].process;
    assert_eq!(a.argv.value, ["/bin/a", "-f"]);
    assert_eq!((a.uid.value, a.gid.value), (1000, 1001));
    assert_eq!(a.groups.value, [7, 8]);
    assert_eq!(a.directory.value, "/srv");
    let variables: Vec<_> = a.environment.iter().map(|one| one.value.clone()).collect();
    assert_eq!(
        variables,
        [Variable::new("A", "1"), Variable::new("B", "2=3")]
    );
    let why = |value: &str| Some(Sourced::new(value.to_owned(), REASON));
    let both = Capabilities::CHOWN.with(Capabilities::KILL);
    assert_eq!(
        a.rights,
        Rights {
            capabilities: Sourced::new(CapabilityBound::Only(both), REASON),
            ambient: false,
            no_new_privileges: Some(REASON.to_owned()),
            oom_score: Some(Sourced::new(300, REASON)),
            seccomp: Sourced::new(SeccompPolicy::AsBuilt, REASON),
            apparmor: why("profile"),
            selinux: None,
        }
    );
    assert_eq!(a.beyond, None);
    // The plan does not restrict the other app.
    let b = &spec.apps[1].process;
    assert_eq!((b.uid.value, b.gid.value), (0, 0));
    assert_eq!(b.rights.capabilities.value, CapabilityBound::All);
    assert_eq!(b.rights.seccomp.value, SeccompPolicy::Unconfined);
    assert_eq!(b.rights.no_new_privileges, None);
    assert_eq!(b.directory.value, "/");
}

#[test]
fn labels_of_security_modules_are_distinguished() {
    for (line, apparmor, selinux) in [
        ("attribute exec 'exec profile'", Some("profile"), None),
        (
            "attribute apparmor/exec 'exec profile'",
            Some("profile"),
            None,
        ),
        ("attribute exec u:r:t:s0", None, Some("u:r:t:s0")),
    ] {
        let rights = app_of(&[line, "main 1 /a"]).process.rights;
        let value = |label: Option<Sourced<String>>| label.map(|label| label.value);
        assert_eq!(value(rights.apparmor).as_deref(), apparmor, "{line}");
        assert_eq!(value(rights.selinux).as_deref(), selinux, "{line}");
    }
}

#[test]
fn restrictions_that_no_spec_can_express_are_recorded() {
    for (process, beyond) in [
        (&["rlimit nofile 1 2"][..], Some("rlimit nofile 1 2")),
        (&["ambient chown", "rlimit core 0 0"], Some("ambient chown")),
        (&["attribute current x"], Some("attribute current x")),
        (&["env A"], Some("env A")),
        (&["seccomp 5"], None),
        // Both filters apply.
        (&["seccomp 5", "seccomp 100"], Some("seccomp 100")),
        (&["capabilities ''"], None),
        // When root executes a program it gets back all that the bounding set
        // leaves, unless it cannot gain rights.
        (
            &["no-new-privs", "capabilities ''"],
            Some("capabilities ''"),
        ),
        (
            &["bounding chown,kill", "capabilities kill", "no-new-privs"],
            Some("capabilities kill"),
        ),
        (
            &["bounding kill", "capabilities kill", "no-new-privs"],
            None,
        ),
        (&["uid 5", "capabilities ''", "no-new-privs"], None),
    ] {
        let app = app_of(&[process, &["main 1 /a"]].concat());
        assert_eq!(app.process.beyond.as_deref(), beyond, "{process:?}");
    }
}

#[test]
fn two_capability_bounds_are_intersected() {
    let kill = CapabilityBound::Only(Capabilities::KILL);
    for (process, left) in [
        (&["bounding chown,kill", "bounding kill,mknod"][..], kill),
        (&["bounding kill", "bounding all"], kill),
        (&["bounding all", "bounding kill"], kill),
        (&["bounding all"], CapabilityBound::All),
    ] {
        let app = app_of(&[process, &["main 1 /a"]].concat());
        let found = app.process.rights.capabilities.value;
        assert_eq!(found, left, "{process:?}");
    }
}

#[test]
fn the_directory_of_a_composed_plan_can_be_found() {
    let of = |line: &str| plan(&[line, "app a", "process", "main 1 /a"]);
    let rooted = plan(&[
        "app a",
        "root /pods/x/apps/a/rootfs",
        "process",
        "main 1 /a",
    ]);
    assert_eq!(
        first_root(&rooted).as_deref(),
        Some("/pods/x/apps/a/rootfs")
    );
    assert_eq!(first_root(&of("loopback")), None);
    assert!(sets_pid_max(&of("sysctl kernel.pid_max 400")));
    assert!(!sets_pid_max(&of("sysctl kernel.shmmax 400")));
}
