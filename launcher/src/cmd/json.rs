//! Pods as JSON, for `launcher list` and `launcher status`. Times are text as in
//! RFC 3339, sizes in bytes; unknown values are left out.

use appc::json::{Object, Value};
use appc::types::spell_time_exactly;
use pod::runtime::status::health::Health;
use pod::runtime::status::{App, Ending, Phase, Status};
use pod::spec::limits::Limits;
use pod::spec::mounts::Mounted;
use pod::spec::ports::PublishedPort;
use sys::signal_names;

/// Returns a pod as JSON.
pub(super) fn pod(pod: &Status) -> Value {
    let runs = matches!(pod.phase, Phase::Running | Phase::Paused);
    let created = pod.created.as_ref();
    let started = pod.started.as_ref();
    let pid = started.filter(|_| runs).map(|record| record.process.pid);
    let ended = pod.ended.as_ref().filter(|_| pod.phase.has_exited());
    let status = ended.and_then(|record| record.status).map(u32::from);
    let networks = pod.networks.iter().map(|name| network(pod, name));
    Object::new()
        .with("uuid", pod.uuid.to_string())
        .with_some("name", pod.name().map(|name| name.as_str()))
        .with("state", pod.phase.word())
        .with_some("pid", pid)
        .with_some("exit_code", status)
        .with_some("created_at", time(created.map(|record| record.time)))
        .with_some("started_at", time(started.map(|record| record.time)))
        .with_some("exited_at", time(ended.map(|record| record.time)))
        .with_some("oom_kills", kills(pod.oom_kills))
        .with_some("health", pod.health().map(|state| state.word()))
        .with_some("restarts", (pod.restarts > 0).then_some(pod.restarts))
        .with_some("joined_network", pod.joined.as_deref())
        .with_items("networks", networks)
        .with_items("ports", pod.ports().map(port))
        .with_some("limits", limits(&pod.limits))
        .with_items("apps", pod.apps.iter().map(|one| app(pod, one)))
        .into()
}

/// Returns an interface of a pod.
fn network(pod: &Status, name: &str) -> Object {
    let attached = pod.connected.as_ref().and_then(|all| all.find(name));
    let addresses = attached
        .into_iter()
        .flat_map(|attached| &attached.addresses);
    Object::new()
        .with("name", name)
        .with_some("mode", attached.map(|attached| attached.mode.as_str()))
        .with_items("addresses", addresses.map(|address| address.to_string()))
}

/// Returns a port of the host that leads to a pod.
pub(super) fn port(port: &PublishedPort) -> Value {
    let address = port.address.map(|address| address.to_string());
    Object::new()
        .with("protocol", port.protocol.name())
        .with_some("host_address", address)
        .with("host_port", u32::from(port.host))
        .with("pod_port", u32::from(port.pod))
        .into()
}

/// Formats a time, in nanoseconds since 1970.
fn time(nanoseconds: Option<u64>) -> Option<String> {
    nanoseconds.map(spell_time_exactly)
}

/// Most pods have none, and do not show it.
fn kills(number: u64) -> Option<u64> {
    (number > 0).then_some(number)
}

fn app(pod: &Status, app: &App) -> Object {
    let image = app.image.as_ref();
    let name = image.and_then(|image| image.name.as_deref());
    let signal = app.ending.and_then(killed_by);
    Object::new()
        .with("name", app.name.as_str())
        .with("state", state(pod, app))
        .with_some("pid", app.pid)
        .with_some(
            "exit_code",
            app.ending.map(|ending| u32::from(ending.code())),
        )
        .with_some("signal", signal)
        .with_some("oom_kills", kills(app.oom_kills))
        .with_some("health", app.health.as_ref().map(health))
        .with_some("image_name", name)
        .with_some("image_id", image.map(|image| image.id.as_str()))
        .with_items("mounts", app.mounts.iter().map(mounted))
        .with_some("limits", limits(&app.limits))
}

/// Returns the health of an app, and how the last check of it has ended. One that
/// took too long has no exit code.
fn health(health: &Health) -> Value {
    let object = Object::new()
        .with("status", health.state.word())
        .with("failing_streak", health.failing);
    let Some(last) = &health.last else {
        return object.into();
    };
    object
        .with_some("started_at", time(Some(last.began)))
        .with_some("ended_at", time(Some(last.ended)))
        .with_some("exit_code", last.status.map(u32::from))
        .with("output", last.output.as_str())
        .into()
}

/// Returns the state of an app as a word.
fn state(pod: &Status, app: &App) -> &'static str {
    match (app.ending, pod.phase) {
        (Some(_), _) => "exited",
        (None, phase @ (Phase::Running | Phase::Paused)) if pod.ready => phase.word(),
        (None, phase) if phase.has_exited() => "unknown",
        (None, _) => "created",
    }
}

/// Returns the name of the signal that ended a program, if one did.
pub(super) fn killed_by(ending: Ending) -> Option<String> {
    match ending {
        Ending::Exited(_) => None,
        Ending::Killed(number) => Some(signal_names::name(number)),
    }
}

fn mounted(mounted: &Mounted) -> Object {
    let source = (!mounted.ours).then(|| mounted.source.to_string_lossy());
    let kind = match mounted.ours {
        false => "host",
        true => "empty",
    };
    Object::new()
        .with("name", mounted.name.as_str())
        .with("path", mounted.target.as_str())
        .with("kind", kind)
        .with_some("source", source.as_deref())
        .with("read_only", mounted.read_only)
}

/// Returns the limits that are set, with their names.
pub(super) fn named(limits: &Limits) -> impl Iterator<Item = (&'static str, u64)> {
    [
        ("cpu_millis", limits.cpu),
        ("cpu_shares", limits.cpu_shares),
        ("memory", limits.memory),
        ("memory_request", limits.memory_request),
        ("block_bandwidth", limits.block_bandwidth),
        ("block_operations", limits.block_operations),
        ("network_bandwidth", limits.network_bandwidth),
    ]
    .into_iter()
    .filter_map(|(name, limit)| Some((name, limit?)))
}

fn limits(limits: &Limits) -> Option<Value> {
    let add = |object: Object, (name, limit): (&str, u64)| object.with(name, limit);
    let any = named(limits).next().is_some();
    any.then(|| named(limits).fold(Object::new(), add).into())
}
