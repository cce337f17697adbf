//! What everything stands on: errors, the host's facts, directories, locks,
//! and the one way to open what lies below a root.

mod error;
pub(crate) mod host;

pub(crate) use error::{Context, Error, Kind, Result};
