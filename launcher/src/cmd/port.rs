//! `launcher port`: prints which ports of the host lead to a pod.

use std::io::Write;
use std::path::Path;

use crate::cmd::results::Format;
use crate::cmd::selector::PodSelector;
use crate::cmd::status::running;
use crate::cmd::{json, print};
use error::{Error, Result};
use pod::spec::ports::PublishedPort;
use sys::dirs::Dirs;

/// Prints the ports.
///
/// # Errors
///
/// The pod is not running.
pub(crate) fn run(
    dir: &Path,
    selector: &PodSelector,
    format: Format,
    out: &mut dyn Write,
) -> Result<()> {
    let (dirs, uuid) = selector.find_one(&Dirs::look(dir)?)?;
    let pod = running(&dirs, uuid, "show the ports of")?;
    let pod = pod.ok_or_else(|| Error::invalid(format!("pod `{uuid}` has already exited")))?;
    let text = || {
        let lines = pod
            .ports()
            .map(|port| format!("{} -> {}\n", port.of_pod(), place(port)));
        lines.collect::<String>()
    };
    let json = || pod.ports().map(json::port).collect();
    print(out, &format.spell(text, json))
}

/// Formats the port of the host, as a client would name it.
fn place(port: &PublishedPort) -> String {
    let whole = port.to_string();
    let (place, _) = whole.rsplit_once('/').unwrap_or((&whole, ""));
    match port.address {
        Some(_) => place.to_owned(),
        None => format!("*:{place}"),
    }
}
