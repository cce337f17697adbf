//! `launcher list`: all pods, as a table or as JSON.

use std::io::Write;
use std::path::Path;

use crate::cmd::results::Format;
use crate::cmd::table::{age, columns};
use crate::cmd::{complain, json, print};
use appc::types::spell_time;
use error::quote::escaped;
use error::{Error, Result};
use pod::runtime::status::{self, App, Ending, Status};
use sys::dirs::Dirs;

/// The options.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Listing {
    /// Show full UUIDs, image IDs and exact times.
    pub(crate) full: bool,
    /// Print the column titles.
    pub(crate) legend: bool,
    /// Text or JSON.
    pub(crate) format: Format,
}

/// Prints the list. Reports damaged pods, and continues with the others.
pub(crate) fn run(dir: &Path, listing: &Listing, out: &mut dyn Write) -> Result<()> {
    let mut pods = Vec::new();
    let mut bad = 0;
    let dirs = Dirs::look(dir)?;
    for place in dirs.places() {
        for pod in status::all(&place)? {
            match pod {
                Ok(pod) => pods.push(pod),
                Err(error) => {
                    complain(&error);
                    bad += 1;
                }
            }
        }
    }
    pods.sort_by_key(|pod| pod.created.as_ref().map(|created| created.time));
    status::observe(&mut pods)?;
    let json = || pods.iter().map(json::pod).collect();
    let listed = listing.format.spell(|| table(&pods, listing), json);
    print(out, &listed)?;
    match bad {
        0 => Ok(()),
        1 => Err(Error::invalid("one pod cannot be listed")),
        many => Err(Error::invalid(format!("{many} pods cannot be listed"))),
    }
}

fn table(pods: &[Status], listing: &Listing) -> String {
    let mut lines = Vec::new();
    let mut titles = vec!["UUID", "APP", "IMAGE NAME"];
    titles.extend(listing.full.then_some("IMAGE ID"));
    titles.extend(["STATE", "EXIT", "CREATED", "STARTED", "NETWORK", "NAME"]);
    if listing.legend {
        lines.push(titles.iter().map(|&title| title.to_owned()).collect());
    }
    for pod in pods {
        let none = App::default();
        let apps = match &pod.apps[..] {
            [] => std::slice::from_ref(&none),
            apps => apps,
        };
        for (index, app) in apps.iter().enumerate() {
            lines.push(line(pod, app, index == 0, listing.full));
        }
    }
    columns(&lines)
}

/// Formats a line of the table. Columns of the pod are only in its first line.
fn line(pod: &Status, app: &App, first: bool, full: bool) -> Vec<String> {
    let once = |text: String| if first { text } else { String::new() };
    let uuid = pod.uuid.to_string();
    let time = |time: Option<u64>| match (time, full) {
        (None, _) => String::new(),
        (Some(time), true) => spell_time(time / NANOSECONDS),
        (Some(time), false) => age(time / NANOSECONDS),
    };
    let image = app.image.as_ref();
    let called = image.and_then(|image| image.name.clone());
    let mut cells = vec![
        once(if full {
            uuid
        } else {
            uuid.chars().take(8).collect()
        }),
        app.name.clone(),
        called.unwrap_or_default(),
    ];
    if full {
        cells.push(image.map(|image| image.id.clone()).unwrap_or_default());
    }
    cells.push(once(state(pod)));
    cells.push(
        app.ending
            .map(|ending| ended(app, ending))
            .unwrap_or_default(),
    );
    cells.push(once(time(pod.created.as_ref().map(|record| record.time))));
    cells.push(once(time(pod.started.as_ref().map(|record| record.time))));
    cells.push(once(network(pod, full)));
    cells.push(once(
        pod.name().map(ToString::to_string).unwrap_or_default(),
    ));
    cells
}

/// Formats the state of a pod: its health, and how often it was started again.
fn state(pod: &Status) -> String {
    let health = pod.health().map(|health| health.word().to_owned());
    let restarts = match pod.restarts {
        0 => None,
        1 => Some("1 restart".to_owned()),
        many => Some(format!("{many} restarts")),
    };
    let more: Vec<_> = health.into_iter().chain(restarts).collect();
    match more.is_empty() {
        true => pod.phase.word().to_owned(),
        false => format!("{} ({})", pod.phase.word(), more.join(", ")),
    }
}

/// Formats where a pod can be reached: its addresses, and the ports of the host that
/// lead to it.
fn network(pod: &Status, full: bool) -> String {
    let Some(connected) = &pod.connected else {
        return match &pod.joined {
            _ if pod.networks.is_empty() => String::new(),
            // Eight digits of a UUID are told elsewhere, too.
            Some(joined) if !full && joined.starts_with("pod:") => {
                joined.chars().take(12).collect()
            }
            Some(joined) => escaped(joined),
            None if pod.shares_network => "host".to_owned(),
            None => String::new(),
        };
    };
    let shown = |address: &std::net::IpAddr| full || address.is_ipv4();
    let addresses = connected.addresses().filter(shown);
    let addresses = addresses.map(|address| address.to_string());
    let ports = pod.ports().map(|port| format!("{port} -> {}", port.pod));
    addresses.chain(ports).collect::<Vec<_>>().join(", ")
}

/// Formats how an app ended: its exit status, and what killed it.
fn ended(app: &App, ending: Ending) -> String {
    let code = ending.code();
    match json::killed_by(ending) {
        Some(_) if app.oom_kills > 0 => format!("{code} (out of memory)"),
        Some(signal) => format!("{code} ({signal})"),
        None => code.to_string(),
    }
}

const NANOSECONDS: u64 = 1_000_000_000;
