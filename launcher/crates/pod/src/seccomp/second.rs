//! The second architecture: a 64-bit kernel also executes programs of 32 bits,
//! whose calls have other numbers, and partly other names. What is closed for
//! one kind of program must be closed for the other, as any program can make
//! both kinds of call.

use super::calls::Arch;
use super::default::{self, Conditions, ENOSYS};
use super::program::{Action, Filter, Rule, Test};

/// What 32-bit programs use in place of a call, where it is not the same name
/// with one of [`WIDER`] at its end.
const INSTEAD: &[(&str, &[&str])] = &[
    ("fadvise64", &["arm_fadvise64_64"]),
    ("getdents", &["readdir"]),
    ("getrlimit", &["ugetrlimit"]),
    ("gettimeofday", &["time"]),
    ("lseek", &["_llseek"]),
    ("lstat", &["oldlstat"]),
    ("mmap", &["mmap2"]),
    ("newfstatat", &["fstatat64"]),
    ("rt_sigaction", &["sigaction", "signal"]),
    ("rt_sigpending", &["sigpending"]),
    ("rt_sigprocmask", &["sigprocmask", "sgetmask", "ssetmask"]),
    ("rt_sigreturn", &["sigreturn"]),
    ("rt_sigsuspend", &["sigsuspend"]),
    ("select", &["_newselect"]),
    ("setpriority", &["nice"]),
    ("settimeofday", &["stime"]),
    ("fstat", &["oldfstat"]),
    ("stat", &["oldstat"]),
    (
        "sync_file_range",
        &["arm_sync_file_range", "sync_file_range2"],
    ),
    ("umount2", &["umount"]),
    ("uname", &["oldolduname", "olduname"]),
    ("wait4", &["waitpid"]),
];

/// Ends of the names of calls that take wider ids, offsets or times.
const WIDER: &[&str] = &["32", "64", "_64", "_time64"];

/// Makes the default filters of an architecture and of its second one. They
/// block the same calls.
pub(crate) fn filters(arch: Arch, conditions: &Conditions<'_>) -> Vec<Filter> {
    let first = default::filter(arch, conditions);
    let second = arch.second().map(|arch| {
        let mut second = Filter {
            second: true,
            ..default::filter(arch, conditions)
        };
        agree(&mut second, &first, &|_| false);
        second
    });
    [Some(first), second].into_iter().flatten().collect()
}

/// Returns the numbers of a call: on a second architecture also of those that
/// do the same.
pub(crate) fn numbers(filter: &Filter, name: &str) -> Vec<u32> {
    let arch = filter.arch;
    if !filter.second {
        return arch.number(name).into_iter().collect();
    }
    let others = INSTEAD.iter().find(|(call, _)| *call == name);
    let others = others.map_or(&[][..], |(_, others)| others);
    let wider = WIDER.iter().map(|end| format!("{name}{end}"));
    let names = wider.chain(others.iter().copied().map(str::to_owned));
    [name.to_owned()]
        .into_iter()
        .chain(names)
        .filter_map(|name| arch.number(&name))
        .collect()
}

/// Calls of x86 that stand for many, and the number that each of these has as
/// their first argument (linux/net.h, linux/ipc.h).
const MANY: &[(&str, &[(u32, &str)])] = &[
    (
        "socketcall",
        &[
            (1, "socket"),
            (2, "bind"),
            (3, "connect"),
            (4, "listen"),
            (5, "accept"),
            (6, "getsockname"),
            (7, "getpeername"),
            (8, "socketpair"),
            // send(2) and recv(2) are these, without an address.
            (9, "sendto"),
            (10, "recvfrom"),
            (11, "sendto"),
            (12, "recvfrom"),
            (13, "shutdown"),
            (14, "setsockopt"),
            (15, "getsockopt"),
            (16, "sendmsg"),
            (17, "recvmsg"),
            (18, "accept4"),
            (19, "recvmmsg"),
            (20, "sendmmsg"),
        ],
    ),
    (
        "ipc",
        &[
            (1, "semop"),
            (2, "semget"),
            (3, "semctl"),
            (4, "semtimedop"),
            (11, "msgsnd"),
            (12, "msgrcv"),
            (13, "msgget"),
            (14, "msgctl"),
            (21, "shmat"),
            (22, "shmdt"),
            (23, "shmget"),
            (24, "shmctl"),
        ],
    ),
];

/// Lets the calls that stand for many do what the first architecture always
/// allows, unless somebody has `named` them. Their arguments are in memory,
/// where a filter cannot look, so a call that is decided by an argument is not
/// among these: no socket of any family is made in this way, and programs use
/// socket(2) instead, which 32-bit kernels have had since Linux 4.3.
pub(crate) fn agree(second: &mut Filter, first: &Filter, named: &dyn Fn(&str) -> bool) {
    for (name, parts) in MANY {
        let Some(number) = second.arch.number(name).filter(|_| !named(name)) else {
            continue;
        };
        let allowed = |call: &str| {
            let number = first.arch.number(call);
            let rule = number.and_then(|number| first.rules.get(&number));
            rule == Some(&Rule::Always(Action::Allow))
        };
        let allowed = parts.iter().filter(|(_, call)| allowed(call));
        let bits = allowed.fold(0, |bits, (part, _)| bits | 1 << part);
        if bits != 0 {
            let rule = Rule::If {
                argument: 0,
                test: Test::Bit(bits),
                then: Action::Allow,
                otherwise: Action::Errno(ENOSYS),
            };
            second.rules.insert(number, rule);
        }
    }
}
