//! The command lines of pods: `launcher run`, `prepare` and `plan`.

use crate::cli::Command;
use crate::cli::fetch;
use crate::cli::line::{self, Line};
use crate::cli::log;
use crate::cli::split::{Options, Part, Split, Table, Takes, boolean, missing_image, split};
use crate::cli::values;
use crate::cmd::detach::{Manner, Shown};
use crate::cmd::plan::Format;
use crate::cmd::{piped, run};
use appc::manifest::app::Variable;
use appc::manifest::isolator::{self, Isolator};
use appc::types::{AcIdentifier, AcName, Annotation, Annotations, Uuid, absolute, clean};
use error::{Context as _, Error, Result};
use pod::resolve::devices;
use pod::runtime::detach_keys::Keys;
use pod::spec::environment;
use pod::spec::grant::Grant;
use pod::spec::request::{AppRequest, Request, Sourced, check_variable};

use Takes::{Many, Nothing, One};

/// The options of a pod.
const POD: Table = &[
    ("--annotation", Many),
    ("--ca-file", One),
    ("--detach", Nothing),
    ("--detach-keys", One),
    ("--format", One),
    ("--hostname", One),
    ("--image-dir", Many),
    ("--inherit-env", Nothing),
    ("--insecure-options", One),
    ("--interactive", Nothing),
    ("-t", Nothing),
    ("-wait", Nothing),
    ("--keep", Nothing),
    ("--locale", One),
    ("--log", One),
    ("--log-size", One),
    ("--name", One),
    ("--no-overlay", Nothing),
    ("--pids-limit", One),
    ("--pipe-output", Nothing),
    ("--plan", One),
    ("--pod-manifest", One),
    ("--pull-policy", One),
    ("--quiet", Nothing),
    ("--rm", Nothing),
    ("-stdout", Nothing),
    ("--set-env", Many),
    ("--set-env-file", Many),
    ("--strict", Nothing),
    ("--timezone", One),
    ("--uuid", One),
    ("--uuid-file-save", One),
    ("--volume", Many),
];

/// The options of an app.
const APP: Table = &[
    ("--allow-isolators", Nothing),
    ("--annotation", Many),
    ("--caps-remove", One),
    ("--caps-retain", One),
    ("--cpu", One),
    ("--cpu-shares", One),
    ("--device", Many),
    ("--environment", Many),
    ("--exec", One),
    ("--group", One),
    ("--memory", One),
    ("--mount", Many),
    ("--name", One),
    ("--no-new-privileges", Nothing),
    ("--oom-score-adj", One),
    ("--readonly-rootfs", Nothing),
    ("--seccomp", One),
    ("--supplementary-gids", One),
    ("--tmpfs", Many),
    ("--user", One),
    ("--user-annotation", Many),
    ("--user-label", Many),
    ("--working-dir", One),
];

/// Options that say again what a pod manifest says.
const MANIFESTS: &[&str] = &[
    "--annotation",
    "--inherit-env",
    "--set-env",
    "--set-env-file",
];

/// Takes the options of `run`.
pub(super) fn run(line: &mut Line) -> Result<Command> {
    let split = split("run", line.all(), POD, APP)?;
    refuse(&split, &["--format"])?;
    let Some(file) = split.pod.path("--plan") else {
        return Ok(Command::Run(options(split)?));
    };
    match split.apps.first() {
        None => Ok(Command::RunPlan(
            file,
            split.pod.value("--name", AcName::parse)?,
            manner(&split.pod)?,
        )),
        Some(Part { image, .. }) => Err(Error::usage(format!(
            "a plan already has its images and their arguments; `--plan` and `{}` exclude each other",
            image.display()
        ))),
    }
}

/// Takes the options of `prepare`.
pub(super) fn prepare(line: &mut Line) -> Result<Command> {
    let split = split("prepare", line.all(), POD, APP)?;
    refuse(&split, &["--detach", KEYS, "--format", "--plan"])?;
    refuse(&split, ENDING)?;
    refuse(&split, log::OPTIONS)?;
    Ok(Command::Prepare(options(split)?))
}

/// Takes the options of `plan`.
pub(super) fn plan(line: &mut Line) -> Result<Command> {
    let split = split("plan", line.all(), POD, APP)?;
    refuse(&split, &["--name", "--plan", "--uuid-file-save"])?;
    refuse(&split, ENDING)?;
    // A plan that is only shown is of what is stored, if only as a file.
    let fetching = fetch::OPTIONS.iter().copied();
    let fetching: Vec<&str> = fetching.filter(|one| *one != fetch::INSECURE).collect();
    refuse(&split, &fetching)?;
    let format = split.pod.value("--format", format)?;
    Ok(Command::Plan(
        options(split)?,
        format.unwrap_or(Format::Text),
    ))
}

/// The option that says with which keys the caller leaves.
pub(super) const KEYS: &str = "--detach-keys";

/// Options that say what becomes of a pod that is over.
const ENDING: &[&str] = &["--keep", "--rm", "-stdout", "-wait", piped::OPTION];

fn manner(pod: &Options) -> Result<Manner> {
    let (detached, rm) = (pod.flag("--detach")?, pod.flag("--rm")?);
    let keep = pod.flag("--keep")?;
    if keep && rm {
        return Err(line::excluded("--keep", "--rm"));
    }
    Ok(Manner {
        detached: log::of_pod(pod, detached)?,
        keep: keep || detached && !rm,
        keys: pod.value(KEYS, Keys::parse)?.unwrap_or_default(),
        shown: shown(pod)?,
        piped: piped(pod)?,
    })
}

/// Takes the option of who does not want apps to have the caller's streams.
fn piped(pod: &Options) -> Result<bool> {
    let wanted = pod.flag(piped::OPTION)?;
    match pod.any_of(&["--detach", "--interactive", "-t"]) {
        Some(other) if wanted => Err(line::excluded(piped::OPTION, other)),
        _ => Ok(wanted),
    }
}

/// Takes the options of the ancestor that say what its caller sees.
fn shown(pod: &Options) -> Result<Shown> {
    let shown = match (pod.flag("-stdout")?, pod.flag("-wait")?) {
        (true, _) => Shown::Marked,
        (false, true) => Shown::Hidden,
        (false, false) => return Ok(Shown::Plainly),
    };
    let given = if shown == Shown::Marked {
        "-stdout"
    } else {
        "-wait"
    };
    match pod.any_of(&["--detach", "--interactive", "-t"]) {
        Some(other) => Err(line::excluded(given, other)),
        None => Ok(shown),
    }
}

/// Takes the options of `run-prepared`.
pub(super) fn run_prepared(line: &mut Line) -> Result<Command> {
    let (detached, rm) = (line.flag("--detach"), line.flag("--rm"));
    let keep = line.flag("--keep");
    if keep && rm {
        return Err(line::excluded("--keep", "--rm"));
    }
    let manner = Manner {
        detached: log::of_line(line, detached)?,
        keep: keep || detached && !rm,
        keys: line
            .value(KEYS, log::named(KEYS, Keys::parse))?
            .unwrap_or_default(),
        shown: Shown::default(),
        piped: line.flag(piped::OPTION),
    };
    if manner.piped && manner.detached.is_some() {
        return Err(line::excluded(piped::OPTION, "--detach"));
    }
    let uuid = line.word()?.ok_or_else(|| {
        Error::usage("the UUID of a pod is missing")
            .hint("`launcher prepare` prints the UUID of the pod that it makes")
    })?;
    Ok(Command::RunPrepared(uuid, manner))
}

/// Refuses options of other commands.
fn refuse(split: &Split, names: &[&'static str]) -> Result<()> {
    split
        .pod
        .any_of(names)
        .map_or(Ok(()), |name| Err(line::unknown_option(name)))
}

/// Takes the options that all share, and the apps.
fn options(split: Split) -> Result<run::Options> {
    let pod = &split.pod;
    let manifest = pod.path("--pod-manifest");
    if manifest.is_some() {
        let other = split.pod.any_of(MANIFESTS).map(str::to_owned);
        let image = split.apps.first();
        if let Some(other) = other.or(image.map(|part| part.image.display().to_string())) {
            return Err(Error::usage(format!(
                "`--pod-manifest` and `{other}` exclude each other"
            )));
        }
    } else if split.apps.is_empty() {
        return Err(missing_image());
    }
    let mut images = Vec::new();
    let mut apps = Vec::new();
    for part in &split.apps {
        images.push(fetch::referenced(&part.image, &part.labels)?);
        apps.push(app(part)?);
    }
    let mut variables = Vec::new();
    if let Some(value) = pod.value("--locale", values::locale)? {
        let name = "LANG".to_owned();
        variables.push(Sourced::new(Variable { name, value }, "option --locale"));
    }
    let request = Request {
        apps,
        hostname: pod.value("--hostname", owned)?,
        interactive: pod.flag("--interactive")? || pod.flag("-t")?,
        no_overlay: pod.flag("--no-overlay")?,
        strict: pod.flag("--strict")?,
        volumes: pod.values("--volume", values::volume)?,
        variables,
        annotations: annotations(pod)?,
        isolators: pod.values("--pids-limit", values::processes)?,
        ..Request::default()
    };
    Ok(run::Options {
        images,
        manifest,
        fetch: fetch::of_pod(pod)?,
        name: pod.value("--name", AcName::parse)?,
        manner: manner(pod)?,
        uuid: pod.value("--uuid", Uuid::parse)?,
        uuid_file: pod.path("--uuid-file-save"),
        inherit: pod.flag("--inherit-env")?,
        files: pod.paths("--set-env-file"),
        set: settings(pod, "--set-env")?,
        timezone: pod.value("--timezone", owned)?,
        request,
    })
}

fn app(part: &Part) -> Result<AppRequest> {
    let options = &part.options;
    let mounts = options.values("--mount", values::mount)?;
    let arguments = part.arguments.iter().flatten().cloned();
    let read_only = options.flag("--readonly-rootfs")?;
    let request = AppRequest {
        name: options.value("--name", AcName::parse)?,
        section: None,
        exec: options.value("--exec", some)?,
        arguments: arguments.map(line::text).collect::<Result<_>>()?,
        user: options.value("--user", some)?,
        group: options.value("--group", some)?,
        supplementary_gids: options.value("--supplementary-gids", values::group_ids)?,
        working_directory: options.value("--working-dir", absolute)?,
        environment: settings(options, "--environment")?,
        isolators: isolators(options)?,
        grant: options
            .value("--allow-isolators", grant)?
            .unwrap_or_default(),
        devices: options.values("--device", devices::parse)?,
        tmpfs: options.values("--tmpfs", values::tmpfs)?,
        read_only: read_only.then_some("option --readonly-rootfs"),
        mounts: mounts
            .into_iter()
            .map(|mount| Sourced::new(mount, "option --mount"))
            .collect(),
        annotations: annotations(options)?,
        user_annotations: pairs(options, "--user-annotation")?.into_iter().collect(),
        user_labels: pairs(options, "--user-label")?.into_iter().collect(),
    };
    let targets = request.mounts.iter().map(|mount| clean(&mount.value.path));
    match repeated(targets) {
        Some(target) => Err(Error::usage(format!(
            "`--mount` names the target `/{target}` twice"
        ))),
        None => Ok(request),
    }
}

/// Returns the first text that stands twice.
pub(super) fn repeated(texts: impl Iterator<Item = String>) -> Option<String> {
    let mut seen = std::collections::BTreeSet::new();
    let mut texts = texts;
    texts.find(|text| !seen.insert(text.clone()))
}

fn isolators(options: &Options) -> Result<Vec<Isolator>> {
    type Read = fn(&str, &str) -> Result<Isolator>;
    const OPTIONS: &[(&str, &str, Read)] = &[
        (
            "--caps-retain",
            "os/linux/capabilities-retain-set",
            values::capabilities,
        ),
        (
            "--caps-remove",
            "os/linux/capabilities-remove-set",
            values::capabilities,
        ),
        ("--memory", "resource/memory", values::memory),
        ("--cpu", "resource/cpu", values::limit),
        ("--cpu-shares", "os/linux/cpu-shares", values::number),
        ("--oom-score-adj", "os/linux/oom-score-adj", values::number),
        ("--seccomp", "", |_, text| values::calls(text)),
    ];
    if options.any_of(&["--caps-retain"]).is_some() && options.any_of(&["--caps-remove"]).is_some()
    {
        return Err(Error::usage(
            "`--caps-retain` and `--caps-remove` exclude each other",
        ));
    }
    let mut all = Vec::new();
    for (option, name, read) in OPTIONS {
        if let Some(one) = options.value(option, |text| read(name, text))? {
            isolator::replace(&mut all, one);
        }
    }
    if options.any_of(&["--no-new-privileges"]).is_some() {
        let yes = options.flag("--no-new-privileges")?;
        all.push(Isolator::new("os/linux/no-new-privileges", yes.into())?);
    }
    Ok(all)
}

/// Reads variables, no name twice and none that is ours to set.
fn settings(options: &Options, name: &str) -> Result<Vec<Variable>> {
    let variables = options.values(name, |text| {
        let variable = environment::pair(text)?;
        check_variable(&variable).map(|()| variable)
    })?;
    match repeated(variables.iter().map(|variable| variable.name.clone())) {
        Some(variable) => Err(Error::usage(format!("`{name}` sets `{variable}` twice"))),
        None => Ok(variables),
    }
}

fn pairs(options: &Options, name: &str) -> Result<Vec<(String, String)>> {
    let pairs = options.values(name, values::pair)?;
    match repeated(pairs.iter().map(|(key, _)| key.clone())) {
        Some(key) => Err(Error::usage(format!("`{name}` sets `{key}` twice"))),
        None => Ok(pairs),
    }
}

fn annotations(options: &Options) -> Result<Annotations> {
    let list = options.values("--annotation", |text| {
        let (name, value) = values::pair(text)?;
        let name = AcIdentifier::parse(&name)?;
        Ok(Annotation { name, value })
    })?;
    Annotations::new(list).context(|| "`--annotation`")
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

/// Takes a value that is not empty.
pub(super) fn some(text: &str) -> Result<String> {
    match text {
        "" => Err(Error::usage("the value is empty")),
        text => Ok(text.to_owned()),
    }
}

fn format(text: &str) -> Result<Format> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        "words" => Ok(Format::Words),
        other => Err(Error::usage(format!(
            "`{other}` is no format of plans; it is `text`, `json` or `words`"
        ))),
    }
}
