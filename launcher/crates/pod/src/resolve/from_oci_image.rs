//! What an OCI image says of how it is run, in the terms of App Container, from
//! which all pods are resolved; and where it is run otherwise.
//!
//! Source: the OCI image specification, config.md, and docker's habits where that
//! leaves something open. Names of volumes and ports are those that docker2aci
//! gave them: `volume-data`, `6379-tcp`.

use std::collections::BTreeSet;

use crate::resolve::conventions::Conventions;
use appc::manifest::app::{App, MountPoint, Variable};
use appc::manifest::{ImageManifest, Port, SPECIFICATION};
use appc::types::{
    AcIdentifier, AcName, Annotation, Annotations, Label, Labels, Version, read_time,
};
use error::{Context as _, Result};
use image::format::oci::stored::OciImage;
use oci::config::RunConfig;

/// Returns what an image says, and how it is run.
///
/// # Errors
///
/// None known: what cannot be said in these terms is left out.
pub fn describe(image: &OciImage) -> Result<(ImageManifest, Conventions)> {
    let config = &image.config;
    let run = &config.run;
    let (name, tag) = match image.name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (image.name.as_str(), None),
    };
    let what = || format!("cannot use image `{}`", image.name);
    let name = AcIdentifier::sanitize(name).map_or_else(|| AcIdentifier::parse("image"), Ok);
    let platform = config.platform.as_ref();
    let labels = [
        ("version", tag),
        ("os", platform.map(|platform| platform.os.as_str())),
        (
            "arch",
            platform.map(|platform| platform.architecture.as_str()),
        ),
    ];
    let mut list = Vec::new();
    for (name, value) in labels {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            list.push(Label {
                name: AcIdentifier::parse(name)?,
                value: value.to_owned(),
            });
        }
    }
    let manifest = ImageManifest {
        ac_version: Version::parse(SPECIFICATION)?,
        name: name.context(what)?,
        labels: Labels::new(list).context(what)?,
        app: Some(app(run)),
        dependencies: Vec::new(),
        path_whitelist: Vec::new(),
        annotations: annotations(image).context(what)?,
    };
    let mut directories: Vec<String> = run.volumes.iter().cloned().collect();
    directories.push(run.working_dir.clone());
    let conventions = Conventions {
        fixed: Some(run.entrypoint.len()),
        account_groups: run.user.group.is_none(),
        part_of_root: true,
        names_host: true,
        never_activates: true,
        stop_signal: run.stop_signal.clone(),
        health: run.healthcheck.clone(),
        shell: run.shell.clone(),
        directories,
    };
    Ok((manifest, conventions))
}

fn app(run: &RunConfig) -> App {
    let group = run.user.group.as_ref();
    App {
        exec: [run.entrypoint.clone(), run.cmd.clone()].concat(),
        user: run.user.user.to_string(),
        group: group.map_or_else(|| "0".to_owned(), ToString::to_string),
        working_directory: Some(run.working_dir.clone()),
        environment: run
            .env
            .iter()
            .map(|(name, value)| Variable {
                name: name.clone(),
                value: value.clone(),
            })
            .collect(),
        mount_points: mount_points(&run.volumes),
        ports: ports(run),
        user_labels: run.labels.clone(),
        ..App::root()
    }
}

/// Names the volumes after their paths, each uniquely.
fn mount_points(volumes: &BTreeSet<String>) -> Vec<MountPoint> {
    let mut points: Vec<MountPoint> = Vec::new();
    for path in volumes {
        let name = format!("volume-{path}");
        let numbered = (1..).map(|number| format!("{name}-{number}"));
        let names = std::iter::once(name.clone()).chain(numbered);
        let mut names = names.map_while(|name| AcName::sanitize(&name));
        let unused = |name: &AcName| points.iter().all(|point| point.name != *name);
        if let Some(name) = names.find(unused) {
            points.push(MountPoint {
                name,
                path: path.clone(),
                read_only: false,
            });
        }
    }
    points
}

fn ports(run: &RunConfig) -> Vec<Port> {
    let ports = run.ports.iter().filter_map(|port| {
        Some(Port {
            name: AcName::sanitize(&port.to_string())?,
            protocol: port.protocol().to_owned(),
            port: port.first,
            count: port.last - port.first + 1,
            socket_activated: false,
        })
    });
    let mut known = BTreeSet::new();
    ports
        .filter(|port| known.insert(port.name.to_string()))
        .collect()
}

fn annotations(image: &OciImage) -> Result<Annotations> {
    let mut list = Vec::new();
    let created = image.config.created.as_deref();
    let created = created.filter(|created| read_time(created).is_ok());
    for (name, value) in [
        ("created", created),
        ("authors", image.config.author.as_deref()),
    ] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            list.push(Annotation {
                name: AcIdentifier::parse(name)?,
                value: value.to_owned(),
            });
        }
    }
    Annotations::new(list)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use image::digest::Digest;
    use oci::config::ImageConfig;

    fn image(name: &str, config: &str) -> OciImage {
        let text = format!(
            r#"{{"os":"linux","architecture":"amd64","created":"soon","author":"a",
                "config":{config},"rootfs":{{"type":"layers","diff_ids":[]}}}}"#
        );
        OciImage {
            id: Digest::sha512([0; 64]),
            name: name.to_owned(),
            config: ImageConfig::read(text.as_bytes()).unwrap(),
            layers: Vec::new(),
        }
    }

    #[test]
    fn what_cannot_be_said_is_left_out_and_nothing_clashes() {
        let image = image(
            "localhost:5000/A__B",
            r#"{"Volumes":{"/a b":{},"/a_b":{},"/":{}},"ExposedPorts":{"1-3/udp":{},"80":{},"80/tcp":{}}}"#,
        );
        let (manifest, conventions) = describe(&image).unwrap();
        assert_eq!(manifest.name.as_str(), "localhost_5000/a_b");
        assert_eq!(manifest.labels.get("version"), None);
        let annotations: Vec<_> = manifest.annotations.iter().collect();
        assert_eq!(annotations.len(), 1, "{annotations:?}");
        let app = manifest.app.unwrap();
        let names = app.mount_points.iter().map(|point| point.name.as_str());
        assert_eq!(
            names.collect::<Vec<_>>(),
            ["volume", "volume-a-b", "volume-a-b-1"]
        );
        let ports = app.ports.iter();
        let ports = ports.map(|port| (port.name.as_str(), &*port.protocol, port.port, port.count));
        assert_eq!(
            ports.collect::<Vec<_>>(),
            [
                ("1-3-udp", "udp", 1, 3),
                ("80", "tcp", 80, 1),
                ("80-tcp", "tcp", 80, 1)
            ]
        );
        assert_eq!(conventions.directories, ["/", "/a b", "/a_b", "/"]);
    }

    #[test]
    fn the_command_is_the_entrypoint_and_what_arguments_replace() {
        let image = image(
            "docker.io/library/web:1.2",
            r#"{"Entrypoint":["/run"],"Cmd":["-a","b"],"User":"web","WorkingDir":"srv","Env":["A=b","x"],"Labels":{"L":"l"},"StopSignal":"QUIT"}"#,
        );
        let (manifest, conventions) = describe(&image).unwrap();
        assert_eq!(manifest.name.as_str(), "docker.io/library/web");
        assert_eq!(manifest.labels.get("version"), Some("1.2"));
        assert_eq!(manifest.labels.get("arch"), Some("amd64"));
        let app = manifest.app.unwrap();
        assert_eq!(app.exec, ["/run", "-a", "b"]);
        assert_eq!((&*app.user, &*app.group), ("web", "0"));
        assert_eq!(app.working_directory.as_deref(), Some("/srv"));
        assert_eq!(app.environment.len(), 1);
        assert_eq!(app.user_labels["L"], "l");
        assert_eq!(conventions.fixed, Some(1));
        assert!(conventions.account_groups);
        assert_eq!(conventions.stop_signal.as_deref(), Some("QUIT"));
    }
}
