//! Whose apps are: their groups, the variables that go with the user, and what
//! a user other than root may do.

use std::fs;
use std::path::PathBuf;

use super::Pods;
use crate::aci::{Aci, manifest};
use crate::claims;
use crate::host::{self, Ran};

const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nweb:x:33:34:web:/srv/web:/bin/no\n";
const GROUP: &str = "root:x:0:\nweb:x:34:\nlogs:x:4:web,root\nmore:x:50:other\n";

/// An image of the probe with accounts, whose app has these members besides.
fn image(pods: &Pods, app: &str) -> PathBuf {
    let app = format!(r#"{{"exec": ["/probe"], {app}}}"#);
    let image = Aci::new(&manifest(&app))
        .file("rootfs/probe", 0o755, fs::read(host::probe()).unwrap())
        .dir("rootfs/etc")
        .file("rootfs/etc/passwd", 0o644, PASSWD)
        .file("rootfs/etc/group", 0o644, GROUP);
    pods.0.write("users.aci", image.bytes())
}

fn report(pods: &Pods, image: &str, options: &[&str]) -> Ran {
    let words = [&[image], options, &["--", "--report"]].concat();
    pods.run(&words).run().exits(0)
}

/// The values of a field.
fn values<'r>(ran: &'r Ran, field: &str) -> Vec<&'r str> {
    let lines = ran.stdout.lines();
    let found = lines.filter_map(|line| line.strip_prefix(field)?.strip_prefix(' '));
    found.collect()
}

/// What the account of a user decides: HOME, LOGNAME, SHELL and USER, and its
/// groups.
fn account(ran: &Ran) -> (Vec<&str>, [String; 3]) {
    let mut variables = values(ran, "environment");
    let names = ["HOME=", "LOGNAME=", "SHELL=", "USER="];
    variables.retain(|one| names.iter().any(|name| one.starts_with(name)));
    variables.sort_unstable();
    let first = |field| {
        let value = values(ran, field).concat();
        value.split(',').next().unwrap_or_default().to_owned()
    };
    let ids = [first("uid"), first("gid"), values(ran, "groups").concat()];
    (variables, ids)
}

/// Who the app is, by its image.
const IDENTITY: &str = r#""user": "root", "group": "0", "supplementaryGIDs": [7]"#;

const WEB: [&str; 4] = ["HOME=/srv/web", "LOGNAME=web", "SHELL=/bin/no", "USER=web"];
const ROOT: [&str; 4] = ["HOME=/root", "LOGNAME=root", "SHELL=/bin/sh", "USER=root"];

#[test]
fn a_user_that_is_chosen_brings_its_groups_and_its_home() {
    require_root!();
    let pods = Pods::new();
    let image = image(&pods, IDENTITY);
    let image = image.to_str().unwrap();
    for (options, variables, ids) in [
        (&[][..], &ROOT[..], ["0", "0", "7"]),
        (&["--user=web"], &WEB, ["33", "34", "4"]),
        // The number of an account means the account.
        (&["--user=33"], &WEB, ["33", "34", "4"]),
        (&["--user=web:50"], &WEB, ["33", "50", "7"]),
        (&["--user=web", "--group=more"], &WEB, ["33", "50", "7"]),
        (
            &["--user=web", "--supplementary-gids=9,8"],
            &WEB,
            ["33", "34", "8,9"],
        ),
        (&["--user=1001"], &["HOME=/"], ["1001", "0", "7"]),
    ] {
        let ran = report(&pods, image, options);
        let (found, numbers) = account(&ran);
        assert_eq!(found, variables, "{options:?}");
        assert_eq!(numbers, ids, "{options:?}");
    }
}

#[test]
fn what_an_image_says_of_its_user_stays() {
    require_root!();
    let pods = Pods::new();
    let image = image(
        &pods,
        r#""user": "web", "group": "0", "environment": [
            {"name": "HOME", "value": "/own"}, {"name": "SHELL", "value": ""}]"#,
    );
    let image = image.to_str().unwrap();
    let ran = report(&pods, image, &["--environment=USER=me"]);
    let (variables, ids) = account(&ran);
    let expected = ["HOME=/own", "LOGNAME=web", "SHELL=", "USER=me"];
    assert_eq!(variables, expected);
    // The specification has an image name its group.
    assert_eq!(ids, ["33", "0", ""]);
}

#[test]
fn a_command_of_another_user_has_its_groups_and_its_home() {
    const UUID: &str = "abcdef12-4b5a-4978-8796-a5b4c3d2e1f3";
    require_root!();
    let pods = Pods::new();
    let image = image(&pods, IDENTITY);
    let image = image.to_str().unwrap();
    let run = ["--uuid", UUID, image, "--", "--trap-exit", "15", "0"];
    let mut running = pods.run(&run).start();
    running.until("it waits", |running| running.said() == "waiting\n");
    let enter = |options: &[&str]| {
        let words = [&["enter"], options, &[UUID, "/probe", "--report"]].concat();
        pods.call(&words).run().exits(0)
    };
    for (options, variables, ids) in [
        (&[][..], &ROOT[..], ["0", "0", "7"]),
        (&["--user=web"], &WEB, ["33", "34", "4"]),
        (&["--user=web", "--group=50"], &WEB, ["33", "50", ""]),
        (
            &["--user=web", "--set-env=HOME=/x"],
            &["HOME=/x", WEB[1], WEB[2], WEB[3]],
            ["33", "34", "4"],
        ),
    ] {
        let ran = enter(options);
        let (found, numbers) = account(&ran);
        assert_eq!(found, variables, "{options:?}");
        assert_eq!(numbers, ids, "{options:?}");
    }
    pods.call(&["stop", UUID]).run().exits(0);
    running.end().exits(0);
}

#[test]
fn a_passwd_that_is_no_file_names_nobody() {
    require_root!();
    let pods = Pods::new();
    let app = r#"{"exec": ["/probe"], "user": "0", "group": "0"}"#;
    for (at, image) in [
        Aci::new(&manifest(app)).dir("rootfs/etc/passwd"),
        Aci::new(&manifest(app)).link("rootfs/etc/passwd", "/proc/self/environ"),
        Aci::new(&manifest(app)).link("rootfs/etc/passwd", "../../../../../etc/passwd"),
    ]
    .into_iter()
    .enumerate()
    {
        let probe = fs::read(host::probe()).unwrap();
        let image = image.file("rootfs/probe", 0o755, probe).bytes();
        let image = pods.0.write(&format!("{at}.aci"), image);
        let ran = report(&pods, image.to_str().unwrap(), &[]);
        assert_eq!(account(&ran).0, ["HOME=/"], "{at}");
    }
}

#[test]
fn a_user_keeps_the_capabilities_that_the_operator_names_and_no_others() {
    const NONE: &str = "0000000000000000";
    /// CAP_CHOWN and CAP_NET_BIND_SERVICE.
    const TWO: &str = "0000000000000401";
    require_root!();
    let pods = Pods::new();
    let retain = r#""isolators": [{"name": "os/linux/capabilities-retain-set",
        "value": {"set": ["CAP_CHOWN", "CAP_NET_BIND_SERVICE"]}}]"#;
    let image = image(&pods, &format!(r#""user": "web", "group": "0", {retain}"#));
    let image = image.to_str().unwrap();
    let option = "--caps-retain=CAP_CHOWN,CAP_NET_BIND_SERVICE";
    let sets = [
        "inheritable",
        "permitted",
        "effective",
        "ambient",
        "bounding",
    ];
    for (options, expected) in [
        // What an image asks for bounds what root in it may do.
        (&[][..], [NONE, NONE, NONE, NONE, TWO]),
        (&[option], [TWO; 5]),
        (&[option, "--no-new-privileges=true"], [TWO; 5]),
        (&[option, "--user=root"], [NONE, TWO, TWO, NONE, TWO]),
    ] {
        let ran = report(&pods, image, options);
        let found = sets.map(|set| values(&ran, set).concat());
        assert_eq!(found, expected, "{options:?}");
    }
    // It does not only have them, they have an effect.
    let chown = ["--user=web", "--", "-c", "touch /tmp/x; chown 5 /tmp/x"];
    let _image = image!("busybox");
    let place = ["BUSYBOX", "--working-dir=/"];
    let ran = pods
        .run(&[&place[..], &["--user=1000"], &chown[1..]].concat())
        .run();
    assert_ne!(ran.exited(), Some(0));
    pods.run(&[&place[..], &["--user=1000", option], &chown[1..]].concat())
        .run()
        .exits(0);
}

#[test]
fn everybody_may_use_low_ports_and_ping_in_the_pod_and_not_on_the_host() {
    require_root!();
    let files = ["ip_unprivileged_port_start", "ping_group_range"];
    let files = files.map(|file| format!("/proc/sys/net/ipv4/{file}"));
    let host = || files.each_ref().map(|file| fs::read_to_string(file).ok());
    let before = host();
    if before.iter().any(Option::is_none) {
        skip!("needs Linux 4.11");
    }
    let pods = Pods::new();
    let image = image(&pods, r#""user": "web", "group": "web""#);
    let image = image.to_str().unwrap();
    let words = [
        image,
        "--",
        "--read-file",
        &files[0],
        "--read-file",
        &files[1],
    ];
    let ran = pods.run(&words).run().exits(0);
    claims::has_line(&ran.stdout, "0");
    claims::has_line(&ran.stdout, "0\t2147483647");
    assert_eq!(host(), before);
    let _image = image!("busybox");
    let script = "nc -l -p 80 & until netstat -ltn | grep -q :80; do :; done; kill $!";
    let words = [
        "BUSYBOX",
        "--user=1000",
        "--working-dir=/",
        "--",
        "-c",
        script,
    ];
    pods.run(&words).run().exits(0).complains("");
}
