//! Pods: who an app runs as, what is mounted for it, and the plan of it all.

pub(crate) mod compose;
pub(crate) mod directory;
pub(crate) mod end;
pub(crate) mod find;
pub(crate) mod foresee;
pub(crate) mod identity;
pub(crate) mod life;
pub(crate) mod lock;
mod merge;
pub(crate) mod needs;
pub(crate) mod overlay;
pub(crate) mod plan;
pub(crate) mod process;
pub(crate) mod reify;
pub(crate) mod render;
pub(crate) mod request;
mod standard;
pub(crate) mod status;
pub(crate) mod tree;
pub(crate) mod volume;
