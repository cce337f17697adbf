//! What runs, with nothing left open.

pub(crate) mod defaults;
pub mod environment;
pub mod grant;
pub mod request;
pub mod tmpfs;
