//! What needs a kernel, a network or a peer. Everything here drives the built
//! programs and knows none of their code.
//!
//! Each test is named by the claim it checks. What this host cannot show is
//! skipped, and says so on standard error; `NO_SKIP=all` makes that a failure.
//!
//! No test has the words of a message: a change of words is accepted by running
//! the tests with UPDATE=1 and reading the diff of `golden/messages`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

// --- what the tests are made of ---

/// Programs, images, scratch directories, children with deadlines, skips.
#[macro_use]
mod host;
/// Builds images of any shape, also of shapes that no image may have.
mod aci;
/// Where cgroups are, and which are a pod's.
mod caller;
mod cgroups;
/// Comparisons that show both sides whole.
mod claims;
/// What users are told, as files.
mod golden;
/// What the kernel keeps of pods.
mod kernel;
/// Hosts that lack system calls.
mod refusal;
/// A terminal, and somebody who sits at it.
mod seat;

// --- what is claimed, the things that must not be possible first ---

/// Attacks, as named claims: what was tried, and that it does not work.
mod attack;
/// What an app can neither see nor do.
mod isolation;
/// What bounds an app: system calls, capabilities, limits.
mod isolators;
/// Every failure that a user can cause, as a list.
mod messages;

/// What operators of App Containers are used to, case by case, as tables.
mod acceptance;
/// The specification's own conformance program, and what it finds.
mod ace;
/// Pods that are run from boot to shutdown.
mod boot;
/// Images of directories and tars.
mod build;
/// What the main job costs, in system calls.
mod calls;
/// The command line itself: help, suggestions, completion, man pages.
mod cli;
/// From a name to a running app: discovery, signatures, dependencies.
mod discovery;
/// What many pods and images cost.
mod growth;
/// The same claims on another kernel, in a virtual machine.
mod guest;
/// Images: reproducible, and what the reference implementation says of them.
mod images;
/// The life of pods: detached, listed, stopped, removed, collected; what is told
/// of those that were killed.
mod life;
/// The metadata service: its cost, and its abuse.
mod metadata;
/// Networks of pods, on a host of the tests' own.
mod network;
/// Images of OCI and docker.
mod oci;
/// Plans, as golden files.
mod plans;
/// Pods: several apps, volumes, what options change, what prepared pods do.
mod pods;
/// The main job: an app's streams, status, arguments and signals; real userlands.
mod run;
/// Many pods, at once and in sequence: what they take, and that they leave nothing.
mod soak;
/// stage1-init on its own, without the launcher.
mod stage1;
/// The store: what it lists, keeps and removes, and what no fault breaks.
mod store;
/// Every command, killed or refused at each system call that it makes.
mod sweep;
/// Keys of GnuPG: shown, trusted, listed, removed.
mod trust;
/// Manifests, archives and layouts, side by side with the reference implementation.
mod validate;
