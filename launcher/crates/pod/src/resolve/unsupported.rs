//! What an app can ask for in its manifest and does not get yet: listening
//! sockets that are opened before it starts, and a place to report to that it
//! has started.

use crate::resolve::report::Entry;
use appc::manifest::app::App;
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

/// Returns an entry for each of these that an app asks for.
pub(crate) fn entries(name: &str, app: &App, annotations: &Annotations) -> Vec<Entry> {
    let subject = format!("app `{name}`");
    let activated = app.ports.iter().filter(|port| port.socket_activated);
    let mut entries: Vec<Entry> = activated
        .map(|port| {
            let what = format!("`socketActivated` of port `{}`", port.name);
            let reason = "the app has to open the port itself";
            Entry::unsupported(what, &subject, reason)
        })
        .collect();
    let notifies = annotations
        .iter()
        .any(|one| one.name.as_str() == NOTIFY && one.value == "true");
    if notifies {
        let what = format!("annotation `{NOTIFY}`");
        let reason = "nobody waits for the app to say that it is ready";
        entries.push(Entry::unsupported(what, &subject, reason));
    }
    entries
}
