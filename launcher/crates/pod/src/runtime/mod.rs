//! Running pods: processes, groups, terminals, and how they end.

pub mod claim;
pub mod descriptors;
pub mod detach_keys;
pub mod exec;
pub mod explain;
pub mod export;
pub mod inherited;
pub(crate) mod interpreter;
pub mod metadata;
pub(crate) mod obstacle;
pub(crate) mod overlay_reader;
pub mod pause;
pub mod pod_process;
pub mod process;
pub(crate) mod procfs;
pub mod relay;
pub mod render;
pub mod serve;
pub mod snapshot;
pub mod start;
pub mod stats;
pub mod status;
pub(crate) mod streams;
pub mod teardown;
pub mod terminal;
pub mod throttle;
