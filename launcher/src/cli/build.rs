//! The command line of `launcher image build`.

use crate::cli::args::Args;
use crate::cli::fetch::insecure;
use crate::cli::options::Options;
use crate::cli::spelling::{excluded, text};
use crate::cli::values::{id, identity, repeated};
use crate::cmd::build::{Build, Description};
use appc::manifest::app::{App, Variable};
use appc::manifest::{ImageManifest, SPECIFICATION};
use appc::reference::Name;
use appc::types::{
    AcIdentifier, Annotations, HOST_ARCH, HOST_OS, Label, Labels, Version, absolute,
};
use error::quote::quoted;
use error::{Error, Result};
use pod::spec::environment;

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
    let source = args.argument().ok_or_else(|| {
        Error::usage("a directory or an archive is missing")
            .hint("give the directory that becomes the root of the app, or a tar of it")
    })?;
    let options = &mut args.options;
    let output = options.path("--output");
    let overwrite = options.flag("--overwrite");
    if overwrite && output.is_none() {
        return Err(Error::usage("`--overwrite` needs `--output`"));
    }
    Ok(Build {
        source,
        owner: options.value("--owner", owner)?,
        description: description(options, command)?,
        output,
        overwrite,
        growth: insecure(options)?.growth(),
    })
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
