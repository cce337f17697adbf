//! Whole command lines, right and wrong.

use super::*;
use crate::cli::table::spec::{Operands, Takes};
use crate::cmd::enter::Terminal;
use crate::cmd::status::Wait;
use ::pod::state::log::Place;
use appc::reference::Reference;
use std::path::PathBuf;
use std::time::Duration;

fn parsed(line: &str) -> std::result::Result<Command, String> {
    let words = line.split_whitespace().map(OsString::from).collect();
    parse(words)
        .map(|invocation| invocation.command)
        .map_err(|misuse| format!("{} {}", misuse.status, misuse.error))
}

fn message(line: &str) -> String {
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
fn what_stands_behind_the_dashes_is_the_apps() {
    let Ok(Command::Run(options)) = parsed("run a.aci -- --dir x --help --") else {
        unreachable!("it is understood");
    };
    let [app] = &options.request.apps[..] else {
        unreachable!("it is one app");
    };
    assert_eq!(app.arguments, ["--dir", "x", "--help", "--"]);
    assert_eq!(options.images, [Reference::Path("a.aci".into())]);
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
            "125 `--log`: `flash` is no place for a log; it is `disk`, `memory` or `none`",
        ),
        (
            "run-prepared --detach --log=flash x",
            "125 `--log`: `flash` is no place for a log; it is `disk`, `memory` or `none`",
        ),
        (
            "run --detach --log-size=1k --plan p",
            "125 `--log-size`: `1k` is less than `16Ki`, which is the least",
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
        let Ok(Command::RunPrepared(_, manner)) =
            parsed(&format!("run-prepared --detach {options} x"))
        else {
            unreachable!("it is understood");
        };
        let log = manner.detached.map(|log| (log.place, log.size.bytes()));
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
            "`--set-env`: `A` has no `=`\nhint: a variable is written `NAME=VALUE`",
        ),
        (
            "enter --set-env container=x web",
            "`--set-env`: variable `container` cannot be set: Nose Cone says with it what is so",
        ),
    ] {
        assert_eq!(parsed(line).err(), Some(format!("125 {message}")), "{line}");
    }
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

#[test]
fn every_option_of_the_table_is_taken_by_its_command() {
    for (path, command) in table::all() {
        let operand = match command.operands {
            Operands::None | Operands::Commands => "",
            Operands::Shells => "bash",
            Operands::Files | Operands::Images | Operands::Pods => "web",
        };
        for option in command.visible() {
            let value = match option.takes {
                Takes::Nothing | Takes::Perhaps(_) => "",
                Takes::Value(_) => "=x",
            };
            for spelling in option.spellings() {
                let given = match (spelling.len(), value) {
                    (2, "=x") => format!("{spelling} x"),
                    _ => format!("{spelling}{value}"),
                };
                for line in [
                    format!("{path} {given} {operand}"),
                    format!("{path} {operand} {given}"),
                ] {
                    let said = message(&line);
                    assert!(!said.contains("there is no option"), "{line}: {said}");
                    assert!(!said.contains("one argument too many"), "{line}: {said}");
                }
            }
        }
    }
}

#[test]
fn help_is_there_for_all_commands_and_fits_a_terminal() {
    for (path, command) in table::all() {
        let help = help::of(command);
        assert!(
            help.starts_with(&format!("Usage: launcher {path}")),
            "{help}"
        );
        for ask in [
            format!("help {path}"),
            format!("{path} --help"),
            format!("{path} -h"),
            format!("--help {path}"),
        ] {
            let Ok(Command::Say(said)) = parsed(&ask) else {
                unreachable!("{ask} is understood");
            };
            assert_eq!(said, help, "{ask}");
        }
        assert!(
            !command.examples.is_empty() || !command.commands.is_empty(),
            "{path}"
        );
        for (_, example) in command.examples {
            assert!(help.contains(example), "{path}");
        }
        for line in help.lines().filter(|line| !line.starts_with("  launcher ")) {
            assert!(line.chars().count() <= 80, "{path}: {line}");
        }
        for option in command.visible() {
            assert!(
                help.contains(&help::signature(option)),
                "{path} {}",
                option.name
            );
        }
    }
    assert!(
        help::overview()
            .lines()
            .all(|line| line.chars().count() <= 80)
    );
}

#[test]
fn examples_are_understood() {
    for (path, command) in table::all() {
        for (_, example) in command.examples {
            let line = example.split(" && ").next().unwrap_or_default();
            let line = line
                .trim_start_matches("uuid=$(")
                .trim_start_matches("source <(");
            let line = line.split(" >").next().unwrap_or_default();
            let line = line
                .trim_end_matches(')')
                .replace("$FINGERPRINT", &"0".repeat(40));
            let words = line.strip_prefix("launcher ").unwrap_or(&line);
            assert_eq!(message(words), "", "{path}: {line}");
        }
    }
}

#[test]
fn what_is_misspelt_gets_a_suggestion() {
    for (line, said) in [
        (
            "rum",
            "2 there is no command `rum`\nhint: did you mean `run`? `launcher help` lists all commands",
        ),
        (
            "--dir x rum",
            "2 there is no command `rum`\nhint: did you mean `run`? `launcher --dir x help` lists all commands",
        ),
        (
            "image lst",
            "2 there is no command `image lst`\nhint: did you mean `list`? `launcher help image` lists all commands",
        ),
        (
            "image",
            "2 `image` needs a command\nhint: `launcher help image` lists all commands",
        ),
        (
            "help image lst",
            "2 there is no command `image lst`\nhint: did you mean `list`? `launcher help image` lists all commands",
        ),
        (
            "help run x",
            "2 command `run` has no commands below it\nhint: `launcher help run` shows its options",
        ),
        (
            "--dir=/d run --detatch a.aci",
            "125 there is no option `--detatch`\nhint: did you mean `--detach`? `launcher --dir /d help run` lists all options",
        ),
        (
            "run -detach a.aci",
            "125 there is no option `-detach`\nhint: did you mean `--detach`? `launcher help run` lists all options",
        ),
        (
            "ps -q",
            "2 there is no option `-q`\nhint: `launcher help ps` lists all options",
        ),
        (
            "images --ful",
            "2 there is no option `--ful`\nhint: did you mean `--full`? `launcher help images` lists all options",
        ),
        (
            "--dir x rm",
            "2 a pod is missing\nhint: `launcher --dir x list` lists all pods",
        ),
        (
            "--dir x run a.aci --name=b --hostname=c",
            "125 `--hostname` is a pod option: it goes before the first image\n\
             hint: `launcher --dir x run --hostname=c a.aci --name=b`",
        ),
        ("--dir x list --dir y", "2 `--dir` is given twice"),
        (
            "--frob",
            "2 there is no option `--frob`\nhint: `launcher help` lists all options",
        ),
    ] {
        assert_eq!(message(line), said, "{line}");
    }
}

#[test]
fn aliases_are_what_they_stand_for() {
    let listing = |line: &str| match parsed(line) {
        Ok(Command::List(listing)) => listing,
        _ => unreachable!("{line} lists pods"),
    };
    assert_eq!(listing("ps -a"), listing("list"));
    assert_eq!(listing("ps --full"), listing("list --full"));
    assert!(matches!(
        parsed("images"),
        Ok(Command::Image(crate::cmd::image::Verb::List(_)))
    ));
    assert!(matches!(
        parsed("rmi web"),
        Ok(Command::Image(crate::cmd::image::Verb::Remove(names))) if names == ["web"]
    ));
    assert!(matches!(parsed("pull a.aci"), Ok(Command::Fetch(fetch)) if fetch.images.len() == 1));
    let Ok(Command::Status(status)) = parsed("wait web") else {
        unreachable!("it is understood");
    };
    assert_eq!(
        (status.over, &*status.selector.words),
        (Wait::Ever, &["web".to_owned()][..])
    );
    assert!(matches!(
        parsed("inspect web"),
        Ok(Command::Status(status)) if status.format == crate::cmd::table::Format::Json
    ));
    for (line, terminal) in [
        ("exec -it web ls -it", Terminal::Wanted),
        ("exec -i web ls -it", Terminal::None),
        ("--once-more exec -it web ls -it", Terminal::There),
    ] {
        let Ok(Command::Enter(enter)) = parsed(line) else {
            unreachable!("{line} is understood");
        };
        assert_eq!(enter.terminal, terminal, "{line}");
        assert_eq!(enter.command, ["ls", "-it"], "{line}");
    }
    assert_eq!(
        message("exec"),
        "125 a pod is missing\nhint: `launcher list` lists all pods"
    );
}

#[test]
fn short_options_are_what_podman_means_by_them() {
    let line = "run -dit -e A=1 -eB=2 -v /srv:/data:ro -q a.aci -u 7:8 -w /tmp -eC=3 --read-only --entrypoint /bin/sh";
    let Ok(Command::Run(options)) = parsed(line) else {
        unreachable!("it is understood: {}", message(line));
    };
    assert!(options.manner.detached.is_some() && options.request.interactive);
    assert!(options.fetch.quiet);
    let set: Vec<_> = options
        .set
        .iter()
        .map(|one| (&*one.name, &*one.value))
        .collect();
    assert_eq!(set, [("A", "1"), ("B", "2")]);
    let [app] = &options.request.apps[..] else {
        unreachable!("it is one app");
    };
    assert_eq!(app.user.as_deref(), Some("7"));
    assert_eq!(app.group.as_deref(), Some("8"));
    assert_eq!(app.working_directory.as_deref(), Some("/tmp"));
    assert_eq!(app.exec.as_deref(), Some("/bin/sh"));
    assert!(app.read_only.is_some());
    assert_eq!(app.environment.len(), 1);
    let [volume] = &options.request.volumes[..] else {
        unreachable!("it is one volume");
    };
    assert_eq!(volume.volume.read_only, Some(true));
    let [mount] = &app.mounts[..] else {
        unreachable!("it is one mount");
    };
    assert_eq!(mount.value.volume, volume.volume.name);
    assert_eq!(mount.value.path, "/data");
    for (line, said) in [
        (
            "run -di a.aci",
            "125 `-i` and `--detach` need `-t`: a detached app can only read from a terminal",
        ),
        (
            "run -v /a:b a.aci",
            "125 `--volume`: the path in the pod is not absolute in `/a:b`\n\
             hint: `/HOST:/POD` or `/HOST:/POD:ro`; `NAME,kind=host,source=PATH` takes any path",
        ),
        (
            "run -v /a:/b:z a.aci",
            "125 `--volume`: unknown mode in `/a:/b:z`\n\
             hint: `/HOST:/POD` or `/HOST:/POD:ro`; `NAME,kind=host,source=PATH` takes any path",
        ),
        (
            "run -v /a:/b --pod-manifest m",
            "125 `--volume` cannot mount `/b` in the apps of a pod manifest\n\
             hint: `--volume NAME,kind=host,source=PATH` names a volume",
        ),
        ("run -h", ""),
        (
            "run -dx a.aci",
            "125 there is no option `-dx`\nhint: `launcher help run` lists all options",
        ),
        (
            "run a.aci -u 7:8 --group 9",
            "125 `--user=7:` and `--group` cannot be used together",
        ),
        ("run -e", "125 `-e` needs a value"),
        ("run -d -d a.aci", "125 `--detach` is given twice"),
        (
            "run --plan p --hostname h",
            "125 `--plan` and `--hostname` cannot be used together: a plan contains its images and options",
        ),
    ] {
        assert_eq!(message(line), said, "{line}");
    }
    for (line, piped) in [
        ("run --pipe-output a.aci", true),
        ("run --pipe-output=true a.aci", true),
        ("run --pipe-output=false a.aci", false),
        ("--once-more run --pipe-output=true a.aci", false),
        ("--once-more run-prepared --pipe-output x", false),
    ] {
        assert_eq!(
            parsed(line).ok().map(|command| command.is_piped()),
            Some(piped),
            "{line}"
        );
    }
}

#[test]
fn a_value_is_never_an_option() {
    let Ok(Command::Run(options)) =
        parsed("run --hostname --keep a.aci --exec --name --user=--group=x")
    else {
        unreachable!("it is understood");
    };
    assert_eq!(options.request.hostname.as_deref(), Some("--keep"));
    assert!(!options.manner.keep);
    assert_eq!(options.request.apps[0].exec.as_deref(), Some("--name"));
    assert_eq!(options.request.apps[0].user.as_deref(), Some("--group=x"));
    assert_eq!(options.request.apps[0].group, None);
}

#[test]
fn behind_two_dashes_nothing_is_an_option() {
    assert!(matches!(
        parsed("validate a -- -b --help"),
        Ok(Command::Validate(files)) if files == ["a", "-b", "--help"].map(PathBuf::from)
    ));
    assert!(matches!(
        parsed("rm -f -- -web"),
        Ok(Command::Remove(pods, true)) if pods.words == ["-web"]
    ));
    assert_eq!(message("list -- x"), "2 unexpected argument `x`");
}
