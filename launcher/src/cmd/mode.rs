//! How a pod is run, and what becomes of it.

use appc::types::Uuid;
use error::Error;
use pod::runtime::detach_keys::Keys;
use pod::spec::log::Log;

use crate::cmd::OURS;

/// How a pod is run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunMode {
    /// Without the caller; then what its apps write is kept so.
    pub(crate) detached: Option<Log>,
    /// It is kept when it has exited.
    pub(crate) keep: bool,
    /// With which keys the caller leaves its terminal.
    pub(crate) keys: Keys,
    /// What the caller sees of what the apps write.
    pub(crate) shown: Shown,
    /// There are pipes between the apps and the caller's streams.
    pub(crate) piped: bool,
}

/// What a caller who stays sees of what the apps write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shown {
    /// All of it, and nothing else.
    #[default]
    Plainly,
    /// The same, behind a line that says so.
    Marked,
    /// Nothing.
    Hidden,
}

/// What became of a pod that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It runs without the caller.
    Detached(Uuid),
    /// The caller has left its terminal.
    Left,
    /// It has exited, with this status.
    Exited(u8),
}

/// Why a pod does not run, and the status to exit with.
pub(crate) struct StartError {
    /// Why.
    pub(crate) error: Error,
    /// Ours, or the one that its init has for that.
    pub(crate) status: u8,
}

impl From<Error> for StartError {
    fn from(error: Error) -> Self {
        Self {
            error,
            status: OURS,
        }
    }
}
