//! What the decoder takes and refuses: any bytes, and every directive.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::SetGroups as Choice;
use crate::words::WordList;
use crate::{
    AppName, Argv, Capabilities, CapabilitySet, Clock, Count, Groups, Limit, MAX_APPS, Mode,
    MountFlags, Namespaces, NodeKind, Propagation, Resource, VOCABULARY,
};

/// Writes words as a plan has them: each followed by a NUL byte.
fn words(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in text.split_whitespace() {
        bytes.extend_from_slice(word.trim_matches('\'').as_bytes());
        bytes.push(0);
    }
    bytes
}

fn fault(text: &str) -> (usize, FaultKind) {
    let bytes = words(text);
    let fault = Plan::decode(&bytes).expect_err(text);
    (fault.word, fault.kind)
}

/// A small generator, so that a failure can be repeated from its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // Steele, Lea, Flood: "Fast splittable pseudorandom number generators" (2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }
}

#[test]
fn what_is_wrong_is_named_with_its_position() {
    for (text, expected) in [
        ("", (0, FaultKind::NotAPlan)),
        ("hello", (0, FaultKind::NotAPlan)),
        ("plan", (1, FaultKind::WrongVersion)),
        (
            "plan 2 app a process main 1 /a",
            (1, FaultKind::WrongVersion),
        ),
        ("plan 1", (2, FaultKind::NoApp)),
        ("plan 1 frobnicate", (2, FaultKind::UnknownDirective)),
        ("plan 1 hostname", (3, FaultKind::MissingOperand)),
        ("plan 1 grace -1", (3, FaultKind::NotANumber)),
        ("plan 1 grace 4294967296", (3, FaultKind::NotANumber)),
        ("plan 1 uid-map 0 0 4294967296", (5, FaultKind::NotANumber)),
        ("plan 1 unshare mnt,pod", (3, FaultKind::UnknownWord)),
        ("plan 1 unshare ''", (2, FaultKind::UnknownWord)),
        ("plan 1 unshare pid unshare pid", (4, FaultKind::Repeated)),
        (
            "plan 1 unshare pid uid-map 0 0 1",
            (4, FaultKind::Misplaced),
        ),
        ("plan 1 process", (2, FaultKind::Misplaced)),
        ("plan 1 umask 022", (2, FaultKind::Misplaced)),
        ("plan 1 app a/b", (3, FaultKind::UnknownWord)),
        ("plan 1 app a", (4, FaultKind::NoMain)),
        ("plan 1 app a app b", (4, FaultKind::Misplaced)),
        ("plan 1 app a hostname x", (4, FaultKind::Misplaced)),
        ("plan 1 app a unshare pid", (4, FaultKind::Misplaced)),
        (
            "plan 1 app a unshare mnt unshare mnt",
            (6, FaultKind::Repeated),
        ),
        ("plan 1 app a process", (5, FaultKind::NoMain)),
        ("plan 1 app a process app b", (5, FaultKind::NoMain)),
        ("plan 1 app a process pivot", (5, FaultKind::Misplaced)),
        ("plan 1 app a process main 0", (6, FaultKind::EmptyCommand)),
        (
            "plan 1 app a process main 2 /a",
            (8, FaultKind::MissingOperand),
        ),
        ("plan 1 app a process umask 8", (6, FaultKind::NotANumber)),
        (
            "plan 1 app a process umask 10000",
            (6, FaultKind::NotANumber),
        ),
        (
            "plan 1 app a process groups 1 x",
            (7, FaultKind::NotANumber),
        ),
        (
            "plan 1 app a process main 1 /a main 1 /b",
            (8, FaultKind::Repeated),
        ),
        (
            "plan 1 app a process main 1 /a init umask 022",
            (9, FaultKind::Misplaced),
        ),
        ("plan 1 undo", (2, FaultKind::Misplaced)),
        ("plan 1 app a process undo", (5, FaultKind::NoMain)),
        (
            "plan 1 app a process main 1 /a rename 3 a b",
            (8, FaultKind::Misplaced),
        ),
        (
            "plan 1 app a process main 1 /a init remove 3 a 1 b",
            (9, FaultKind::Misplaced),
        ),
        (
            "plan 1 app a process main 1 /a undo dir /a 755 0 0",
            (9, FaultKind::Misplaced),
        ),
        (
            "plan 1 app a process main 1 /a undo init",
            (9, FaultKind::Misplaced),
        ),
    ] {
        assert_eq!(fault(text), expected, "{text}");
    }
}

#[test]
fn an_id_that_would_change_nothing_is_refused() {
    for (text, word) in [
        ("plan 1 app a process uid 4294967295", 6),
        ("plan 1 app a process gid 4294967295", 6),
        ("plan 1 app a process groups 2 0 4294967295", 8),
        ("plan 1 dir /a 0755 4294967295 0", 5),
        ("plan 1 dir /a 0755 0 4294967295", 6),
        ("plan 1 uid-map 4294967295 0 1", 3),
        ("plan 1 uid-map 0 4294967295 1", 4),
    ] {
        assert_eq!(fault(text), (word, FaultKind::NotANumber), "{text}");
    }
}

#[test]
fn a_word_that_is_not_terminated_is_refused() {
    let fault = Plan::decode(b"plan\x001\0app\0a\0process\0main\x001\0/a\0um").unwrap_err();
    assert_eq!((fault.word, fault.kind), (8, FaultKind::Unterminated));
}

#[test]
fn a_plan_that_is_too_long_is_refused_before_it_is_read() {
    let bytes = vec![b'x'; MAX_PLAN + 1];
    assert_eq!(Plan::decode(&bytes).unwrap_err().kind, FaultKind::TooLong);
}

#[test]
fn too_many_apps_are_refused() {
    let app = |number| format!(" app a{number} process main 1 /a");
    let apps: String = (0..MAX_APPS).map(app).collect();
    let text = format!("plan 1{apps}");
    assert!(Plan::decode(&words(&text)).is_ok());
    let more = app(MAX_APPS);
    assert_eq!(fault(&format!("{text}{more}")).1, FaultKind::TooManyApps);
}

#[test]
fn two_apps_of_one_name_are_refused() {
    let text = "plan 1 app a process main 1 /a app b process main 1 /b app a process main 1 /c";
    assert_eq!(fault(text), (15, FaultKind::SameName));
}

#[test]
fn directives_come_back_in_order_with_their_indices() {
    let bytes =
        words("plan 1 unshare mnt,pid hostname web app web pivot process main 2 /bin/sh -l");
    let plan = Plan::decode(&bytes).unwrap();
    let seen: Vec<_> = plan
        .directives()
        .map(|(index, directive)| (index, directive.word()))
        .collect();
    assert_eq!(
        seen,
        [
            (0, "unshare"),
            (1, "hostname"),
            (2, "app"),
            (3, "pivot"),
            (4, "process"),
            (5, "main")
        ]
    );
}

/// One of each directive, so that the round trip covers the whole vocabulary.
fn one_of_each() -> Vec<Directive<'static>> {
    use Directive as D;
    let argv = Argv(WordList::new(b"/bin/sh\0-c\0\0").unwrap());
    let few = CapabilitySet::Only(Capabilities::CHOWN.with(Capabilities::BPF));
    let flags = MountFlags::RO.with(MountFlags::REC);
    let app = AppName::new(c"web-1").unwrap();
    vec![
        D::DieWithParent {},
        D::Cgroup {
            path: c"/sys/fs/cgroup/x",
        },
        D::Log {
            fd: 101,
            directory: 102,
            tag: app,
            size: 65536,
        },
        D::Attended { fd: 103 },
        D::Await { fd: 104 },
        D::UidMap {
            inside: 0,
            outside: 1000,
            count: Count(1),
        },
        D::GidMap {
            inside: 0,
            outside: u32::MAX - 1,
            count: Count(u32::MAX),
        },
        D::SetGroups {
            choice: Choice::Deny,
        },
        D::Join {
            namespaces: Namespaces::NET,
            fd: 9,
        },
        D::ClockOffset {
            clock: Clock::Boottime,
            seconds: -5,
        },
        D::Grace { seconds: 3 },
        D::Unshare {
            namespaces: Namespaces::MNT.with(Namespaces::PID),
        },
        D::Hostname { name: c"web" },
        D::Domainname { name: c"" },
        D::Loopback {},
        D::Time {},
        D::Sysctl {
            key: c"net.ipv4.ip_forward",
            value: c"1",
        },
        D::App { name: app },
        D::Unshare {
            namespaces: Namespaces::MNT,
        },
        D::Propagation {
            kind: Propagation::RecSlave,
            target: c"/",
        },
        D::Root { path: c"/r" },
        D::Mount {
            kind: c"tmpfs",
            source: c"t",
            target: c"/tmp",
            flags,
            data: c"size=1m",
        },
        D::Bind {
            source: c"fd:7",
            target: c"/x y",
            flags: MountFlags::EMPTY,
        },
        D::Remount {
            target: c"/dev",
            flags: MountFlags::NODEV,
        },
        D::ReadonlyEntries { target: c"/proc" },
        D::Readonly {
            target: c"/proc/sys",
        },
        D::Mask {
            target: c"/proc/kcore",
        },
        D::Dir {
            path: c"/a/b",
            mode: Mode(0o755),
            uid: 0,
            gid: 0,
        },
        D::Touch {
            path: c"/a/f",
            mode: Mode(0),
            uid: 1,
            gid: 2,
        },
        D::File {
            path: c"/a/g",
            mode: Mode(0o7777),
            uid: 1,
            gid: 2,
            content: c"a\nb\n",
        },
        D::Symlink {
            target: c"../x",
            path: c"/l",
        },
        D::Node {
            path: c"/dev/null",
            kind: NodeKind::Character,
            major: 1,
            minor: 3,
            mode: Mode(0o666),
            uid: 0,
            gid: 0,
        },
        D::Pivot {},
        D::MoveRoot {},
        D::Process {},
        D::Umask { mask: Mode(0o22) },
        D::Rlimit {
            resource: Resource::Nofile,
            soft: Limit(Some(1024)),
            hard: Limit(None),
        },
        D::OomScoreAdj { score: -1000 },
        D::Session {},
        D::Foreground {},
        D::Terminal { fd: 3 },
        D::Pass { fd: 105, number: 3 },
        D::Stdio {
            input: 3,
            output: 4,
            error: 5,
        },
        D::Attribute {
            file: c"apparmor/exec",
            text: c"exec web",
        },
        D::JoinCgroup { fd: 6 },
        D::Keyring {},
        D::Bounding {
            set: CapabilitySet::All,
        },
        D::Capabilities { set: few },
        D::Ambient {
            set: CapabilitySet::Only(Capabilities::EMPTY),
        },
        D::Groups {
            groups: Groups::new(WordList::new(b"0\x0044\0").unwrap()).unwrap(),
        },
        D::Gid { gid: 5 },
        D::Uid { uid: 6 },
        D::Workdir { path: c"/" },
        D::NoNewPrivs {},
        D::Seccomp { fd: 8 },
        D::Env { pair: c"A=b c" },
        D::PreStart { argv },
        D::Main { argv },
        D::PostStop { argv },
        D::Init {},
        // PID 1 is bound like the process of an app.
        D::NoNewPrivs {},
        D::Undo {},
        D::Rename {
            fd: 12,
            from: c"a",
            to: c"b",
        },
        D::Remove {
            fd: 12,
            path: c"b",
            names: argv,
        },
    ]
}

fn encode(directives: &[Directive<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut sink = |part: &[u8]| bytes.extend_from_slice(part);
    encode_header(&mut sink);
    for directive in directives {
        directive.encode(&mut sink);
    }
    bytes
}

#[test]
fn every_directive_survives_the_round_trip() {
    let directives = one_of_each();
    let bytes = encode(&directives);
    let plan = Plan::decode(&bytes).unwrap();
    assert!(
        plan.directives()
            .map(|(_, directive)| directive)
            .eq(directives.iter().copied())
    );
    for (word, ..) in VOCABULARY {
        assert!(
            directives.iter().any(|directive| directive.word() == *word),
            "{word}"
        );
    }
}

#[test]
fn a_descriptor_changes_its_number_wherever_it_is_named_and_nothing_else_does() {
    for directive in one_of_each() {
        let mut bytes = Vec::new();
        directive.encode_renumbered(&|fd| fd + 1000, &mut |part: &[u8]| {
            bytes.extend_from_slice(part);
        });
        let other = Directive::read(&mut Words::new(&bytes)).unwrap();
        let higher = match directive {
            // A program finds it by this number, whatever it was before.
            Directive::Pass { fd, number } => [fd + 1000, number, 0],
            _ => directive.descriptors().map(|fd| match fd {
                0 => 0,
                fd => fd + 1000,
            }),
        };
        assert_eq!(other.descriptors(), higher, "{}", directive.word());
        let mut back = Vec::new();
        other.encode_renumbered(&|fd| fd - 1000, &mut |part: &[u8]| {
            back.extend_from_slice(part);
        });
        let mut same = Vec::new();
        directive.encode(&mut |part: &[u8]| same.extend_from_slice(part));
        assert_eq!(back, same, "{}", directive.word());
    }
    let path = Directive::Bind {
        source: c"/fd:7",
        target: c"/x",
        flags: MountFlags::EMPTY,
    };
    let mut bytes = Vec::new();
    path.encode_renumbered(&|_| 9, &mut |part: &[u8]| bytes.extend_from_slice(part));
    assert_eq!(bytes, b"bind\0/fd:7\0/x\0\0");
}

#[test]
fn every_plan_cut_short_is_refused_or_ends_after_a_whole_app() {
    let bytes = encode(&one_of_each());
    for length in 0..bytes.len() {
        let cut = bytes.get(..length).unwrap();
        if let Ok(plan) = Plan::decode(cut) {
            assert!(
                plan.directives()
                    .any(|(_, directive)| directive.word() == "main"),
                "{length}"
            );
        }
    }
}

/// Errors are fine; panics are bugs, and so is a plan that changes when it is
/// written and read again.
#[test]
fn any_bytes_give_a_plan_or_a_fault() {
    let sample = encode(&one_of_each());
    let mut plans = 0;
    for seed in 0..20_000 {
        let mut random = Random(seed);
        let mut bytes = sample.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            match random.below(5) {
                0 => bytes.truncate(at.max(1)),
                1 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
                2 => bytes.insert(at, 0),
                3 => drop(bytes.drain(at..(at + random.below(40)).min(bytes.len() - 1).max(at))),
                _ => bytes[at] = b"0123456789,-/\0"[random.below(14)],
            }
        }
        if let Ok(plan) = Plan::decode(&bytes) {
            plans += 1;
            let directives: Vec<_> = plan.directives().map(|(_, directive)| directive).collect();
            let again = encode(&directives);
            let plan = Plan::decode(&again).unwrap();
            assert!(
                plan.directives().map(|(_, d)| d).eq(directives),
                "seed {seed}"
            );
        }
    }
    assert!(
        plans > 100,
        "the mutations leave too few plans whole: {plans}"
    );
}
