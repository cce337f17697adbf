//! What a command inherits from its app, and what it does not.

use std::cell::LazyCell;

use super::*;
use crate::cgroup::Cgroups;
use crate::plan::compose as pod;
use crate::plan::descriptors::{DEFAULT_FILTER, NeededDescriptor};
use crate::plan::streams::Streams;
use crate::plan::written;
use crate::seccomp::Program;
use crate::spec::pod::{Namespace, PodSpec};
use crate::spec::process::{Calls, CapabilityBound};
use appc::types::Uuid;
use stage1_init::Capabilities;

/// A plan written by hand, and kept with a pod.
const STORED: &str = "plan 1
cgroup /sys/fs/cgroup/pod
unshare mnt,pid,ipc,uts,cgroup
join net 99
hostname web
app one
mount overlay overlay /one/rootfs nodev lowerdir=/images/b:/images/a,upperdir=/one/upper,workdir=/one/work
pivot
process
uid 1
main 1 one
app two
mount overlay overlay /two/rootfs nodev lowerdir=/images/c,upperdir=/two/upper,workdir=/two/work
pivot
process
join-cgroup 103                                 # limits of the app
oom-score-adj 300                               # isolator os/linux/oom-score-adj
attribute exec 'exec profile'
stdio 0 105 106
umask 0022                                      # default
session                                         # default: no access to the caller's terminal
keyring
bounding chown,kill                             # capability isolator
groups 2 7 8
gid 1001
uid 1000
capabilities sys_admin                          # not root; sys_admin is dropped on execution
workdir /srv                                    # option --working-dir
seccomp 100                                     # the default
env A=1
env B=2
pre-start 1 before
main 2 /bin/two -f
post-stop 1 after
init
dir /init 0700 0 0
bounding kill
capabilities kill                               # PID 1 only sends signals to the apps
no-new-privs
seccomp 93                                      # PID 1 makes few calls from now on
";

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

/// The spec that is read from a plan.
fn spec(stored: &str) -> PodSpec {
    let id = Uuid::parse("6f0c1d52-8f4e-4a55-9c0f-2f6f2a6f7a10").unwrap();
    written::spec(&Plan::read(stored.as_bytes()).unwrap(), id, "/pod")
}

fn app(stored: &str, name: &str) -> AppSpec {
    spec(stored).app(name).unwrap().clone()
}

fn entrance() -> EnterSpec {
    EnterSpec {
        namespaces: vec![Namespaces::MNT, Namespaces::PID],
        terminal: false,
        uid: None,
        gid: None,
        groups: Vec::new(),
        account: Vec::new(),
        directory: None,
        variables: Vec::new(),
        limits: Vec::new(),
        oom_score: None,
        command: [c"ls", c"-l"].map(Into::into).to_vec(),
    }
}

fn lines(plan: &Plan) -> String {
    let text = plan.text();
    // It is a valid plan.
    Plan::read(text.as_bytes()).unwrap();
    let lines = text.lines().map(|line| line.split(" #").next().unwrap());
    lines.map(|line| format!("{}\n", line.trim_end())).collect()
}

fn composed(app: &AppSpec, enter: &EnterSpec) -> String {
    lines(&compose(app, enter, &host()).unwrap().plan)
}

fn refused(app: &AppSpec) -> String {
    let error = compose(app, &entrance(), &host()).unwrap_err();
    error.to_string()
}

#[test]
fn a_command_has_every_restriction_of_its_app() {
    let two = app(STORED, "two");
    let composed = compose(&two, &entrance(), &host()).unwrap();
    assert_eq!(
        lines(&composed.plan),
        "plan 1\n\
         join mnt 80\n\
         join pid 81\n\
         app two\n\
         process\n\
         oom-score-adj 300\n\
         attribute apparmor/exec 'exec profile'\n\
         umask 0022\n\
         session\n\
         keyring\n\
         bounding chown,kill\n\
         groups 2 7 8\n\
         gid 1001\n\
         uid 1000\n\
         capabilities sys_admin\n\
         workdir /srv\n\
         seccomp 100\n\
         env A=1\n\
         env B=2\n\
         main 2 ls -l\n\
         init\n\
         bounding kill\n\
         capabilities kill\n\
         no-new-privs\n\
         seccomp 93\n\
         undo\n"
    );
    let filter = NeededDescriptor::Filter(DEFAULT_FILTER, Program::default().bytes);
    assert_eq!(composed.needed, [filter, init_filter()]);
    assert!(composed.groups.is_empty());
}

#[test]
fn an_old_kernel_has_one_file_for_the_labels_of_all_modules() {
    let host = Host {
        kernel: (5, 7),
        ..host()
    };
    let of = |stored: &str| {
        lines(
            &compose(&app(stored, "two"), &entrance(), &host)
                .unwrap()
                .plan,
        )
    };
    let text = of(STORED);
    assert!(text.contains("\nattribute exec 'exec profile'\n"), "{text}");
    let text = of(&STORED.replace("'exec profile'", "u:r:t:s0"));
    assert!(text.contains("\nattribute exec u:r:t:s0\n"), "{text}");
}

#[test]
fn another_user_has_the_rights_that_it_would_have_in_the_app() {
    let mut enter = entrance();
    enter.gid = Some(Sourced::new(6, "option --group"));
    for (uid, capabilities) in [(0, "chown,kill,sys_admin"), (5, "sys_admin")] {
        enter.uid = Some(uid);
        let text = composed(&app(STORED, "two"), &enter);
        let expected = format!(
            "bounding chown,kill\ngroups 0\ngid 6\nuid {uid}\ncapabilities {capabilities}\nworkdir /srv\n"
        );
        assert!(text.contains(&expected), "{text}");
    }
    // Without a filter, nothing more is needed.
    let stored = STORED.replacen("seccomp 100", "no-new-privs", 1);
    for (uid, capabilities) in [(0, "chown,kill"), (5, "''")] {
        enter.uid = Some(uid);
        let text = composed(&app(&stored, "two"), &enter);
        let expected = format!(
            "uid {uid}\ncapabilities {capabilities}\nno-new-privs\nworkdir /srv\nenv A=1\n"
        );
        assert!(text.contains(&expected), "{text}");
    }
}

#[test]
fn only_the_requested_ids_change() {
    for (uid, gid, ids) in [
        (Some(5), None, "groups 0\ngid 1001\nuid 5\n"),
        (None, Some(6), "groups 0\ngid 6\nuid 1000\n"),
        (None, None, "groups 2 7 8\ngid 1001\nuid 1000\n"),
    ] {
        let enter = EnterSpec {
            uid,
            gid: gid.map(|gid| Sourced::new(gid, "option --group")),
            ..entrance()
        };
        let text = composed(&app(STORED, "two"), &enter);
        assert!(text.contains(&format!("\n{ids}capabilities ")), "{text}");
    }
    let enter = EnterSpec {
        uid: Some(5),
        gid: Some(Sourced::new(1001, BY_USER)),
        ..entrance()
    };
    let plan = compose(&app(STORED, "two"), &enter, &host()).unwrap().plan;
    for (directive, reason) in [
        ("groups 0", "none: another user"),
        ("gid 1001", "as the app"),
        ("uid 5", "option --user"),
    ] {
        let line = format!("{directive:<47} # {reason}\n");
        assert!(plan.text().contains(&line), "{}", plan.text());
    }
}

#[test]
fn another_user_brings_its_groups_and_its_variables() {
    let stored = STORED.replacen("env A=1", "env A=1\nenv HOME=/app\nenv USER=app", 1);
    let mut app = app(&stored, "two");
    for one in &mut app.process.environment {
        if one.value.name == "USER" {
            one.reason = BY_ACCOUNT.to_owned();
        }
    }
    let enter = EnterSpec {
        uid: Some(33),
        gid: Some(Sourced::new(34, BY_USER)),
        groups: vec![4, 10],
        account: [("HOME", "/srv/web"), ("LOGNAME", "web")]
            .map(|(name, value)| Variable::new(name, value))
            .into(),
        ..entrance()
    };
    let text = composed(&app, &enter);
    assert!(text.contains("\ngroups 2 4 10\ngid 34\nuid 33\n"), "{text}");
    // What the image sets stays, and what was the other user's goes.
    assert!(text.contains("\nenv HOME=/app\n"), "{text}");
    assert!(text.contains("\nenv LOGNAME=web\n"), "{text}");
    assert!(!text.contains("env USER="), "{text}");
}

#[test]
fn a_command_is_restricted_even_where_the_plan_says_nothing() {
    let enter = EnterSpec {
        uid: Some(5),
        gid: Some(Sourced::new(6, "option --group")),
        directory: Some("/tmp".to_owned()),
        ..entrance()
    };
    let begin = "plan 1\njoin mnt 80\njoin pid 81\napp a\nprocess\numask 0022\n";
    let end =
        "main 2 ls -l\ninit\nbounding kill\ncapabilities kill\nno-new-privs\nseccomp 93\nundo\n";
    for (process, expected) in [
        (
            "main 1 x",
            "bounding all\ngroups 0\ngid 6\nuid 5\ncapabilities ''\nworkdir /tmp\n",
        ),
        (
            "no-new-privs\nseccomp 100\nmain 1 x",
            "bounding all\ngroups 0\ngid 6\nuid 5\ncapabilities ''\nno-new-privs\nworkdir /tmp\nseccomp 100\n",
        ),
        // The app's terminal does not matter.
        (
            "uid 1\nterminal 3\nmain 1 x",
            "bounding all\ngroups 0\ngid 6\nuid 5\ncapabilities ''\nworkdir /tmp\n",
        ),
    ] {
        let app = app(&format!("plan 1\napp a\nprocess\n{process}\n"), "a");
        for (terminal, streams) in [(false, "session\n"), (true, "terminal 98\n")] {
            let enter = EnterSpec {
                terminal,
                uid: enter.uid,
                gid: enter.gid.clone(),
                directory: enter.directory.clone(),
                ..entrance()
            };
            assert_eq!(
                composed(&app, &enter),
                format!("{begin}{streams}keyring\n{expected}{end}")
            );
        }
    }
    // If nothing restricts root in the app, nothing does in the command.
    let enter = EnterSpec {
        uid: Some(0),
        ..entrance()
    };
    let text = composed(&app("plan 1 app a process uid 5 main 1 x", "a"), &enter);
    assert!(text.contains("uid 0\ncapabilities all\n"), "{text}");
}

#[test]
fn a_filter_that_only_the_caller_had_open_is_an_error() {
    let stored = STORED.replacen("seccomp 100", "seccomp 101", 1);
    assert_eq!(
        refused(&app(&stored, "two")),
        "its plan uses descriptor 101, which only the process that ran the pod had open"
    );
    compose(&app(&stored, "one"), &entrance(), &host()).unwrap();
}

#[test]
fn an_app_with_restrictions_that_cannot_be_copied_is_not_entered() {
    for beyond in [
        "rlimit nofile 1024 4096",
        "ambient chown",
        "attribute current x",
        "seccomp 5",
    ] {
        let stored = STORED.replacen("env A=1", &format!("{beyond}\nenv A=1"), 1);
        assert_eq!(
            refused(&app(&stored, "two")),
            format!(
                "its plan restricts the app with `{beyond}`, which cannot be applied to a command"
            )
        );
        compose(&app(&stored, "one"), &entrance(), &host()).unwrap();
    }
}

/// An app's capabilities can allow it more calls than the default filter does;
/// not if a written plan names that filter.
#[test]
fn a_command_has_the_filter_that_the_plan_names() {
    let filter = NeededDescriptor::Filter(DEFAULT_FILTER, Program::default().bytes);
    let filters = [filter, init_filter()];
    for bounding in [
        "bounding all",
        "bounding kill",
        "bounding net_raw,sys_admin",
    ] {
        let stored = format!("plan 1\napp a\nprocess\n{bounding}\nseccomp 100\nmain 1 x\n");
        let composed = compose(&app(&stored, "a"), &entrance(), &host()).unwrap();
        assert_eq!(composed.needed, filters, "{bounding}");
        assert!(lines(&composed.plan).contains("\nseccomp 100\nmain "));
    }
}

#[test]
fn variables_replace_those_with_the_same_name_in_place() {
    let mut enter = entrance();
    enter.variables = vec![Variable::new("C", "x=y"), Variable::new("A", "")];
    let text = composed(&app(STORED, "two"), &enter);
    assert!(
        text.contains("env A=\nenv B=2\nenv C=x=y\nmain 2 ls -l\n"),
        "{text}"
    );
}

#[test]
fn values_of_the_pods_init_come_first() {
    let mut enter = entrance();
    let (some, none) = (Limit(Some(7)), Limit(None));
    enter.limits = vec![(Resource::Stack, some, none), (Resource::Core, some, some)];
    enter.oom_score = Some(-17);
    let limits = "process\nrlimit stack 7 unlimited\nrlimit core 7 7\n";
    let text = composed(&app(STORED, "one"), &enter);
    assert!(
        text.contains(&format!("{limits}oom-score-adj -17\numask 0022\n")),
        "{text}"
    );
    // A plan may set an app's OOM score.
    let text = composed(&app(STORED, "two"), &enter);
    assert!(
        text.contains(&format!("{limits}oom-score-adj 300\nattribute ")),
        "{text}"
    );
    assert_eq!(text.matches("oom-score-adj").count(), 1);
}

#[test]
fn apps_have_users_and_pods_have_processes() {
    let stored = spec(STORED);
    for (name, uid, gid) in [("one", 1, 0), ("two", 1000, 1001)] {
        let process = &stored.app(name).unwrap().process;
        assert_eq!((process.uid.value, process.gid.value), (uid, gid));
    }
    assert_eq!(stored.app("three"), None);
    assert_eq!(stored.processes, Namespace::Planned);
    let shared = spec("plan 1\nunshare mnt\napp a\nprocess\nmain 1 x\n");
    assert_eq!(shared.processes, Namespace::Host);
}

/// What the processes of the app `two` do to themselves.
fn process(plan: &Plan) -> String {
    let text = lines(plan);
    let (_, two) = text.split_once("app two\n").unwrap();
    let (_, process) = two.split_once("process\n").unwrap();
    process.split("main ").next().unwrap().to_owned()
}

fn filters(composed: &Composed) -> Vec<&NeededDescriptor> {
    let needed = composed.needed.iter();
    needed
        .filter(|one| matches!(one, NeededDescriptor::Filter(..)))
        .collect()
}

#[test]
fn a_command_restricts_itself_like_the_app() {
    let mut spec = spec(STORED);
    spec.planned = false;
    let calls = |set: &str| Calls {
        set: vec![set.to_owned()],
        errno: None,
    };
    for (policy, capabilities) in [
        (SeccompPolicy::Default, Capabilities::KILL),
        (SeccompPolicy::Default, Capabilities::SYS_ADMIN),
        (SeccompPolicy::Remove(calls("statx")), Capabilities::CHOWN),
        (
            SeccompPolicy::Retain {
                calls: calls("read"),
                bounded: true,
            },
            Capabilities::EMPTY,
        ),
        (SeccompPolicy::Unconfined, Capabilities::EMPTY),
    ] {
        for no_new_privileges in [None, Some("option".to_owned())] {
            let two = &mut spec.apps[1].process;
            (two.pre_start, two.post_stop) = (None, None);
            two.stdio = Stdio::Inherited;
            two.rights.capabilities.value = CapabilityBound::Only(capabilities);
            two.rights.seccomp.value = policy.clone();
            two.rights.no_new_privileges = no_new_privileges;
            let whole = pod::compose(&spec, &host(), &Cgroups::default(), Streams::Inherited);
            let whole = whole.unwrap();
            let command = compose(&spec.apps[1], &entrance(), &host()).unwrap();
            assert_eq!(process(&command.plan), process(&whole.plan), "{policy:?}");
            assert_eq!(filters(&command), filters(&whole), "{policy:?}");
        }
    }
}
