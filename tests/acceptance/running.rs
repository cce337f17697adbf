//! Running: statuses, programs, words, variables, users, handlers, names.

use super::Said::{Has, Is, Lacks};
use super::{BOTH, Case, RUN, Table};
use crate::claims;
use crate::host::{self, Scratch};
use crate::seat::Seat;

#[test]
fn a_pod_ends_as_its_apps_do() {
    require_root!();
    const CASES: &[Case<'_>] = &[
        ("success", "PROBE -- --exit-code 0", 0, Is(""), ""),
        ("failure", "PROBE -- --exit-code 1", 1, Is(""), ""),
        ("another failure", "PROBE -- --exit-code 2", 2, Is(""), ""),
        (
            "the first app that fails decides, and the others are asked to end",
            "PROBE --name a -- --stdout hello --sleep 1 \
             --- PROBE --name b -- --stdout hello --sleep 1 --exit-code 5 \
             --- PROBE --name c -- --stdout hello --sleep 60 --exit-code 6",
            5,
            Is("hello\nhello\nhello\n"),
            "",
        ),
    ];
    Table::new(&[]).check(BOTH, CASES);
}

#[test]
fn what_is_executed_can_be_changed() {
    require_root!();
    const CASES: &[Case<'_>] = &[
        (
            "words are appended to the image's",
            "app.aci -- --report-only argument",
            0,
            Is("argument /probe\nargument --report-only\nargument argument\n"),
            "",
        ),
        (
            "a program of the operator's, through a link",
            "app.aci --exec /probe-link -- --report-only argument",
            0,
            Has("argument /probe-link"),
            "",
        ),
        (
            "a program that is found in PATH",
            "app.aci --exec named -- --report-only argument",
            0,
            Has("argument named"),
            "",
        ),
        (
            "an image without an app",
            "bare.aci --exec /probe -- --report-only argument",
            0,
            Has("argument /probe"),
            "",
        ),
        (
            "an image without an app, and no program",
            "bare.aci",
            125,
            Is(""),
            "no app and no program",
        ),
        (
            "blanks in a word are kept",
            "app.aci -- --stdout 'a  b'",
            0,
            Is("a  b\n"),
            "",
        ),
        (
            "a program that is not there",
            "app.aci --exec /none",
            127,
            Is(""),
            "no such program",
        ),
        (
            "a program that is not there, with words",
            "app.aci --exec /none -- a b",
            127,
            Is(""),
            "no such program",
        ),
        (
            "a blank in the name of a program is kept",
            "app.aci --exec '/none X'",
            127,
            Is(""),
            "no such program, with a blank",
        ),
        (
            "what would control the terminal is shown and not obeyed",
            "app.aci --exec /no\x1b[31mne",
            127,
            Is(""),
            "no such program, with an escape",
        ),
        (
            "a script without its interpreter",
            "app.aci --exec /script",
            126,
            Is(""),
            "no interpreter",
        ),
        (
            "a file that is no program",
            "app.aci --exec /text",
            126,
            Is(""),
            "no program",
        ),
    ];
    let app = r#"{"exec": ["/probe"], "user": "0", "group": "0"}"#;
    Table::new(&[("app", app), ("bare", "")]).check(BOTH, CASES);
}

#[test]
fn variables_come_from_where_they_should() {
    require_root!();
    const CASES: &[Case<'_>] = &[
        (
            "the image sets one",
            "app.aci -- --report-only environment",
            0,
            Has("environment A=image"),
            "",
        ),
        (
            "the caller's are not passed on unasked",
            "app.aci -- --report-only environment",
            0,
            Lacks("environment CALLER=caller"),
            "",
        ),
        (
            "the operator sets one",
            "--set-env N=set app.aci -- --report-only environment",
            0,
            Has("environment N=set"),
            "",
        ),
        (
            "the operator counts more than the image",
            "--set-env A=set app.aci -- --report-only environment",
            0,
            Has("environment A=set"),
            "",
        ),
        (
            "the caller's are passed on",
            "--inherit-env app.aci -- --report-only environment",
            0,
            Has("environment CALLER=caller"),
            "",
        ),
        (
            "the image counts more than the caller",
            "--inherit-env app.aci -- --report-only environment",
            0,
            Has("environment A=image"),
            "",
        ),
        (
            "the operator counts more than the caller",
            "--inherit-env --set-env CALLER=set app.aci -- --report-only environment",
            0,
            Has("environment CALLER=set"),
            "",
        ),
        (
            "a file sets one, past comments and empty lines",
            "--set-env-file HERE/env app.aci -- --report-only environment",
            0,
            Has("environment F=file"),
            "",
        ),
        (
            "an option counts more than the file",
            "--set-env-file HERE/env --set-env F=set app.aci -- --report-only environment",
            0,
            Has("environment F=set"),
            "",
        ),
        (
            "what is for one app counts most",
            "--set-env A=set app.aci --environment A=app -- --report-only environment",
            0,
            Has("environment A=app"),
            "",
        ),
        (
            "the search path is good",
            "app.aci -- --report-only environment",
            0,
            Has("environment PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            "",
        ),
        (
            "the terminal is named where there is one",
            "--interactive app.aci -- --report-only environment",
            0,
            Has("environment TERM=vt52"),
            "",
        ),
    ];
    let app = r#"{"exec": ["/probe"], "user": "0", "group": "0",
        "environment": [{"name": "A", "value": "image"}]}"#;
    Table::new(&[("app", app)])
        .file("env", "# comment\n\n; comment\nF=file\n")
        .check(BOTH, CASES);
}

#[test]
fn an_app_runs_as_who_it_should() {
    require_root!();
    const WHO: &str = "--report-only uid --report-only gid --report-only groups";
    const IMAGE: &str = "uid 400,400,400,400\ngid 500,500,500,500\ngroups \n";
    const NUMBERS: &str = "uid 1000,1000,1000,1000\ngid 100,100,100,100\ngroups \n";
    const ROWS: &[(&str, &str, &str)] = &[
        ("of the image", "app.aci", IMAGE),
        (
            "root, if nobody is named",
            "bare.aci --exec /probe",
            "uid 0,0,0,0\ngid 0,0,0,0\ngroups \n",
        ),
        ("numbers", "app.aci --user 1000 --group 100", NUMBERS),
        ("names", "app.aci --user user1 --group group1", NUMBERS),
        ("paths", "app.aci --user /owned --group /owned", NUMBERS),
        (
            "only the user",
            "app.aci --user user1",
            "uid 1000,1000,1000,1000\ngid 7,7,7,7\ngroups \n",
        ),
        (
            "only the group",
            "app.aci --group group1",
            "uid 400,400,400,400\ngid 100,100,100,100\ngroups \n",
        ),
        (
            "the operator's root in the place of the image's user",
            "app.aci --user 0 --group 0",
            "uid 0,0,0,0\ngid 0,0,0,0\ngroups \n",
        ),
        ("names of the image", "names.aci", NUMBERS),
        ("paths of the image", "paths.aci", NUMBERS),
        (
            "an app that is the second",
            "PROBE --name a -- --sleep 0 --- app.aci --user user1 --group group1",
            NUMBERS,
        ),
        (
            "other groups",
            "PROBE --supplementary-gids 400,500,1200",
            "uid 0,0,0,0\ngid 0,0,0,0\ngroups 400,500,1200\n",
        ),
    ];
    let app = |user: &str, group: &str| {
        format!(r#"{{"exec": ["/probe"], "user": "{user}", "group": "{group}"}}"#)
    };
    let table = Table::new(&[
        ("app", &app("400", "500")),
        ("names", &app("user1", "group1")),
        ("paths", &app("/owned", "/owned")),
        ("bare", ""),
    ]);
    for (claim, line, said) in ROWS {
        table.check(
            BOTH,
            &[(claim, &format!("{line} -- {WHO}"), 0, Is(said), "")],
        );
    }
}

#[test]
fn handlers_run_before_and_after_their_app_as_its_user() {
    require_root!();
    const CASES: &[Case<'_>] = &[
        (
            "as the app's user, not as root",
            "handled.aci -- --stdout main",
            0,
            Is("uid 1000,1000,1000,1000\ngid 1000,1000,1000,1000\nmain\nafter\n"),
            "",
        ),
        (
            "without the handler that comes before there is no app",
            "failing.aci -- --stdout main",
            3,
            Is(""),
            "a handler that fails",
        ),
    ];
    let handled = r#"{"exec": ["/probe"], "user": "1000", "group": "1000", "eventHandlers": [
        {"name": "pre-start", "exec": ["/probe", "--report-only", "uid", "--report-only", "gid"]},
        {"name": "post-stop", "exec": ["/probe", "--stdout", "after"]}]}"#;
    let failing = r#"{"exec": ["/probe"], "user": "0", "group": "0", "eventHandlers": [
        {"name": "pre-start", "exec": ["/probe", "--exit-code", "3"]}]}"#;
    Table::new(&[("handled", handled), ("failing", failing)]).check(BOTH, CASES);
}

#[test]
fn a_pod_manifest_stands_for_the_options_that_describe_a_pod() {
    require_root!();
    let table = Table::new(&[]);
    for (option, title) in [
        ("--inherit-env", "beside --inherit-env"),
        ("--set-env A=1", "beside --set-env"),
        ("--set-env-file HERE/env", "beside --set-env-file"),
        ("a.aci", "beside an image"),
        ("a.aci --exec /x", "beside an image"),
        ("a.aci --user 1", "beside an image"),
        ("a.aci --group 1", "beside an image"),
        ("a.aci --mount volume=a,target=/a", "beside an image"),
    ] {
        let line = format!("--pod-manifest /dev/null {option}");
        table.check(BOTH, &[("both", &line, 125, Is(""), title)]);
    }
}

#[test]
fn a_pod_is_what_it_is_called_and_how_it_is_talked_to() {
    require_root!();
    let _ = image!("busybox");
    const CASES: &[Case<'_>] = &[
        (
            "it is called by its UUID",
            "--uuid UUID BUSYBOX -- -c 'hostname; cat /etc/hostname'",
            0,
            Is("UUID\nUUID\n"),
            "",
        ),
        (
            "it is called as the operator wants",
            "--hostname web BUSYBOX -- -c 'hostname; cat /etc/hostname'",
            0,
            Is("web\nweb\n"),
            "",
        ),
        (
            "the file with the name is as it is everywhere",
            "BUSYBOX -- -c 'stat -c %A:%u:%g /etc/hostname'",
            0,
            Is("-rw-r--r--:0:0\n"),
            "",
        ),
        (
            "the table of mounts is the kernel's",
            "BUSYBOX -- -c 'readlink /etc/mtab'",
            0,
            Is("../proc/self/mounts\n"),
            "",
        ),
        (
            "standard input arrives",
            "BUSYBOX -- -c 'read line; echo $line'",
            0,
            Is("Saluton\n"),
            "",
        ),
        (
            "without a terminal there is none",
            "BUSYBOX -- -c 'tty'",
            1,
            Is("not a tty\n"),
            "",
        ),
    ];
    Table::new(&[]).check(BOTH, CASES);
}

#[test]
fn an_interactive_app_has_a_terminal() {
    require_root!();
    let busybox = image!("busybox").display().to_string();
    let scratch = Scratch::new();
    let dir = scratch.join("dir").display().to_string();
    for (option, script, typed, said) in [
        (None, "test -t 0 && echo terminal", "", "terminal\r\n"),
        (
            Some("--interactive"),
            "test -t 0 && echo terminal",
            "",
            "terminal\r\n",
        ),
        (
            Some("--interactive"),
            "stty -echo; echo go; read line; echo got $line",
            "Saluton\n",
            "go\r\ngot Saluton\r\n",
        ),
    ] {
        let mut words = vec!["--dir", &dir, "run"];
        words.extend(option);
        words.extend([busybox.as_str(), "--", "-c", script]);
        let mut seat = Seat::take(&host::program(), &words);
        if !typed.is_empty() {
            seat.until("go\r\n");
            seat.types(typed);
        }
        let (status, shown) = seat.end();
        assert_eq!(status, Some(0), "{shown}");
        claims::same(script, &shown, said);
    }
}

#[test]
fn what_an_app_has_of_the_kernels_is_as_asked() {
    require_root!();
    let host = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    let hosts = format!("oom-score-adj {host}");
    let cases = [
        ("of the image", "oom.aci", "oom-score-adj 99\n"),
        ("the caller's, if nobody asks", "PROBE", &hosts),
        (
            "of the operator",
            "PROBE --oom-score-adj 42",
            "oom-score-adj 42\n",
        ),
        (
            "of the operator rather than of the image",
            "oom.aci --oom-score-adj 42",
            "oom-score-adj 42\n",
        ),
        ("root, asked", "nnp.aci", "no-new-privileges 1\n"),
        ("root, asked not to", "not.aci", "no-new-privileges 0\n"),
        ("root, not asked", "PROBE", "no-new-privileges 0\n"),
        (
            "a user, asked",
            "nnp.aci --user 1000 --group 1000",
            "no-new-privileges 1\n",
        ),
        (
            "a user, asked not to",
            "not.aci --user 1000 --group 1000",
            "no-new-privileges 0\n",
        ),
        (
            "the operator asks",
            "not.aci --no-new-privileges",
            "no-new-privileges 1\n",
        ),
    ];
    let app = |name: &str, value: &str| {
        format!(
            r#"{{"exec": ["/probe"], "user": "0", "group": "0",
                "isolators": [{{"name": "os/linux/{name}", "value": {value}}}]}}"#
        )
    };
    // What takes CAP_SYS_RESOURCE (24 in capabilities(7)) is not done without it, and said.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mut sets = status
        .lines()
        .filter_map(|line| line.strip_prefix("CapEff:"));
    let set = u64::from_str_radix(sets.next().unwrap().trim(), 16).unwrap();
    let below = match set >> 24 & 1 {
        1 => (0, "oom-score-adj -50\n", ""),
        _ => (125, "", "less than nothing, without the right"),
    };
    let table = Table::new(&[
        ("oom", &app("oom-score-adj", "99")),
        ("less", &app("oom-score-adj", "-50")),
        ("nnp", &app("no-new-privileges", "true")),
        ("not", &app("no-new-privileges", "false")),
    ]);
    let (status, said, complained) = below;
    let line = "less.aci --allow-isolators -- --report-only oom-score-adj";
    table.check(
        RUN,
        &[("less than nothing", line, status, Is(said), complained)],
    );
    for (claim, line, said) in cases {
        let field = said.split(' ').next().unwrap();
        let line = format!("{line} -- --report-only {field}");
        table.check(RUN, &[(claim, &line, 0, Is(said), "")]);
    }
}
