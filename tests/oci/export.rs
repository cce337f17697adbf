//! Images that leave the store, as an archive that others read.

use std::fs;

use super::{Layout, base};
use crate::aci::Aci;
use crate::host::{self, call};

/// A layout with an image of three layers, one of which it has twice.
fn layout() -> (Layout, String) {
    let mut layout = Layout::new();
    let lower = layout.layer(base());
    let upper = layout.layer(Aci::empty().dir("etc").file("etc/name", 0o640, "two").file(
        "etc/.wh.none",
        0o644,
        "",
    ));
    let run = r#"{"Entrypoint":["/bin/probe"],"Labels":{"a":"b"},"Unknown":[1,null]}"#;
    let layers = [lower, upper.clone(), upper];
    let id = layout.image("it", run, &layers);
    (layout, id)
}

#[test]
fn of_an_image_that_has_changed_nothing_is_written() {
    let (layout, id) = layout();
    layout.fetch("it");
    let layers = layout.dir().join("layers");
    for name in host::names(&layers) {
        let file = layers.join(name).join("rootfs/etc/name");
        if file.exists() {
            fs::write(file, "owt").unwrap();
        }
    }
    let file = layout.scratch.join("out.tar");
    let export = layout.launch(&["image", "export", &id]).arg(&file);
    let ran = export.run().exits(1).naming("ID", &id);
    ran.complains_as("an OCI image that has changed is not exported");
    assert!(!file.exists());
}

#[test]
fn an_image_keeps_its_id_and_its_layers_whoever_reads_the_archive() {
    let (layout, id) = layout();
    layout.fetch("it");
    let export = |name: &str| {
        let file = layout.scratch.join(name);
        let export = layout.launch(&["image", "export", &id]).arg(&file);
        export.run().exits(0).complains("").says("");
        file
    };
    let (file, again) = (export("out.tar"), export("again.tar"));
    assert_eq!(fs::read(&file).unwrap(), fs::read(again).unwrap());
    for scheme in ["oci-archive", "docker-archive"] {
        let place = layout.scratch.join(scheme);
        let image = format!("{scheme}:{}", file.display());
        let fetch = host::launcher(&place).args(["fetch", "--full", &image]);
        fetch.run().exits(0).says(&format!("{id}\n"));
        // Layers are named after their tars.
        let layers = |dir| host::names(&std::path::Path::new(dir).join("layers"));
        let (here, there) = (layout.dir(), place);
        assert_eq!(
            layers(there.to_str().unwrap()),
            layers(here.to_str().unwrap())
        );
    }
    let skopeo = tool!("skopeo");
    for scheme in ["oci-archive", "docker-archive"] {
        let image = format!("{scheme}:{}", file.display());
        let inspect = call(&skopeo).args(["inspect", "--raw", "--config", &image]);
        let told = inspect.run().exits(0).stdout;
        let whole = layout.launch(&["image", "cat-manifest", &id]).run();
        assert_eq!(
            told.trim_end(),
            whole.exits(0).stdout.trim_end(),
            "{scheme}"
        );
    }
}
