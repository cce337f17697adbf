//! Pods on disk: directories, locks, records, logs.

pub mod directory;
pub mod find;
pub mod gc_roots;
pub mod lock;
pub mod log;
pub mod records;
pub mod secret;
pub(crate) mod subdirectory;
