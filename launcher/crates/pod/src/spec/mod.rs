//! What runs in a pod, with nothing left open and nothing of an image format
//! in it. `resolve` makes it, `plan` composes directives from it, and the pod
//! keeps it as the file `spec`, which every later verb reads.
//!
//! | | |
//! |---|---|
//! | [`pod`] | [`PodSpec`](pod::PodSpec) and [`AppSpec`](pod::AppSpec) |
//! | [`process`] | who a program runs as, and what it may do |
//! | [`limits`] | how much of the machine an app or a pod may use |
//! | [`mounts`] | volumes, file systems in memory, devices |
//! | [`log`] | where what the apps write is kept |
//! | [`environment`] | variables |
//! | [`defaults`] | what every app gets |

pub(crate) mod defaults;
pub mod environment;
pub mod limits;
pub mod log;
pub mod mounts;
pub mod pod;
pub mod process;
mod text;

pub use text::HostPath;
