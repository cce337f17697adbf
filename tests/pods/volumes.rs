//! Volumes: what is seen through them, what cannot be done with them, and
//! roots that cannot be written to.

use std::fs;
use std::os::unix::fs::symlink;

use super::Pods;
use crate::aci::{Aci, manifest};
use crate::host::{self, call};

/// An image of the probe with a mount point, a few directories, and links.
pub(super) fn app(pods: &Pods, points: &str) {
    let app =
        format!(r#"{{"exec": ["/probe"], "user": "0", "group": "0", "mountPoints": [{points}]}}"#);
    let bytes = Aci::new(&manifest(&app))
        .file("rootfs/probe", 0o755, fs::read(host::probe()).unwrap())
        .dir("rootfs/dir1")
        .dir("rootfs/dir2")
        .file("rootfs/dir2/old", 0o644, "of the image\n")
        .link("rootfs/dir1/absolute", "/dir2")
        .link("rootfs/dir1/relative", "../dir2")
        .link("rootfs/dir1/far", "/../../../../dir2")
        .link("rootfs/into", "/data/made")
        .bytes();
    pods.0.write("app.aci", bytes);
}

/// `--volume v,kind=host,source=HERE/v` with more keys.
pub(super) fn volume(keys: &str) -> String {
    format!("v,kind=host,source=HERE/v{keys}")
}

// --- volumes in volumes ---

#[test]
fn an_image_can_have_a_mount_point_in_another_one() {
    require_root!();
    let pods = Pods::new();
    // In any order.
    for points in [
        r#"{"name": "d", "path": "/data"}, {"name": "s", "path": "/data/sub/dir"}"#,
        r#"{"name": "s", "path": "/data/sub/dir"}, {"name": "d", "path": "/data", "readOnly": true}"#,
    ] {
        app(&pods, points);
        let words = ["HERE/app.aci", "--"];
        let more = ["--write-file", "/data/sub/dir/new", "app\n"];
        let read = ["--read-file", "/data/sub/dir/new", "--list", "/data"];
        let ran = pods
            .run(&[&words[..], &more, &read].concat())
            .run()
            .exits(0);
        assert!(ran.stdout.contains("app\n"), "{ran:?}");
        assert!(ran.stdout.contains("sub"), "{ran:?}");
    }
}

#[test]
fn a_volume_of_the_host_in_another_one_needs_its_place_there() {
    require_root!();
    let pods = Pods::new();
    pods.make(&[("v/file", "outer\n"), ("w/file", "inner\n")]);
    app(&pods, "");
    let volume = volume("");
    let run = || {
        let outer = [
            "--volume",
            &volume,
            "--volume",
            "w,kind=host,source=HERE/w,readOnly=true",
        ];
        let inner = ["HERE/app.aci", "--mount", "volume=w,target=/data/sub"];
        let mount = ["--mount", "volume=v,target=/data", "--"];
        let read = ["--read-file", "/data/file", "--read-file", "/data/sub/file"];
        let write = ["--write-file", "/data/sub/file", "app"];
        let words = [&outer[..], &inner, &mount, &read, &write].concat();
        pods.run(&words).run().naming("HERE", pods.0.path())
    };
    run().exits(125).complains_as("no place in a volume");
    let place = pods.0.join("v/sub");
    assert!(!place.exists());
    symlink("/tmp", &place).unwrap();
    run().exits(125).complains_as("a link in a volume");
    fs::remove_file(&place).unwrap();
    fs::create_dir(&place).unwrap();
    let ran = run().exits(0).complains("");
    ran.says("outer\ninner\nwrite /data/sub/file: EROFS\n");
}

// --- what must not happen ---

#[test]
fn a_read_only_volume_cannot_be_written_to() {
    require_root!();
    let pods = Pods::new();
    pods.make(&[("v/file", "host\n")]);
    let point = r#"{"name": "v", "path": "/data", "readOnly": true}"#;
    for (keys, point) in [
        (",readOnly=true", ""),
        ("", point),
        (",readOnly=false", point),
        (",readOnly=true,recursive=false", point),
    ] {
        app(&pods, point);
        let volume = volume(keys);
        pods.run(&[
            "--volume",
            &volume,
            "HERE/app.aci",
            "--mount",
            "volume=v,target=/data",
            "--",
            "--write-file",
            "/data/file",
            "app",
            "--write-file",
            "/data/new",
            "app",
            "--read-file",
            "/data/file",
        ])
        .run()
        .exits(0)
        .complains("")
        .says("write /data/file: EROFS\nwrite /data/new: EROFS\nhost\n");
    }
}

#[test]
fn what_is_mounted_below_a_read_only_volume_is_read_only_too() {
    require_root!();
    let unshare = tool!("unshare");
    let pods = Pods::new();
    pods.make(&[("v/sub/", "")]);
    let nested = pods.0.join("v/sub");
    let launcher = host::program();
    for (keys, said) in [
        ("", "nested\nwrite /data/sub/file: ok\n"),
        (",readOnly=true", "nested\nwrite /data/sub/file: EROFS\n"),
        (
            ",recursive=false",
            "read /data/sub/file: ENOENT\nwrite /data/sub/file: ok\n",
        ),
        (
            ",recursive=false,readOnly=true",
            "read /data/sub/file: ENOENT\nwrite /data/sub/file: EROFS\n",
        ),
    ] {
        let script =
            "mount -t tmpfs tmpfs \"$1\" && echo nested > \"$1/file\" && shift && exec \"$@\"";
        let here = pods.0.path().display().to_string();
        call(&unshare)
            .args(["-m", "sh", "-c", script, "sh"])
            .arg(&nested)
            .arg(&launcher)
            .arg("--dir")
            .arg(pods.dir())
            .args(["run", "--volume", &volume(keys).replace("HERE", &here)])
            .arg(host::image("probe"))
            .args(["--mount", "volume=v,target=/data", "--"])
            .args([
                "--read-file",
                "/data/sub/file",
                "--write-file",
                "/data/sub/file",
                "x",
            ])
            .run()
            .exits(0)
            .complains("")
            .says(said);
        let _ = fs::remove_file(nested.join("file"));
    }
}

#[test]
fn no_device_of_a_volume_can_be_opened() {
    require_root!();
    let pods = Pods::new();
    pods.make(&[("v/", "")]);
    let mknod = tool!("mknod");
    let zero = pods.0.join("v/zero");
    call(&mknod).arg(&zero).args(["c", "1", "5"]).run().exits(0);
    pods.run(&[
        "--volume",
        &volume(""),
        "PROBE",
        "--mount",
        "volume=v,target=/data",
        "--",
        "--open-to-write",
        "/data/zero",
    ])
    .run()
    .exits(0)
    .says("open /data/zero: EACCES\n");
}

#[test]
fn no_link_of_an_image_makes_anything_appear_in_a_volume() {
    require_root!();
    let pods = Pods::new();
    app(&pods, "");
    pods.make(&[("v/", "")]);
    // The link is resolved when its volume is mounted: in the other one, where
    // its target is missing, or before that hides its target.
    for (order, code) in [
        (["v,target=/data", "w,target=/into"], 125),
        (["w,target=/into", "v,target=/data"], 0),
    ] {
        let [first, second] = order.map(|mount| format!("volume={mount}"));
        let ran = pods.run(&[
            "--volume",
            &volume(""),
            "--volume",
            "w,kind=empty",
            "HERE/app.aci",
            "--mount",
            &first,
            "--mount",
            &second,
        ]);
        let ran = ran.run().exits(code);
        let end = "on `/into` (volume w: option --mount): No such file or directory\n";
        assert_eq!(ran.stderr.ends_with(end), code == 125, "{}", ran.stderr);
        assert_eq!(fs::read_dir(pods.0.join("v")).unwrap().count(), 0);
    }
}

#[test]
fn a_read_only_root_cannot_be_written_to_and_volumes_can() {
    require_root!();
    let pods = Pods::new();
    app(&pods, "");
    pods.make(&[("v/", "")]);
    for options in [&[][..], &["--no-overlay"]] {
        let words = [
            "--volume",
            &volume(""),
            "HERE/app.aci",
            "--readonly-rootfs",
            "--mount",
            "volume=v,target=/data",
            "--",
            "--write-file",
            "/new",
            "x",
            "--write-file",
            "/dir2/old",
            "x",
            "--write-file",
            "/data/new",
            "x",
            "--write-file",
            "/tmp/new",
            "x",
            "--write-file",
            "/dev/shm/new",
            "x",
        ];
        pods.run(&[options, &words].concat())
            .run()
            .exits(0)
            .complains("")
            .says(
                "write /new: EROFS\nwrite /dir2/old: EROFS\nwrite /data/new: ok\n\
                 write /tmp/new: ok\nwrite /dev/shm/new: ok\n",
            );
    }
}

// --- what happens ---

#[test]
fn what_an_app_writes_into_a_host_volume_stays() {
    require_root!();
    let pods = Pods::new();
    pods.make(&[("v/file", "host\n")]);
    for options in [&[][..], &["--no-overlay"]] {
        let words = [
            "--volume",
            &volume(""),
            "PROBE",
            "--mount",
            "volume=v,target=/a/b/data",
            "--",
            "--read-file",
            "/a/b/data/file",
            "--write-file",
            "/a/b/data/new",
            "app",
        ];
        pods.run(&[options, &words].concat())
            .run()
            .exits(0)
            .says("host\nwrite /a/b/data/new: ok\n");
        let new = pods.0.join("v/new");
        assert_eq!(fs::read_to_string(&new).unwrap(), "app");
        fs::remove_file(new).unwrap();
    }
}

#[test]
fn a_file_can_be_a_volume() {
    require_root!();
    let pods = Pods::new();
    app(&pods, "");
    pods.make(&[("file", "host\n")]);
    for target in ["/new/file", "/file", "/dir2/old"] {
        let mount = format!("volume=v,target={target}");
        pods.run(&[
            "--volume",
            "v,kind=host,source=HERE/file,readOnly=true",
            "HERE/app.aci",
            "--mount",
            &mount,
            "--",
            "--read-file",
            target,
            "--write-file",
            target,
            "x",
        ])
        .run()
        .exits(0)
        .complains("")
        .says(&format!("host\nwrite {target}: EROFS\n"));
    }
}

/// Runs the app with a volume on this target, and reads a file of the volume.
#[track_caller]
fn finds(pods: &Pods, volume: &str, target: &str, file: &str) {
    let mount = format!("volume=v,target={target}");
    let image = "HERE/app.aci";
    let app = ["--", "--read-file", file];
    let words = [&["--volume", volume, image, "--mount", &mount][..], &app].concat();
    let ran = pods.run(&words).run().exits(0);
    ran.complains("").says("host\n");
}

#[test]
fn links_of_the_image_lead_a_target_somewhere_inside() {
    require_root!();
    let pods = Pods::new();
    app(&pods, "");
    pods.make(&[("v/file", "host\n")]);
    for (target, found) in [
        ("/dir1/absolute/foo", "/dir2/foo/file"),
        ("/dir1/relative/foo", "/dir2/foo/file"),
        ("/dir1/far/foo", "/dir2/foo/file"),
        ("/dir1/../dir1/.//absolute/foo", "/dir2/foo/file"),
        ("/dir1/../../../foo", "/foo/file"),
        ("dir1/foo", "/dir1/foo/file"),
    ] {
        finds(&pods, &volume(""), target, found);
    }
}

#[test]
fn a_volume_on_a_link_whose_target_is_missing_is_where_the_link_leads() {
    require_root!();
    let pods = Pods::new();
    let app = r#"{"exec": ["/probe"], "user": "0", "group": "0"}"#;
    let bytes = Aci::new(&manifest(app))
        .file("rootfs/probe", 0o755, fs::read(host::probe()).unwrap())
        .dir("rootfs/etc")
        .dir("rootfs/var")
        .link("rootfs/etc/resolv.conf", "../run/resolve/resolv.conf")
        .link("rootfs/etc/localtime", "/usr/share/zoneinfo/Etc/UTC")
        .link("rootfs/var/run", "/run")
        .link("rootfs/etc/out", "/../../../../../made-outside")
        .bytes();
    pods.0.write("app.aci", bytes);
    pods.make(&[("file", "host\n"), ("v/file", "host\n")]);
    for (source, target, found) in [
        ("file", "/etc/resolv.conf", "/run/resolve/resolv.conf"),
        ("file", "/etc/localtime", "/usr/share/zoneinfo/Etc/UTC"),
        ("file", "/etc/out", "/made-outside"),
        ("v", "/var/run", "/run/file"),
        ("v", "/var/run/below", "/run/below/file"),
        ("v", "/etc/out", "/made-outside/file"),
    ] {
        finds(
            &pods,
            &format!("v,kind=host,source=HERE/{source}"),
            target,
            found,
        );
    }
    assert!(fs::metadata("/made-outside").is_err());
}

#[test]
fn links_to_a_source_are_followed_where_that_is_allowed() {
    require_root!();
    let pods = Pods::new();
    pods.make(&[("real/file", "host\n")]);
    symlink("real", pods.0.join("v")).unwrap();
    pods.run(&[
        "--volume",
        &volume(",followSymlinks=true"),
        "PROBE",
        "--mount",
        "volume=v,target=/data",
        "--",
        "--read-file",
        "/data/file",
    ])
    .run()
    .exits(0)
    .says("host\n");
}

#[test]
fn an_empty_volume_is_as_it_was_asked_for_and_goes_with_the_pod() {
    require_root!();
    let _ = image!("busybox");
    let pods = Pods::new();
    pods.run(&[
        "--volume",
        "v,kind=empty",
        "--volume",
        "w,kind=empty,mode=1770,uid=7,gid=8",
        "BUSYBOX",
        "--mount",
        "volume=v,target=/v",
        "--mount",
        "volume=w,target=/a/w",
        "--",
        "-c",
        "stat -c '%n %a %u %g' /v /a /a/w; touch /v/x /a/w/x",
    ])
    .run()
    .exits(0)
    .complains("")
    .says("/v 755 0 0\n/a 755 0 0\n/a/w 1770 7 8\n");
    let left = fs::read_dir(pods.dir().join("pods/run")).unwrap().count();
    assert_eq!(left, 0);
}

#[test]
fn a_mount_point_without_a_volume_gets_an_empty_one_and_that_is_said() {
    require_root!();
    let pods = Pods::new();
    app(
        &pods,
        r#"{"name": "data", "path": "/data/deep"}, {"name": "ro", "path": "/ro", "readOnly": true}"#,
    );
    pods.run(&[
        "HERE/app.aci",
        "--",
        "--write-file",
        "/data/deep/x",
        "x",
        "--write-file",
        "/ro/x",
        "x",
    ])
    .run()
    .exits(0)
    .says("write /data/deep/x: ok\nwrite /ro/x: EROFS\n")
    .complains_as("a mount point without a volume gets an empty one and that is said");
}

#[test]
fn a_mount_point_gets_the_volume_of_its_name() {
    require_root!();
    let pods = Pods::new();
    app(&pods, r#"{"name": "v", "path": "/data"}"#);
    pods.make(&[("v/file", "host\n")]);
    pods.run(&[
        "--volume",
        &volume(""),
        "HERE/app.aci",
        "--",
        "--read-file",
        "/data/file",
    ])
    .run()
    .exits(0)
    .complains("")
    .says("host\n");
}

#[test]
fn a_volume_hides_what_the_image_has_and_that_is_said() {
    require_root!();
    let pods = Pods::new();
    app(&pods, "");
    for options in [&[][..], &["--no-overlay"]] {
        let words = [
            "--volume",
            "v,kind=empty",
            "HERE/app.aci",
            "--mount",
            "volume=v,target=/dir2",
            "--",
            "--list",
            "/dir2",
        ];
        pods.run(&[options, &words].concat())
            .run()
            .exits(0)
            .says("")
            .complains_as("a volume hides what the image has and that is said");
    }
}

#[test]
fn one_app_writes_and_another_only_reads() {
    require_root!();
    let pods = Pods::new();
    app(&pods, r#"{"name": "v", "path": "/data", "readOnly": true}"#);
    let ran = pods
        .run(&[
            "--volume",
            "v,kind=empty",
            "PROBE",
            "--mount",
            "volume=v,target=/data",
            "--",
            "--write-file",
            "/data/file",
            "text\n",
            "---",
            "HERE/app.aci",
            "--",
            "--sleep",
            "1",
            "--read-file",
            "/data/file",
            "--write-file",
            "/data/file",
            "x",
        ])
        .run()
        .exits(0)
        .complains("");
    ran.says("write /data/file: ok\ntext\nwrite /data/file: EROFS\n");
}

#[test]
fn an_apps_own_sys_is_there_unless_a_volume_is_on_it() {
    require_root!();
    let pods = Pods::new();
    pods.make(&[("v/file", "host\n")]);
    pods.run(&[
        "--volume",
        &volume(""),
        "PROBE",
        "--mount",
        "volume=v,target=/sys/fs/cgroup",
        "--",
        "--list",
        "/sys/class/net",
        "--read-file",
        "/sys/fs/cgroup/file",
    ])
    .run()
    .exits(0)
    .says("lo\nhost\n");
}
