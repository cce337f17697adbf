//! Words with a meaning: names, versions, digests, manifests. Pure: no I/O.

pub(crate) mod digest;
pub(crate) mod json;
pub(crate) mod manifest;
pub(crate) mod quote;
pub(crate) mod types;
