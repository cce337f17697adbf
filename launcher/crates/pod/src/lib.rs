//! Pods: who an app runs as, what is mounted for it, and the plan of it all.

pub mod cgroup;
pub mod plan;
pub mod resolve;
pub mod runtime;
pub mod spec;
pub mod state;
