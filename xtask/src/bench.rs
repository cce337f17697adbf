//! Compares with the peers that are installed, in one run: absolute times move
//! from machine to machine and from hour to hour, so read the ratios.

mod enter;
mod filled;
mod measure;
mod net;
mod pull;
mod run;
mod unpack;

pub(crate) use enter::enter;
pub(crate) use filled::{list, start};
pub(crate) use net::net;
pub(crate) use pull::pull;
pub(crate) use run::{parallel, run};
pub(crate) use unpack::unpack;
