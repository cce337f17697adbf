//! Short options, aliases, and words that are misspelt.

use std::path::PathBuf;

use crate::cli::command::Command;
use crate::cli::tests::{message, parsed};
use crate::cmd::enter::Terminal;

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
            "2 command `run` has no subcommands\nhint: `launcher help run` shows its options",
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
        Ok(Command::Image(crate::cmd::image::Verb::List(_), _))
    ));
    assert!(matches!(
        parsed("rmi web"),
        Ok(Command::Image(crate::cmd::image::Verb::Remove(names), _)) if names == ["web"]
    ));
    assert!(
        matches!(parsed("pull a.aci"), Ok(Command::Fetch(fetch, _)) if fetch.images.len() == 1)
    );
    assert!(matches!(
        parsed("inspect web"),
        Ok(Command::Status(status)) if status.format == crate::cmd::results::Format::Json
    ));
    for (line, terminal) in [
        ("exec -it web ls -it", Terminal::Wanted),
        ("exec -i web ls -it", Terminal::AsCaller),
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
    assert!(options.mode.detached.is_some() && options.request.interactive);
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
             hint: use `/HOST:/POD` or `/HOST:/POD:ro`; in a path, write a colon as `\\:`",
        ),
        (
            "run -v /a:/b:z a.aci",
            "125 `--volume`: unknown mode in `/a:/b:z`\n\
             hint: use `/HOST:/POD` or `/HOST:/POD:ro`; in a path, write a colon as `\\:`",
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
    assert!(!options.mode.keep);
    assert_eq!(options.request.apps[0].exec.as_deref(), Some("--name"));
    assert_eq!(options.request.apps[0].user.as_deref(), Some("--group=x"));
    assert_eq!(options.request.apps[0].group, None);
}

#[test]
fn behind_two_dashes_nothing_is_an_option() {
    assert!(matches!(
        parsed("validate a -- -b --help"),
        Ok(Command::Validate(options, _)) if options.files == ["a", "-b", "--help"].map(PathBuf::from)
    ));
    assert!(matches!(
        parsed("rm -f -- -web"),
        Ok(Command::Remove(pods, true, _)) if pods.words == ["-web"]
    ));
    assert_eq!(message("list -- x"), "2 unexpected argument `x`");
}
