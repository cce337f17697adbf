//! Images: from an archive's bytes to a verified, unpacked tree in the store.

pub mod archive;
pub mod digest;
pub mod fetch;
pub mod format;
pub mod reference;
pub mod store;
pub mod trust;
