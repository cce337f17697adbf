//! Images in tar archives: of a layout, and as docker writes them; and paths whose
//! content says what they are.

use std::fs;
use std::path::PathBuf;

use super::{Blob, Layout, base};
use crate::aci::Aci;
use crate::host::{self, names};

/// A layout with the image `it`, and its layer and configuration.
fn layout() -> (Layout, Blob, Blob) {
    let mut layout = Layout::new();
    let layer = layout.layer(base());
    let run = r#"{"Cmd":["/bin/probe","--stdout","x"]}"#;
    let config = layout.config(run, std::slice::from_ref(&layer));
    let manifest = layout.manifest(&config, std::slice::from_ref(&layer));
    layout.list(&manifest, "it");
    (layout, layer, config)
}

/// A tar of the layout.
fn packed(layout: &Layout, name: &str, options: &str) -> PathBuf {
    let file = layout.scratch.join(name);
    let call = host::call("tar".as_ref()).arg("-C").arg(layout.path());
    call.args([options, "-cf"])
        .arg(&file)
        .arg(".")
        .run()
        .exits(0);
    file
}

/// What `docker save` writes: the files that it lists, and the list last.
fn saved(layout: &Layout, layer: &Blob, config: &Blob, list: &str) -> PathBuf {
    let read = |blob: &Blob| fs::read(layout.blob_path(&blob.digest)).unwrap();
    let (hex, name) = (
        &config.digest["sha256:".len()..],
        &layer.digest["sha256:".len()..],
    );
    let list = list.replace("CONFIG", hex).replace("LAYER", name);
    let archive = Aci::empty()
        .dir(name)
        .file(&format!("{name}.tar"), 0o644, read(layer))
        .link(&format!("{name}/layer.tar"), &format!("../{name}.tar"))
        .file(&format!("{hex}.json"), 0o644, read(config))
        .file("manifest.json", 0o644, list);
    layout.scratch.write("saved.tar", archive.bytes())
}

const LIST: &str =
    r#"[{"Config":"CONFIG.json","RepoTags":["app:1"],"Layers":["LAYER/layer.tar"]}]"#;

#[test]
fn an_archive_without_its_list_or_a_file_of_it_is_refused() {
    let (layout, layer, config) = layout();
    let cases = [
        ("no list", Aci::empty().file("blobs/x", 0o644, "")),
        (
            "a list that is none",
            Aci::empty().file("manifest.json", 0o644, "{}"),
        ),
        (
            "a list of what is not there",
            Aci::empty().file("manifest.json", 0o644, LIST),
        ),
        (
            "a list that leads out",
            Aci::empty().file("manifest.json", 0o644, LIST.replace("LAYER", "..")),
        ),
    ];
    for (title, archive) in cases {
        let file = layout.scratch.write("bad.tar", archive.bytes());
        let ran = layout
            .launch(&["fetch"])
            .arg(format!("docker-archive:{}", file.display()));
        let ran = ran.run().naming("PLACE", layout.scratch.path());
        ran.exits(1).complains_as(title);
        assert_eq!(names(&layout.dir().join("images")), [""; 0]);
    }
    // Nor is anything but the layer that the configuration names.
    let other = Blob {
        digest: config.digest.clone(),
        ..layer
    };
    let file = saved(&layout, &other, &config, LIST);
    let ran = layout.launch(&["fetch"]).arg(&file).run().exits(1);
    assert!(ran.stderr.contains("is not valid"), "{}", ran.stderr);
    assert_eq!(names(&layout.dir().join("images")), [""; 0]);
}

#[test]
fn every_form_of_an_image_is_the_same_image() {
    let (layout, layer, config) = layout();
    let id = format!("{}\n", config.digest.replace(':', "-"));
    let docker = saved(&layout, &layer, &config, LIST);
    let plain = packed(&layout, "plain.tar", "--sort=name");
    let gzip = packed(&layout, "packed.tar", "--gzip");
    let references = [
        layout.reference("it"),
        format!("oci:{}", layout.path().display()),
        layout.path().display().to_string(),
        format!("oci-archive:{}:it", plain.display()),
        format!("oci-archive:{}", gzip.display()),
        plain.display().to_string(),
        gzip.display().to_string(),
        format!("docker-archive:{}:app:1", docker.display()),
        format!("docker-archive:{}:@0", docker.display()),
        docker.display().to_string(),
    ];
    for (number, reference) in references.iter().enumerate() {
        let dir = layout.scratch.join(&format!("dir-{number}"));
        let fetch = |word| {
            host::launcher(&dir)
                .args(["fetch", "--full"])
                .arg(word)
                .run()
        };
        fetch(reference).exits(0).says(&id);
        host::launcher(&dir)
            .args(["run", reference])
            .run()
            .exits(0)
            .says("x\n");
        host::launcher(&dir)
            .args(["plan", reference])
            .run()
            .exits(0)
            .complains("");
    }
}

#[test]
fn an_image_of_docker_is_called_as_it_was_there() {
    let (layout, layer, config) = layout();
    let docker = saved(&layout, &layer, &config, LIST);
    layout.launch(&["fetch"]).arg(docker).run().exits(0);
    let list = ["image", "list", "--fields", "name", "--no-legend"];
    layout.launch(&list).run().exits(0).says("app:1\n");
}

#[test]
fn of_the_two_lists_of_docker_the_other_one_counts_only_where_this_has_no_layers() {
    let lists = |layers: &[Blob]| {
        let (mut layout, layer, config) = layout();
        // The list of the layout has another image, or one without layers.
        layout.entries.clear();
        let run = r#"{"Cmd":["/bin/probe","--stdout","other"]}"#;
        let other = layout.config(run, std::slice::from_ref(&layer));
        let manifest = layout.manifest(&other, layers);
        layout.list(&manifest, "app:1");
        let path = |blob: &Blob| format!("blobs/{}", blob.digest.replace(':', "/"));
        let (config_path, path) = (path(&config), path(&layer));
        let list =
            format!(r#"[{{"Config":"{config_path}","RepoTags":["app:1"],"Layers":["{path}"]}}]"#);
        layout.scratch.write("app/manifest.json", list);
        let file = packed(&layout, "both.tar", "--sort=name");
        let mut ids = Vec::new();
        for scheme in ["oci-archive", "docker-archive"] {
            let image = format!("{scheme}:{}", file.display());
            let fetch = layout.launch(&["fetch", "--full", &image]).run();
            ids.push(fetch.exits(0).stdout.trim().replace('-', ":"));
        }
        (ids, config.digest, other.digest)
    };
    let (ids, config, _) = lists(&[]);
    assert_eq!(ids, [config.clone(), config]);
    let (_, layer, _) = layout();
    let (ids, _, other) = lists(&[layer]);
    assert_eq!(ids, [other.clone(), other]);
}
