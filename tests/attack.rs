//! Attacks on the host, from inside a pod, by an image, an archive, or a user
//! of the host. Each test is a case: what is tried, where that is known from,
//! and the claim that it does not work.
//!
//! `cargo xtask attack` runs all of it; without, what takes long is run in a
//! few rounds.

/// Commands on the host: removal, a full disk, files that others made.
mod commands;
/// What PID 1 holds, and what is bound from the host.
mod init;
/// Rights that an image gives itself, processes and memory without end.
mod rights;
/// What reaches the caller's terminal; work that an app makes for the host.
mod talk;

/// Runs a case: `id` is its name in the table, `claim` what holds.
#[allow(dead_code, reason = "cases follow")]
pub(crate) fn case(id: &str, claim: &str, attack: impl FnOnce()) {
    let _ = (id, claim);
    attack();
}
