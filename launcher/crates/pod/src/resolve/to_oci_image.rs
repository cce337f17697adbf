//! What an App Container image says of how it is run, in the terms of OCI: the
//! reverse of [`crate::resolve::from_oci_image`].

use appc::manifest::app::App;
use appc::manifest::{ImageManifest, Port as AppcPort};
use appc::types::read_time;
use oci::config::{ImageConfig, RunConfig};
use oci::platform::Platform;
use oci::port::Port;
use oci::user::User;

/// Returns the configuration, without layers. What has no place in it is passed to
/// `note`.
pub fn configuration(manifest: &ImageManifest, note: &mut dyn FnMut(String)) -> ImageConfig {
    let label = |name| manifest.labels.get(name).unwrap_or_default();
    let annotation = |name: &str| {
        let mut all = manifest.annotations.iter();
        let found = all.find(|annotation| annotation.name.as_str() == name);
        found.map(|annotation| annotation.value.clone())
    };
    ImageConfig {
        platform: Platform::of_document(label("os"), label("arch"), None),
        created: annotation("created").filter(|created| read_time(created).is_ok()),
        author: annotation("authors"),
        run: match &manifest.app {
            Some(app) => run(app, note),
            None => RunConfig::default(),
        },
        ..ImageConfig::default()
    }
}

fn run(app: &App, note: &mut dyn FnMut(String)) -> RunConfig {
    let mut lost = Vec::new();
    for (is_there, what) in [
        (!app.isolators.is_empty(), "isolators"),
        (!app.event_handlers.is_empty(), "event handlers"),
        (!app.supplementary_gids.is_empty(), "supplementary groups"),
        (app.user.starts_with('/'), "the file that says which user"),
        (app.group.starts_with('/'), "the file that says which group"),
    ] {
        if is_there {
            lost.push(what);
        }
    }
    if !lost.is_empty() {
        let lost = lost.join(", ");
        note(format!("an OCI image has no place for this: {lost}"));
    }
    let who = |text: &str| match text.starts_with('/') {
        true => "0".to_owned(),
        false => text.to_owned(),
    };
    let user = format!("{}:{}", who(&app.user), who(&app.group));
    RunConfig {
        user: User::parse(&user).unwrap_or_default(),
        env: app
            .environment
            .iter()
            .map(|one| (one.name.clone(), one.value.clone()))
            .collect(),
        entrypoint: app.exec.clone(),
        working_dir: app.working_directory.clone().unwrap_or_default(),
        volumes: app.mount_points.iter().map(|at| at.path.clone()).collect(),
        ports: app.ports.iter().filter_map(port).collect(),
        labels: app
            .user_labels
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        ..RunConfig::default()
    }
}

fn port(port: &AppcPort) -> Option<Port> {
    let last = port.port.checked_add(port.count.checked_sub(1)?)?;
    let numbers = match port.count {
        1 => port.port.to_string(),
        _ => format!("{}-{last}", port.port),
    };
    Port::parse(&format!("{numbers}/{}", port.protocol)).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_place_is_told_and_the_rest_is_kept() {
        let text = r#"{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/web",
            "labels":[{"name":"os","value":"linux"},{"name":"arch","value":"aarch64"}],
            "app":{"exec":["/web","-p"],"user":"7","group":"/etc/group","workingDirectory":"/srv",
                "environment":[{"name":"A","value":"b"}],
                "eventHandlers":[{"name":"pre-start","exec":["/x"]}],
                "mountPoints":[{"name":"data","path":"/data"}],
                "ports":[{"name":"p","protocol":"udp","port":53,"count":2}],
                "userLabels":{"l":"m"}},
            "annotations":[{"name":"created","value":"2024-01-02T03:04:05Z"},{"name":"authors","value":"a"}]}"#;
        let manifest = ImageManifest::parse(text.as_bytes()).unwrap().value;
        let mut told = Vec::new();
        let config = configuration(&manifest, &mut |line| told.push(line));
        assert_eq!(
            told,
            ["an OCI image has no place for this: event handlers, the file that says which group"]
        );
        assert_eq!(
            config.to_json().to_string(),
            r#"{"created":"2024-01-02T03:04:05Z","author":"a","architecture":"arm64","os":"linux","config":{"User":"7:0","ExposedPorts":{"53-54/udp":{}},"Env":["A=b"],"Entrypoint":["/web","-p"],"Volumes":{"/data":{}},"WorkingDir":"/srv","Labels":{"l":"m"}},"rootfs":{"type":"layers","diff_ids":[]}}"#
        );
    }
}
