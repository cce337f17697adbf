//! Escape sequences, and what else could drive a terminal.
//!
//! A terminal obeys what it is sent: it can be cleared, renamed, made to show
//! one thing for another, and made to answer as if somebody had typed
//! (CVE-2003-0063, CVE-2022-45872, CVE-2024-56803). CSI has a form of one
//! character, U+009B, too; switches of direction need no terminal at all
//! (CVE-2021-42574).

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::thread;

use crate::aci::{Aci, manifest};
use crate::attack::case;
use crate::host::{self, Ran, Scratch, launcher};
use crate::seat::Seat;

/// What drives a terminal, in all its ways.
const HOSTILE: &str =
    "x\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}\u{7f}\rlauncher: fine\nlauncher: fine";

/// The same as a text of JSON.
const IN_JSON: &str =
    r"x\u001b]0;owned\u0007\u001b[2J\u009b31m\u202e\u007f\rlauncher: fine\nlauncher: fine";

/// Fails if a terminal would do anything but show it, or a line was made up.
#[track_caller]
fn is_harmless(words: &str, shown: &str) {
    let harmful =
        |c: char| c != '\n' && c != '\t' && c.is_control() || ['\u{202e}', '\u{fffd}'].contains(&c);
    let made_up = shown.lines().any(|line| line.starts_with("launcher: fine"));
    assert!(!shown.contains(harmful) && !made_up, "{words}: {shown:?}");
}

/// The same of all that a command said; it must have said something.
#[track_caller]
fn says_it_harmlessly(words: &str, ran: Ran) -> Ran {
    let all = ran.stdout.clone() + &ran.stderr;
    is_harmless(words, &all);
    assert!(
        all.contains("u{1b}") || all.contains("u001b"),
        "{words}: {ran:?}"
    );
    ran
}

/// An image with a version like this, and what else anybody can write into one.
fn image(scratch: &Scratch, app: &str) -> String {
    let text = manifest(app).replace(
        r#""app":"#,
        &format!(
            r#""labels": [{{"name": "version", "value": "{IN_JSON}"}}],
               "annotations": [{{"name": "authors", "value": "{IN_JSON}"}}],
               "app":"#
        ),
    );
    let probe = fs::read(host::probe()).unwrap();
    let image = Aci::new(&text).file("rootfs/probe", 0o755, probe);
    let image = scratch.write("app.aci", image.bytes());
    image.display().to_string()
}

#[test]
fn no_text_of_an_image_drives_the_terminal() {
    require_root!();
    case(
        "H8a",
        "what an image says is listed, planned and refused without harm",
        || {
            let scratch = Scratch::new();
            let dir = scratch.join("dir");
            let call = |words: &[&str]| launcher(&dir).args(words).run();
            let plain = r#"{"exec": ["/probe"], "user": "0", "group": "0"}"#;
            let id = call(&["fetch", "--insecure-options=image", &image(&scratch, plain)]);
            let id = id.exits(0).stdout;
            for format in ["text", "json", "json-pretty"] {
                let ran = call(&["image", "list", "--format", format]);
                says_it_harmlessly(format, ran).exits(0);
            }
            for app in [
                r#"{"exec": ["/HOSTILE"], "user": "0", "group": "0"}"#,
                r#"{"exec": ["HOSTILE"], "user": "0", "group": "0"}"#,
                r#"{"exec": ["/probe"], "user": "HOSTILE", "group": "0"}"#,
                r#"{"exec": ["/probe"], "user": "/HOSTILE", "group": "0"}"#,
                r#"{"exec": ["/probe"], "user": "0", "group": "HOSTILE"}"#,
                r#"{"exec": ["/probe"], "user": "0", "group": "0", "workingDirectory": "/HOSTILE"}"#,
                r#"{"exec": ["/probe"], "user": "0", "group": "0",
                "environment": [{"name": "HOSTILE", "value": "1"}]}"#,
                r#"{"exec": ["/probe"], "user": "0", "group": "0",
                "mountPoints": [{"name": "HOSTILE", "path": "/a"}]}"#,
                r#"{"exec": ["/probe"], "user": "0", "group": "0",
                "ports": [{"name": "a", "protocol": "HOSTILE", "port": 80, "HOSTILE": 1}]}"#,
                r#"{"exec": ["/probe"], "user": "0", "group": "0",
                "eventHandlers": [{"name": "pre-start", "exec": ["/HOSTILE"]}]}"#,
                r#"{"exec": ["/probe"], "user": "0", "group": "0", "isolators": [
                {"name": "HOSTILE", "value": {}}]}"#,
                r#"{"exec": ["/probe"], "user": "0", "group": "0", "isolators": [
                {"name": "os/linux/capabilities-retain-set", "value": {"set": ["HOSTILE"]}}]}"#,
                r#"{"exec": ["/probe"], "user": "0", "group": "0", "isolators": [
                {"name": "os/linux/capabilities-remove-set", "value": {"set": ["CAP_HOSTILE"]}}]}"#,
                r#"{"exec": ["/probe"], "user": "0", "group": "0", "isolators": [
                {"name": "os/linux/seccomp-retain-set", "value": {"set": ["HOSTILE"]}}]}"#,
                r#"{"exec": ["/probe"], "user": "0", "group": "0", "isolators": [
                {"name": "os/linux/seccomp-remove-set", "value": {"set": ["HOSTILE"], "errno": "HOSTILE"}}]}"#,
                r#"{"exec": ["/probe"], "user": "0", "group": "0", "isolators": [
                {"name": "resource/memory", "value": {"limit": "HOSTILE"}}]}"#,
                r#"{"exec": ["/probe"], "user": "0", "group": "0", "isolators": [
                {"name": "os/linux/selinux-context", "value": {"user": "HOSTILE", "role": "r", "type": "t", "level": "s0"}}]}"#,
            ] {
                let image = image(&scratch, &app.replace("HOSTILE", IN_JSON));
                let options = ["--insecure-options=image", &image];
                let mut said = String::new();
                for verb in [
                    &["plan"][..],
                    &["plan", "--format=json"],
                    &["validate"],
                    &["run"],
                ] {
                    let options = match verb {
                        ["validate"] => &options[1..],
                        ["run"] => &options[..],
                        _ => &options[1..],
                    };
                    let ran = call(&[verb, options].concat());
                    let all = ran.stdout + &ran.stderr;
                    is_harmless(&format!("{verb:?} {app}"), &all);
                    said += &all;
                }
                assert!(
                    said.contains("u{1b}") || said.contains(r"\x1b"),
                    "{app}: {said}"
                );
            }
            let json = call(&["image", "cat-manifest", id.trim()]).exits(0).stdout;
            assert!(json.contains(IN_JSON), "{json}");
        },
    );
}

#[test]
fn no_argument_drives_the_terminal() {
    require_root!();
    case(
        "H8b",
        "what names a thing on the command line is said without harm",
        || {
            let scratch = Scratch::new();
            let dir = scratch.join("dir");
            let hello = host::image("hello").display().to_string();
            let missing = scratch.join(HOSTILE).display().to_string();
            let volume = format!("v,kind=host,source={missing}");
            for words in [
                &[HOSTILE][..],
                &["run", HOSTILE],
                &["run", &missing],
                &["run", &format!("--{HOSTILE}"), &hello],
                &["run", &hello, "--user", HOSTILE],
                &["run", &hello, "--group", HOSTILE],
                &["run", &hello, "--supplementary-gids", HOSTILE],
                &["run", &hello, "--caps-retain", HOSTILE],
                &["run", &hello, "--caps-remove", HOSTILE],
                &[
                    "run",
                    &hello,
                    "--seccomp",
                    &format!("mode=retain,{HOSTILE}"),
                ],
                &[
                    "run",
                    &hello,
                    "--seccomp",
                    &format!("mode=remove,errno={HOSTILE},open"),
                ],
                &["run", &hello, "--exec", HOSTILE],
                &["run", &hello, "--working-dir", HOSTILE],
                &["run", &hello, "--name", HOSTILE],
                &["run", &hello, "--memory", HOSTILE],
                &[
                    "run",
                    &hello,
                    "--device",
                    &format!("/dev/{}", HOSTILE.replace(':', "")),
                ],
                &[
                    "run",
                    "--volume",
                    &volume,
                    &hello,
                    "--mount",
                    "volume=v,target=/v",
                ],
                &["run", "--hostname", HOSTILE, &hello],
                &["run", "--timezone", HOSTILE, &hello],
                &["run", "--set-env", HOSTILE, &hello],
                &["run", "--set-env-file", &missing, &hello],
                &["run", "--uuid-file-save", &format!("{missing}/a"), &hello],
                &["run", "--uuid", HOSTILE, &hello],
                &["run", "--plan", &missing],
                &["run", "--pod-manifest", &missing],
                &["plan", &missing],
                &["fetch", HOSTILE],
                &["fetch", &format!("http://127.0.0.1:1/{HOSTILE}")],
                &["validate", &missing],
                &["image", "rm", HOSTILE],
                &["image", "export", HOSTILE, "-"],
                &["image", "list", "--sort", HOSTILE],
                &["trust", "--prefix", HOSTILE, &missing],
                &["trust", "--root", &missing],
                &["status", HOSTILE],
                &["logs", HOSTILE],
                &["stop", HOSTILE],
                &["kill", "--signal", HOSTILE, "a"],
                &["rm", HOSTILE],
                &["rm", "--uuid-file", &missing],
                &["enter", HOSTILE],
                &["attach", HOSTILE],
                &["export", HOSTILE, "-"],
                &["help", HOSTILE],
            ] {
                let ran = launcher(&dir).args(words).run();
                says_it_harmlessly(&format!("{words:?}"), ran);
            }
            let file = scratch.write("file", "");
            let ran = launcher(&file.join(HOSTILE)).arg("list").run().exits(1);
            says_it_harmlessly("--dir", ran);
        },
    );
}

#[test]
fn no_plan_drives_the_terminal_and_none_loses_a_byte() {
    require_root!();
    let _ = image!("busybox");
    case(
        "H8c",
        "a plan is shown without harm, and is executed as it was meant",
        || {
            let scratch = Scratch::new();
            let dir = scratch.join("dir");
            let busybox = host::image("busybox").display().to_string();
            let variable = format!("--set-env=E={HOSTILE}");
            let words = [
                &variable,
                &busybox,
                "--",
                "-c",
                "printf %s \"$E\" | od -An -v -tx1",
            ];
            let call = |verb: &[&str]| launcher(&dir).args(verb).args(words).run().exits(0);
            let expected = call(&["run"]).stdout;
            assert!(expected.starts_with(" 78 1b 5d "), "{expected}");
            for format in ["text", "json"] {
                let plan = call(&["plan", "--format", format]).stdout;
                is_harmless(format, &plan);
                let ran = launcher(&dir)
                    .args(["run", "--plan", "-"])
                    .input(plan)
                    .run();
                ran.exits(0).complains("").says(&expected);
            }
            // Somebody else's plan, and one that cannot be read.
            let plan = format!("plan 1\nhostname '{}'\n", HOSTILE.replace(['\n', '\r'], ""));
            let ran = launcher(&dir)
                .args(["run", "--plan", "-"])
                .input(plan)
                .run();
            is_harmless("an incomplete plan", &ran.exits(125).stderr);
            for plan in [
                format!("plan 1\n{HOSTILE}\n"),
                format!("{{\"plan\": \"{IN_JSON}\"}}"),
            ] {
                let ran = launcher(&dir)
                    .args(["run", "--plan", "-"])
                    .input(plan)
                    .run();
                is_harmless("no plan", &ran.exits(125).stderr);
            }
        },
    );
}

/// Answers one request, whatever it is, with these bytes.
fn answering(answer: Vec<u8>) -> (u16, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let _ = client.read(&mut request);
        let _ = client.write_all(&answer);
    });
    (port, server)
}

#[test]
fn no_server_drives_the_terminal() {
    require_root!();
    case("H8d", "what a server answers is said without harm", || {
        let scratch = Scratch::new();
        let line = HOSTILE.replace(['\n', '\r'], "");
        for answer in [
            format!("HTTP/1.1 404 {line}\r\nContent-Length: 0\r\n\r\n"),
            format!("HTTP/1.1 404 {line}\r\nContent-Length: {line}\r\n\r\n"),
            format!("HTTP/1.1 401 {line}\r\nWWW-Authenticate: {line}\r\nContent-Length: 0\r\n\r\n"),
            format!("HTTP/1.1 302 {line}\r\nLocation: {line}\r\nContent-Length: 0\r\n\r\n"),
            format!(
                "HTTP/1.1 302 {line}\r\nLocation: https://{line}/\r\nContent-Length: 0\r\n\r\n"
            ),
            format!("HTTP/1.1 200 {line}\r\nContent-Length: {line}\r\n\r\n"),
            format!(
                "HTTP/1.1 200 {line}\r\nContent-Encoding: {line}\r\nContent-Length: 1\r\n\r\nx"
            ),
            format!("{line}\r\n\r\n"),
        ] {
            let (port, server) = answering(answer.clone().into_bytes());
            let ran = launcher(&scratch.join("dir"))
                .args(["fetch", "--insecure-options=image,http"])
                .arg(format!("http://127.0.0.1:{port}/a.aci"))
                .run()
                .exits(1);
            is_harmless(&answer, &(ran.stdout + &ran.stderr));
            server.join().unwrap();
        }
    });
}

/// A pod that has written something hostile, and has ended; gives its UUID.
fn logged(dir: &Path) -> String {
    let script = "printf '\\033]0;owned\\007\\302\\233A\\tcol\\rover\\n\\377end\\n'; \
                  printf '\\033[31m' >&2";
    let begin = launcher(dir)
        .args(["run", "--detach"])
        .arg(host::image("busybox"));
    let uuid = begin.args(["--", "-c", script]).run().exits(0).stdout;
    let uuid = uuid.trim().to_owned();
    launcher(dir)
        .args(["status", "--wait", &uuid])
        .run()
        .exits(0);
    uuid
}

/// What a command shows at a terminal, whose line breaks have two characters.
#[track_caller]
fn at_terminal(dir: &Path, words: &[&str]) -> String {
    let dir = dir.display().to_string();
    let seat = Seat::take(&host::program(), &[&["--dir", &dir], words].concat());
    let (status, shown) = seat.end();
    assert_eq!(status, Some(0), "{words:?}: {shown}");
    shown.replace("\r\n", "\n")
}

#[test]
fn no_log_drives_the_terminal() {
    require_root!();
    let _ = image!("busybox");
    case(
        "H8e",
        "to a terminal a log is escaped, and to a pipe it is not",
        || {
            let scratch = Scratch::new();
            let dir = scratch.join("dir");
            let uuid = logged(&dir);
            let expected = "\\u{1b}]0;owned\\u{7}\\u{9b}A\tcol\\rover\n\\xffend\n";
            for options in [
                &[][..],
                &["--follow"],
                &["--tail=9"],
                &["--timestamps"],
                &["--format=json"],
            ] {
                let words = [&["logs", &uuid][..], options].concat();
                let shown = at_terminal(&dir, &words);
                // The terminal itself makes blanks of no tab.
                is_harmless(&format!("{options:?}"), &shown);
                let colour = ["\\u{1b}[31m", "\\u001b[31m"]
                    .into_iter()
                    .any(|text| shown.contains(text));
                assert!(colour, "{options:?}: {shown}");
                if matches!(options, [] | ["--follow"]) {
                    assert!(shown.contains(expected), "{options:?}: {shown}");
                }
            }
            let raw = at_terminal(&dir, &["logs", "--raw", &uuid]);
            assert!(
                raw.contains("\u{1b}]0;owned\u{7}") && raw.contains("\u{1b}[31m"),
                "{raw:?}"
            );
            let ran = launcher(&dir).args(["logs", &uuid]).run().exits(0);
            assert_eq!(
                ran.stdout,
                "\u{1b}]0;owned\u{7}\u{9b}A\tcol\rover\n\u{fffd}end\n"
            );
            assert_eq!(ran.stderr, "\u{1b}[31m");
        },
    );
}

#[test]
fn no_manifest_drives_the_terminal() {
    require_root!();
    case(
        "H8f",
        "to a terminal a manifest is escaped as JSON is, and means the same",
        || {
            let scratch = Scratch::new();
            let dir = scratch.join("dir");
            // As JSON allows it, without an escape.
            let app = r#"{"exec": ["/probe", "RAW"], "user": "0", "group": "0"}"#;
            let image = image(&scratch, &app.replace("RAW", "\u{9b}31m\u{202e}\u{7f}"));
            let id = launcher(&dir)
                .args(["fetch", "--insecure-options=image", &image])
                .run();
            let id = id.exits(0).stdout;
            let shown = at_terminal(&dir, &["image", "cat-manifest", id.trim()]);
            is_harmless("cat-manifest", &shown);
            assert!(shown.contains(r#""\u009b31m\u202e\u007f""#), "{shown}");
            let ran = launcher(&dir)
                .args(["image", "cat-manifest", id.trim()])
                .run();
            assert!(ran.exits(0).stdout.contains("\"\u{9b}31m\u{202e}\u{7f}\""));
        },
    );
}
