//! Whose rights an app gets.

use std::time::Duration;

use tar::EntryType;

use super::case;
use crate::aci::{Aci, manifest};
use crate::host::{self, Scratch};
use crate::life::Life;

// Texts that a parser of numbers reads as 0 (CVE-2026-30892).
#[test]
fn what_is_no_user_never_is_root() {
    require_root!();
    case("R14", "what is no user never is root", || {
        let life = Life::new();
        let uuid = life.waiting(&[]);
        for name in [
            "nobody",
            "-1",
            "+5",
            "0x0",
            "1000x",
            "1:",
            ":1",
            "4294967295",
            "4294967296",
            " 0",
            "0 ",
            "/no/such",
            "",
        ] {
            for option in ["--user", "--group"] {
                let ran = life.enter(&[&format!("{option}={name}"), &uuid, "/probe"]);
                assert_eq!(ran.exits(125).says("").stdout, "", "{name:?}");
            }
        }
        life.run(&["stop", &uuid]).exits(0);
        life.leaves_nothing();
    });
}

// Users are looked up in the image, whose tables the app could have changed
// (CVE-2016-3697 is of the kind). The specification wants names before numbers, also
// of names that are digits: an image decides which user is meant, as it was stored.
#[test]
fn what_an_app_makes_of_its_passwd_makes_nobody_root() {
    require_root!();
    case(
        "R24",
        "what an app makes of its /etc/passwd makes nobody root",
        || {
            let life = Life::new();
            let script = "echo 'evil:x:0:0:::' >> /etc/passwd; echo 'evil:x:0:' >> /etc/group; echo up; sleep 600";
            for options in [&[][..], &["--no-overlay"]] {
                let uuid = life.detach(&[options, &["BUSYBOX", "--", "-c", script]].concat());
                life.until_it_logs(&uuid, "up\n");
                life.enter(&["--user=evil", &uuid, "id"])
                    .exits(125)
                    .says("")
                    .complains_as("a user that the app has made");
                life.enter(&["--group=evil", &uuid, "id"])
                    .exits(125)
                    .says("")
                    .complains_as("a group that the app has made");
                life.run(&["kill", &uuid]).exits(0);
            }
            life.leaves_nothing();
        },
    );
}

// What is read of an image on the host's side is a pipe, a device or endless, so
// that the runner hangs, or takes all memory (CVE-2024-9676).
#[test]
fn no_table_of_an_image_holds_up_whoever_reads_it() {
    require_root!();
    case(
        "R25",
        "no table of an image holds up whoever reads it",
        || {
            let sh = tool!("sh");
            let app = r#"{"exec": ["/probe"], "user": "web", "group": "web"}"#;
            let image = || Aci::new(&manifest(app)).dir("rootfs/etc");
            let odd = |kind| image().entry(kind, "rootfs/etc/passwd", 0o644, "", b"");
            let zero = image().odd(EntryType::Char, "rootfs/etc/passwd", b"", |header| {
                header.set_device_major(1).unwrap();
                header.set_device_minor(5).unwrap();
            });
            let huge = [
                ("GNU.sparse.major", &b"1"[..]),
                ("GNU.sparse.minor", b"0"),
                ("GNU.sparse.name", b"rootfs/etc/passwd"),
                ("GNU.sparse.realsize", b"10737418240"),
            ];
            let mut map = b"1\n10737418240\n0\n".to_vec();
            map.resize(512, 0);
            let huge = image()
                .pax(huge)
                .file("rootfs/etc/GNUSparseFile.0/x", 0o644, map);
            for image in [
                odd(EntryType::Fifo),
                odd(EntryType::Directory),
                zero,
                huge,
                image().link("rootfs/etc/passwd", "/dev/zero"),
                image().link("rootfs/etc/passwd", "/etc/passwd"),
                image().link("rootfs/etc/passwd", "../../../../../../../../etc/passwd"),
            ] {
                let scratch = Scratch::new();
                let file = scratch.write("image.aci", image.bytes());
                for options in [&[][..], &["--user=root", "--group=0"]] {
                    // Of data, not of addresses: threads reserve more than they use.
                    let call = host::call(&sh).args(["-c", "ulimit -d 65536 && exec \"$@\"", "sh"]);
                    let call = call
                        .arg(host::program())
                        .arg("--dir")
                        .arg(scratch.join("dir"));
                    let ran = call.arg("run").arg(&file).args(options).within(LIMIT).run();
                    assert!(matches!(ran.exited(), Some(125 | 127)), "{ran:?}");
                    assert!(ran.stderr.starts_with("launcher: "), "{ran:?}");
                }
            }
        },
    );
}

/// How long an image may hold anybody up.
const LIMIT: Duration = Duration::from_secs(20);
