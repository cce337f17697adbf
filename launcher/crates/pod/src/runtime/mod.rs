//! Running pods: processes, groups, terminals, and how they end.

pub mod claim;
pub mod descriptors;
pub mod detach_keys;
pub mod exec;
pub mod explain;
pub mod export;
pub mod inherited;
pub mod inside;
pub(crate) mod interpreter;
pub mod members;
pub mod metadata;
pub(crate) mod overlay_reader;
pub mod pace;
pub mod pause;
pub mod process;
pub(crate) mod procfs;
pub mod relay;
pub mod render;
pub mod serve;
pub mod start;
pub mod stats;
pub mod status;
pub(crate) mod streams;
pub mod teardown;
pub mod terminal;
