//! From a spec to the directives that `stage1-init` executes.

pub mod compose;
pub mod descriptors;
pub mod directives;
pub mod enter;
pub mod overlay;
pub mod streams;
pub mod written;
