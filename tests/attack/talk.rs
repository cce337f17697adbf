//! What reaches the caller's terminal; work that an app makes for the host.

/// What of the caller could keep a pod from running, or reach it.
mod descriptors;
/// Escape sequences, and what else could drive a terminal.
mod terminal;
