//! The command line of `launcher image build`.

use crate::cli::args::Args;
use crate::cli::fetch::insecure;
use crate::cli::options::Options;
use crate::cli::spelling::{excluded, text};
use crate::cli::values::{id, identity, number, repeated, some};
use crate::cmd::build::{Build, Description, OciImage, Source};
use crate::cmd::image::{Form, Place};
use appc::manifest::app::{App, Variable};
use appc::manifest::{ImageManifest, SPECIFICATION};
use appc::reference::Name;
use appc::types::{
    AcIdentifier, Annotations, HOST_ARCH, HOST_OS, Label, Labels, Version, absolute, duration,
};
use error::quote::quoted;
use error::{Error, Result};
use image::fetch::registries;
use oci::config::{Healthcheck, Probe};
use oci::port::Port;
use oci::reference::Asked;
use oci::user::User;
use pod::spec::environment;
use sys::signal_names;

/// The options that say what a manifest says.
const DESCRIBING: &[&str] = &[
    "--name",
    "--user",
    "--group",
    "--working-dir",
    "--environment",
];

/// Takes the options, what to build an image of, and the command after `--`.
pub(super) fn build(args: &mut Args) -> Result<Build> {
    let command = args.rest().into_iter().map(text);
    let command: Vec<String> = command.collect::<Result<_>>()?;
    let path = args.argument().ok_or_else(|| {
        Error::usage("a directory or an archive is missing")
            .hint("give the directory that becomes the root of the app, or a tar of it")
    })?;
    let options = &mut args.options;
    let place = options.value("--output", |text| {
        let is_place = ["oci:", "oci-archive:", "docker-archive:"];
        match is_place.iter().any(|scheme| text.starts_with(scheme)) {
            true => Place::parse(text),
            false => Ok(Place::File {
                path: text.into(),
                form: None,
                name: None,
            }),
        }
    })?;
    let overwrite = options.flag("--overwrite");
    if overwrite && place.is_none() {
        return Err(Error::usage("`--overwrite` needs `--output`"));
    }
    let (form, only) = (options.value("--format", form)?, options.any_of(OCI));
    let has_scheme = matches!(place, Some(Place::File { form: Some(_), .. }));
    let is_oci = match (form, only) {
        (Some(Form::Aci), _) if has_scheme => {
            return Err(Error::usage(
                "`--format=aci` and the scheme of `--output` cannot be used together",
            ));
        }
        (Some(Form::Aci), Some(option)) => {
            return Err(Error::usage(format!("`{option}` needs `--format=oci`")));
        }
        (None, Some(option)) if option != "--from" && !has_scheme => {
            return Err(Error::usage(format!("`{option}` needs `--format=oci`")));
        }
        (Some(form), _) => form == Form::Oci,
        (None, only) => only.is_some() || has_scheme,
    };
    let owner = options.value("--owner", owner)?;
    let (description, output) = match (is_oci, place) {
        (true, place) => (oci_image(options, command, place)?, None),
        (false, Some(Place::File { path, .. })) => (description(options, command)?, Some(path)),
        (false, _) => (description(options, command)?, None),
    };
    Ok(Build {
        source: Source {
            path,
            owner,
            growth: insecure(options)?.growth(),
        },
        description,
        output,
        overwrite,
    })
}

/// The options that only OCI images have.
const OCI: &[&str] = &[
    "--from",
    "--entrypoint",
    "--volume",
    "--port",
    "--label",
    "--stop-signal",
    "--health-cmd",
    "--health-interval",
    "--health-timeout",
    "--health-start-period",
    "--health-retries",
];

fn form(text: &str) -> Result<Form> {
    match text {
        "aci" => Ok(Form::Aci),
        "oci" => Ok(Form::Oci),
        other => Err(Error::usage(format!(
            "{} is not a format of images: use `aci` or `oci`",
            quoted(other)
        ))),
    }
}

/// Takes what an OCI image is to be.
fn oci_image(options: &mut Options, cmd: Vec<String>, place: Option<Place>) -> Result<Description> {
    if let Some(manifest) = options.path("--manifest") {
        let shown = manifest.display();
        return Err(Error::usage(format!(
            "`--manifest={shown}` is of an App Container image: an OCI image has options"
        )));
    }
    let name = options.value("--name", |text| {
        Ok(registries::one(&Asked::parse(text)?)?.to_string())
    })?;
    let named = match &place {
        Some(Place::File { name, .. }) => name.clone(),
        _ => None,
    };
    let name = name.or(named).ok_or_else(|| {
        Error::usage("the image needs a name")
            .hint("give one, such as `--name=example.com/web:1.0`")
    })?;
    let pair = |text: &str| {
        let environment::Variable { name, value } = environment::pair(text)?;
        Ok((name, value))
    };
    let label = |text: &str| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        match name {
            "" => Err(Error::usage(format!("{} has no name", quoted(text)))),
            name => Ok((name.to_owned(), value.to_owned())),
        }
    };
    Ok(Description::Oci(Box::new(OciImage {
        name,
        place,
        cmd,
        user: user(options)?,
        from: options.value("--from", some)?,
        entrypoint: options.value("--entrypoint", some)?,
        working_dir: options.value("--working-dir", absolute)?,
        env: options.values("--environment", pair)?,
        volumes: options.values("--volume", absolute)?,
        ports: options.values("--port", Port::parse)?,
        labels: options.values("--label", label)?,
        stop_signal: options.value("--stop-signal", signal)?,
        healthcheck: healthcheck(options)?,
    })))
}

/// Takes as whom an OCI image is run.
fn user(options: &mut Options) -> Result<Option<User>> {
    let text = match identity(options)? {
        (None, None) => return Ok(None),
        (Some(user), None) => user,
        (user, Some(group)) => format!("{}:{group}", user.unwrap_or_else(|| "0".to_owned())),
    };
    match text.contains('/') {
        true => Err(Error::usage(format!(
            "{} is not a user of an OCI image",
            quoted(&text)
        ))),
        false => User::parse(&text).map(Some),
    }
}

fn signal(text: &str) -> Result<String> {
    signal_names::signal(text).map(|_| text.to_owned())
}

/// Takes how to find out whether it works.
fn healthcheck(options: &mut Options) -> Result<Option<Healthcheck>> {
    let times = OCI
        .iter()
        .filter(|name| name.starts_with("--health-") && **name != "--health-cmd");
    let times: Vec<&str> = times.copied().collect();
    let other = options.any_of(&times);
    let Some(command) = options.value("--health-cmd", some)? else {
        return match other {
            Some(other) => Err(Error::usage(format!("`{other}` needs `--health-cmd`"))),
            None => Ok(None),
        };
    };
    let mut time = |name| {
        let time = options.value(name, duration)?;
        Ok::<_, Error>(time.and_then(|time| u64::try_from(time.as_nanos()).ok()))
    };
    Ok(Some(Healthcheck {
        interval: time("--health-interval")?,
        timeout: time("--health-timeout")?,
        start_period: time("--health-start-period")?,
        start_interval: None,
        retries: options.value("--health-retries", |text| number(text, 1..=1_000_u64))?,
        probe: match &*command {
            "none" => Probe::Disabled,
            _ => Probe::Shell(command),
        },
    }))
}

fn description(options: &mut Options, command: Vec<String>) -> Result<Description> {
    let described = options.any_of(DESCRIBING);
    let Some(file) = options.path("--manifest") else {
        return described_by(options, command).map(Description::Options);
    };
    match described {
        Some(other) => Err(excluded("--manifest", other)),
        None if command.is_empty() => Ok(Description::File(file)),
        None => Err(Error::usage(
            "`--manifest` and `--` cannot be used together: a manifest contains the command",
        )),
    }
}

fn described_by(options: &mut Options, exec: Vec<String>) -> Result<Box<ImageManifest>> {
    let name = options.value("--name", Name::parse)?.ok_or_else(|| {
        Error::usage("the image needs a name")
            .hint("give one, such as `--name=example.com/web:1.0.0`")
    })?;
    if exec.first().is_none_or(String::is_empty) {
        return Err(Error::usage("the command that the image runs is missing")
            .hint("it goes after `--`; an image without one needs a `--manifest`"));
    }
    let environment = options.values("--environment", |text| {
        let environment::Variable { name, value } = environment::pair(text)?;
        Ok(Variable { name, value })
    })?;
    if let Some(name) = repeated(environment.iter().map(|one| one.name.clone())) {
        return Err(Error::usage(format!("`--environment` sets `{name}` twice")));
    }
    let (user, group) = identity(options)?;
    let root = App::root();
    let app = App {
        exec,
        group: group.or_else(|| user.clone()).unwrap_or(root.group),
        user: user.unwrap_or(root.user),
        working_directory: options.value("--working-dir", absolute)?,
        environment,
        ..App::root()
    };
    Ok(Box::new(ImageManifest {
        ac_version: Version::parse(SPECIFICATION)?,
        name: name.name,
        labels: labels(&name.labels)?,
        app: Some(app),
        dependencies: Vec::new(),
        path_whitelist: Vec::new(),
        annotations: Annotations::default(),
    }))
}

/// Adds this host's platform to labels that have none.
fn labels(given: &Labels) -> Result<Labels> {
    let mut labels: Vec<Label> = given.iter().cloned().collect();
    let host = [("os", Some(HOST_OS)), ("arch", HOST_ARCH)];
    for (name, value) in host {
        if let (Some(value), None) = (value, given.get(name)) {
            labels.push(Label {
                name: AcIdentifier::parse(name)?,
                value: value.to_owned(),
            });
        }
    }
    Labels::new(labels)
}

/// Parses `UID:GID`.
fn owner(text: &str) -> Result<(u32, u32)> {
    let wrong = || {
        Error::usage(format!("{} is not `UID:GID`", quoted(text)))
            .hint("the number of a user and of a group, such as `0:0`")
    };
    let (user, group) = text.split_once(':').ok_or_else(wrong)?;
    match (id(user, "user id"), id(group, "group id")) {
        (Ok(user), Ok(group)) => Ok((user, group)),
        _ => Err(wrong()),
    }
}
