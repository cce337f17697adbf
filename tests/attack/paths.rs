//! Paths that lead somewhere else than they seem to.

use std::fs;
use std::os::unix::fs::symlink;

use super::case;
use crate::aci::{Aci, manifest};
use crate::host::{self, Scratch, pod};
use crate::life::Life;
use crate::pods::Pods;
use crate::seat::Seat;

// An image whose /proc or /dev is a link, so that what is mounted there, and later
// written there, lands somewhere else (CVE-2019-16884, CVE-2023-27561,
// CVE-2026-41579).
#[test]
fn a_link_in_place_of_a_mount_point_is_refused() {
    require_root!();
    case(
        "R13a",
        "no link of an image leads a file system of the pod elsewhere",
        || {
            for name in ["proc", "sys", "dev"] {
                let scratch = Scratch::new();
                let target = scratch.join("outside");
                fs::create_dir(&target).unwrap();
                let probe = fs::read(host::probe()).unwrap();
                let app = r#"{"exec": ["/probe"], "user": "0", "group": "0"}"#;
                let image = Aci::new(&manifest(app))
                    .file("rootfs/probe", 0o755, probe)
                    .link(&format!("rootfs/{name}"), target.to_str().unwrap())
                    .bytes();
                let image = scratch.write("link.aci", image);
                let ran = pod(&scratch.join("dir"), &image, &[])
                    .run()
                    .exits(125)
                    .says("");
                assert!(ran.stderr.contains(&format!("`/{name}`")), "{}", ran.stderr);
                assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
            }
        },
    );
}

// A directory that an app may write to becomes a link between two runs, and the
// next one mounts what it leads to (CVE-2024-42472).
#[test]
fn a_source_that_becomes_a_link_after_the_plan_was_made_is_refused() {
    require_root!();
    case("R18", "a source that becomes a link is refused", || {
        let pods = Pods::new();
        pods.make(&[("v/file", ""), ("secret/file", "secret\n")]);
        let plan = pods
            .call(&[
                "plan",
                "--volume",
                "v,kind=host,source=HERE/v",
                "PROBE",
                "--mount",
                "volume=v,target=/data",
                "--",
                "--read-file",
                "/data/file",
            ])
            .run()
            .exits(0)
            .stdout;
        pods.0.write("plan", plan);
        // So that the image is in the store.
        pods.run(&["PROBE", "--", "--stdout", ""]).run().exits(0);
        pods.run(&["--plan", "HERE/plan"]).run().exits(0).says("");
        fs::rename(pods.0.join("v"), pods.0.join("old")).unwrap();
        symlink("secret", pods.0.join("v")).unwrap();
        let source = pods.0.join("v");
        pods.run(&["--plan", "HERE/plan"])
            .run()
            .exits(125)
            .says("")
            .naming("SOURCE", &source)
            .complains_as("a source that becomes a link after the plan was made is refused");
    });
}

/// An app that is the probe, as root.
const APP: &str = r#"{"exec": ["/probe"], "user": "0", "group": "0"}"#;

// An image, or a volume, that has files where those of the kernel belong, so that
// what is written to /proc/self/attr or /proc/sys goes elsewhere, or nowhere
// (CVE-2019-16884, CVE-2019-19921, CVE-2023-28642, CVE-2025-52881).
#[test]
fn nothing_of_an_image_or_a_volume_stands_in_for_proc() {
    require_root!();
    case(
        "R3",
        "nothing of an image or a volume stands in for /proc",
        || {
            let life = Life::new();
            let image = life.image(APP, |image| {
                image
                    .dir("rootfs/proc")
                    .dir("rootfs/proc/self")
                    .dir("rootfs/proc/self/attr")
                    .file("rootfs/proc/self/attr/exec", 0o666, "of the image")
                    .dir("rootfs/proc/sys")
                    .dir("rootfs/proc/sys/kernel")
                    .file("rootfs/proc/sys/kernel/core_pattern", 0o666, "of the image")
            });
            let read = ["--read-file", "/proc/sys/kernel/core_pattern"];
            let words = [
                &["run", &image, "--"],
                &read[..],
                &["--report-only", "mount"],
            ]
            .concat();
            let said = life.run(&words).exits(0).stdout;
            let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
            assert!(said.starts_with(&pattern), "{said}");
            assert!(
                said.contains("\nmount /proc proc rw,nosuid,nodev,noexec"),
                "{said}"
            );
            for target in [
                "/proc",
                "/proc/self",
                "/proc/sys",
                "/proc/sys/kernel",
                "/proc/1/attr",
            ] {
                for kind in [
                    "empty".to_owned(),
                    format!("host,source={}", life.0.path().display()),
                ] {
                    let words = [
                        "run",
                        &format!("--volume=v,kind={kind}"),
                        &image,
                        &format!("--mount=volume=v,target={target}"),
                        "--",
                        "--stdout",
                        "runs",
                    ];
                    let ran = life.run(&words).exits(125).says("");
                    assert!(ran.stderr.contains(target), "{target}: {ran:?}");
                }
            }
        },
    );
}

// The source of a mask is the image's own /dev/null, which is a link to a file of
// the kernel's: it is mounted where it may be written to (CVE-2025-31133).
#[test]
fn no_mask_is_a_file_of_the_image() {
    require_root!();
    case("R11", "no mask is a file of the image", || {
        let life = Life::new();
        let image = life.image(APP, |image| {
            image
                .dir("rootfs/dev")
                .link("rootfs/dev/null", "/proc/sys/kernel/core_pattern")
                .link("rootfs/dev/zero", "/proc/sysrq-trigger")
        });
        for options in [&[][..], &["--no-overlay"]] {
            let words = [
                "--",
                "--read-file",
                "/proc/keys",
                "--read-file",
                "/proc/kallsyms",
                "--write-file",
                "/dev/null",
                "|/evil",
                "--write-file",
                "/dev/zero",
                "h",
                "--open-to-write",
                "/proc/sys/kernel/core_pattern",
            ];
            life.run(&[&["run"], options, &[&image], &words].concat())
                .exits(0)
                .complains("")
                .says(
                    "write /dev/null: ok\nwrite /dev/zero: ok\n\
                     open /proc/sys/kernel/core_pattern: EROFS\n",
                );
        }
    });
}

// The terminal of a container is mounted on its /dev/console, which is a link
// (CVE-2025-52565).
#[test]
fn no_terminal_is_mounted_where_an_image_says() {
    require_root!();
    case("R12", "no terminal is mounted where an image says", || {
        let life = Life::new();
        let outside = life.0.write("outside", "as it was");
        let image = life.image(APP, |image| {
            let outside = outside.to_str().unwrap();
            let image = image.dir("rootfs/dev").link("rootfs/dev/console", outside);
            image
                .link("rootfs/dev/ptmx", outside)
                .link("rootfs/dev/pts", "/")
        });
        let dir = life.dir().display().to_string();
        let words = ["--dir", &dir, "run", "--interactive", &image, "--"];
        let words = [
            &words[..],
            &["--write-file", "/dev/console", "on the console\n"],
        ]
        .concat();
        let (status, shown) = Seat::take(&host::program(), &words).end();
        assert_eq!(status, Some(0), "{shown}");
        assert!(shown.contains("on the console\r\n"), "{shown}");
        assert_eq!(fs::read_to_string(&outside).unwrap(), "as it was");
    });
}

// Links in the places of files that are made for an app, so that those of the
// host are written or shown instead (CVE-2026-47766, CVE-2024-1753).
#[test]
fn no_link_of_an_image_leads_a_file_of_the_pod_elsewhere() {
    require_root!();
    case(
        "R13b",
        "no link of an image leads a file of the pod elsewhere",
        || {
            let life = Life::new();
            let outside = life.0.join("outside");
            let is_as_it_was = || {
                assert_eq!(host::names(&outside), ["hosts"]);
                assert_eq!(
                    fs::read_to_string(outside.join("hosts")).unwrap(),
                    "as it was"
                );
            };
            fs::create_dir(&outside).unwrap();
            fs::write(outside.join("hosts"), "as it was").unwrap();
            let there = outside.to_str().unwrap();
            let up = format!("../../../../../../../..{there}");
            for (path, target) in [
                ("etc", there.to_owned()),
                ("etc", up.clone()),
                ("etc/hosts", format!("{there}/hosts")),
                ("etc/hosts", format!("../{up}/hosts")),
                ("etc/hostname", format!("{there}/hostname")),
                ("etc/mtab", format!("{there}/mtab")),
                ("etc/localtime", format!("{there}/localtime")),
                ("etc/resolv.conf", "/etc/shadow".to_owned()),
                ("tmp", there.to_owned()),
                ("run", there.to_owned()),
                ("dev/shm", there.to_owned()),
                ("dev/mqueue", up),
            ] {
                let image = life.image(APP, |image| image.link(&format!("rootfs/{path}"), &target));
                for options in [&[][..], &["--no-overlay"]] {
                    let words = ["run", "--hostname=web", "--timezone=host"];
                    let tail = [
                        &image[..],
                        "--",
                        "--read-file",
                        &format!("/{path}"),
                        "--write-file",
                        "/tmp/x",
                        "x",
                    ];
                    let ran = life.run(&[&words[..], options, &tail].concat());
                    assert!(matches!(ran.exited(), Some(0 | 125)), "{path}: {ran:?}");
                    assert!(!ran.stdout.contains("as it was"), "{path}: {ran:?}");
                    assert!(!ran.stdout.contains("root:"), "{path}: {ran:?}");
                    is_as_it_was();
                }
            }
        },
    );
}

// What was made to mount on is a link when it is cleared away, and what it leads
// to is removed (CVE-2024-23652); or a source has a link on its way
// (CVE-2024-23651, CVE-2025-9566).
#[test]
fn what_is_made_for_a_volume_is_cleared_away_and_nothing_else() {
    require_root!();
    case(
        "R15",
        "what is made for a volume is cleared away, and nothing else",
        || {
            let _ = image!("busybox");
            let life = Life::new();
            let outside = life.0.join("outside");
            fs::create_dir_all(outside.join("b/data")).unwrap();
            fs::write(outside.join("b/data/file"), "as it was").unwrap();
            let there = outside.display();
            for options in [&[][..], &["--no-overlay"]] {
                let script = format!(
                    "mv /a /aside && ln -s {there} /a && ln -s {there} /aside/link && echo done"
                );
                let words = ["--volume=v,kind=empty", "BUSYBOX"];
                let tail = ["--mount=volume=v,target=/a/b/data", "--", "-c", &script];
                let run = [&["run", "--keep", "--name=pod"], options, &words, &tail].concat();
                life.run(&run).exits(0).says("done\n");
                life.run(&["rm", "pod"]).exits(0).complains("");
                assert_eq!(fs::read(outside.join("b/data/file")).unwrap(), b"as it was");
            }
            symlink(outside.join("b"), life.0.join("link")).unwrap();
            let source = life.0.join("link/data").display().to_string();
            let words = [
                "run",
                &format!("--volume=v,kind=host,source={source}"),
                "PROBE",
                "--mount=volume=v,target=/data",
                "--",
                "--list",
                "/data",
            ];
            let ran = life.run(&words).exits(125).says("");
            assert!(ran.stderr.contains(&source), "{ran:?}");
            life.leaves_nothing();
        },
    );
}

// An image declares a volume on a path that is a link to a directory of the host,
// which is copied, or mounted on (CVE-2022-23648).
#[test]
fn no_mount_point_of_an_image_is_outside_of_it() {
    require_root!();
    case("T13", "no mount point of an image is outside of it", || {
        let life = Life::new();
        let outside = life.0.join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "as it was").unwrap();
        let app = r#"{"exec": ["/probe"], "user": "0", "group": "0",
            "mountPoints": [{"name": "data", "path": "/data/deep"}]}"#;
        for target in [
            outside.display().to_string(),
            format!("../../../../../..{}", outside.display()),
        ] {
            let image = life.image(app, |image| image.link("rootfs/data", &target));
            let words = [
                "run",
                &image,
                "--",
                "--list",
                "/data",
                "--write-file",
                "/data/deep/x",
                "x",
            ];
            let ran = life.run(&words);
            assert!(matches!(ran.exited(), Some(0 | 125)), "{ran:?}");
            assert!(!ran.stdout.contains("file\n"), "{ran:?}");
            assert_eq!(host::names(&outside), ["file"]);
        }
        life.leaves_nothing();
    });
}
