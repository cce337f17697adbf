//! Pods: who an app runs as, what is mounted for it, and the plan of it all.

pub(crate) mod cgroup;
pub(crate) mod compose;
pub(crate) mod descriptors;
pub(crate) mod devices;
pub(crate) mod directory;
pub(crate) mod end;
pub(crate) mod find;
pub(crate) mod foresee;
pub(crate) mod identity;
pub(crate) mod isolators;
pub(crate) mod life;
pub(crate) mod lock;
mod merge;
pub(crate) mod metadata;
pub(crate) mod needs;
pub(crate) mod overlay;
pub(crate) mod plan;
pub(crate) mod process;
pub(crate) mod reify;
pub(crate) mod render;
pub(crate) mod request;
pub(crate) mod seccomp;
pub(crate) mod secret;
mod standard;
pub(crate) mod status;
pub(crate) mod tree;
pub(crate) mod volume;
