//! Pods: who an app runs as, what is mounted for it, and the plan of it all.

pub(crate) mod identity;
pub(crate) mod plan;
