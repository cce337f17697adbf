//! What an app can ask for in its manifest and does not get: a signal that is none.

use crate::resolve::report::Entry;
use error::quote::quoted;
use sys::signal_names;

/// Returns an entry for a signal that asks the app to end and is none.
pub(crate) fn stop_signal(name: &str, signal: Option<&str>) -> Option<Entry> {
    let signal = signal.filter(|signal| signal_names::signal(signal).is_err())?;
    let what = format!("stop signal {}", quoted(signal));
    let subject = format!("app `{name}`");
    Some(Entry::unsupported(
        what,
        &subject,
        "there is no such signal",
    ))
}
