//! Running: handing a plan to `stage1-init`, and saying what became of it.

pub(crate) mod explain;
pub(crate) mod filters;
mod interpreter;
mod pace;
pub(crate) mod relay;
pub(crate) mod serve;
pub(crate) mod stage1;
