//! Options that people know from other runners, seen from inside of a pod, in
//! its plan, and by a command beside its app.

use super::Pods;
use crate::golden::Cases;
use crate::life::Life;

/// What options of a pod and of an app change: a shell script that shows it,
/// what it says, and what the plan says.
struct Case {
    pod: &'static [&'static str],
    app: &'static [&'static str],
    script: &'static str,
    says: &'static str,
    planned: &'static str,
}

const CASES: &[Case] = &[
    Case {
        pod: &[],
        app: &["--ulimit=nofile=100:200", "--ulimit=CORE=0"],
        script: "ulimit -Sn; ulimit -Hn; ulimit -Sc; ulimit -Hc",
        says: "100\n200\n0\n0\n",
        planned: "rlimit nofile 100 200                           # option --ulimit\n\
                  rlimit core 0 0                                 # option --ulimit\n",
    },
    Case {
        pod: &[],
        app: &["--ulimit=nofile=3"],
        script: "ulimit -Sn; ulimit -Hn",
        says: "3\n3\n",
        planned: "rlimit nofile 3 3                               # option --ulimit\n",
    },
    Case {
        pod: &[],
        app: &["--ulimit=stack=1048576:-1", "--ulimit=cpu=9:unlimited"],
        script: "ulimit -Ss; ulimit -Hs; ulimit -St; ulimit -Ht",
        says: "1024\nunlimited\n9\nunlimited\n",
        planned: "rlimit stack 1048576 unlimited                  # option --ulimit\n\
                  rlimit cpu 9 unlimited                          # option --ulimit\n",
    },
    Case {
        pod: &["--shm-size=1Mi"],
        app: &[],
        script: "grep ' /dev/shm ' /proc/mounts",
        says: "tmpfs /dev/shm tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k 0 0\n",
        planned: "mount tmpfs tmpfs /dev/shm nosuid,nodev,noexec mode=1777,size=1048576 # option --shm-size\n",
    },
    Case {
        pod: &[
            "--sysctl=net.core.somaxconn=99",
            "--sysctl=kernel.shm_rmid_forced=1",
        ],
        app: &[],
        script: "cd /proc/sys; cat net/core/somaxconn kernel/shm_rmid_forced",
        says: "99\n1\n",
        planned: "sysctl kernel.shm_rmid_forced 1                 # option --sysctl\n\
                  sysctl net.core.somaxconn 99                    # option --sysctl\n",
    },
    Case {
        pod: &[],
        app: &["--tmpfs=/x:size=1Mi,mode=700,noexec,rw", "--tmpfs=/y:ro"],
        script: "grep -E ' /[xy] ' /proc/mounts | sed 's/size=.*//'; stat -c %a /x /y",
        says: "tmpfs /x tmpfs rw,nosuid,nodev,noexec,relatime,\n\
               tmpfs /y tmpfs ro,nosuid,nodev,relatime,\n700\n1777\n",
        planned: "mount tmpfs tmpfs /x nosuid,nodev,noexec mode=700,size=1048576 # option --tmpfs\n\
                  mount tmpfs tmpfs /y ro,nosuid,nodev mode=1777,size=25% # option --tmpfs\n",
    },
    Case {
        pod: &[],
        app: &["--cap-drop=all", "--cap-add=kill,CAP_CHOWN"],
        script: "grep CapBnd /proc/self/status",
        says: "CapBnd:\t0000000000000021\n",
        planned: "bounding chown,kill                             # option --cap-drop\n",
    },
    Case {
        pod: &[],
        app: &["--cap-add=Cap_Sys_Admin", "--cap-drop=net_raw"],
        script: "grep CapBnd /proc/self/status",
        says: "CapBnd:\t00000000a82405fb\n",
        planned: "bounding chown,dac_override,fowner,fsetid,kill,setgid,setuid,setpcap,net_bind_service,sys_chroot,sys_admin,mknod,audit_write,setfcap # option --cap-drop\n",
    },
    Case {
        pod: &["--env=A=1"],
        app: &["--env=B=2"],
        script: "echo $A $B",
        says: "1 2\n",
        planned: "env A=1                                         # option --set-env\n\
                  env B=2                                         # option --environment\n",
    },
];

#[test]
fn a_limit_that_is_too_tight_to_start_under_is_named() {
    require_root!();
    let (pods, mut cases) = (Pods::new(), Cases::default());
    for (options, limit) in [
        (&[][..], "as=1000000"),
        (&[], "data=4096"),
        (&["--oom-score-adj=5"], "nofile=0"),
    ] {
        let limit = format!("--ulimit={limit}");
        let words = [&["BUSYBOX", &*limit], options, SHELL, &[":"]].concat();
        let ran = pods.run(&words).run().exits(125).says("");
        cases.add(&limit, &ran.told());
    }
    let long = "a".repeat(100_000);
    let words = [&["BUSYBOX", "--ulimit=stack=4096"], SHELL, &[&long]].concat();
    let ran = pods.run(&words).run().exits(126).says("");
    cases.add("--ulimit=stack=4096, and a long word", &ran.told());
    cases.as_written("limits that are too tight to start under");
}

const SHELL: &[&str] = &["--exec=/bin/sh", "--", "-c"];

#[test]
fn an_app_has_what_everyday_options_say() {
    require_root!();
    let pods = Pods::new();
    for case in CASES {
        let words = [case.pod, &["BUSYBOX"], case.app, SHELL, &[case.script]].concat();
        pods.run(&words)
            .run()
            .exits(0)
            .complains("")
            .says(case.says);
    }
}

#[test]
fn a_prepared_pod_has_what_everyday_options_say() {
    require_root!();
    let pods = Pods::new();
    for case in CASES {
        let prepare = [&["prepare"], case.pod, &["BUSYBOX"], case.app];
        let words = [&prepare.concat()[..], SHELL, &[case.script]].concat();
        let uuid = pods.call(&words).run().exits(0).stdout;
        let run = pods.call(&["run-prepared", uuid.trim_end()]).run();
        run.exits(0).complains("").says(case.says);
    }
}

#[test]
fn a_plan_shows_what_everyday_options_do_and_why() {
    require_root!();
    let pods = Pods::new();
    for case in CASES {
        let words = [&["plan"], case.pod, &["BUSYBOX"], case.app].concat();
        let plan = pods.call(&words).run().exits(0).complains("").stdout;
        for line in case.planned.lines() {
            assert!(plan.lines().any(|known| known == line), "{line}\n{plan}");
        }
    }
}

#[test]
fn a_command_beside_an_app_has_what_everyday_options_say() {
    require_root!();
    let life = Life::new();
    for case in CASES {
        let words = [
            case.pod,
            &["BUSYBOX"],
            case.app,
            &["--exec=/bin/sleep", "--", "600"],
        ];
        let uuid = life.detach(&words.concat());
        life.run(&["enter", &uuid, "/bin/sh", "-c", case.script])
            .exits(0)
            .complains("")
            .says(case.says);
        life.run(&["kill", &uuid]).exits(0);
        life.run(&["rm", &uuid]).exits(0);
    }
}

#[test]
fn apps_share_as_much_memory_as_their_pod_has() {
    require_root!();
    let show = [
        "-c",
        "grep ' /dev/shm ' /proc/mounts | grep -o size=[0-9k]*",
    ];
    let words = [
        &[
            "--shm-size=2Mi",
            "BUSYBOX",
            "--name=a",
            "--exec=/bin/sh",
            "--",
        ][..],
        &show,
    ];
    let other = [
        &["---", "BUSYBOX", "--name=b", "--exec=/bin/sh", "--"][..],
        &show,
    ];
    let pods = Pods::new();
    pods.run(&[words.concat(), other.concat()].concat())
        .run()
        .exits(0)
        .says("size=2048k\nsize=2048k\n");
}

#[test]
fn every_path_of_a_volume_can_be_written() {
    require_root!();
    let pods = Pods::new();
    pods.make(&[(r"a,b:c\d/file", "")]);
    for (options, app, listed) in [
        (
            &[r"--volume=HERE/a\,b\:c\\d:/x\,y\:z:ro"][..],
            &[][..],
            "/x,y:z/file\n",
        ),
        (&[r"-v=HERE/a,b\:c\d:/x,y"], &[], "/x,y/file\n"),
        (
            &[r"--volume=v,kind=host,source=HERE/a\,b:c\d"],
            &[r"--mount=volume=v,target=/x\,y:z"],
            "/x,y:z/file\n",
        ),
        (&[], &[r"--tmpfs=/x\:y\,z:size=1Mi"], "/x:y,z\n"),
    ] {
        let script = "ls -d /x*/file 2>/dev/null || ls -d /x*";
        let words = [options, &["BUSYBOX"], app, SHELL, &[script]].concat();
        pods.run(&words).run().exits(0).complains("").says(listed);
    }
}

#[test]
fn a_file_of_variables_may_come_from_another_system() {
    require_root!();
    let pods = Pods::new();
    pods.make(&[("dos.env", "\u{feff}A=1\r\n# B=3\r\nB=2\r\n")]);
    let script = "echo \"[$A] [$B]\"";
    let words = [&["--env-file=HERE/dos.env", "BUSYBOX"], SHELL, &[script]].concat();
    pods.run(&words)
        .run()
        .exits(0)
        .complains("")
        .says("[1] [2]\n");
}

#[test]
fn a_manifest_of_a_pod_has_the_capabilities_and_parameters_that_options_set() {
    require_root!();
    let life = Life::new();
    let uuid = life.detach(&[
        "--sysctl=net.core.somaxconn=99",
        "BUSYBOX",
        "--cap-drop=all",
        "--cap-add=kill",
        "--exec=/bin/sleep",
        "--",
        "600",
    ]);
    let manifest = life.run(&["cat-manifest", &uuid]).exits(0).stdout;
    let manifest: String = manifest.split_whitespace().collect();
    for expected in [
        r#"{"name":"os/linux/capabilities-retain-set","value":{"set":["CAP_KILL"]}}"#,
        r#"{"name":"os/unix/sysctl","value":{"net.core.somaxconn":"99"}}"#,
    ] {
        assert!(manifest.contains(expected), "{expected}\n{manifest}");
    }
    life.run(&["kill", &uuid]).exits(0);
}

#[test]
fn an_app_starts_with_the_least_memory_that_is_accepted() {
    require_root!();
    let life = Life::new();
    if !life.limits(&["--memory=768Ki"]) {
        return crate::host::skipped("nothing limits memory here");
    }
    let run = |memory| life.run(&["run", "PROBE", memory, "--", "--stdout", "runs"]);
    run("--memory=768Ki").exits(0).complains("").says("runs\n");
    run("--memory=767Ki")
        .exits(125)
        .says("")
        .complains_as("less memory than it takes to start an app");
}

#[test]
fn what_is_not_supported_yet_is_told_and_strict_refuses_it() {
    require_root!();
    let pods = Pods::new();
    let app = r#"{"exec": ["/probe"], "user": "0", "group": "0", "ports": [
        {"name": "web", "protocol": "tcp", "port": 80, "socketActivated": true},
        {"name": "plain", "protocol": "tcp", "port": 81}]}"#;
    let manifest = crate::aci::manifest(app);
    let notify = r#"{"name": "appc.io/executor/supports-systemd-notify", "value": "true"}"#;
    let with = manifest.replacen('{', &format!(r#"{{"annotations": [{notify}], "#), 1);
    let bytes = crate::aci::Aci::new(&with)
        .file(
            "rootfs/probe",
            0o755,
            std::fs::read(crate::host::probe()).unwrap(),
        )
        .bytes();
    pods.0.write("asks.aci", bytes);
    let words = ["HERE/asks.aci", "--", "--stdout", "runs"];
    pods.run(&words)
        .run()
        .exits(0)
        .says("runs\n")
        .complains_as("what is not supported yet");
    pods.run(&[&["--strict"], &words[..]].concat())
        .run()
        .exits(125)
        .says("")
        .complains_as("what is not supported yet, with --strict");
}
