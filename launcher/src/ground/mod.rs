//! What everything stands on: errors, the host's facts, directories, and the
//! one way to open what lies below a root.

pub(crate) mod aside;
pub(crate) mod beneath;
pub(crate) mod bpf;
pub(crate) mod dirs;
mod error;
pub(crate) mod host;
pub(crate) mod netns;
pub(crate) mod pty;
pub(crate) mod quote;
pub(crate) mod readonly;
pub(crate) mod secure;
pub(crate) mod signals;
pub(crate) mod source;
pub(crate) mod talk;
pub(crate) mod zone;

pub(crate) use error::{Context, Error, Kind, Result};
