//! What reaches the caller's terminal; work that an app makes for the host.

/// What of the caller could keep a pod from running, or reach it.
mod descriptors;
/// Work of the host's for what apps ask.
mod metadata;
/// Escape sequences, and what else could drive a terminal.
mod terminal;
