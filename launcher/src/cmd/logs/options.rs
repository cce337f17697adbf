//! What `launcher logs` can be asked for.

use crate::cmd::selector::PodSelector;

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Options {
    /// The pod.
    pub(crate) selector: PodSelector,
    /// Go on until it is over.
    pub(crate) follow: bool,
    /// Only this app.
    pub(crate) app: Option<String>,
    /// Only what was written then or later, in nanoseconds since 1970.
    pub(crate) since: u64,
    /// Only so many lines, the last ones.
    pub(crate) tail: Option<usize>,
    /// How it is shown.
    pub(crate) style: Style,
    /// Even to a terminal, byte for byte.
    pub(crate) raw: bool,
}

/// How what was written is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// As it is.
    Bare,
    /// With time, app and stream before each line.
    Stamped,
    /// As an object a line.
    Json,
}
