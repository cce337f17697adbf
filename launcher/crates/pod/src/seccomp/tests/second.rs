//! What 32-bit programs may do on a 64-bit kernel.

use super::sets::{decided, instructions, retain};
use super::*;

/// What a program does with a call of x86, whose first argument is this.
fn does(program: &[Instruction], name: &str, argument: u64) -> u32 {
    let number = Arch::X86.number(name).unwrap();
    run(program, Call::of(Arch::X86, number).with(0, argument))
}

/// Filters of sets are made for the machine that runs the tests.
fn has_x86() -> bool {
    Arch::named(std::env::consts::ARCH).and_then(Arch::second) == Some(Arch::X86)
}

#[test]
fn the_default_blocks_the_same_calls_for_both_kinds_of_programs() {
    for arch in architectures() {
        let Some(second) = arch.second() else {
            continue;
        };
        let program = program::compile(&default_filters(arch));
        for (name, number) in arch.calls() {
            let expected = run(&program, Call::of(arch, number));
            for number in second::numbers(&default_filters(arch)[1], name) {
                let result = run(&program, Call::of(second, number));
                assert_eq!(result, expected, "{second:?} {name} {number}");
            }
        }
    }
}

#[test]
fn x32_calls_do_not_exist_for_either_kind() {
    let program = program::compile(&default_filters(Arch::X86_64));
    for arch in [Arch::X86_64, Arch::X86] {
        for number in 0..600 {
            let call = Call::of(arch, number | 0x4000_0000);
            assert_eq!(run(&program, call), ENOSYS, "{arch:?} {number}");
        }
    }
}

#[test]
fn a_call_that_stands_for_many_does_only_what_is_always_allowed() {
    let program = program::compile(&default_filters(Arch::X86_64));
    for (name, part, expected) in [
        // The family of the socket could not be seen.
        ("socketcall", 1, ENOSYS),
        ("socketcall", 8, ENOSYS),
        ("socketcall", 3, ALLOW),
        ("socketcall", 20, ALLOW),
        ("socketcall", 21, ENOSYS),
        ("ipc", 1, ALLOW),
        ("ipc", 24, ALLOW),
        ("ipc", 5, ENOSYS),
        // The kernel ignores the upper half of this number.
        ("ipc", 0x1_0001, ENOSYS),
    ] {
        assert_eq!(does(&program, name, part), expected, "{name} {part}");
    }
}

#[test]
fn a_set_to_remove_holds_for_what_32_bit_programs_call_instead() {
    if !has_x86() {
        return;
    }
    let set = calls(
        &["chown", "umount2", "wait4", "listen", "shmget"],
        Some("EXFULL"),
    );
    let program = instructions(&decided(SeccompPolicy::Remove(set)));
    const EXFULL: u32 = 0x0005_0000 | 54;
    for (name, argument, expected) in [
        ("chown", 0, EXFULL),
        ("chown32", 0, EXFULL),
        ("umount", 0, EXFULL),
        ("waitpid", 0, EXFULL),
        ("listen", 0, EXFULL),
        ("socketcall", 4, ENOSYS),
        ("socketcall", 3, ALLOW),
        ("ipc", 23, ENOSYS),
        ("ipc", 24, ALLOW),
        ("read", 0, ALLOW),
        ("mount", 0, EPERM),
    ] {
        assert_eq!(
            does(&program, name, argument),
            expected,
            "{name} {argument}"
        );
    }
}

#[test]
fn a_set_to_retain_holds_for_32_bit_programs_as_well() {
    if !has_x86() {
        return;
    }
    let set = calls(&["read", "mmap", "connect"], None);
    for bounded in [false, true] {
        let program = instructions(&decided(retain(&set, bounded)));
        for (name, argument, expected) in [
            ("read", 0, ALLOW),
            ("mmap2", 0, ALLOW),
            ("sigreturn", 0, ALLOW),
            ("exit", 0, ALLOW),
            ("socketcall", 3, ALLOW),
            ("socketcall", 1, ENOSYS),
            ("ipc", 1, KILL),
            ("write", 0, KILL),
            ("mount", 0, KILL),
        ] {
            let result = does(&program, name, argument);
            assert_eq!(result, expected, "{name} {argument} {bounded}");
        }
    }
}

#[test]
fn a_call_of_32_bit_programs_alone_can_be_named() {
    if !has_x86() {
        return;
    }
    let verdict = decided(retain(
        &calls(&["@nosecone/default", "socketcall"], None),
        false,
    ));
    assert_eq!(verdict.notes, [""; 0]);
    assert_eq!(does(&instructions(&verdict), "socketcall", 1), ALLOW);
    let removed = calls(&["socketcall", "_llseek"], None);
    let verdict = decided(SeccompPolicy::Remove(removed));
    assert_eq!(verdict.notes, [""; 0]);
    assert_eq!(does(&instructions(&verdict), "socketcall", 3), KILL);
}
