//! Filters are tested by what they do: each is run, instruction by instruction,
//! for every number that exists or could exist.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::seccomp::program::{Instruction, Test};

/// The input of a filter: `struct seccomp_data`.
#[derive(Clone, Copy)]
struct Call {
    arch: u32,
    number: u32,
    arguments: [u64; 6],
}

impl Call {
    fn of(arch: Arch, number: u32) -> Self {
        Self {
            arch: arch.audit(),
            number,
            arguments: [0; 6],
        }
    }

    fn with(mut self, argument: usize, value: u64) -> Self {
        self.arguments[argument] = value;
        self
    }

    fn word(&self, at: u32) -> u32 {
        let mut bytes = Vec::new();
        bytes.extend(self.number.to_le_bytes());
        bytes.extend(self.arch.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend(self.arguments.iter().flat_map(|word| word.to_le_bytes()));
        let at = usize::try_from(at).unwrap();
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    }
}

const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;
const EAFNOSUPPORT: u32 = 0x0005_0061;

/// Runs a program as the kernel does, with the opcodes of linux/bpf_common.h.
fn run(program: &[Instruction], call: Call) -> u32 {
    let mut accumulator = 0;
    let mut at = 0;
    for _ in 0..=program.len() {
        let Instruction {
            code,
            if_true,
            if_false,
            operand,
        } = program[at];
        at += 1;
        let so = match code {
            0x20 => {
                accumulator = call.word(operand);
                continue;
            }
            0x05 => {
                at += usize::try_from(operand).unwrap();
                continue;
            }
            0x06 => return operand,
            0x15 => accumulator == operand,
            0x35 => accumulator >= operand,
            0x45 => accumulator & operand != 0,
            other => panic!("no such instruction: {other:#x}"),
        };
        at += usize::from(if so { if_true } else { if_false });
    }
    panic!("the program does not end");
}

/// Evaluates a rule without compiling it.
fn meant(filter: &Filter, call: Call) -> u32 {
    let value = |action: Action| match action {
        Action::Allow => ALLOW,
        Action::Errno(number) => 0x0005_0000 | u32::from(number),
        Action::Kill => KILL,
    };
    let action = match filter.rules.get(&call.number) {
        None => filter.otherwise,
        Some(Rule::Always(action)) => *action,
        Some(&Rule::If {
            argument,
            test,
            then,
            otherwise,
        }) => {
            let low = call.arguments[usize::from(argument)] & 0xffff_ffff;
            let so = match test {
                Test::HasAny(bits) => low & u64::from(bits) != 0,
                Test::Among(values) => values.iter().any(|&value| u64::from(value) == low),
                Test::Bit(bits) => low < 64 && bits >> low & 1 == 1,
            };
            if so { then } else { otherwise }
        }
    };
    value(action)
}

fn architectures() -> impl Iterator<Item = Arch> {
    Arch::ALL.iter().map(|&(_, arch)| arch)
}

fn default_of(arch: Arch, capabilities: Capabilities) -> Filter {
    let has = |word: &str| {
        capabilities.contains(Capabilities::member(word.as_bytes()).expect("a capability"))
    };
    default::filter(
        arch,
        &Conditions {
            has: &has,
            ptrace: true,
        },
    )
}

fn default_filter(arch: Arch) -> Filter {
    default_of(arch, CAPABILITIES)
}

fn default_filters(arch: Arch) -> Vec<Filter> {
    let has = |word: &str| CAPABILITIES.contains(Capabilities::member(word.as_bytes()).unwrap());
    let conditions = Conditions {
        has: &has,
        ptrace: true,
    };
    second::filters(arch, &conditions)
}

/// Compiles a filter for one architecture alone.
fn compiled(filter: &Filter) -> Vec<Instruction> {
    program::compile([filter])
}

fn calls(set: &[&str], errno: Option<&str>) -> Calls {
    Calls {
        set: set.iter().map(|&name| name.to_owned()).collect(),
        errno: errno.map(str::to_owned),
    }
}

/// Every number that an architecture could have, and some that none has.
fn numbers() -> impl Iterator<Item = u32> {
    (0..600)
        .chain((0..600).map(|number| number | 0x4000_0000))
        .chain(0xf_0000..0xf_0010)
        .chain([1023, 0x3fff_ffff, 0x7fff_ffff, 0x8000_0000, u32::MAX])
}

/// Arguments at which the result of some rule changes, each also with a bit set
/// in its upper half.
fn arguments() -> impl Iterator<Item = u64> {
    [
        0,
        1,
        2,
        8,
        9,
        38,
        39,
        40,
        0x11,
        0x5411,
        0x5412,
        0x541c,
        0x2_0000,
        0x2_0008,
        0x1000_0000,
        0x4000_0000,
        0x0200_0000,
        0xffff_ffff,
    ]
    .into_iter()
    .flat_map(|low| [low, low | 1 << 32])
}

#[test]
fn a_call_of_another_architecture_kills() {
    for arch in architectures() {
        let program = program::compile(&default_filters(arch));
        let known = [Some(arch), arch.second()];
        for other in architectures() {
            let result = run(&program, Call::of(other, other.number("read").unwrap()));
            let expected = match known.contains(&Some(other)) {
                true => ALLOW,
                false => KILL,
            };
            assert_eq!(result, expected, "{arch:?} {other:?}");
        }
    }
}

#[test]
fn x32_calls_do_not_exist() {
    let program = compiled(&default_filter(Arch::X86_64));
    for number in 0..600 {
        let call = Call::of(Arch::X86_64, number | 0x4000_0000);
        assert_eq!(run(&program, call), ENOSYS, "{number}");
    }
}

#[test]
fn calls_newer_than_the_table_do_not_exist() {
    for arch in architectures() {
        let program = compiled(&default_filter(arch));
        for number in 470..600 {
            assert_eq!(
                run(&program, Call::of(arch, number)),
                ENOSYS,
                "{arch:?} {number}"
            );
        }
    }
}

#[test]
fn compiled_filters_match_their_rules_for_every_number_and_argument() {
    for arch in architectures() {
        let default = default_filter(arch);
        let mut notes = Vec::new();
        let few = calls(&["read", "write", "@nosecone/default"], Some("EXFULL"));
        let retained = retain(&default, &few, &mut notes).unwrap();
        let removed = remove(
            default.clone(),
            &calls(&["read", "mount"], None),
            &mut notes,
        );
        // A rule for every second number: long jumps, and as many leaves as
        // possible.
        let sparse = Filter {
            arch,
            second: false,
            rules: (0..500)
                .map(|number| (2 * number, Rule::Always(Action::Errno(7))))
                .collect(),
            otherwise: Action::Allow,
        };
        for filter in [default, retained, removed, sparse] {
            let program = compiled(&filter);
            assert!(program.len() <= 4096);
            for number in numbers() {
                for value in arguments() {
                    for argument in 0..2 {
                        let call = Call::of(arch, number).with(argument, value);
                        assert_eq!(
                            run(&program, call),
                            meant(&filter, call),
                            "{arch:?}: call {number}, argument {argument} {value:#x}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn calls_that_others_block_are_blocked() {
    // What Docker's default profile blocks for an app with default
    // capabilities.
    const REFUSED: &str = "_sysctl acct add_key afs_syscall bpf clock_settime create_module \
        delete_module fanotify_init finit_module fsconfig fsmount fsopen fspick get_kernel_syms \
        get_mempolicy getpmsg init_module io_uring_enter io_uring_register io_uring_setup ioperm \
        iopl kcmp kexec_file_load kexec_load keyctl lookup_dcookie mbind migrate_pages mount \
        mount_setattr move_mount move_pages nfsservctl open_by_handle_at open_tree \
        perf_event_open pidfd_getfd pivot_root process_madvise putpmsg query_module quotactl \
        quotactl_fd reboot request_key security set_mempolicy set_mempolicy_home_node \
        setdomainname sethostname setns settimeofday swapoff swapon sysfs syslog tuxcall umount2 \
        unshare uselib userfaultfd ustat vhangup vserver";
    for arch in architectures() {
        let program = compiled(&default_filter(arch));
        for name in REFUSED.split_whitespace() {
            if let Some(number) = arch.number(name) {
                assert_eq!(
                    run(&program, Call::of(arch, number)),
                    EPERM,
                    "{arch:?} {name}"
                );
            }
        }
        let clone3 = Call::of(arch, arch.number("clone3").unwrap());
        assert_eq!(run(&program, clone3), ENOSYS);
    }
}

#[test]
fn calls_that_programs_need_are_allowed() {
    const ALLOWED: &str = "read write openat close mmap mprotect brk rt_sigaction execve wait4 \
        exit_group futex getrandom epoll_pwait listmount statmount bind connect sendmsg recvmsg setuid \
        setgroups chroot mknodat ptrace faccessat2 openat2 close_range statx rseq copy_file_range \
        landlock_create_ruleset memfd_create seccomp prctl unlinkat renameat2 chown fchownat";
    for arch in architectures() {
        let program = compiled(&default_filter(arch));
        for name in ALLOWED.split_whitespace() {
            if let Some(number) = arch.number(name) {
                assert_eq!(
                    run(&program, Call::of(arch, number)),
                    ALLOW,
                    "{arch:?} {name}"
                );
            }
        }
    }
}

#[test]
fn only_the_lower_half_of_arguments_matters() {
    for arch in architectures() {
        let program = compiled(&default_filter(arch));
        for (name, argument, value, expected) in [
            ("clone", 0, 0x11, ALLOW),
            ("clone", 0, 0x003d_0f00, ALLOW),
            ("clone", 0, 0x1000_0011, EPERM),
            ("clone", 0, 0x0002_0011, EPERM),
            ("clone", 0, 0x0200_0000, EPERM),
            ("ioctl", 1, 0x5401, ALLOW),
            ("ioctl", 1, 0x5412, EPERM),
            ("ioctl", 1, 0x1_0000_5412, EPERM),
            ("ioctl", 1, 0x541c, EPERM),
            ("socket", 0, 1, ALLOW),
            ("socket", 0, 2, ALLOW),
            ("socket", 0, 10, ALLOW),
            ("socket", 0, 16, ALLOW),
            ("socket", 0, 17, ALLOW),
            ("socket", 0, 0x1_0000_0001, ALLOW),
            ("socket", 0, 0, EAFNOSUPPORT),
            ("socket", 0, 15, EAFNOSUPPORT),
            ("socket", 0, 30, EAFNOSUPPORT),
            ("socket", 0, 38, EAFNOSUPPORT),
            ("socket", 0, 0x1_0000_0026, EAFNOSUPPORT),
            ("socket", 0, 40, EAFNOSUPPORT),
            ("socket", 0, 0xffff_ffff, EAFNOSUPPORT),
            ("socketpair", 0, 1, ALLOW),
            ("socketpair", 0, 30, EAFNOSUPPORT),
            ("personality", 0, 0, ALLOW),
            ("personality", 0, 0xffff_ffff, ALLOW),
            ("personality", 0, 0x2_0008, ALLOW),
            ("personality", 0, 0x4_0000, EPERM),
        ] {
            let call = Call::of(arch, arch.number(name).unwrap()).with(argument, value);
            assert_eq!(run(&program, call), expected, "{arch:?} {name} {value:#x}");
        }
    }
}

#[test]
fn a_capability_allows_its_calls() {
    for (capability, name, without) in [
        (Capabilities::SYS_ADMIN, "mount", EPERM),
        (Capabilities::SYS_ADMIN, "clone3", ENOSYS),
        (Capabilities::SYS_ADMIN, "lsm_list_modules", ENOSYS),
        (Capabilities::SYS_TIME, "clock_settime", EPERM),
        (Capabilities::SYS_MODULE, "finit_module", EPERM),
        (Capabilities::BPF, "bpf", EPERM),
    ] {
        for arch in architectures() {
            let call = Call::of(arch, arch.number(name).unwrap());
            let program = compiled(&default_filter(arch));
            assert_eq!(run(&program, call), without, "{name}");
            let program = compiled(&default_of(arch, CAPABILITIES.with(capability)));
            assert_eq!(run(&program, call), ALLOW, "{name}");
        }
    }
}

#[test]
fn a_capability_allows_its_address_families() {
    let none = Capabilities::EMPTY;
    let network = Capabilities::NET_ADMIN;
    for (capabilities, expected) in [
        (none, &[1, 2, 10, 16][..]),
        (CAPABILITIES, &[1, 2, 10, 16, 17]),
        (network, &[1, 2, 10, 15, 16, 24, 29, 44]),
        (
            CAPABILITIES.with(network),
            &[1, 2, 10, 15, 16, 17, 24, 29, 44],
        ),
        // Even an app that may do nearly everything has no family without
        // namespaces.
        (Capabilities::SYS_ADMIN, &[1, 2, 10, 16]),
    ] {
        for arch in architectures() {
            let program = compiled(&default_of(arch, capabilities));
            let call = Call::of(arch, arch.number("socket").unwrap());
            let allowed = |family: &u32| run(&program, call.with(0, (*family).into())) == ALLOW;
            let found: Vec<u32> = (0..100).filter(allowed).collect();
            assert_eq!(found, expected, "{arch:?} {capabilities:?}");
        }
    }
}

#[test]
fn ptrace_is_blocked_where_it_could_bypass_the_filter() {
    let has = |_: &str| false;
    for (ptrace, expected) in [(true, ALLOW), (false, EPERM)] {
        let conditions = Conditions { has: &has, ptrace };
        let program = compiled(&default::filter(Arch::X86_64, &conditions));
        let number = Arch::X86_64.number("ptrace").unwrap();
        assert_eq!(run(&program, Call::of(Arch::X86_64, number)), expected);
    }
}

#[test]
fn the_embedded_filter_is_up_to_date() {
    let arch = Arch::named(std::env::consts::ARCH).unwrap();
    let filters = default_filters(arch);
    assert!(DEFAULT == program::bytes(&filters));
    assert_eq!(DEFAULT_SUMMARY, listing::listing(&filters[0]));
}

#[test]
fn the_tree_is_balanced() {
    for arch in architectures() {
        let filter = default_filter(arch);
        let program = compiled(&filter);
        assert!(program.len() < 400, "{arch:?}: {}", program.len());
        // The tree takes the logarithm; the rest is the prologue and one leaf.
        for number in numbers() {
            let mut steps = 0;
            let mut at = 0;
            while program[at].code != 0x06 {
                let call = Call::of(arch, number);
                let step = program[at];
                let loaded = if at < 3 { call.arch } else { number };
                at += 1;
                steps += 1;
                let so = match step.code {
                    0x15 => loaded == step.operand,
                    0x35 => loaded >= step.operand,
                    0x05 => {
                        at += usize::try_from(step.operand).unwrap();
                        continue;
                    }
                    _ => continue,
                };
                at += usize::from(if so { step.if_true } else { step.if_false });
            }
            assert!(steps <= 20, "{arch:?} {number}: {steps}");
        }
    }
}

/// Sets of calls to retain and to remove.
#[path = "tests/sets.rs"]
mod sets;

/// The second architecture of a kernel.
#[path = "tests/second.rs"]
mod second_tests;

/// The default filter compared with the default profiles of other runners.
#[path = "tests/profiles.rs"]
mod profiles;

// --- the table ---

#[test]
fn the_table_is_sorted_and_numbers_are_unique() {
    for arch in architectures() {
        let names: Vec<_> = arch.calls().map(|(name, _)| name).collect();
        assert!(names.is_sorted_by(|one, next| one < next));
        let mut numbers: Vec<_> = arch.calls().map(|(_, number)| number).collect();
        numbers.sort_unstable();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{arch:?}");
        assert!(numbers.len() > 300, "{arch:?}");
    }
}

#[test]
#[allow(clippy::print_stderr, reason = "a skip must be seen")]
fn the_kernels_headers_agree() {
    for (arch, header) in [
        (
            Arch::X86_64,
            "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
        ),
        (Arch::X86, "/usr/include/x86_64-linux-gnu/asm/unistd_32.h"),
        (Arch::Aarch64, "/usr/include/asm-generic/unistd.h"),
    ] {
        let Ok(text) = std::fs::read_to_string(header) else {
            // In Debian, linux-libc-dev has it.
            eprintln!("skipped: needs {header}");
            continue;
        };
        let mut found = 0;
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (Some("#define"), Some(name), Some(number)) =
                (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let name = name
                .strip_prefix("__NR3264_")
                .or(name.strip_prefix("__NR_"));
            if let (Some(name), Ok(number)) = (name, number.parse::<u32>())
                && let Some(ours) = arch.number(name)
            {
                assert_eq!(ours, number, "{arch:?} {name}");
                found += 1;
            }
        }
        assert!(found > 290, "{arch:?}: {found}");
    }
}

#[test]
fn pid_1_can_wait_signal_and_report_and_nothing_else() {
    for arch in architectures() {
        let program = compiled(&init::filter(arch));
        let allowed = arch
            .calls()
            .filter(|&(_, number)| run(&program, Call::of(arch, number)) == ALLOW);
        let allowed: Vec<&str> = allowed.map(|(name, _)| name).collect();
        for needed in ["wait4", "kill", "write", "read", "close", "exit_group"] {
            assert!(allowed.contains(&needed), "{needed} on {arch:?}");
        }
        for call in allowed {
            let opens = ["open", "exec", "mount", "trace", "clone", "ioctl", "set"];
            assert!(!opens.iter().any(|part| call.contains(part)), "{call}");
        }
        for (name, number) in arch.calls() {
            let given = run(&program, Call::of(arch, number));
            assert!([ALLOW, EPERM].contains(&given), "{name} on {arch:?}");
        }
        for other in architectures().filter(|other| *other != arch) {
            assert_eq!(run(&program, Call::of(other, 1)), KILL);
        }
    }
}
