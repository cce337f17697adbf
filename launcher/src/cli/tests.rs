//! Whole command lines, right and wrong.

mod spelling;
mod table;
mod values;

use super::*;
use crate::cmd::wait::Wait;
use ::image::reference::Reference;
use ::pod::spec::log::Place;
use std::time::Duration;

pub(super) fn parsed(line: &str) -> std::result::Result<Command, String> {
    let words = line.split_whitespace().map(OsString::from).collect();
    parse(words)
        .map(|invocation| invocation.command)
        .map_err(|misuse| format!("{} {}", misuse.status, misuse.error))
}

pub(super) fn message(line: &str) -> String {
    parsed(line).err().unwrap_or_default()
}

#[test]
fn wrong_usage_is_named_and_never_looks_like_an_apps_status() {
    for (line, expected) in [
        (
            "fly",
            "2 there is no command `fly`\nhint: `launcher help` lists all commands",
        ),
        (
            "run",
            "125 an image is missing\nhint: give a file such as `hello.aci`, or a name such as `example.com/web:1.0.0`",
        ),
        (
            "run --fast a.aci",
            "125 there is no option `--fast`\nhint: `launcher help run` lists all options",
        ),
        (
            "run a.aci b",
            "125 unexpected argument `b`\nhint: arguments of the app go after `--`, another app goes after `---`",
        ),
        ("run --uuid", "125 `--uuid` needs a value"),
        (
            "run --plan p -- x",
            "125 `--plan` and `--` cannot be used together: a plan contains its arguments",
        ),
        (
            "plan --format xml a.aci",
            "2 `--format`: `xml` is not a format of plans: use `text`, `json` or `words`",
        ),
        ("validate", "2 a file is missing"),
        ("version now", "2 unexpected argument `now`"),
        ("validate --dir", "2 `--dir` needs a value"),
    ] {
        assert_eq!(message(line), expected, "{line}");
    }
}

#[test]
fn errors_are_verbose_only_if_asked_for() {
    for (line, verbose) in [
        ("list", false),
        ("--verbose list", true),
        ("list --verbose", true),
        ("run --verbose a.aci", true),
        ("run a.aci -- --verbose", false),
        ("list --verbose=false", false),
    ] {
        let words = line.split(' ').map(OsString::from).collect();
        let parsed = parse(words).map(|invocation| invocation.verbose);
        assert_eq!(parsed.ok(), Some(verbose), "{line}");
    }
}

#[test]
fn what_follows_the_dashes_is_the_apps() {
    let Ok(Command::Run(options)) = parsed("run a.aci -- --dir x --help --") else {
        unreachable!("it is understood");
    };
    let [app] = &options.request.apps[..] else {
        unreachable!("it is one app");
    };
    assert_eq!(app.arguments, ["--dir", "x", "--help", "--"]);
    let expected = appc::reference::Reference::Path("a.aci".into());
    assert_eq!(options.images, [Reference::Appc(expected)]);
}

#[test]
fn help_is_found_wherever_it_is_asked_for() {
    for line in [
        "",
        "help",
        "--help",
        "-h",
        "help help",
        "run --help",
        "plan x.aci -h",
    ] {
        assert!(
            matches!(parsed(line), Ok(Command::Say(text)) if text.contains("Usage")),
            "{line}"
        );
    }
}

#[test]
fn a_pod_that_is_missing_or_said_twice_is_wrong_usage() {
    for verb in [
        "status",
        "pause",
        "resume",
        "stop",
        "kill",
        "rm",
        "cat-manifest",
        "logs",
    ] {
        assert_eq!(
            parsed(verb).err(),
            Some("2 a pod is missing\nhint: `launcher list` lists all pods".to_owned())
        );
        assert_eq!(
            parsed(&format!("{verb} web --uuid-file f")).err(),
            Some("2 `--uuid-file` and `web` cannot be used together".to_owned())
        );
    }
    assert_eq!(
        parsed("status a b").err(),
        Some("2 unexpected argument `b`".to_owned())
    );
    assert_eq!(
        parsed("run-prepared --rm --keep x").err(),
        Some("125 `--keep` and `--rm` cannot be used together".to_owned())
    );
}

#[test]
fn without_a_pod_all_are_measured() {
    for (line, all) in [("stats --no-legend", true), ("stats web", false)] {
        let Ok(Command::Stats(options)) = parsed(line) else {
            unreachable!("it is understood");
        };
        assert_eq!(options.selector.is_empty(), all, "{line}");
    }
    assert_eq!(
        parsed("stats web --uuid-file f").err(),
        Some("2 `--uuid-file` and `web` cannot be used together".to_owned())
    );
}

#[test]
fn waiting_is_for_ever_or_for_a_span_of_time() {
    for (options, over, ready) in [
        ("", Wait::No, Wait::No),
        ("--wait", Wait::Ever, Wait::No),
        ("--wait=true --wait-ready=false", Wait::Ever, Wait::No),
        ("--wait-ready", Wait::No, Wait::Ever),
        (
            "--wait=2m --wait-ready=3s",
            Wait::For(Duration::from_secs(120)),
            Wait::For(Duration::from_secs(3)),
        ),
    ] {
        let Ok(Command::Status(status)) = parsed(&format!("status {options} web")) else {
            unreachable!("it is understood");
        };
        assert_eq!((status.over, status.ready), (over, ready), "{options}");
        assert_eq!(status.selector.words, ["web"]);
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (line, said) in [
        (
            "run --log=disk a.aci",
            "125 `--log` needs `--detach`: the output of other pods is not kept",
        ),
        (
            "run-prepared --log-size=1Mi x",
            "125 `--log-size` needs `--detach`: the output of other pods is not kept",
        ),
        (
            "plan --log=disk a.aci",
            "2 `--log` needs `--detach`: the output of other pods is not kept",
        ),
        (
            "run --detach --log=flash a.aci",
            "125 `--log`: `flash` is not a valid place for a log: expected `disk`, `memory` or `none`",
        ),
        (
            "run-prepared --detach --log=flash x",
            "125 `--log`: `flash` is not a valid place for a log: expected `disk`, `memory` or `none`",
        ),
        (
            "run --detach --log-size=1k --plan p",
            "125 `--log-size`: `1k` is less than the minimum of `16Ki`",
        ),
        (
            "run --detach --log=none --log-size=1Mi a.aci",
            "125 `--log=none` and `--log-size` cannot be used together",
        ),
        (
            "prepare --log=none a.aci",
            "2 there is no option `--log`\nhint: `launcher help prepare` lists all options",
        ),
        (
            "logs --since=yesterday x",
            "2 `--since`: `yesterday` is neither an age nor a date\n\
             hint: use an age such as `90s` or `1h30m`, or a date such as `2004-05-14T23:11:14Z`",
        ),
        (
            "logs --tail=-1 x",
            "2 `--tail`: `-1` is not a number of lines",
        ),
        (
            "logs --format=xml x",
            "2 `--format`: `xml` is not a format of logs: use `text` or `json`",
        ),
        (
            "logs --format=json --timestamps x",
            "2 `--format=json` and `--timestamps` cannot be used together",
        ),
    ] {
        assert_eq!(parsed(line).err().as_deref(), Some(said), "{line}");
    }
}

#[test]
fn a_detached_pod_has_a_log_if_nobody_says_otherwise() {
    for (options, place, bytes) in [
        ("", Place::Disk, 1 << 20),
        ("--log=memory", Place::Memory, 1 << 20),
        ("--log=none", Place::Nowhere, 1 << 20),
        ("--log=disk --log-size=64Ki", Place::Disk, 64 << 10),
    ] {
        let Ok(Command::RunPrepared(_, mode)) =
            parsed(&format!("run-prepared --detach {options} x"))
        else {
            unreachable!("it is understood");
        };
        let log = mode.detached.map(|log| (log.place, log.size.bytes()));
        assert_eq!(log, Some((place, bytes)), "{options}");
    }
}

#[test]
fn wrong_usage_never_looks_like_the_status_of_a_command() {
    for (line, message) in [
        (
            "enter",
            "a pod is missing\nhint: `launcher list` lists all pods",
        ),
        (
            "enter --app=a",
            "a pod is missing\nhint: `launcher list` lists all pods",
        ),
        (
            "enter -- web",
            "a pod is missing\nhint: `launcher list` lists all pods",
        ),
        (
            "enter web --app=a",
            "unexpected option `--app=a` after the pod\n\
             hint: options go before the pod; put `--` before a program whose name begins with `-`",
        ),
        (
            "enter --fast web",
            "there is no option `--fast`\n\
             hint: `launcher help enter` lists all options",
        ),
        (
            "enter --cwd=tmp web",
            "`--cwd`: `tmp` is not an absolute path",
        ),
        ("enter --app", "`--app` needs a value"),
        (
            "enter --set-env A=1 --set-env=A=2 web",
            "`--set-env` sets `A` twice",
        ),
        (
            "enter --set-env A web",
            "`--set-env`: `A` has no `=`\nhint: expected `NAME=VALUE`",
        ),
        (
            "enter --set-env container=x web",
            "`--set-env`: variable `container` cannot be set: Nose Cone sets it itself",
        ),
    ] {
        assert_eq!(parsed(line).err(), Some(format!("125 {message}")), "{line}");
    }
}

#[test]
fn wait_takes_pods_and_a_time() {
    let wait = |line| match parsed(line) {
        Ok(Command::Wait(selector, time, _)) => (selector.words, time),
        _ => unreachable!("{line} waits"),
    };
    assert_eq!(wait("wait web"), (vec!["web".to_owned()], None));
    let minute = Some(Duration::from_secs(60));
    let both = vec!["web".to_owned(), "db".to_owned()];
    assert_eq!(wait("wait --time=1m web db"), (both, minute));
}

#[test]
fn what_stands_behind_the_pod_is_the_commands() {
    for (line, pod, file, command) in [
        ("enter web", &["web"][..], None, &[][..]),
        ("enter web --", &["web"], None, &[]),
        ("enter web ls", &["web"], None, &["ls"]),
        ("enter web -- -ls", &["web"], None, &["-ls"]),
        (
            "--dir d enter --user 0 web ls --help --dir x -- y",
            &["web"],
            None,
            &["ls", "--help", "--dir", "x", "--", "y"],
        ),
        ("enter --uuid-file f", &[], Some("f"), &[]),
        ("enter --uuid-file f ls -l", &[], Some("f"), &["ls", "-l"]),
        ("enter --uuid-file=f -- -l", &[], Some("f"), &["-l"]),
        ("enter enter enter", &["enter"], None, &["enter"]),
    ] {
        let Ok(Command::Enter(options)) = parsed(line) else {
            unreachable!("{line} is understood");
        };
        assert_eq!(options.selector.words, pod, "{line}");
        assert_eq!(options.selector.file, file.map(Into::into), "{line}");
        assert_eq!(options.command, command, "{line}");
    }
}
