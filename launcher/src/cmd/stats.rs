//! `launcher stats`: prints the resource usage of pods, as a table or as JSON.

use std::io::Write;
use std::path::Path;

use crate::cmd::results::Format;
use crate::cmd::selector::PodSelector;
use crate::cmd::status::running;
use crate::cmd::table::columns;
use crate::cmd::{last_of, print};
use appc::json::Object;
use error::{Error, Result};
use pod::runtime::snapshot::Snapshot;
use pod::runtime::stats::{Measured, Usage, measure};
use pod::runtime::status;
use pod::state::find;
use sys::dirs::{Dirs, State};
use sys::size;

/// The options.
#[derive(Debug)]
pub(crate) struct Options {
    /// The pods; all running ones if it is empty.
    pub(crate) selector: PodSelector,
    /// Print the column titles.
    pub(crate) legend: bool,
    /// Text or JSON.
    pub(crate) format: Format,
}

/// Prints the resource usage. Continues if a pod cannot be measured.
pub(crate) fn run(dir: &Path, options: &Options, out: &mut dyn Write) -> Result<()> {
    let mut failures = Vec::new();
    let pods = pods(&Dirs::look(dir)?, &options.selector, &mut failures)?;
    if pods.is_empty() && !failures.is_empty() {
        return last_of(failures);
    }
    let json = || pods.iter().map(json).collect();
    let table = || table(&pods, options.legend);
    print(out, &options.format.spell(table, json))?;
    last_of(failures)
}

fn pods(dirs: &Dirs, selector: &PodSelector, failures: &mut Vec<Error>) -> Result<Vec<Measured>> {
    let all = selector.is_empty();
    let mut pods = selector.find(dirs, failures);
    if all {
        for place in dirs.places() {
            let uuids = find::all(&place, &[State::Run])?.into_keys();
            pods.extend(uuids.map(|uuid| (place.clone(), uuid)));
        }
    }
    let mut found = Vec::new();
    for (place, uuid) in pods {
        match running(&place, uuid, "measure") {
            Ok(Some(pod)) => found.push(pod),
            // Pods that have exited meanwhile are not listed.
            _ if all => {}
            Ok(None) => failures.push(Error::invalid(format!("pod `{uuid}` has already exited"))),
            Err(error) => failures.push(error),
        }
    }
    status::observe(&mut found)?;
    found.sort_by_key(|pod| pod.started.as_ref().map(|started| started.time));
    let processes = Snapshot::take()?;
    let mut measured = Vec::new();
    for pod in &found {
        match measure(dirs, pod, &processes) {
            Ok(pod) => measured.push(pod),
            Err(error) => failures.push(error),
        }
    }
    Ok(measured)
}

fn table(pods: &[Measured], legend: bool) -> String {
    let titles = [
        "UUID",
        "APP",
        "CPU",
        "MEMORY",
        "LIMIT",
        "PEAK",
        "PROCESSES",
        "READ",
        "WRITTEN",
    ];
    let mut lines: Vec<Vec<String>> = Vec::new();
    if legend {
        lines.push(titles.map(str::to_owned).into());
    }
    for pod in pods {
        let uuid: String = pod.uuid.to_string().chars().take(8).collect();
        match &pod.apps[..] {
            [(app, usage)] => lines.push(line(uuid, app, usage)),
            apps => {
                lines.push(line(uuid, "", &pod.whole));
                let of_app = |(app, usage): &(String, Usage)| line(String::new(), app, usage);
                lines.extend(apps.iter().map(of_app));
            }
        }
    }
    columns(&lines)
}

fn line(uuid: String, app: &str, usage: &Usage) -> Vec<String> {
    let size = |bytes: Option<u64>| bytes.map_or_else(unknown, size::spell);
    let processes = usage.processes.map(|count| count.to_string());
    vec![
        uuid,
        app.to_owned(),
        usage.cpu.map_or_else(unknown, spell),
        size(usage.memory),
        size(usage.memory_limit),
        size(usage.memory_peak),
        processes.unwrap_or_else(unknown),
        size(usage.read),
        size(usage.written),
    ]
}

fn unknown() -> String {
    "-".to_owned()
}

/// Formats nanoseconds for people.
fn spell(nanoseconds: u64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{seconds}.{:02}s", nanoseconds / 10_000_000 % 100),
        (0, minutes) => format!("{minutes}m{:02}s", seconds % 60),
        (hours, minutes) => format!("{hours}h{minutes:02}m"),
    }
}

fn json(pod: &Measured) -> Object {
    let apps = pod.apps.iter().map(|(name, usage)| {
        let app = Object::new().with("name", name.as_str());
        figures(app, usage)
    });
    let whole = Object::new()
        .with("uuid", pod.uuid.to_string())
        .with_some("name", pod.name.as_deref());
    figures(whole, &pod.whole).with_items("apps", apps)
}

fn figures(object: Object, usage: &Usage) -> Object {
    object
        .with_some("cpu_time", usage.cpu)
        .with_some("memory", usage.memory)
        .with_some("memory_limit", usage.memory_limit)
        .with_some("memory_peak", usage.memory_peak)
        .with_some("processes", usage.processes)
        .with_some("read_bytes", usage.read)
        .with_some("written_bytes", usage.written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use appc::json::Value;

    #[test]
    fn times_are_spelled_for_people() {
        for (nanoseconds, expected) in [
            (0, "0.00s"),
            (19_999_999, "0.01s"),
            (59_999_999_999, "59.99s"),
            (60_000_000_000, "1m00s"),
            (3_599_000_000_000, "59m59s"),
            (3_600_000_000_000, "1h00m"),
            (360_059_000_000_000, "100h00m"),
        ] {
            assert_eq!(spell(nanoseconds), expected);
        }
    }

    #[test]
    fn what_is_not_known_is_no_number() {
        let cells = line("u".to_owned(), "a", &Usage::default());
        assert_eq!(cells, ["u", "a", "-", "-", "-", "-", "-", "-", "-"]);
        let object = figures(Object::new(), &Usage::default());
        assert_eq!(Value::from(object).to_string(), "{}");
    }
}
