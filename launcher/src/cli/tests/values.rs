//! Values that cannot be meant: names that nobody knows, empty ones, and what is
//! given twice.

use super::{message, parsed};
use crate::cli::table::spec::{CommandSpec, OptionSpec, Place, Takes};
use crate::cli::table::{COMMANDS, visible};
use crate::cli::values::bytes;

#[test]
fn a_name_that_nobody_knows_is_refused_and_the_nearest_is_suggested() {
    for (option, said) in [
        (
            "--caps-remove=CAP_NETRAW",
            "`--caps-remove`: `CAP_NETRAW` is not a capability\nhint: did you mean `CAP_NET_RAW`?",
        ),
        (
            "--caps-retain=CAP_KILL,sysadmin",
            "`--caps-retain`: `sysadmin` is not a capability\nhint: did you mean `CAP_SYS_ADMIN`?",
        ),
        (
            "--cap-add=ponies",
            "`--cap-add`: `ponies` is not a capability\nhint: capabilities(7) lists them",
        ),
        (
            "--cap-drop=kil",
            "`--cap-drop`: `kil` is not a capability\nhint: did you mean `CAP_KILL`?",
        ),
        (
            "--seccomp=mode=remove,reboott",
            "`--seccomp`: `reboott` is not a system call\nhint: did you mean `reboot`?",
        ),
        (
            "--seccomp=mode=retain,READ",
            "`--seccomp`: `READ` is not a system call\nhint: did you mean `read`?",
        ),
        (
            "--seccomp=mode=retain,@rkt/all",
            "`--seccomp`: `@rkt/all` is not a group of system calls\n\
             hint: syscalls(2) lists them; `@appc.io/all` and `@nosecone/default` are groups",
        ),
        (
            "--seccomp=mode=remove,errno=EPREM,reboot",
            "`--seccomp`: `EPREM` is not an error\nhint: did you mean `EPERM`?",
        ),
        (
            "--ulimit=nofiles=1",
            "`--ulimit`: `nofiles` is not a resource\nhint: did you mean `nofile`?",
        ),
        (
            "--ulimit=core=x",
            "`--ulimit`: `x` is not a limit\nhint: use a whole number, or `unlimited`",
        ),
        (
            "--ulimit=core=2:1",
            "`--ulimit`: the soft limit of `core` is above its hard limit: `2:1`",
        ),
        (
            "--ulimit=core",
            "`--ulimit`: `core` is not `NAME=SOFT[:HARD]`\nhint: for instance `nofile=1024:4096`",
        ),
        (
            "--tmpfs=/x:ro,rw",
            "`--tmpfs`: `rw` contradicts what is before it",
        ),
    ] {
        assert_eq!(
            message(&format!("run a.aci {option}")),
            format!("125 {said}")
        );
    }
}

#[test]
fn names_are_known_in_every_spelling() {
    for option in [
        "--caps-remove=net_raw,NET_ADMIN,cap_kill",
        "--caps-retain=Cap_Net_Raw",
        "--cap-add=ALL",
        "--cap-drop=all",
        // Calls of other architectures cannot be made here.
        "--seccomp=mode=remove,errno=eperm,reboot,arm_fadvise64_64,riscv_flush_icache",
        "--seccomp=mode=retain,errno=,@rkt/default-whitelist",
        "--ulimit=NOFILE=-1",
        "--ulimit=core=18446744073709551615",
        "--tmpfs=/x:rw,exec,nosuid,nodev,mode=700",
    ] {
        assert!(parsed(&format!("run a.aci {option}")).is_ok(), "{option}");
    }
}

#[test]
fn what_contradicts_itself_or_stands_twice_is_refused() {
    for (options, said) in [
        (
            "--cap-add=kill --cap-drop=CAP_KILL",
            "`--cap-add` and `--cap-drop` both name `CAP_KILL`",
        ),
        (
            "--cap-add=all --cap-drop=all",
            "`--cap-add` and `--cap-drop` both name `all`",
        ),
        (
            "--cap-add=kill --caps-retain=chown",
            "`--caps-retain` and `--cap-add` cannot be used together",
        ),
        (
            "--caps-remove=kill --cap-drop=chown",
            "`--caps-remove` and `--cap-drop` cannot be used together",
        ),
        (
            "--ulimit=core=1 --ulimit=CORE=2",
            "`--ulimit` sets `core` twice",
        ),
        (
            "--device=/dev/kvm --device=/dev/kvm:r",
            "`--device` names `/dev/kvm` twice",
        ),
        ("--memory=1Mi --memory=1Mi", "`--memory` is given twice"),
        ("-u 1 --user=1", "`--user` is given twice"),
    ] {
        assert_eq!(
            message(&format!("run a.aci {options}")),
            format!("125 {said}")
        );
    }
    for (options, said) in [
        (
            "--sysctl=net.x=1 --sysctl=net.x=2",
            "`--sysctl` sets `net.x` twice",
        ),
        ("--hostname=a --hostname=b", "`--hostname` is given twice"),
        ("--dir=/a --dir=/b", "`--dir` is given twice"),
    ] {
        assert_eq!(
            message(&format!("run {options} a.aci")),
            format!("125 {said}")
        );
    }
}

/// Calls for each command that can be typed, with the words that lead to it.
fn each(
    commands: &'static [CommandSpec],
    before: &str,
    run: &mut dyn FnMut(&str, &'static CommandSpec),
) {
    for command in visible(commands) {
        let words = format!("{before}{}", command.name);
        run(&words, command);
        each(command.commands, &format!("{words} "), run);
    }
}

#[test]
fn no_option_takes_an_empty_value_by_accident() {
    let mut checked = 0;
    each(COMMANDS, "", &mut |words, command| {
        let takes = |option: &&OptionSpec| option.takes != Takes::Nothing;
        for option in command.visible().filter(takes) {
            let name = option.name;
            let after = command
                .options(Place::App)
                .any(|one| std::ptr::eq(one, option));
            let line = match after {
                true => format!("{words} a.aci {name}="),
                false => format!("{words} {name}="),
            };
            match option.empty {
                true => assert!(parsed(&line).is_ok(), "{line}"),
                false => {
                    let said = message(&line);
                    let expected = format!("`{name}`: the value is empty");
                    assert!(said.ends_with(&expected), "{line}: {said}");
                }
            }
            checked += 1;
        }
        let said = message(&format!("{words} --dir="));
        assert!(
            said.ends_with("`--dir`: the value is empty"),
            "{words}: {said}"
        );
    });
    assert!(checked > 100, "{checked}");
    assert_eq!(message("--dir= list"), "2 `--dir`: the value is empty");
}

#[test]
fn bytes_are_as_many_as_in_curl_and_never_none() {
    for text in ["", "0", "-1", "x", "1x", "0.0", "k", "1 M", "1%"] {
        assert!(bytes(text).is_err(), "{text}");
    }
    for (text, expected) in [
        ("1", 1),
        ("500k", 500_000),
        ("500K", 500_000),
        ("2M", 2_000_000),
        ("2m", 2_000_000),
        ("1.5g", 1_500_000_000),
        ("1Mi", 1 << 20),
    ] {
        assert_eq!(bytes(text).ok(), Some(expected), "{text}");
    }
}
