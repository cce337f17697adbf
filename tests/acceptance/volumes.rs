//! Volumes: where they appear, who may write to them, what is there otherwise.

use std::fs;

use super::Said::Is;
use super::{BOTH, Case, Table};

const ROOT: &str = r#""exec": ["/probe"], "user": "0", "group": "0""#;

/// An app of the probe with this mount point.
fn pointed(point: &str) -> String {
    format!(r#"{{{ROOT}, "mountPoints": [{point}]}}"#)
}

#[test]
fn files_of_the_image_and_of_volumes_are_read_and_written_to() {
    require_root!();
    const CASES: &[Case<'_>] = &[
        (
            "a file of the image is read",
            "app.aci -- --read-file /dir1/file",
            0,
            Is("dir1\n"),
            "",
        ),
        (
            "a file of the image is written to, for this pod",
            "app.aci -- --write-file /dir1/file x --read-file /dir1/file",
            0,
            Is("write /dir1/file: ok\nx"),
            "",
        ),
        (
            "the next pod has the file of the image again",
            "app.aci -- --read-file /dir1/file",
            0,
            Is("dir1\n"),
            "",
        ),
        (
            "a file of the host is read",
            "--volume v,kind=host,source=HERE/v point.aci -- --read-file /data/file",
            0,
            Is("host\n"),
            "",
        ),
        (
            "what is written stays on the host",
            "--volume v,kind=host,source=HERE/v point.aci -- --write-file /data/two 2",
            0,
            Is("write /data/two: ok\n"),
            "",
        ),
        (
            "a volume without a mount point of the image, to be written to",
            "--volume v,kind=host,source=HERE/v app.aci --mount volume=v,target=/data \
             -- --read-file /data/file --write-file /data/two 2",
            0,
            Is("host\nwrite /data/two: ok\n"),
            "",
        ),
        (
            "a volume without a mount point of the image, only to be read",
            "--volume v,kind=host,source=HERE/v,readOnly=true app.aci \
             --mount volume=v,target=/data -- --read-file /data/file --write-file /data/file x",
            0,
            Is("host\nwrite /data/file: EROFS\n"),
            "",
        ),
        (
            "a volume over what the image has there, and that is said",
            "--volume v,kind=host,source=HERE/v app.aci --mount volume=v,target=/dir1 \
             -- --read-file /dir1/file",
            0,
            Is("host\n"),
            "what a volume hides",
        ),
        (
            "a volume over what the image has there, without an overlay",
            "--no-overlay --volume v,kind=host,source=HERE/v app.aci \
             --mount volume=v,target=/dir1 -- --read-file /dir1/file",
            0,
            Is("host\n"),
            "what a volume hides",
        ),
        (
            "a target that is not absolute begins at the root",
            "--volume v,kind=host,source=HERE/v app.aci --mount volume=v,target=data \
             -- --read-file /data/file",
            0,
            Is("host\n"),
            "",
        ),
        (
            "a root that is only read, and a volume that is written to",
            "--volume v,kind=host,source=HERE/v app.aci --readonly-rootfs \
             --mount volume=v,target=/data -- --write-file /new x --write-file /data/two 2",
            0,
            Is("write /new: EROFS\nwrite /data/two: ok\n"),
            "",
        ),
        (
            "one app writes, the next reads",
            "--volume v,kind=empty app.aci --name a --mount volume=v,target=/data \
             -- --write-file /data/two 2 \
             --- app.aci --name b --mount volume=v,target=/there \
             -- --sleep 1 --read-file /there/two",
            0,
            Is("write /data/two: ok\n2"),
            "",
        ),
        (
            "the tree of /sys is there",
            "app.aci -- --list /sys/class/net",
            0,
            Is("lo\n"),
            "",
        ),
        (
            "a volume in the tree of /sys",
            "--volume v,kind=host,source=HERE/v app.aci --mount volume=v,target=/sys/fs/cgroup \
             -- --list /sys/class/net --read-file /sys/fs/cgroup/file",
            0,
            Is("lo\nhost\n"),
            "",
        ),
        (
            "no volume in the place of all of /sys",
            "--volume v,kind=host,source=HERE/v app.aci --mount volume=v,target=/sys",
            125,
            Is(""),
            "a place of our own",
        ),
    ];
    let table = Table::new(&[
        ("app", &format!("{{{ROOT}}}")),
        ("point", &pointed(r#"{"name": "v", "path": "/data"}"#)),
    ]);
    let table = table.file("v/file", "host\n");
    table.check(BOTH, CASES);
    let two = fs::read_to_string(table.scratch.join("v/two"));
    assert_eq!(two.unwrap(), "2");
}

#[test]
fn who_says_that_a_volume_is_only_read_counts() {
    require_root!();
    let point = r#"{"name": "v", "path": "/data"}"#;
    let points = [
        ("point", pointed(point)),
        ("ro", pointed(&point.replace('}', r#", "readOnly": true}"#))),
        (
            "rw",
            pointed(&point.replace('}', r#", "readOnly": false}"#)),
        ),
    ];
    let points = points.each_ref().map(|(name, app)| (*name, app.as_str()));
    let table = Table::new(&points).file("v/file", "");
    for kind in ["kind=empty", "kind=host,source=HERE/v"] {
        for (key, image, said) in [
            ("", "point.aci", "ok"),
            ("", "rw.aci", "ok"),
            ("", "ro.aci", "EROFS"),
            (",readOnly=true", "point.aci", "EROFS"),
            (",readOnly=true", "rw.aci", "EROFS"),
            (",readOnly=true", "ro.aci", "EROFS"),
            (",readOnly=false", "point.aci", "ok"),
            (",readOnly=false", "rw.aci", "ok"),
            (",readOnly=false", "ro.aci", "EROFS"),
        ] {
            let line = format!("--volume v,{kind}{key} {image} -- --write-file /data/new x");
            let said = format!("write /data/new: {said}\n");
            table.check(BOTH, &[("read-only", &line, 0, Is(&said), "")]);
        }
    }
}

#[test]
fn what_is_not_there_is_made() {
    require_root!();
    let _ = image!("busybox");
    const CASES: &[Case<'_>] = &[
        (
            "directories above a target",
            "--volume v,kind=empty BUSYBOX --mount volume=v,target=/a/b/c \
             -- -c 'stat -c %n:%A:%u:%g /a /a/b /a/b/c'",
            0,
            Is("/a:drwxr-xr-x:0:0\n/a/b:drwxr-xr-x:0:0\n/a/b/c:drwxr-xr-x:0:0\n"),
            "",
        ),
        (
            "directories above a target, without an overlay",
            "--no-overlay --volume v,kind=empty BUSYBOX --mount volume=v,target=/a/b/c \
             -- -c 'stat -c %n:%A:%u:%g /a /a/b'",
            0,
            Is("/a:drwxr-xr-x:0:0\n/a/b:drwxr-xr-x:0:0\n"),
            "",
        ),
        (
            "an empty volume as it is asked for",
            "--volume v,kind=empty,mode=1770,uid=7,gid=8 BUSYBOX --mount volume=v,target=/v \
             -- -c 'stat -c %A:%u:%g /v'",
            0,
            Is("drwxrwx--T:7:8\n"),
            "",
        ),
        (
            "a volume for a mount point that has none, and that is said",
            "point.aci --exec /probe -- --write-file /deep/er/data/x x --list /deep/er/data",
            0,
            Is("write /deep/er/data/x: ok\nx\n"),
            "a mount point without a volume",
        ),
        (
            "targets deep in what is not there, side by side",
            "--volume v,kind=host,source=HERE/v --volume w,kind=empty BUSYBOX \
             --mount volume=v,target=/x/y/v --mount volume=w,target=/x/y/z/w \
             -- -c 'cat /x/y/v/file; ls -A /x/y/z'",
            0,
            Is("host\nw\n"),
            "",
        ),
        (
            "a source that is not there is named, and not made",
            "--volume v,kind=host,source=HERE/none BUSYBOX --mount volume=v,target=/v",
            125,
            Is(""),
            "no such source",
        ),
        (
            "two volumes of one name",
            "--volume v,kind=empty --volume v,kind=empty BUSYBOX --mount volume=v,target=/v",
            125,
            Is(""),
            "two volumes of one name",
        ),
        (
            "a volume that there is not",
            "BUSYBOX --mount volume=v,target=/v",
            125,
            Is(""),
            "no such volume",
        ),
        (
            "a volume that no app mounts",
            "--volume v,kind=empty BUSYBOX -- -c true",
            125,
            Is(""),
            "a volume that no app mounts",
        ),
    ];
    let point = pointed(r#"{"name": "v", "path": "/deep/er/data"}"#);
    let table = Table::new(&[("point", &point)]).file("v/file", "host\n");
    table.check(BOTH, CASES);
    assert!(!table.scratch.join("none").exists());
}

#[test]
fn links_lead_a_target_nowhere_but_into_the_apps_own_root() {
    require_root!();
    let app = format!("{{{ROOT}}}");
    let table = Table::new(&[("app", &app)]).file("v/file", "host\n");
    for (target, found) in [
        ("/dir1/link_abs/foo", "/dir2/foo/file"),
        ("/dir1/link_rel/foo", "/dir2/foo/file"),
        ("/dir1/link_up/foo", "/dir2/foo/file"),
        ("/dir1/link_deep/foo", "/dir2/foo/file"),
        ("/dir1/../dir1/.//link_abs/foo", "/dir2/foo/file"),
        ("/dir1/../../../foo", "/foo/file"),
        ("/dir1/link_rel", "/dir2/file"),
        ("/dangling", "/nowhere/made/file"),
    ] {
        for copied in ["", "--no-overlay"] {
            let line = format!(
                "{copied} --volume v,kind=host,source=HERE/v app.aci \
                 --mount volume=v,target={target} -- --read-file {found}"
            );
            table.check(BOTH, &[("inside", &line, 0, Is("host\n"), "")]);
        }
    }
    const CASES: &[Case<'_>] = &[(
        "what fails inside the pod is told outside",
        "--volume v,kind=empty app.aci --mount volume=v,target=/data --working-dir /none",
        125,
        Is(""),
        "what fails inside",
    )];
    table.check(BOTH, CASES);
}

#[test]
fn a_volume_has_what_is_mounted_below_its_source_if_that_is_asked_for() {
    require_root!();
    let unshare = tool!("unshare");
    let app = format!("{{{ROOT}}}");
    let table = Table::new(&[("app", &app)]).file("v/sub/hidden", "");
    // The mount is for this row alone.
    let script = "mount -t tmpfs tmpfs \"$1\" && echo nested > \"$1/file\" && shift && exec \"$@\"";
    for (keys, said) in [
        ("", "nested\nwrite /data/sub/file: ok\n"),
        (",readOnly=true", "nested\nwrite /data/sub/file: EROFS\n"),
        (",recursive=true", "nested\nwrite /data/sub/file: ok\n"),
        (
            ",recursive=true,readOnly=true",
            "nested\nwrite /data/sub/file: EROFS\n",
        ),
        (
            ",recursive=false",
            "read /data/sub/file: ENOENT\nwrite /data/sub/file: ok\n",
        ),
        (
            ",recursive=false,readOnly=true",
            "read /data/sub/file: ENOENT\nwrite /data/sub/file: EROFS\n",
        ),
    ] {
        let line = format!(
            "HERE/v/sub {} --dir HERE/dir run --volume v,kind=host,source=HERE/v{keys} \
             HERE/app.aci --mount volume=v,target=/data \
             -- --read-file /data/sub/file --write-file /data/sub/file x",
            crate::host::program().display()
        );
        let line = table.filled(&line);
        let ran = crate::host::call(&unshare).args(["-m", "sh", "-c", script, "sh"]);
        let ran = ran.args(line.split_whitespace()).run();
        ran.exits(0).complains("").says(said);
        let _ = fs::remove_file(table.scratch.join("v/sub/file"));
    }
}
