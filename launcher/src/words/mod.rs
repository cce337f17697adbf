//! Words with a meaning: names, versions, digests, manifests. Pure: no I/O.

pub(crate) mod date;
pub(crate) mod digest;
pub(crate) mod environment;
pub(crate) mod insecure;
pub(crate) mod json;
pub(crate) mod keys;
pub(crate) mod manifest;
pub(crate) mod reference;
pub(crate) mod signal;
pub(crate) mod types;

/// Words are shown as everything is that comes from outside.
pub(crate) use crate::ground::quote;
