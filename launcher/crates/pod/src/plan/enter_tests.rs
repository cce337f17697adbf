//! What of a plan is taken over for a command, and what is not.

use super::*;

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
join-cgroup 103                                 # the limits of its isolators
oom-score-adj 300                               # isolator os/linux/oom-score-adj
attribute exec 'exec profile'
stdio 0 105 106
umask 0022                                      # default
session                                         # default: no hold on the caller's terminal
keyring
bounding chown,kill                             # isolator of capabilities
groups 2 7 8
gid 1001
uid 1000
capabilities sys_admin                          # not root; sys_admin goes when it executes
workdir /srv                                    # option --working-dir
seccomp 101                                     # isolator of system calls
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
seccomp 100                                     # PID 1: the default
";

fn entrance(app: &str) -> Entrance {
    let own = Inherited::own().unwrap();
    Entrance {
        app: app.to_owned(),
        namespaces: vec![(Namespaces::MNT, 7), (Namespaces::PID, 8)],
        filters: BTreeMap::from([(100, 10), (101, 9)]),
        inherited: [own.clone(), own],
        streams: Streams::Callers,
        identity: None,
        directory: None,
        variables: Vec::new(),
        command: [c"ls", c"-l"].map(Into::into).to_vec(),
    }
}

fn composed(stored: &str, entrance: &Entrance) -> String {
    let stored = Plan::read(stored.as_bytes()).unwrap();
    let text = compose(&stored, entrance).unwrap().text();
    // It can be carried out as it stands.
    Plan::read(text.as_bytes()).unwrap();
    let lines = text.lines().map(|line| line.split(" #").next().unwrap());
    lines.map(|line| format!("{}\n", line.trim_end())).collect()
}

fn identity(uid: u32, gid: u32) -> Option<Identity> {
    Some(Identity { uid, gid })
}

#[test]
fn nothing_that_bounds_an_app_is_left_out_for_a_command() {
    assert_eq!(
        composed(STORED, &entrance("two")),
        "plan 1\n\
         join mnt 7\n\
         join pid 8\n\
         app two\n\
         process\n\
         oom-score-adj 300\n\
         attribute exec 'exec profile'\n\
         session\n\
         umask 0022\n\
         keyring\n\
         bounding chown,kill\n\
         groups 2 7 8\n\
         gid 1001\n\
         uid 1000\n\
         capabilities sys_admin\n\
         workdir /srv\n\
         seccomp 9\n\
         env A=1\n\
         env B=2\n\
         main 2 ls -l\n\
         init\n\
         bounding kill\n\
         capabilities kill\n\
         no-new-privs\n\
         seccomp 10\n"
    );
}

#[test]
fn who_becomes_another_has_the_rights_that_this_one_would_have_had() {
    let mut entrance = entrance("two");
    for (uid, capabilities) in [(0, "chown,kill,sys_admin"), (5, "sys_admin")] {
        entrance.identity = identity(uid, 6);
        let text = composed(STORED, &entrance);
        let expected = format!(
            "bounding chown,kill\ngroups 0\ngid 6\nuid {uid}\ncapabilities {capabilities}\nworkdir /srv\n"
        );
        assert!(text.contains(&expected), "{text}");
    }
    // Without a filter nothing more is needed.
    let stored = STORED.replace("seccomp 101", "no-new-privs");
    for (uid, capabilities) in [(0, "chown,kill"), (5, "''")] {
        entrance.identity = identity(uid, 6);
        let text = composed(&stored, &entrance);
        let expected = format!("uid {uid}\ncapabilities {capabilities}\nworkdir /srv\n");
        assert!(text.contains(&expected), "{text}");
    }
}

#[test]
fn what_a_plan_does_not_say_is_done_while_it_still_can_be() {
    let mut entrance = entrance("a");
    entrance.identity = identity(5, 6);
    entrance.directory = Some(c"/tmp".into());
    for (process, expected) in [
        (
            "main 1 x",
            "session\ngroups 0\ngid 6\nuid 5\ncapabilities ''\nworkdir /tmp\n",
        ),
        (
            "no-new-privs\nseccomp 101\nmain 1 x",
            "session\ngroups 0\ngid 6\nuid 5\ncapabilities ''\nno-new-privs\nworkdir /tmp\nseccomp 9\n",
        ),
        (
            "uid 1\nambient chown\nterminal 3\nmain 1 x",
            "groups 0\ngid 6\nuid 5\ncapabilities ''\nsession\nworkdir /tmp\n",
        ),
    ] {
        let text = composed(&format!("plan 1\napp a\nprocess\n{process}\n"), &entrance);
        let begin = "plan 1\njoin mnt 7\njoin pid 8\napp a\nprocess\n";
        assert_eq!(text, format!("{begin}{expected}main 2 ls -l\n"));
    }
    // Where nothing bounds root, nothing does.
    entrance.identity = identity(0, 0);
    let text = composed("plan 1 app a process uid 5 main 1 x", &entrance);
    assert!(text.contains("uid 0\ncapabilities all\n"), "{text}");
}

#[test]
fn a_filter_that_is_not_at_hand_is_missed() {
    let mut entrance = entrance("two");
    entrance.filters.clear();
    let stored = Plan::read(STORED.as_bytes()).unwrap();
    assert_eq!(
        compose(&stored, &entrance).unwrap_err().to_string(),
        "its plan names the descriptor 101, which only whoever ran it had open"
    );
}

#[test]
fn variables_stand_where_those_stood_whose_names_they_have() {
    let mut entrance = entrance("two");
    let variable = |name: &str, value: &str| Variable {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    entrance.variables = vec![variable("C", "x=y"), variable("A", "")];
    let text = composed(STORED, &entrance);
    assert!(
        text.contains("env A=\nenv B=2\nenv C=x=y\nmain 2 ls -l\n"),
        "{text}"
    );
}

#[test]
fn each_app_has_its_image_and_its_user() {
    let stored = Plan::read(STORED.as_bytes()).unwrap();
    for (app, paths, uid, gid) in [
        ("one", &["/images/b", "/images/a"][..], 1, 0),
        ("two", &["/images/c"], 1000, 1001),
    ] {
        let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
        assert_eq!(layers(&stored, app), Some(paths));
        assert_eq!(
            crate::plan::enter::identity(&stored, app),
            Identity { uid, gid }
        );
    }
    assert_eq!(layers(&stored, "three"), None);
    assert!(has_own_processes(&stored));
    let shared = Plan::read(b"plan 1\nunshare mnt\napp a\nprocess\nmain 1 x\n").unwrap();
    assert!(!has_own_processes(&shared));
}
