//! Pods: what runs in them, the plan that starts them, their state on disk, and
//! how they are run and observed.
//!
//! ```text
//! images, options --resolve--> PodSpec --compose--> Plan --exec--> stage1-init
//! ```
//!
//! A module uses only modules above it in this list:
//!
//! | | |
//! |---|---|
//! | [`spec`] | what runs, with everything decided |
//! | [`seccomp`], [`cgroup`] | system call filters; groups with limits |
//! | [`resolve`] | makes a spec from images, manifests and options |
//! | [`plan`] | composes directives from a spec |
//! | [`state`] | pods on disk: directories, locks, records, logs |
//! | [`network`] | how pods are connected, and what that changes on the host |
//! | [`runtime`] | running pods: processes, terminals, how they end |

pub mod cgroup;
pub mod network;
pub mod plan;
pub mod resolve;
pub mod runtime;
pub mod seccomp;
pub mod spec;
pub mod state;
