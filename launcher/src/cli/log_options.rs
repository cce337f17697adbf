//! The options for the log of a pod.

use crate::cli::options::Options;
use crate::cli::spelling::excluded;
use error::{Error, Result};
use pod::spec::log::{Log, Place, Size};

/// Takes the options, for a pod that runs in the background or not.
pub(super) fn take(options: &mut Options, detached: bool) -> Result<Option<Log>> {
    let place = options.value("--log", Place::parse)?;
    let size = options.value("--log-size", Size::parse)?;
    let given = place.map(|_| "--log").or(size.map(|_| "--log-size"));
    match (given, place, size) {
        (Some(option), ..) if !detached => Err(Error::usage(format!(
            "`{option}` needs `--detach`: the output of other pods is not kept"
        ))),
        (_, Some(Place::Nowhere), Some(_)) => Err(excluded("--log=none", "--log-size")),
        _ => Ok(detached.then(|| Log {
            place: place.unwrap_or_default(),
            size: size.unwrap_or_default(),
        })),
    }
}
