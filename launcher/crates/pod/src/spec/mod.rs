//! What runs in a pod, with everything decided and independent of image
//! formats. `resolve` makes a spec, `plan` composes directives from it, and the
//! pod keeps it in the file `spec`, which all other commands read.
//!
//! | | |
//! |---|---|
//! | [`pod`] | [`PodSpec`](pod::PodSpec) and [`AppSpec`](pod::AppSpec) |
//! | [`process`] | who a program runs as, and what it may do |
//! | [`limits`] | what an app or a pod may use |
//! | [`mounts`] | volumes, tmpfs mounts, devices |
//! | [`lookup`] | how its apps find others by name |
//! | [`connection`] | how a pod is connected to others |
//! | [`sharing`] | how it shares an interface of the host |
//! | [`ports`] | ports of the host that lead to a pod |
//! | [`sockets`] | what listens for an app before it starts |
//! | [`notify`] | who tells the service manager how it is doing |
//! | [`health`] | how to find out whether an app works |
//! | [`restart`] | when it is started again |
//! | [`log`] | where to keep the output of apps |
//! | [`environment`] | variables |
//! | `defaults` | what every app gets |

pub mod connection;
pub(crate) mod defaults;
pub mod environment;
pub mod health;
pub mod limits;
pub mod log;
pub mod lookup;
pub mod mounts;
pub mod notify;
pub mod pod;
pub mod ports;
pub mod process;
pub mod restart;
pub mod sharing;
pub mod sockets;
mod text;

pub use text::HostPath;
