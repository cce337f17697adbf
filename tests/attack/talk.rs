//! What reaches the caller's terminal; work that an app makes for the host.
