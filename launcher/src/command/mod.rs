//! The verbs: each takes checked options, calls the pipeline, and gives its result.

pub(crate) mod fetch;
pub(crate) mod finish;
pub(crate) mod help;
pub(crate) mod image;
pub(crate) mod plan;
pub(crate) mod run;
pub(crate) mod signature;
pub(crate) mod trust;
pub(crate) mod validate;
pub(crate) mod version;
