//! Attacks on the host, from inside a pod, by an image, an archive, or a user
//! of the host. Each test is a case: what is tried, where that is known from,
//! and the claim that it does not work.
//!
//! The cases H1 to H12 are holes that an audit of the first release found. R1 to
//! R27 are what containers were broken out of with, T1 to T15 what programs were
//! attacked with that unpack archives: what has a CVE number had one elsewhere.
//! Some are the nearest thing to the original that there is here:
//!
//! | case | the original | here |
//! |---|---|---|
//! | R5 | lengths of netlink messages overflow | lengths in plans, manifests and arguments |
//! | R6 | a sysctl given to a helper, with more in it | the isolator `os/unix/sysctl` |
//! | R8 | groups that can be written to without root | the same with root in the pod |
//! | R11, R12 | a mask or console is the image's own file | the same; there is no `/dev` that two pods share |
//! | R15 | builders' caches, secrets and stubs | volumes, and what is made for them |
//! | R21 | sockets in the host's network | without `--net=host`; that no socket of ours is there |
//! | R26 | digests of other formats, confusion of media types | image IDs; a document of two kinds is refused where it is read |
//! | T8 | whiteouts of layers | in App Container images, their names and attributes mean nothing |
//! | T10 | windows of zstd | at most 128 MiB, which the decoder bounds |
//! | T13 | volumes are filled from the image | they are not; only the target's path is followed |
//!
//! Not tried, because it is not there: running without root, user namespaces,
//! privileged helpers. Layers of OCI images are in `oci`.
//!
//! `cargo xtask attack` runs all of it, races in hundreds of rounds, and prints
//! a table; `cargo xtask test` runs everything in a few rounds.

/// Archives, as they are unpacked.
pub(crate) mod archives;
/// Capabilities, system calls, parameters of the kernel.
mod bounds;
/// What of the host must be the same after each case.
mod canary;
/// Commands on the host: removal, a full disk, files that others made.
mod commands;
/// What runs commands in a pod, and what the pod sees of it.
mod enter;
/// Whose rights an app gets.
mod identity;
/// What PID 1 holds, and what is bound from the host.
mod init;
/// What makes images: names, manifests, signatures.
mod names;
/// Paths that lead somewhere else than they seem to.
mod paths;
/// Paths that change while they are used.
mod races;
/// Rights that an image gives itself, processes and memory without end.
mod rights;
/// What is open, and to whom.
mod streams;
/// What reaches the caller's terminal; work that an app makes for the host.
mod talk;

use std::cell::Cell;
use std::env;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::panic::{self, AssertUnwindSafe};

use self::canary::Canary;
use crate::host;
use crate::refusal::{self, ENOSYS, EPERM, OPENAT2, Refusal};

thread_local! {
    /// How often the case has been tried that this thread runs.
    static TRIED: Cell<usize> = const { Cell::new(0) };
}

/// Runs a case: `id` is its name in the table, `claim` what holds.
///
/// The attack is made on this host, then where openat2(2) is missing, which
/// paths are followed by hand without, and where a filter forbids it. It has to
/// fail by itself if something does not hold; what of the host must be the same
/// is looked at before and afterwards.
pub(crate) fn case(id: &str, claim: &str, attack: impl Fn()) {
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
        for refusal in hosts() {
            let canary = Canary::new();
            TRIED.set(TRIED.get() + 1);
            refusal::on_a_host(refusal, &attack);
            let host = refusal.map_or("this host".to_owned(), |refusal| refusal.to_string());
            canary.is_as_it_was(&format!("{id}, {host}"));
        }
    }));
    let held = match (&outcome, host::why_skipped()) {
        (Err(_), _) => "did not hold".to_owned(),
        (Ok(()), None) => "held".to_owned(),
        (Ok(()), Some(reason)) => format!("skipped: {reason}"),
    };
    note(&format!("{id}\t{claim}\t{}\t{held}\n", TRIED.take()));
    if let Err(panic) = outcome {
        panic::resume_unwind(panic);
    }
}

/// How often a race is run: a few times, or as often as ROUNDS says.
pub(crate) fn rounds(few: usize) -> usize {
    let rounds = host::rounds(few);
    TRIED.set(TRIED.get() + rounds - 1);
    rounds
}

/// The kinds of host on which a case is tried.
fn hosts() -> Vec<Option<Refusal>> {
    let without = |errno| {
        let calls = &[OPENAT2];
        Some(Refusal { calls, errno })
    };
    let mut hosts = vec![None, without(ENOSYS)];
    if env::var_os("ATTACK_TABLE").is_some() {
        hosts.push(without(EPERM));
    }
    hosts
}

/// Appends a row to the table, if somebody wants one.
fn note(row: &str) {
    let Some(table) = env::var_os("ATTACK_TABLE") else {
        return;
    };
    let file = OpenOptions::new().append(true).create(true).open(table);
    file.unwrap().write_all(row.as_bytes()).unwrap();
}

#[test]
fn a_case_that_changes_the_host_does_not_hold() {
    let change = |change: &dyn Fn(&Canary)| {
        let canary = Canary::new();
        change(&canary);
        panic::catch_unwind(AssertUnwindSafe(|| canary.is_as_it_was("a change"))).is_err()
    };
    assert!(!change(&|_| {}));
    assert!(change(&|canary| canary.touch()));
}
