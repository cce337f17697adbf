//! The launcher's base: facts about the host, directories, locks, terminals,
//! and the one way to open paths below a root. The launcher's only unsafe code
//! is here.

pub mod atomic_file;
pub mod attributes;
pub mod bpf;
pub mod clock;
pub mod dirs;
pub mod host;
pub mod host_path;
pub mod limits;
pub mod links;
mod memory;
pub mod netlink;
pub mod netns;
pub mod overlay;
pub mod progress;
pub mod pty;
pub mod readonly_file;
pub mod root_fd;
pub mod secure;
pub mod signal_names;
pub mod signals;
pub mod size;
pub mod small_file;
pub mod sockets;
pub mod standard;
pub mod timezone;
mod version;
