//! Pod manifests whose apps have OCI images, by ID or by name.

use super::registry::Registry;
use super::{Layout, base};
use crate::aci::running;
use crate::host;

/// Runs a pod manifest with these apps.
fn run(layout: &Layout, apps: &str) -> host::Ran {
    let text = format!(r#"{{"acVersion":"0.8.11","acKind":"PodManifest","apps":[{apps}]}}"#);
    let file = layout.scratch.write("pod.json", text);
    layout
        .launch(&["run", "--pod-manifest"])
        .arg(file)
        .run()
        .naming("PLACE", layout.scratch.path())
}

fn layout(name: &str) -> (Layout, String) {
    let mut layout = Layout::new();
    let layer = layout.layer(base());
    let run = r#"{"Cmd":["/bin/probe","--stdout","oci"]}"#;
    let id = layout.image(name, run, &[layer]);
    (layout, id)
}

fn lines(ran: host::Ran) -> Vec<String> {
    let ran = ran.exits(0);
    let ends = ran.stdout.lines();
    let ends = ends.map(|line| line.rsplit(' ').next().unwrap().to_owned());
    let mut ends: Vec<_> = ends.collect();
    ends.sort();
    ends
}

#[test]
fn images_of_both_formats_are_in_a_manifest_by_their_ids() {
    require_root!();
    let (layout, id) = layout("it");
    layout.fetch("it");
    let aci = crate::aci::Aci::new(&running(&["/probe", "--stdout", "aci"])).file(
        "rootfs/probe",
        0o755,
        std::fs::read(host::probe()).unwrap(),
    );
    let aci = layout.scratch.write("a.aci", aci.bytes());
    let fetch = ["fetch", "--full", aci.to_str().unwrap()];
    let other = layout.launch(&fetch).run().exits(0).stdout;
    let other = other.trim_end();
    let apps = format!(
        r#"{{"name":"one","image":{{"id":"{id}"}}}},{{"name":"two","image":{{"id":"{other}"}}}}"#
    );
    assert_eq!(lines(run(&layout, &apps)), ["aci", "oci"]);
    // What is printed of a pod is a manifest like this one.
    let keep = ["run", "--keep", "--name=it", &layout.reference("it")];
    layout.launch(&keep).run().exits(0);
    let printed = layout.launch(&["cat-manifest", "it"]).run().exits(0).stdout;
    let file = layout.scratch.write("printed.json", printed);
    let again = layout.launch(&["run", "--pod-manifest"]).arg(file).run();
    again.exits(0).says("oci\n");
    layout.launch(&["rm", "it"]).run().exits(0);
}

#[test]
fn what_an_image_only_says_it_is_called_is_not_found_by_a_manifest() {
    let (layout, _) = layout("example.com/it:1");
    layout
        .launch(&["fetch", &format!("oci:{}", layout.path().display())])
        .run()
        .exits(0);
    let app = r#"{"name":"a","image":{"name":"example.com/it","labels":[{"name":"version","value":"1"}]}}"#;
    run(&layout, app)
        .exits(125)
        .complains_as("an image that nobody fetched under this name");
}

#[test]
fn an_image_of_a_registry_is_in_a_manifest_by_its_name_and_tag() {
    let _ = tool!("skopeo");
    let _ = tool!("docker-registry");
    require_root!();
    let (layout, _) = layout("it");
    // A name in a manifest has no port.
    let host = "127.0.0.2";
    if std::net::TcpListener::bind((host, 80)).is_err() {
        skip!("needs port 80 of 127.0.0.2");
    }
    let registry = Registry::at(&layout, format!("{host}:80"), "", "", None).unwrap();
    registry.push(&layout, "it", "app:1");
    let image = format!("docker://{host}/app:1");
    layout.launch(&["fetch", &image]).run().exits(0);
    let app = |labels: &str| {
        let labels = labels.split_terminator(',').map(|label| {
            let (name, value) = label.split_once('=').unwrap();
            format!(r#"{{"name":"{name}","value":"{value}"}}"#)
        });
        let labels = labels.collect::<Vec<_>>().join(",");
        let app = format!(r#"{{"name":"a","image":{{"name":"{host}/app","labels":[{labels}]}}}}"#);
        run(&layout, &app)
    };
    for labels in ["version=1", "version=1,arch=amd64,os=linux"] {
        assert_eq!(lines(app(labels)), ["oci"]);
    }
    for labels in ["", "version=2", "version=1,arch=arm64", "version=1,more=x"] {
        app(labels).exits(125).says("");
    }
}
