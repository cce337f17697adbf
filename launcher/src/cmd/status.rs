//! `launcher status`: prints the status of a pod, and can wait for it.

use std::io::Write;
use std::path::Path;

use crate::cmd::results::Format;
use crate::cmd::selector::PodSelector;
use crate::cmd::wait::{self, Wait};
use crate::cmd::{json, print};
use appc::types::{Uuid, spell_time};
use error::quote::escaped;
use error::{Context as _, Error, Result};
use pod::runtime::status::{self, App, Phase, Status};
use sys::dirs::Dirs;
use sys::host;

/// The options.
#[derive(Debug)]
pub(crate) struct Options {
    /// The pod.
    pub(crate) selector: PodSelector,
    /// Wait until it has exited.
    pub(crate) over: Wait,
    /// Wait until its apps have started.
    pub(crate) ready: Wait,
    /// Wait until its apps are healthy, or one is not.
    pub(crate) healthy: Wait,
    /// Text or JSON.
    pub(crate) format: Format,
}

/// Prints the status of a pod. Returns the exit status: that of the pod, if its end
/// was waited for; 1 if it is unhealthy, if that was.
///
/// # Errors
///
/// It is not found, the wait timed out, or nobody knows how the pod ended. In
/// the latter cases the status is printed all the same.
pub(crate) fn run(dir: &Path, options: &Options, out: &mut dyn Write) -> Result<u8> {
    let dirs = Dirs::look(dir)?;
    let (dirs, uuid) = options.selector.find_one(&dirs)?;
    let mut pod = wait::read(&dirs, uuid)?;
    let waited = wait(&dirs, &mut pod, options);
    status::observe(std::slice::from_mut(&mut pod))?;
    let told = options.format.spell(|| text(&pod), || json::pod(&pod));
    print(out, &told)?;
    waited
}

/// Waits as the options say; returns the exit status.
fn wait(dirs: &Dirs, pod: &mut Status, options: &Options) -> Result<u8> {
    if let Some(deadline) = options.ready.deadline() {
        wait::until_ready(dirs, pod, deadline)?;
    }
    let healthy = match options.healthy.deadline() {
        Some(deadline) => wait::until_healthy(dirs, pod, deadline)?,
        None => true,
    };
    match options.over.deadline() {
        Some(deadline) => wait::until_over(dirs, pod, deadline),
        None => Ok(u8::from(!healthy)),
    }
}

/// Formats the status as lines, as rkt does.
fn text(pod: &Status) -> String {
    let mut lines = vec![format!("state={}", pod.phase.word())];
    let mut time = |key: &str, time: Option<u64>| {
        if let Some(time) = time {
            lines.push(format!("{key}={}", spell_time(time / 1_000_000_000)));
        }
    };
    let over = pod.phase.has_exited();
    let ended = pod.ended.as_ref().filter(|_| over);
    time("created", pod.created.as_ref().map(|record| record.time));
    time("started", pod.started.as_ref().map(|record| record.time));
    time("ended", ended.map(|record| record.time));
    if let Some(name) = pod.name() {
        lines.push(format!("name={name}"));
    }
    if !pod.networks.is_empty() {
        lines.push(format!("networks={}", escaped(&pod.networks.join(","))));
    }
    if let Some(joined) = &pod.joined {
        lines.push(format!("joined-network={}", escaped(joined)));
    }
    let connected = pod.connected.iter();
    for attached in connected.flat_map(|connected| &connected.attachments) {
        let (name, mode) = (escaped(&attached.interface), escaped(&attached.mode));
        let addresses = attached.addresses.iter().map(ToString::to_string);
        let addresses: Vec<String> = addresses.collect();
        let addresses = addresses.join(",");
        lines.push(format!("network-{name}.mode={mode}"));
        lines.push(format!("network-{name}.addresses={addresses}"));
    }
    lines.extend(
        pod.ports()
            .map(|port| format!("port={port},pod={}", port.of_pod())),
    );
    let runs = matches!(pod.phase, Phase::Running | Phase::Paused);
    if let Some(started) = pod.started.as_ref().filter(|_| runs) {
        lines.push(format!("pid={}", started.process.pid));
    }
    lines.push(format!("exited={over}"));
    if let Some(status) = ended.and_then(|record| record.status) {
        lines.push(format!("status={status}"));
    }
    for (limit, number) in json::named(&pod.limits) {
        lines.push(format!("limit.{limit}={number}"));
    }
    lines.extend(pod.health().map(|state| format!("health={}", state.word())));
    lines.extend((pod.restarts > 0).then(|| format!("restarts={}", pod.restarts)));
    lines.extend(kills(pod.oom_kills).map(|kills| format!("oom-kills={kills}")));
    for app in &pod.apps {
        of_app(app, &mut lines);
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Most pods have none, and do not show it.
fn kills(number: u64) -> Option<u64> {
    (number > 0).then_some(number)
}

/// Formats the status of an app. App names contain no dots.
fn of_app(app: &App, lines: &mut Vec<String>) {
    let name = &app.name;
    if let Some(ending) = app.ending {
        lines.push(format!("app-{name}={}", ending.code()));
        let signal = json::killed_by(ending);
        lines.extend(signal.map(|signal| format!("app-{name}.signal={signal}")));
    }
    lines.extend(kills(app.oom_kills).map(|kills| format!("app-{name}.oom-kills={kills}")));
    lines.extend(app.pid.map(|pid| format!("app-{name}.pid={pid}")));
    if let Some(health) = &app.health {
        lines.push(format!("app-{name}.health={}", health.state.word()));
        if let Some(last) = &health.last {
            lines.push(format!("app-{name}.health.failing={}", health.failing));
            let status = last.status.map(|status| status.to_string());
            let status = status.unwrap_or_else(|| "timeout".to_owned());
            lines.push(format!("app-{name}.health.status={status}"));
            let output = escaped(&last.output);
            lines.push(format!("app-{name}.health.output={output}"));
        }
    }
    for mounted in &app.mounts {
        let (volume, target) = (escaped(&mounted.name), escaped(&mounted.target));
        let from = match mounted.ours {
            false => {
                let source = mounted.source.to_string_lossy();
                format!("kind=host,source={}", escaped(&source))
            }
            true => "kind=empty".to_owned(),
        };
        let read_only = mounted.read_only;
        lines.push(format!(
            "app-{name}.mount=volume={volume},target={target},{from},readOnly={read_only}"
        ));
    }
    for (limit, number) in json::named(&app.limits) {
        lines.push(format!("app-{name}.limit.{limit}={number}"));
    }
}

/// Returns the status of a running pod; `None` if it has exited.
///
/// # Errors
///
/// It is not running; `what` is the verb of the message.
pub(super) fn running(dirs: &Dirs, uuid: Uuid, what: &str) -> Result<Option<Status>> {
    let pod = status::read(dirs, uuid)?;
    match pod {
        Some(pod) if pod.phase == Phase::Running => {
            host::require_proc().context(|| format!("cannot {what} pod `{uuid}`"))?;
            Ok(Some(pod))
        }
        Some(pod) if !pod.phase.has_exited() => Err(Error::invalid(format!(
            "cannot {what} pod `{uuid}`: it is not running, but {}",
            pod.phase.word()
        ))),
        _ => Ok(None),
    }
}
