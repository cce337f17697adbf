//! How to run a pod, and how that ended.

use appc::types::Uuid;
use error::Error;
use pod::runtime::detach_keys::Keys;
use pod::spec::log::Log;

use crate::cmd::OURS;
use crate::cmd::exit::Exit;

/// How to run a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunMode {
    /// In the background, with this log.
    pub(crate) detached: Option<Log>,
    /// Keep it when it has exited.
    pub(crate) keep: bool,
    /// The keys that detach from its terminal.
    pub(crate) keys: Keys,
    /// How much of the apps' output the caller sees.
    pub(crate) shown: Shown,
    /// Put pipes between the apps and the caller's streams.
    pub(crate) piped: bool,
}

/// How much of the apps' output the caller sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shown {
    /// All of it.
    #[default]
    Plainly,
    /// All of it, after a mark.
    Marked,
    /// None of it.
    Hidden,
}

/// What has become of a pod that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It runs in the background.
    Detached(Uuid),
    /// The caller has detached from its terminal.
    Left,
    /// It has exited like this.
    Exited(Exit),
}

/// Why a pod was not started, and the status to exit with.
pub(crate) struct StartError {
    /// The reason.
    pub(crate) error: Error,
    /// Our status, or that of its init.
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
