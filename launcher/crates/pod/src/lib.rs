//! Pods: what runs, the plan of it, pods on disk, and pods that run.
//!
//! ```text
//! images, options --resolve--> PodSpec --compose--> Plan --exec--> stage1-init
//! ```
//!
//! A module uses those above it in this list, never one below:
//!
//! | | |
//! |---|---|
//! | [`spec`] | what runs, with nothing left open |
//! | [`seccomp`], [`cgroup`] | filters of system calls; groups with limits |
//! | [`resolve`] | makes a spec of images, manifests and options |
//! | [`plan`] | composes directives from a spec |
//! | [`state`] | pods on disk: directories, locks, records, logs |
//! | [`runtime`] | processes, terminals, and what became of a pod |

pub mod cgroup;
pub mod plan;
pub mod resolve;
pub mod runtime;
pub mod seccomp;
pub mod spec;
pub mod state;
