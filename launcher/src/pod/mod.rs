//! Pods: who an app runs as, what is mounted for it, and the plan of it all.

pub(crate) mod compose;
pub(crate) mod directory;
pub(crate) mod identity;
pub(crate) mod metadata;
pub(crate) mod overlay;
pub(crate) mod plan;
pub(crate) mod reify;
pub(crate) mod render;
mod standard;
pub(crate) mod tree;
