//! Sets of calls, tested by what the compiled bytes do.

use super::*;

pub(super) fn decided(policy: SeccompPolicy) -> Verdict {
    decide(&policy, CAPABILITIES, (6, 1), false).unwrap()
}

pub(super) fn retain(calls: &Calls, bounded: bool) -> SeccompPolicy {
    SeccompPolicy::Retain {
        calls: calls.clone(),
        bounded,
    }
}

/// What a filter does with a call of this architecture.
fn does(verdict: &Verdict, name: &str) -> u32 {
    let arch = Arch::named(std::env::consts::ARCH).unwrap();
    does_number(verdict, arch.number(name).unwrap())
}

fn does_number(verdict: &Verdict, number: u32) -> u32 {
    let arch = Arch::named(std::env::consts::ARCH).unwrap();
    run(&instructions(verdict), Call::of(arch, number))
}

pub(super) fn instructions(verdict: &Verdict) -> Vec<Instruction> {
    let bytes = &verdict.program.as_ref().unwrap().bytes;
    bytes
        .chunks(8)
        .map(|bytes| Instruction {
            code: u16::from_le_bytes(bytes[..2].try_into().unwrap()),
            if_true: bytes[2],
            if_false: bytes[3],
            operand: u32::from_le_bytes(bytes[4..].try_into().unwrap()),
        })
        .collect()
}

#[test]
fn a_set_to_retain_blocks_everything_else() {
    let calls = calls(&["read", "write"], None);
    let verdict = decided(retain(&calls, false));
    assert_eq!(verdict.notes, [""; 0]);
    for (name, expected) in [
        ("read", ALLOW),
        ("write", ALLOW),
        ("execve", ALLOW),
        ("exit_group", ALLOW),
        ("rt_sigreturn", ALLOW),
        ("openat", KILL),
        ("mount", KILL),
        ("clone3", KILL),
    ] {
        assert_eq!(does(&verdict, name), expected, "{name}");
    }
    assert_eq!(does_number(&verdict, 599), KILL);
    assert_eq!(
        verdict.program.unwrap().summary,
        "7 calls are allowed: execve exit exit_group read restart_syscall rt_sigreturn write; \
         others: kill"
    );
}

#[test]
fn a_set_to_remove_blocks_its_calls_and_the_defaults() {
    let calls = calls(&["chmod", "fchmodat", "mount"], Some("EXFULL"));
    let verdict = decided(SeccompPolicy::Remove(calls.clone()));
    assert_eq!(verdict.notes, [""; 0]);
    for (name, expected) in [
        ("fchmodat", 0x0005_0000 | 54),
        ("mount", 0x0005_0000 | 54),
        ("umount2", EPERM),
        ("read", ALLOW),
    ] {
        assert_eq!(does(&verdict, name), expected, "{name}");
    }
}

#[test]
fn wildcards_mask_the_rest_of_their_set() {
    let all = calls(&["read", "@appc.io/all"], None);
    assert_eq!(decided(retain(&all, false)).program, None);
    let empty = calls(&["read", "@appc.io/empty"], None);
    let verdict = decided(SeccompPolicy::Remove(empty.clone()));
    assert_eq!(does(&verdict, "read"), ALLOW);
    assert!(verdict.program.unwrap().bytes == DEFAULT);
}

#[test]
fn our_group_means_the_default() {
    for group in ["@nosecone/default", "@rkt/default-whitelist"] {
        let calls = calls(&[group, "mount"], None);
        let verdict = decided(retain(&calls, false));
        assert_eq!(does(&verdict, "read"), ALLOW);
        assert_eq!(does(&verdict, "mount"), ALLOW);
        assert_eq!(does(&verdict, "umount2"), KILL);
        // This is how a libc finds out that it has to do without.
        assert_eq!(does(&verdict, "clone3"), ENOSYS);
        assert_eq!(does_number(&verdict, 599), ENOSYS);
    }
}

#[test]
fn unknown_names_are_reported() {
    let strange = calls(&["read", "ponies", "@vendor/x"], Some("EBOGUS"));
    let verdict = decided(SeccompPolicy::Remove(strange.clone()));
    assert_eq!(
        verdict.notes,
        [
            "`ponies`, `@vendor/x` are not system calls on this architecture and were ignored",
            "`EBOGUS` is not a valid error name, so blocked calls kill",
        ]
    );
    assert_eq!(does(&verdict, "read"), KILL);
    let misplaced = calls(&["@appc.io/empty", "@docker/default-whitelist"], None);
    assert_eq!(
        decided(retain(&misplaced, false)).notes,
        [
            "`@docker/default-whitelist` is treated as `@nosecone/default`",
            "`@appc.io/empty` has no effect in a retain set",
        ]
    );
}

#[test]
fn a_set_that_only_an_image_asks_for_stays_within_the_default() {
    let bounded = |set: &[&str]| {
        let calls = calls(set, None);
        decided(retain(&calls, true))
    };
    let all = bounded(&["read", "@appc.io/all"]);
    assert!(all.program.as_ref().unwrap().bytes == DEFAULT);
    assert_eq!(all.beyond, ["@appc.io/all"]);
    let single = bounded(&["write", "mount", "clone3", "bpf", "socket", "clone"]);
    assert_eq!(single.beyond, ["mount", "clone3", "bpf"]);
    for (name, expected) in [
        ("write", ALLOW),
        ("mount", EPERM),
        ("bpf", EPERM),
        // As expected by a libc that can do without.
        ("clone3", ENOSYS),
        ("read", KILL),
    ] {
        assert_eq!(does(&single, name), expected, "{name}");
    }
    let arch = Arch::named(std::env::consts::ARCH).unwrap();
    let mut default = default_filter(arch);
    default.rules.retain(|number, _| {
        ["socket", "clone"]
            .iter()
            .any(|name| arch.number(name) == Some(*number))
    });
    let program = instructions(&single);
    for &number in default.rules.keys() {
        for value in arguments() {
            let call = Call::of(arch, number).with(0, value);
            assert_eq!(
                run(&program, call),
                meant(&default, call),
                "{number} {value:#x}"
            );
        }
    }
    let modest = bounded(&["read", "@nosecone/default"]);
    assert!(modest.notes.is_empty() && modest.beyond.is_empty());
}

#[test]
fn an_app_with_fewer_capabilities_has_no_more_families() {
    let verdict = decide(&SeccompPolicy::Default, Capabilities::KILL, (6, 1), false).unwrap();
    let program = instructions(&verdict);
    let arch = Arch::named(std::env::consts::ARCH).unwrap();
    let socket = Call::of(arch, arch.number("socket").unwrap());
    assert_eq!(run(&program, socket.with(0, 17)), EAFNOSUPPORT);
    assert_eq!(run(&program, socket.with(0, 16)), ALLOW);
}

#[test]
fn programs_can_wait_under_the_filter_and_drop_their_rights() {
    let none = Calls {
        errno: Some("EPERM".to_owned()),
        set: vec!["write".to_owned()],
    };
    let wish = retain(&none, false);
    let summary = |waits| {
        let verdict = decide(&wish, CAPABILITIES, (6, 1), waits).unwrap();
        verdict.program.unwrap().summary
    };
    assert!(!summary(false).contains("read"), "{}", summary(false));
    let summary = summary(true);
    for call in ["capget", "capset", "read"] {
        assert!(summary.contains(call), "{summary}");
    }
}
