//! What an app can ask for in its manifest and does not get: a signal that is
//! none, and a place to report to that it has started.

use crate::resolve::report::Entry;
use appc::types::{Annotations, NOTIFY};
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

/// Returns an entry for an app that says when it is ready.
pub(crate) fn notification(name: &str, annotations: &Annotations) -> Option<Entry> {
    let notifies = annotations
        .iter()
        .any(|one| one.name.as_str() == NOTIFY && one.value == "true");
    notifies.then(|| {
        let what = format!("annotation `{NOTIFY}`");
        let reason = "nobody waits for the app to say that it is ready";
        Entry::unsupported(what, &format!("app `{name}`"), reason)
    })
}
