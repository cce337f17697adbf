//! Images that leave the store, for a file or a directory that others read.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::peers::Podman;
use super::{Blob, Layout, base, digest};
use crate::aci::Aci;
use crate::host::{self, call, names};

/// The media type of a compressed layer.
const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// What another program makes of bytes.
fn piped(program: &str, words: &[&str], bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let feeding = std::thread::spawn(move || input.write_all(&bytes).unwrap());
    let out = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    out.stdout
}

/// A layer that is compressed as nobody here would do it.
fn gzipped(layout: &Layout, tar: Aci) -> Blob {
    let tar = tar.bytes();
    let packed = piped("gzip", &["-9nc"], &tar);
    Blob {
        kind: GZIP,
        ..layout.packed(&tar, &packed)
    }
}

/// A layout with an image of three layers, one of which it has twice; each layer is
/// made so.
pub(super) fn layout_of(layer: fn(&Layout, Aci) -> Blob) -> (Layout, String) {
    let mut layout = Layout::new();
    let lower = layer(&layout, base());
    let upper = Aci::empty().dir("etc").file("etc/name", 0o640, "two");
    let upper = layer(&layout, upper.file("etc/.wh.none", 0o644, ""));
    let run = r#"{"Entrypoint":["/bin/probe"],"Labels":{"a":"b"},"Unknown":[1,null]}"#;
    let layers = [lower, upper.clone(), upper];
    let id = layout.image("it", run, &layers);
    (layout, id)
}

/// The same with layers that are not compressed.
fn layout() -> (Layout, String) {
    layout_of(|layout, tar| layout.layer(tar))
}

/// The same with layers that are.
pub(super) fn compressed() -> (Layout, String) {
    layout_of(gzipped)
}

/// The digest of the manifest that the layout has.
pub(super) fn manifest_of(layout: &Layout) -> String {
    let index = fs::read_to_string(layout.path().join("index.json")).unwrap();
    index_of(&index)
}

/// The digest of the first manifest of a list.
fn index_of(index: &str) -> String {
    let at = index.find("sha256:").unwrap();
    index[at..][.."sha256:".len() + 64].to_owned()
}

impl Layout {
    /// Exports an image to a file.
    fn export(&self, id: &str, words: &[&str], name: &str) -> (PathBuf, host::Ran) {
        let file = self.scratch.join(name);
        let call = self.launch(&["image", "export"]).args(words).arg(id);
        let ran = call.arg(&file).run();
        (file, ran)
    }
}

#[test]
fn of_an_image_that_has_changed_nothing_is_written() {
    let (layout, id) = layout();
    layout.fetch("it");
    let layers = layout.dir().join("layers");
    for name in names(&layers) {
        let file = layers.join(name).join("rootfs/etc/name");
        if file.exists() {
            fs::write(file, "owt").unwrap();
        }
    }
    for format in ["oci", "docker-archive", "oci-dir"] {
        let (file, ran) = layout.export(&id, &["--format", format], "out.tar");
        let ran = ran.exits(1).naming("ID", &id);
        ran.naming("FILE", file.to_str().unwrap())
            .complains_as("an OCI image that has changed is not exported");
        assert!(!file.exists());
    }
}

#[test]
fn a_kept_blob_that_has_changed_is_found_and_not_exported() {
    let (layout, id) = compressed();
    let fetch = layout.launch(&["fetch", "--keep-blobs", &layout.reference("it")]);
    fetch.run().exits(0);
    layout.launch(&["image", "verify"]).run().exits(0);
    let kept = layout.dir().join("blobs");
    let largest = names(&kept).into_iter().max_by_key(|name| {
        let blob = kept.join(name).join("blob");
        blob.metadata().unwrap().len()
    });
    let largest = largest.unwrap();
    fs::write(kept.join(&largest).join("blob"), "other").unwrap();
    let (file, ran) = layout.export(&id, &[], "out.tar");
    ran.exits(1);
    assert!(!file.exists());
    let verify = layout.launch(&["image", "verify"]).run().exits(1);
    assert!(
        verify.stdout.contains(&largest.replace('-', ":")),
        "{}",
        verify.stdout
    );
}

#[test]
fn a_kept_manifest_that_has_changed_is_found_and_another_one_is_written() {
    let (layout, id) = compressed();
    let fetch = layout.launch(&["fetch", "--keep-blobs", &layout.reference("it")]);
    fetch.run().exits(0);
    let manifest = manifest_of(&layout);
    let kept = layout.dir().join("blobs").join(manifest.replace(':', "-"));
    let text = fs::read_to_string(kept.join("blob")).unwrap();
    fs::write(kept.join("blob"), text.replacen('{', "{ ", 1)).unwrap();
    let verify = layout.launch(&["image", "verify"]).run().exits(1);
    assert!(verify.stdout.contains(&manifest), "{}", verify.stdout);
    let (file, ran) = layout.export(&id, &[], "out.tar");
    ran.exits(0);
    let again = host::launcher(&layout.scratch.join("again"));
    let again = again.arg("fetch").arg("--full").arg(&file).run();
    again.exits(0).says(&format!("{id}\n"));
}

#[test]
fn the_manifest_of_layers_that_were_not_kept_is_a_new_one_and_that_is_told() {
    let (layout, id) = compressed();
    layout.fetch("it");
    let (file, ran) = layout.export(&id, &[], "out.tar");
    let told = ran.exits(0).says("").stderr;
    let before = manifest_of(&layout);
    assert!(
        told.contains(&format!("not `{before}` as before")),
        "{told}"
    );
    assert!(told.contains("--keep-blobs"), "{told}");
    let place = layout.scratch.join("again");
    let image = format!("oci-archive:{}", file.display());
    let fetch = host::launcher(&place).args(["fetch", "--full", &image]);
    fetch.run().exits(0).says(&format!("{id}\n"));
}

#[test]
fn an_image_whose_blobs_were_kept_keeps_the_digest_of_its_manifest() {
    let (layout, id) = compressed();
    let fetch = || {
        let image = layout.reference("it");
        layout
            .launch(&["fetch", "--keep-blobs", &image])
            .run()
            .exits(0);
    };
    // Also if its layers are stored already.
    layout.fetch("it");
    fetch();
    let (file, ran) = layout.export(&id, &[], "out.tar");
    ran.exits(0).complains("").says("");
    let expected = manifest_of(&layout);
    let (directory, ran) = layout.export(&id, &["--format", "oci-dir"], "out");
    ran.exits(0).complains("").says(&format!("{expected}\n"));
    let index = fs::read_to_string(directory.join("index.json")).unwrap();
    assert_eq!(index_of(&index), expected);
    let manifest = fs::read(directory.join("blobs").join(expected.replace(':', "/"))).unwrap();
    assert_eq!(digest(&manifest), expected);
    // They are fetched from the directory as from anywhere.
    let place = layout.scratch.join("again");
    let image = format!("oci:{}", directory.display());
    let again = host::launcher(&place).args(["fetch", "--full", &image]);
    again.run().exits(0).says(&format!("{id}\n"));
    let blobs = || names(&layout.dir().join("blobs")).len();
    // Two layers, and the manifest.
    assert_eq!(blobs(), 3);
    layout
        .launch(&["image", "gc", "--grace-period=0"])
        .run()
        .exits(0);
    assert_eq!(blobs(), 0);
    fetch();
    assert_eq!(blobs(), 3);
    layout.launch(&["image", "rm", &id]).run().exits(0);
    assert_eq!(blobs(), 0);
    let skopeo = tool!("skopeo");
    let image = format!("oci-archive:{}", file.display());
    let raw = call(&skopeo)
        .args(["inspect", "--raw", &image])
        .run()
        .exits(0);
    assert_eq!(digest(raw.stdout.as_bytes()), expected);
}

#[test]
fn a_directory_takes_several_images_and_nothing_that_is_no_layout() {
    let (layout, id) = layout();
    layout.fetch("it");
    let other = layout.scratch.join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("file"), "").unwrap();
    let (_, ran) = layout.export(&id, &["--format", "oci-dir"], "other");
    ran.exits(1)
        .naming("ID", &id)
        .naming("DIR", other.to_str().unwrap())
        .complains_as("a directory with other files is not exported to");
    let directory = layout.scratch.join("several");
    for name in ["1", "example.com/b:2", "1"] {
        let place = format!("oci:{}:{name}", directory.display());
        let push = layout.launch(&["image", "push", &id, &place]);
        push.run().exits(0);
    }
    let index = fs::read_to_string(directory.join("index.json")).unwrap();
    assert_eq!(index.matches("ref.name").count(), 2, "{index}");
    let umoci = tool!("umoci");
    let list = call(&umoci).args(["list", "--layout"]).arg(&directory);
    let listed = list.run().exits(0).stdout;
    assert_eq!(listed.lines().collect::<Vec<_>>(), ["example.com/b:2", "1"]);
}

#[test]
fn an_image_keeps_its_id_and_its_layers_whoever_reads_the_archive() {
    let (layout, id) = layout();
    layout.fetch("it");
    let export = |format: &str, name: &str| {
        let (file, ran) = layout.export(&id, &["--format", format], name);
        ran.exits(0).complains("").says("");
        file
    };
    let (file, again) = (export("oci", "out.tar"), export("oci", "again.tar"));
    assert_eq!(fs::read(&file).unwrap(), fs::read(again).unwrap());
    let old = export("docker-archive", "old.tar");
    let archives = [
        ("oci-archive", &file),
        ("docker-archive", &file),
        ("docker-archive", &old),
    ];
    for (number, (scheme, file)) in archives.iter().enumerate() {
        let place = layout.scratch.join(&number.to_string());
        let image = format!("{scheme}:{}", file.display());
        let fetch = host::launcher(&place).args(["fetch", "--full", &image]);
        fetch.run().exits(0).says(&format!("{id}\n"));
        // Layers are named after their tars.
        let layers = |dir: &Path| names(&dir.join("layers"));
        assert_eq!(layers(&place), layers(&layout.dir()));
    }
    let skopeo = tool!("skopeo");
    for (scheme, file) in archives {
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

#[test]
fn podman_loads_what_is_exported() {
    let podman = Podman::new(tool!("podman"));
    require_root!();
    for (layout, id) in [layout(), compressed()] {
        let image = layout.reference("it");
        layout
            .launch(&["fetch", "--keep-blobs", &image])
            .run()
            .exits(0);
        for format in ["oci", "docker-archive"] {
            let (file, ran) = layout.export(&id, &["--format", format], format);
            ran.exits(0);
            podman.run(&["load", "--quiet", "--input", file.to_str().unwrap()]);
            let ids = podman.run(&["images", "--quiet", "--no-trunc"]);
            assert_eq!(ids, id.replace('-', ":"), "{format}");
            podman.run(&["rmi", "--all", "--force"]);
        }
    }
}

#[test]
fn an_oci_image_becomes_an_app_container_image_with_all_files_of_its_layers() {
    require_root!();
    let mut layout = Layout::new();
    let lower = layout.layer(
        base()
            .file("etc/gone", 0o644, "")
            .file("etc/name", 0o640, "one")
            .dir("old")
            .file("old/file", 0o644, ""),
    );
    let upper = layout.layer(
        Aci::empty()
            .dir("etc")
            .file("etc/.wh.gone", 0o644, "")
            .file("etc/name", 0o600, "two")
            .dir("old")
            .file("old/.wh..wh..opq", 0o644, ""),
    );
    let run = r#"{"Entrypoint":["/bin/probe"],"Cmd":["--stdout","x"],"User":"0:0","Env":["A=b"],"ExposedPorts":{"80/tcp":{}},"Volumes":{"/data":{}}}"#;
    let id = layout.image("it", run, &[lower, upper]);
    layout.fetch("it");
    let (file, ran) = layout.export(&id, &["--format", "aci"], "out.aci");
    ran.exits(0).complains("").says("");
    layout.launch(&["validate"]).arg(&file).run().exits(0);
    let run = layout
        .launch(&["run", "--insecure-options=image"])
        .arg(&file);
    run.run().exits(0).says("x\n");
    let manifest = piped("tar", &["-xzO", "manifest"], &fs::read(&file).unwrap());
    let manifest = String::from_utf8(manifest).unwrap();
    for part in [r#""80-tcp""#, r#""volume-data""#, r#""name": "version""#] {
        assert!(manifest.contains(part), "{part}: {manifest}");
    }
    let files = piped("tar", &["-tz"], &fs::read(&file).unwrap());
    let files = String::from_utf8(files).unwrap();
    let mut files: Vec<_> = files.lines().collect();
    files.sort_unstable();
    assert_eq!(
        files,
        [
            "manifest",
            "rootfs/",
            "rootfs/bin/",
            "rootfs/bin/probe",
            "rootfs/etc/",
            "rootfs/etc/name",
            "rootfs/old/"
        ]
    );
}

#[test]
fn an_app_container_image_becomes_an_oci_image_of_one_layer() {
    require_root!();
    let layout = Layout::new();
    let probe = fs::read(host::probe()).unwrap();
    let manifest = r#"{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/sample",
        "labels":[{"name":"version","value":"1.0"},{"name":"os","value":"linux"},{"name":"arch","value":"amd64"}],
        "app":{"exec":["/bin/probe","--stdout","x"],"user":"0","group":"0",
               "isolators":[{"name":"os/linux/no-new-privileges","value":true}]}}"#;
    let aci = Aci::new(manifest)
        .dir("rootfs/bin")
        .file("rootfs/bin/probe", 0o755, probe)
        .entry(
            tar::EntryType::Link,
            "rootfs/bin/same",
            0o755,
            "rootfs/bin/probe",
            b"",
        );
    let file = layout.scratch.write("in.aci", aci.bytes());
    let fetch = layout.launch(&["fetch", "--full", "--insecure-options=image"]);
    let id = fetch.arg(file).run().exits(0).stdout.trim().to_owned();
    let mut written = Vec::new();
    for name in ["one.tar", "two.tar"] {
        let (file, ran) = layout.export(&id, &["--format", "oci"], name);
        let told = ran.exits(0).says("").stderr;
        assert!(told.contains("isolators"), "{told}");
        written.push(fs::read(&file).unwrap());
    }
    assert!(written[0] == written[1]);
    let place = layout.scratch.join("again");
    let image = format!("oci-archive:{}", layout.scratch.join("one.tar").display());
    let run = host::launcher(&place).args(["run", &image]).run();
    run.exits(0).says("x\n");
    let list = host::launcher(&place).args(["image", "list", "--fields=name", "--no-legend"]);
    list.run().exits(0).says("example.com/sample:1.0\n");
    assert_eq!(names(&place.join("layers")).len(), 1);
    let umoci = tool!("umoci");
    let (directory, ran) = layout.export(&id, &["--format", "oci-dir"], "out");
    ran.exits(0);
    let image = format!("{}:example.com/sample:1.0", directory.display());
    let bundle = layout.scratch.join("bundle");
    let unpack = call(&umoci)
        .args(["unpack", "--image", &image])
        .arg(&bundle);
    unpack.run().exits(0);
    let same = |name: &str| {
        use std::os::unix::fs::MetadataExt as _;
        bundle
            .join("rootfs/bin")
            .join(name)
            .metadata()
            .unwrap()
            .ino()
    };
    assert_eq!(same("probe"), same("same"));
}
