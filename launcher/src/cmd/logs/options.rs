//! Options of `launcher logs`.

use crate::cmd::selector::PodSelector;

/// The options.
#[derive(Debug)]
pub(crate) struct Options {
    /// The pod.
    pub(crate) selector: PodSelector,
    /// Continue until the pod exits.
    pub(crate) follow: bool,
    /// Only this app.
    pub(crate) app: Option<String>,
    /// Only output since this time, in nanoseconds since 1970.
    pub(crate) since: u64,
    /// Only this many last lines.
    pub(crate) tail: Option<usize>,
    /// How to print it.
    pub(crate) style: Style,
    /// Do not escape, even for a terminal.
    pub(crate) raw: bool,
}

/// How to print output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Unchanged.
    Bare,
    /// With time, app and stream before each line.
    Stamped,
    /// As one JSON object per line.
    Json,
}
