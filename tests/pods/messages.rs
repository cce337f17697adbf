//! Whatever can be wrong on the command line of a pod. Nothing is run.

use super::Pods;
use crate::host::launcher;

/// Runs command lines, split at blanks, that are all refused.
#[track_caller]
fn refused(cases: &[(&str, &str)]) {
    let pods = Pods::new();
    pods.make(&[
        ("file", ""),
        ("bad.env", "A=1\n\nexport B=2\n"),
        ("twice.env", "A=1\nA=2\n"),
        ("ours.env", "AC_APP_NAME=x\n"),
        ("none.json", "{}"),
    ]);
    std::os::unix::fs::symlink("file", pods.0.join("link")).unwrap();
    for (line, text) in cases {
        let words: Vec<&str> = line.split(' ').collect();
        let here = pods.0.path().display().to_string();
        for (verb, status) in [("run", 125), ("plan", 2), ("prepare", 2)] {
            let ran = pods.call(&[&[verb], &words[..]].concat()).run();
            let text = text.replace("HERE", &here).replace("VERB", verb);
            // What only the host shows is no wrong usage.
            let status = match ran.exited() {
                Some(1) if status == 2 => 1,
                _ => status,
            };
            ran.exits(status)
                .says("")
                .complains(&format!("launcher: {text}\n"));
        }
    }
}

#[test]
fn options_in_the_wrong_place() {
    refused(&[
        (
            "--exec /x a.aci -- y",
            "`--exec` is an option of an app and stands behind its image\nhint: `launcher VERB a.aci --exec=/x -- y`",
        ),
        (
            "a.aci --hostname web --- b.aci --user 1",
            "`--hostname` is an option of the pod and stands before the first image\nhint: `launcher VERB --hostname=web a.aci --- b.aci --user=1`",
        ),
        (
            "--mount volume=a,target=/a --volume a,kind=empty a.aci",
            "`--mount` is an option of an app and stands behind its image\nhint: `launcher VERB --volume=a,kind=empty a.aci --mount=volume=a,target=/a`",
        ),
        (
            "--- a.aci",
            "an image is missing\nhint: for instance `hello.aci`",
        ),
        (
            "-- a.aci",
            "an image is missing\nhint: for instance `hello.aci`",
        ),
        ("a.aci ---", "an image is missing behind `---`"),
        ("a.aci --- --user 1", "an image is missing behind `---`"),
        (
            "a.aci b.aci",
            "`b.aci` is one argument too many\nhint: arguments of the app stand behind `--`, another app behind `---`",
        ),
    ]);
}

#[test]
fn options_of_pods() {
    refused(&[
        (
            "--hostname a --hostname b a.aci",
            "`--hostname` is given twice",
        ),
        ("--hostname", "`--hostname` needs a value"),
        (
            "--hostname a_b PROBE",
            "`a_b` cannot be a host name\nhint: letters, digits, `-` and `.`, at most 64 of them",
        ),
        (
            "--interactive=maybe a.aci",
            "`--interactive=maybe` is neither `true` nor `false`",
        ),
        (
            "--no-overlay=2 a.aci",
            "`--no-overlay=2` is neither `true` nor `false`",
        ),
        (
            "--strict=2 a.aci",
            "`--strict=2` is neither `true` nor `false`",
        ),
        (
            "--inherit-env= a.aci",
            "`--inherit-env=` is neither `true` nor `false`",
        ),
        (
            "--interactive PROBE --name a --- PROBE --name b",
            "`--interactive` gives the terminal to an app, and the pod has several",
        ),
        (
            "--uuid 1 a.aci",
            "`--uuid`: `1` is not a UUID: it does not have 32 hexadecimal digits",
        ),
        (
            "--set-env A a.aci",
            "`--set-env`: `A` has no `=`\nhint: a variable is written `NAME=VALUE`",
        ),
        (
            "--set-env 1=2 a.aci",
            "`--set-env`: `1` cannot name a variable: letters, digits, `_`, `.` and `-` can, a letter or `_` first",
        ),
        (
            "--set-env A=1 --set-env A=2 a.aci",
            "`--set-env` sets `A` twice",
        ),
        (
            "--set-env container=x a.aci",
            "`--set-env`: variable `container` cannot be set: Nose Cone says with it what is so",
        ),
        (
            "--set-env-file HERE/ours.env PROBE",
            "cannot read the variables of `HERE/ours.env`: variable `AC_APP_NAME` cannot be set: Nose Cone says with it what is so",
        ),
        (
            "--set-env-file HERE/none.env PROBE",
            "cannot read the variables of `HERE/none.env`: cannot open it: No such file or directory",
        ),
        (
            "--set-env-file HERE/bad.env PROBE",
            "cannot read the variables of `HERE/bad.env`: line 3: `export B` cannot name a variable: letters, digits, `_`, `.` and `-` can, a letter or `_` first",
        ),
        (
            "--set-env-file HERE/twice.env PROBE",
            "cannot read the variables of `HERE/twice.env`: line 2 sets `A` again, after line 1",
        ),
        (
            "--locale a/b a.aci",
            "`--locale`: `a/b` cannot be a locale\nhint: a name like `C.UTF-8`",
        ),
        (
            "--timezone ../shadow PROBE",
            "`../shadow` cannot be a time zone\nhint: `host`, or a name like `Europe/Berlin`",
        ),
        (
            "--timezone Europe/Atlantis PROBE",
            "the host has no time zone `Europe/Atlantis` in `/usr/share/zoneinfo`: No such file or directory",
        ),
        (
            "--annotation a a.aci",
            "`--annotation`: `a` is not `NAME=VALUE`",
        ),
        (
            "--annotation A=1 a.aci",
            "`--annotation`: `A` is not an AC Identifier: `A` is not allowed\nhint: `a` would be one",
        ),
        (
            "--annotation a=1 --annotation a=2 a.aci",
            "`--annotation`: annotation `a` stands twice",
        ),
        (
            "--pod-manifest p.json a.aci",
            "`--pod-manifest` and `a.aci` exclude each other",
        ),
        (
            "--pod-manifest p.json --set-env A=1",
            "`--pod-manifest` and `--set-env` exclude each other",
        ),
        (
            "--pod-manifest HERE/none.json",
            "cannot read pod manifest `HERE/none.json`: field `acKind` is missing",
        ),
        (
            "--pod-manifest p.json --inherit-env",
            "`--pod-manifest` and `--inherit-env` exclude each other",
        ),
    ]);
}

#[test]
fn volumes() {
    refused(&[
        (
            "--volume Data,kind=empty a.aci",
            "`--volume`: `Data` is not an AC Name: `D` is not allowed\nhint: `data` would be one",
        ),
        ("--volume d a.aci", "`--volume`: the key `kind` is missing"),
        (
            "--volume d,kind a.aci",
            "`--volume`: `kind` is not `KEY=VALUE`",
        ),
        (
            "--volume d,kind=disk a.aci",
            "`--volume`: `disk` is no kind of volume: `host` or `empty` is wanted",
        ),
        (
            "--volume d,kind=empty,size=1 a.aci",
            "`--volume`: there is no key `size`\nhint: the keys are `kind`, `source`, `readOnly`, `recursive`, `followSymlinks`, `mode`, `uid`, `gid`",
        ),
        (
            "--volume d,kind=empty,uid=1,uid=1 a.aci",
            "`--volume`: the key `uid` stands twice",
        ),
        (
            "--volume d,kind=host a.aci",
            "`--volume`: the key `source` is missing",
        ),
        (
            "--volume d,kind=host,source=srv a.aci",
            "`--volume`: the source `srv` is not an absolute path",
        ),
        (
            "--volume d,kind=host,source=/,mode=0700 a.aci",
            "`--volume`: a volume of kind `host` has no `mode`",
        ),
        (
            "--volume d,kind=empty,source=/ a.aci",
            "`--volume`: a volume of kind `empty` has no `source`",
        ),
        (
            "--volume d,kind=empty,recursive=true a.aci",
            "`--volume`: a volume of kind `empty` has no `recursive`",
        ),
        (
            "--volume d,kind=empty,mode=rwx a.aci",
            "`--volume`: `rwx` is no mode: octal digits up to `7777` are wanted",
        ),
        (
            "--volume d,kind=empty,uid=root a.aci",
            "`--volume`: `root` is no uid",
        ),
        (
            "--volume d,kind=empty,gid=4294967295 a.aci",
            "`--volume`: `4294967295` is no gid",
        ),
        (
            "--volume d,kind=empty,readOnly=yes a.aci",
            "`--volume`: `readOnly=yes` is neither `true` nor `false`",
        ),
        (
            "--volume d,kind=host,source=/,recursive= a.aci",
            "`--volume`: `recursive=` is neither `true` nor `false`",
        ),
        (
            "--volume d,kind=empty --volume d,kind=empty PROBE",
            "there are two volumes `d`",
        ),
        (
            "--volume d,kind=empty PROBE",
            "no app mounts volume `d`\nhint: `--mount volume=d,target=PATH` behind an image does",
        ),
        (
            "PROBE --mount volume=d,target=/d",
            "app `probe` mounts volume `d`, which there is not\nhint: `--volume d,kind=empty` makes an empty one",
        ),
        (
            "--volume d,kind=host,source=HERE/none PROBE --mount volume=d,target=/d",
            "volume `d`: cannot use `HERE/none`: No such file or directory",
        ),
        (
            "--volume d,kind=host,source=HERE/link PROBE --mount volume=d,target=/d",
            "volume `d`: a symbolic link is in the path `HERE/link`\nhint: its target could be exchanged; `followSymlinks=true` allows it",
        ),
        (
            "--volume d,kind=host,source=HERE/file PROBE --mount volume=d,target=/",
            "cannot mount volume `d` on `/` of app `probe`: every app has its own there",
        ),
        (
            "--volume d,kind=empty PROBE --mount volume=d,target=/probe",
            "cannot mount volume `d` on `/probe` of app `probe`: it is a directory, and the image has a file there",
        ),
        (
            "--volume d,kind=empty --volume e,kind=empty PROBE --mount volume=d,target=/d --mount volume=e,target=d/e",
            "volumes `d` and `e` of app `probe` overlap: `/d` and `/d/e`",
        ),
        (
            "a.aci --mount target=/d",
            "`--mount`: the key `volume` is missing",
        ),
        (
            "a.aci --mount volume=d",
            "`--mount`: the key `target` is missing",
        ),
        (
            "a.aci --mount volume=d,target=",
            "`--mount`: the target is empty",
        ),
        (
            "a.aci --mount volume=d,target=/d,ro=true",
            "`--mount`: there is no key `ro`\nhint: the keys are `volume`, `target`",
        ),
        (
            "a.aci --mount volume=d,target=/d --mount volume=e,target=d/.",
            "`--mount` names the target `/d` twice",
        ),
    ]);
}

#[test]
fn options_of_apps() {
    refused(&[
        (
            "PROBE --- PROBE",
            "two apps are called `probe`\nhint: `--name NAME` behind an image calls its app something else",
        ),
        (
            "a.aci --name A",
            "`--name`: `A` is not an AC Name: `A` is not allowed\nhint: `a` would be one",
        ),
        ("a.aci --exec=", "`--exec`: the value is empty"),
        ("a.aci --user=", "`--user`: the value is empty"),
        ("a.aci --group=", "`--group`: the value is empty"),
        (
            "PROBE --user web",
            "the image has no user `web` in `/etc/passwd`",
        ),
        (
            "PROBE --group -1",
            "the image has no group `-1` in `/etc/group`",
        ),
        (
            "PROBE --name a --- PROBE --name b --user /none",
            "app `b`: cannot take the user from `/none`: the image has no such file",
        ),
        (
            "a.aci --supplementary-gids 1,staff",
            "`--supplementary-gids`: `staff` is no group id",
        ),
        (
            "a.aci --supplementary-gids 4294967295",
            "`--supplementary-gids`: `4294967295` is no group id",
        ),
        (
            "a.aci --working-dir srv",
            "`--working-dir`: `srv` is not an absolute path\nhint: paths in manifests start with `/`, the root of the image",
        ),
        (
            "a.aci --environment A",
            "`--environment`: `A` has no `=`\nhint: a variable is written `NAME=VALUE`",
        ),
        (
            "a.aci --environment A=1 --environment A=1",
            "`--environment` sets `A` twice",
        ),
        (
            "a.aci --readonly-rootfs=y",
            "`--readonly-rootfs=y` is neither `true` nor `false`",
        ),
        (
            "a.aci --no-new-privileges=y",
            "`--no-new-privileges=y` is neither `true` nor `false`",
        ),
        (
            "a.aci --annotation =",
            "`--annotation`: `=` is not `NAME=VALUE`",
        ),
        (
            "a.aci --user-annotation a",
            "`--user-annotation`: `a` is not `NAME=VALUE`",
        ),
        (
            "a.aci --user-label a",
            "`--user-label`: `a` is not `NAME=VALUE`",
        ),
        (
            "a.aci --user-label a=1 --user-label a=2",
            "`--user-label` sets `a` twice",
        ),
        (
            "a.aci --caps-retain CAP_CHOWN --caps-remove CAP_KILL",
            "`--caps-retain` and `--caps-remove` exclude each other",
        ),
        (
            "a.aci --caps-retain ,",
            "`--caps-retain`: field `set`: must not be empty",
        ),
        (
            "a.aci --memory lots",
            "`--memory`: `lots` is not a quantity\nhint: a number and one of n, u, m, k, M, G, T, P, E, Ki, Mi, Gi, Ti, Pi, Ei",
        ),
        (
            "a.aci --memory 16",
            "`--memory`: `16` is less than a page of memory\nhint: bytes are meant; `16Mi` is 16 times 1024 times 1024",
        ),
        (
            "a.aci --memory -1",
            "`--memory`: field `limit`: `-1` is less than nothing",
        ),
        (
            "a.aci --cpu -1",
            "`--cpu`: field `limit`: `-1` is less than nothing",
        ),
        (
            "a.aci --cpu-shares 1",
            "`--cpu-shares`: expected a whole number from 2 to 262144, found `1`",
        ),
        (
            "a.aci --oom-score-adj 1001",
            "`--oom-score-adj`: expected a whole number from -1000 to 1000, found `1001`",
        ),
        (
            "--pids-limit 0 a.aci",
            "`--pids-limit`: `0` is no number of processes\nhint: a whole number from 1 on, or `unlimited`",
        ),
        (
            "--pids-limit none a.aci",
            "`--pids-limit`: `none` is no number of processes\nhint: a whole number from 1 on, or `unlimited`",
        ),
        (
            "a.aci --allow-isolators=seccomp",
            "`--allow-isolators`: no rights are given by an isolator `seccomp`\nhint: there are `os/linux/apparmor-profile`, `os/linux/capabilities-retain-set`, `os/linux/oom-score-adj`, `os/linux/seccomp-retain-set`, `os/linux/selinux-context`",
        ),
        (
            "a.aci --tmpfs data",
            "`--tmpfs`: `data` is not an absolute path\nhint: paths in manifests start with `/`, the root of the image",
        ),
        (
            "a.aci --tmpfs /dev/shm",
            "`--tmpfs`: cannot mount memory on `/dev/shm`: every app has its own there",
        ),
        (
            "a.aci --tmpfs /a/../proc",
            "`--tmpfs`: cannot mount memory on `/a/../proc`: `..` leads elsewhere than it says",
        ),
        (
            "a.aci --tmpfs /a:size=0",
            "`--tmpfs`: `0` is less than a page of memory\nhint: bytes are meant; `16Mi` is 16 times 1024 times 1024",
        ),
        (
            "a.aci --tmpfs /a:size=101%",
            "`--tmpfs`: `101%` is no part of the memory\nhint: from `1%` to `100%`",
        ),
        (
            "a.aci --tmpfs /a:size=1Mi,owner=7",
            "`--tmpfs`: there is no key `owner`\nhint: the keys are `size`, `mode`",
        ),
        (
            "a.aci --tmpfs /a:mode=rw",
            "`--tmpfs`: `rw` is no mode: octal digits up to `7777` are wanted",
        ),
        (
            "a.aci --cpu-shares many",
            "`--cpu-shares`: `many` is no whole number",
        ),
        (
            "a.aci --seccomp a",
            "`--seccomp`: the key `mode` is missing",
        ),
        (
            "a.aci --seccomp mode=kill,a",
            "`--seccomp`: `kill` is no mode: `retain` or `remove` is wanted",
        ),
        (
            "a.aci --seccomp mode=retain",
            "`--seccomp`: field `set`: must not be empty",
        ),
        (
            "a.aci --seccomp mode=retain,errno=1,a",
            "`--seccomp`: field `errno`: `1` is not the name of an error, like `EPERM`",
        ),
    ]);
}

#[test]
fn prepared_pods() {
    require_root!();
    let pods = Pods::new();
    for (word, text) in [
        (
            "abc",
            "there is no prepared pod `abc`\nhint: `launcher prepare` prints the UUID of the pod that it makes",
        ),
        ("", "the UUID of a pod is empty"),
    ] {
        pods.call(&["run-prepared", word])
            .run()
            .exits(125)
            .says("")
            .complains(&format!("launcher: {text}\n"));
    }
    launcher(&pods.dir())
        .arg("run-prepared")
        .run()
        .exits(125)
        .complains(
            "launcher: the UUID of a pod is missing\n\
             hint: `launcher prepare` prints the UUID of the pod that it makes\n",
        );
}
