//! The command lines of the commands that create pods or run prepared ones:
//! `launcher run`, `prepare`, `run-prepared` and `plan`.

use crate::cli::args::Args;
use crate::cli::command::Command;
use crate::cli::fetch;
use crate::cli::image_args::{missing_image, referenced};
use crate::cli::log_options;
use crate::cli::names;
use crate::cli::options::Options;
use crate::cli::pod_args::{AppArgs, PodArgs};
use crate::cli::spelling::{boolean, excluded, text};
use crate::cli::values::{self, repeated, some};
use crate::cmd::mode::{RunMode, Shown};
use crate::cmd::plan::Format;
use crate::cmd::request;
use appc::manifest::pod::Mount;
use appc::types::{AcIdentifier, AcName, Annotation, Annotations, Uuid, absolute, clean, duration};
use error::{Context as _, Error, Result};
use pod::resolve::capabilities::Change;
use pod::resolve::devices::{self, DeviceRequest};
use pod::resolve::grant::Grant;
use pod::resolve::health::{self, HealthCommand, HealthRequest};
use pod::resolve::lookup::{self, Dns};
use pod::resolve::network::{self, Network};
use pod::resolve::notify;
use pod::resolve::parameters;
use pod::resolve::ports::{self, PortRequest};
use pod::resolve::request::{AppRequest, Request, Writable, check_variable};
use pod::resolve::restart;
use pod::resolve::settings::Setting;
use pod::resolve::sockets;
use pod::resolve::volumes::Requested;
use pod::runtime::detach_keys::Keys;
use pod::spec::environment::{self, Variable};
use pod::spec::health::OnUnhealthy;
use pod::spec::process::{ResourceLimit, Sourced};
use pod::spec::restart::Restart;

/// Options that a pod manifest replaces.
const MANIFESTS: &[&str] = &[
    "--annotation",
    "--inherit-env",
    "--set-env",
    "--set-env-file",
];

/// Takes the arguments of `run`.
pub(super) fn run(mut args: PodArgs) -> Result<Command> {
    let Some(file) = args.pod.path("--plan") else {
        return Ok(Command::Run(options(args)?));
    };
    let name = args.pod.value("--name", AcName::parse)?;
    let mode = mode(&mut args.pod)?;
    let image = args.apps.first();
    let image = image.map(|app| app.image.display().to_string());
    match args.pod.left().or(image) {
        None => Ok(Command::RunPlan(file, name, mode)),
        Some(other) => Err(Error::usage(format!(
            "`--plan` and `{other}` cannot be used together: a plan contains its images and options",
        ))),
    }
}

/// Takes the arguments of `prepare`.
pub(super) fn prepare(args: PodArgs) -> Result<Command> {
    let options = options(args)?;
    if !options.request.sockets.is_empty() {
        return Err(excluded("prepare", "--socket")
            .hint("`launcher run --socket` waits before it starts the pod"));
    }
    match options.request.writable {
        Writable::Memory(_) => Err(excluded("prepare", MEMORY)),
        Writable::Disk | Writable::None => Ok(Command::Prepare(options)),
    }
}

/// Takes the arguments of `plan`.
pub(super) fn plan(mut args: PodArgs) -> Result<Command> {
    let format = args.pod.value("--format", format)?;
    Ok(Command::Plan(
        options(args)?,
        format.unwrap_or(Format::Text),
    ))
}

/// Takes the arguments of `run-prepared`.
pub(super) fn run_prepared(args: &mut Args) -> Result<Command> {
    let mode = mode(&mut args.options)?;
    let uuid = args.word()?.ok_or_else(|| {
        let prepare = args.typed.launcher("prepare");
        Error::usage("a pod is missing")
            .hint(format!("{prepare} creates a pod and prints its UUID"))
    })?;
    Ok(Command::RunPrepared(uuid, mode))
}

/// Takes the options for how to run a pod.
fn mode(options: &mut Options) -> Result<RunMode> {
    let (detached, rm) = (options.flag("--detach"), options.flag("--rm"));
    let keep = options.flag("--keep");
    if keep && rm {
        return Err(excluded("--keep", "--rm"));
    }
    Ok(RunMode {
        detached: log_options::take(options, detached)?,
        keep: keep || detached && !rm,
        keys: options
            .value("--detach-keys", Keys::parse)?
            .unwrap_or_default(),
        shown: shown(options)?,
        piped: piped(options)?,
    })
}

/// Takes the option that puts pipes before the caller's streams.
fn piped(options: &mut Options) -> Result<bool> {
    let wanted = options.flag("--pipe-output");
    match options.any_of(&["--detach", "--interactive"]) {
        Some(other) if wanted => Err(excluded("--pipe-output", other)),
        _ => Ok(wanted),
    }
}

/// Takes the options of nscn for what its caller sees.
fn shown(options: &mut Options) -> Result<Shown> {
    let (given, shown) = match (options.flag("--stdout"), options.flag("--wait")) {
        (true, _) => ("-stdout", Shown::Marked),
        (false, true) => ("-wait", Shown::Hidden),
        (false, false) => return Ok(Shown::Plainly),
    };
    match options.any_of(&["--detach", "--interactive"]) {
        Some(other) => Err(excluded(given, other)),
        None => Ok(shown),
    }
}

/// Takes the options for a terminal: `-t`, and `-i`, which is always on. A
/// detached pod without a terminal cannot have input.
fn interactive(pod: &mut Options) -> Result<bool> {
    let (terminal, input) = (pod.flag("--interactive"), pod.flag("-i"));
    match pod.any_of(&["--detach"]) {
        Some(_) if input && !terminal => Err(Error::usage(
            "`-i` and `--detach` need `-t`: a detached app can only read from a terminal",
        )),
        _ => Ok(terminal),
    }
}

/// How messages call changes in memory.
const MEMORY: &str = "--writable=memory";

/// Takes where the changes of apps go. What is in memory ends with the pod.
fn writable(pod: &mut Options, mode: &RunMode) -> Result<Writable> {
    let writable = pod
        .value("--writable", values::writable)?
        .unwrap_or_default();
    if !matches!(writable, Writable::Memory(_)) {
        return Ok(writable);
    }
    match pod.any_of(&["--no-overlay", "--keep", "--detach"]) {
        Some("--detach") if !mode.keep => Ok(writable),
        Some("--detach") => Err(excluded("--detach", MEMORY)
            .hint("with `--rm`, nothing of the pod is kept when it ends")),
        Some(other) => Err(excluded(other, MEMORY)),
        None => Ok(writable),
    }
}

/// Takes the options that all these commands share, and the apps.
fn options(mut args: PodArgs) -> Result<request::Options> {
    let pod = &mut args.pod;
    let manifest = pod.path("--pod-manifest");
    if manifest.is_some() {
        let other = pod.any_of(MANIFESTS).map(str::to_owned);
        let image = args.apps.first();
        if let Some(other) = other.or(image.map(|app| app.image.display().to_string())) {
            return Err(excluded("--pod-manifest", &other));
        }
    } else if args.apps.is_empty() {
        return Err(missing_image());
    }
    let (volumes, everywhere) = volumes(pod)?;
    if let Some(mount) = everywhere.first()
        && manifest.is_some()
    {
        let what = format!(
            "`--volume` cannot mount `/{}` in the apps of a pod manifest",
            mount.path.trim_start_matches('/')
        );
        return Err(Error::usage(what).hint("`--volume NAME,kind=host,source=PATH` names a volume"));
    }
    let mut images = Vec::new();
    let mut apps = Vec::new();
    for app_args in &mut args.apps {
        images.push(referenced(&app_args.image, &app_args.labels)?);
        apps.push(app(app_args, &everywhere)?);
    }
    let mut variables = Vec::new();
    if let Some(value) = pod.value("--locale", values::locale)? {
        let variable = Variable::new("LANG", value);
        variables.push(Sourced::new(variable, "option --locale"));
    }
    if let (Some(one), Some(other)) = (
        pod.any_of(&["--socket"]),
        pod.any_of(&["--interactive", "--pipe-output"]),
    ) {
        return Err(excluded(one, other));
    }
    let restart = pod.value("--restart", restart::parse)?.unwrap_or_default();
    let on_unhealthy = pod.value("--on-unhealthy", health::on_unhealthy)?;
    let on_unhealthy = on_unhealthy.unwrap_or_default();
    let restarting = match (restart, on_unhealthy) {
        (_, OnUnhealthy::Restart) => Some("--on-unhealthy=restart"),
        (Restart::No, _) => None,
        _ => Some("--restart"),
    };
    if let (Some(one), Some(other)) = (restarting, pod.any_of(&["--interactive"])) {
        let error = excluded(one, other);
        return Err(error.hint("a terminal ends with the programs that run on it"));
    }
    let mode = mode(pod)?;
    let writable = writable(pod, &mode)?;
    let request = Request {
        apps,
        hostname: pod.value("--hostname", owned)?,
        dns: Dns {
            from: Dns::servers(&pod.values("--dns", owned)?)?,
            search: pod.values("--dns-search", lookup::word)?,
            options: pod.values("--dns-opt", lookup::word)?,
        },
        hosts: pod.values("--hosts-entry", lookup::hosts_entry)?,
        published: published(pod)?,
        sockets: pod.values("--socket", sockets::parse)?,
        interactive: interactive(pod)?,
        no_overlay: pod.flag("--no-overlay"),
        writable,
        speaker: pod.value("--sdnotify", notify::parse)?,
        restart,
        on_unhealthy,
        strict: pod.flag("--strict"),
        volumes,
        variables,
        annotations: annotations(pod)?,
        settings: pod_settings(pod)?,
        shm_size: pod.value("--shm-size", values::size)?,
        ..Request::default()
    };
    Ok(request::Options {
        images,
        manifest,
        fetch: fetch::options(pod)?,
        name: pod.value("--name", AcName::parse)?,
        mode,
        prepared: false,
        uuid: pod.value("--uuid", Uuid::parse)?,
        uuid_file: pod.path("--uuid-file-save"),
        inherit: pod.flag("--inherit-env"),
        files: pod.paths("--set-env-file"),
        set: settings(pod, "--set-env")?,
        network: connected(pod)?,
        timezone: pod.value("--timezone", owned)?,
        request,
    })
}

/// Takes how the pod is connected to others, if that is said.
fn connected(pod: &mut Options) -> Result<Option<Network>> {
    let all = pod.values("--net", owned)?;
    match all.is_empty() {
        true => Ok(None),
        false => network::parse(&all).map(Some).context(|| "`--net`"),
    }
}

/// Takes the ports of the host that lead to the pod.
fn published(pod: &mut Options) -> Result<Vec<PortRequest>> {
    let mut all = pod.values("--port", ports::named)?;
    all.extend(pod.values("--publish", ports::numbered)?);
    all.extend(pod.flag("--publish-all").then_some(PortRequest::All));
    Ok(all)
}

/// Takes the volumes, and those mounts of them that all apps have. Volumes
/// without a name get one here.
fn volumes(pod: &mut Options) -> Result<(Vec<Requested>, Vec<Mount>)> {
    let all = pod.values("--volume", values::volume)?;
    let mut volumes = Vec::new();
    let mut mounts = Vec::new();
    for (index, one) in all.into_iter().enumerate() {
        let mut requested = one.requested;
        if let Some(path) = one.everywhere {
            let name = AcName::parse(&format!("volume-{}", index + 1))?;
            requested.volume.name = name.clone();
            mounts.push(Mount {
                volume: name,
                path,
                app_volume: None,
            });
        }
        volumes.push(requested);
    }
    Ok((volumes, mounts))
}

fn app(args: &mut AppArgs, everywhere: &[Mount]) -> Result<AppRequest> {
    let options = &mut args.options;
    let mounts = options.values("--mount", values::mount)?;
    let mounts = mounts
        .into_iter()
        .map(|mount| Sourced::new(mount, "option --mount"));
    let everywhere = everywhere.iter().cloned();
    let everywhere = everywhere.map(|mount| Sourced::new(mount, "option --volume"));
    let arguments = args.arguments.iter().flatten().cloned();
    let read_only = options.flag("--readonly-rootfs");
    let (user, group) = values::identity(options)?;
    let request = AppRequest {
        name: options.value("--name", AcName::parse)?,
        section: None,
        exec: options.value("--exec", some)?,
        arguments: arguments.map(text).collect::<Result<_>>()?,
        user,
        group,
        supplementary_gids: options.value("--supplementary-gids", values::group_ids)?,
        working_directory: options.value("--working-dir", absolute)?,
        environment: settings(options, "--environment")?,
        settings: bounds(options)?,
        grant: options
            .value("--allow-isolators", grant)?
            .unwrap_or_default(),
        devices: devices(options)?,
        resources: resource_limits(options)?,
        tmpfs: options.values("--tmpfs", values::tmpfs)?,
        health: health_of(options)?,
        read_only: read_only.then_some("option --readonly-rootfs"),
        mounts: mounts.chain(everywhere).collect(),
        annotations: annotations(options)?,
        user_annotations: pairs(options, "--user-annotation")?.into_iter().collect(),
        user_labels: pairs(options, "--user-label")?.into_iter().collect(),
    };
    let targets = request.mounts.iter().map(|mount| clean(&mount.value.path));
    match repeated(targets) {
        Some(target) => Err(Error::usage(format!(
            "`/{target}` is mounted twice: each mount needs a target of its own"
        ))),
        None => Ok(request),
    }
}

/// Takes the options for how to find out whether an app works.
fn health_of(options: &mut Options) -> Result<HealthRequest> {
    let time = |text: &str| duration(text).and_then(health::time);
    let command = options.value("--health-cmd", health::command)?;
    let off = options.flag("--no-healthcheck");
    if off && command.is_some() {
        return Err(excluded("--no-healthcheck", "--health-cmd"));
    }
    Ok(HealthRequest {
        command: command.or(off.then_some(HealthCommand::None)),
        interval: options.value("--health-interval", time)?,
        timeout: options.value("--health-timeout", time)?,
        retries: options.value("--health-retries", |text| {
            values::number(text, 1..=u32::MAX)
        })?,
        start_period: options.value("--health-start-period", duration)?,
        start_interval: options.value("--health-start-interval", time)?,
    })
}

/// Takes the options that restrict an app.
fn bounds(options: &mut Options) -> Result<Vec<Setting>> {
    type Read = fn(&str) -> Result<Setting>;
    const OPTIONS: &[(&str, Read)] = &[
        ("--caps-retain", |text| {
            names::capabilities(text).map(Setting::RetainCapabilities)
        }),
        ("--caps-remove", |text| {
            names::capabilities(text).map(Setting::RemoveCapabilities)
        }),
        ("--memory", |text| values::memory(text).map(Setting::Memory)),
        ("--cpu", |text| values::amount(text).map(Setting::Cpu)),
        ("--cpu-shares", |text| {
            values::number(text, 2..=262_144).map(Setting::CpuShares)
        }),
        ("--oom-score-adj", |text| {
            values::number(text, -1000..=1000).map(Setting::OomScore)
        }),
        ("--seccomp", names::calls),
    ];
    if let Some(whole) = options.any_of(&["--caps-retain", "--caps-remove"]) {
        let rivals = ["--caps-retain", "--caps-remove", "--cap-add", "--cap-drop"];
        let others: Vec<_> = rivals.into_iter().filter(|other| *other != whole).collect();
        if let Some(other) = options.any_of(&others) {
            let rank = |name: &str| rivals.iter().position(|rival| *rival == name);
            let (one, other) = match rank(whole) < rank(other) {
                true => (whole, other),
                false => (other, whole),
            };
            return Err(excluded(one, other));
        }
    }
    let mut all: Vec<Setting> = capability_change(options)?.into_iter().collect();
    for (option, read) in OPTIONS {
        all.extend(options.value(option, read)?);
    }
    if options.any_of(&["--no-new-privileges"]).is_some() {
        let wanted = options.flag("--no-new-privileges");
        all.push(Setting::NoNewPrivileges(wanted));
    }
    Ok(all)
}

/// Takes the options that change which capabilities an app would have.
fn capability_change(options: &mut Options) -> Result<Option<Setting>> {
    if options.any_of(&["--cap-add", "--cap-drop"]).is_none() {
        return Ok(None);
    }
    let mut take = |name| {
        let texts = options.values(name, owned)?;
        names::some_or_all(&texts).map_err(|error| error.at(format!("`{name}`")))
    };
    let ((added, all_added), (dropped, all_dropped)) = (take("--cap-add")?, take("--cap-drop")?);
    let both = added.iter().find(|name| dropped.contains(name)).cloned();
    let both = both.or((all_added && all_dropped).then(|| "all".to_owned()));
    if let Some(both) = both {
        return Err(Error::usage(format!(
            "`--cap-add` and `--cap-drop` both name `{both}`"
        )));
    }
    Ok(Some(Setting::ChangeCapabilities(Change {
        added,
        all_added,
        dropped,
        all_dropped,
    })))
}

/// Takes the limits of the pod.
fn pod_settings(pod: &mut Options) -> Result<Vec<Setting>> {
    let mut settings = pod.values("--pids-limit", values::processes)?;
    let bandwidth = pod.value("--network-bandwidth", values::amount)?;
    settings.extend(bandwidth.map(Setting::NetworkBandwidth));
    let parameters = pod.values("--sysctl", parameters::parse)?;
    if let Some(key) = repeated(parameters.iter().map(|(key, _)| key.clone())) {
        return Err(Error::usage(format!("`--sysctl` sets `{key}` twice")));
    }
    if !parameters.is_empty() {
        settings.push(Setting::Parameters(parameters.into_iter().collect()));
    }
    Ok(settings)
}

/// Takes the resource limits of an app.
fn resource_limits(options: &mut Options) -> Result<Vec<ResourceLimit>> {
    let limits = options.values("--ulimit", names::resource_limit)?;
    let resources = limits.iter().map(|limit| limit.resource.word().to_owned());
    match repeated(resources) {
        Some(resource) => Err(Error::usage(format!("`--ulimit` sets `{resource}` twice"))),
        None => Ok(limits),
    }
}

/// Takes the devices of an app.
fn devices(options: &mut Options) -> Result<Vec<DeviceRequest>> {
    let devices = options.values("--device", devices::parse)?;
    match repeated(devices.iter().map(|device| device.path().to_owned())) {
        Some(path) => Err(Error::usage(format!("`--device` names `{path}` twice"))),
        None => Ok(devices),
    }
}

/// Takes variables. None may be set twice, or be one that Nose Cone sets.
fn settings(options: &mut Options, name: &'static str) -> Result<Vec<Variable>> {
    let variables = options.values(name, |text| {
        let variable = environment::pair(text)?;
        check_variable(&variable).map(|()| variable)
    })?;
    match repeated(variables.iter().map(|variable| variable.name.clone())) {
        Some(variable) => Err(Error::usage(format!("`{name}` sets `{variable}` twice"))),
        None => Ok(variables),
    }
}

fn pairs(options: &mut Options, name: &'static str) -> Result<Vec<(String, String)>> {
    let pairs = options.values(name, values::pair)?;
    match repeated(pairs.iter().map(|(key, _)| key.clone())) {
        Some(key) => Err(Error::usage(format!("`{name}` sets `{key}` twice"))),
        None => Ok(pairs),
    }
}

fn annotations(options: &mut Options) -> Result<Annotations> {
    let list = options.values("--annotation", |text| {
        let (name, value) = values::pair(text)?;
        let name = AcIdentifier::parse(&name)?;
        Ok(Annotation { name, value })
    })?;
    Annotations::new(list).map_err(|error| error.at("`--annotation`"))
}

/// Reads what `--allow-isolators` grants: names, or, as of an option that has no
/// value, everything or nothing.
fn grant(text: &str) -> Result<Grant> {
    match (text, boolean(text)) {
        ("", _) | (_, Some(true)) => Ok(Grant::Everything),
        (_, Some(false)) => Ok(Grant::Nothing),
        (names, None) => Grant::parse(names),
    }
}

fn owned(text: &str) -> Result<String> {
    Ok(text.to_owned())
}

fn format(text: &str) -> Result<Format> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        "words" => Ok(Format::Words),
        other => Err(Error::usage(format!(
            "`{other}` is not a format of plans: use `text`, `json` or `words`"
        ))),
    }
}
