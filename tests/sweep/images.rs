//! The images that commands are swept with.

use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::aci::{Aci, manifest};
use crate::host;

/// The media type of a manifest.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// An image without an app, with a bit of everything.
pub(super) fn library() -> Vec<u8> {
    let mut image = Aci::new(&manifest("null"));
    for number in 0..3 {
        let name = format!("rootfs/file{number}");
        image = image.file(&name, 0o644, format!("{number}").repeat(3000));
    }
    image.link("rootfs/link", "file0").dir("rootfs/dir").bytes()
}

/// An image that needs the other one, and only a part of it: so its root has
/// to be rendered. Its app is the probe.
pub(super) fn dependent() -> Vec<u8> {
    let text = r#"{
  "acKind": "ImageManifest",
  "acVersion": "0.8.11",
  "name": "example.com/dependent",
  "app": {"exec": ["/probe"], "user": "0", "group": "0"},
  "dependencies": [{"imageName": "example.com/sample"}],
  "pathWhitelist": ["/probe", "/file0"]
}
"#;
    let probe = fs::read(host::probe()).unwrap();
    Aci::new(text).file("rootfs/probe", 0o755, probe).bytes()
}

/// The blobs of an OCI image with layers that change one another, each with its hash, and
/// its manifest last. One of them may be so large that what arrives of it is kept.
pub(super) fn layered(large: bool) -> Vec<(String, Vec<u8>)> {
    let mut blobs = Vec::new();
    let mut blob = |kind: &str, bytes: Vec<u8>| {
        let hash = Sha256::digest(&bytes);
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let (digest, size) = (format!("sha256:{hash}"), bytes.len());
        blobs.push((hash, bytes));
        let kind = format!("application/vnd.oci.image.{kind}");
        let described = format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":{size}}}"#);
        (digest, described)
    };
    let size = if large { 33 << 20 } else { 3000 };
    let layers = [
        Aci::empty()
            .file("etc/one", 0o644, "1".repeat(3000))
            .file("gone", 0o644, ""),
        Aci::empty()
            .file("etc/two", 0o644, vec![b'2'; size])
            .file(".wh.gone", 0o644, ""),
        Aci::empty().entry(tar::EntryType::Link, "link", 0o644, "etc/one", b""),
    ];
    let layers = layers.map(|layer| blob("layer.v1.tar", layer.bytes()));
    let ids = layers.each_ref().map(|(digest, _)| format!("\"{digest}\""));
    let ids = ids.join(",");
    let config = format!(
        r#"{{"os":"linux","architecture":"amd64","rootfs":{{"type":"layers","diff_ids":[{ids}]}}}}"#
    );
    let (_, config) = blob("config.v1+json", config.into_bytes());
    let layers = layers.map(|(_, layer)| layer).join(",");
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{config},"layers":[{layers}]}}"#
    );
    blob("manifest.v1+json", manifest.into_bytes());
    blobs
}

/// Writes an OCI image into a directory, as a layout.
pub(super) fn layout(directory: &Path, blobs: &[(String, Vec<u8>)]) {
    let place = directory.join("blobs/sha256");
    fs::create_dir_all(&place).unwrap();
    for (hash, bytes) in blobs {
        fs::write(place.join(hash), bytes).unwrap();
    }
    let (hash, manifest) = blobs.last().unwrap();
    let size = manifest.len();
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{MANIFEST}","digest":"sha256:{hash}","size":{size}}}]}}"#
    );
    fs::write(directory.join("index.json"), index).unwrap();
    let marker = r#"{"imageLayoutVersion":"1.0.0"}"#;
    fs::write(directory.join("oci-layout"), marker).unwrap();
}

/// The probe, and a program that makes no system call but to end.
pub(super) fn quiet() -> Vec<u8> {
    let app = r#"{"exec": ["/probe"], "user": "0", "group": "0"}"#;
    Aci::new(&manifest(app))
        .file("rootfs/probe", 0o755, fs::read(host::probe()).unwrap())
        .file("rootfs/nothing", 0o755, nothing())
        .bytes()
}

/// `exit_group(0)`, as a program: see elf(5). It is loaded where it says.
fn nothing() -> Vec<u8> {
    /// Of the file's header and that of its only segment.
    const HEADERS: u64 = 64 + 56;
    const ADDRESS: u64 = 0x40_0000;
    let (machine, code): (u16, &[u8]) = match std::env::consts::ARCH {
        // mov eax, 231; xor edi, edi; syscall; ud2
        "x86_64" => (62, b"\xb8\xe7\0\0\0\x31\xff\x0f\x05\x0f\x0b"),
        // mov x8, 94; mov x0, 0; svc 0; udf 0
        "aarch64" => (183, b"\xc8\x0b\x80\xd2\0\0\x80\xd2\x01\0\0\xd4\0\0\0\0"),
        // What refuses calls is in its way, too.
        _ => return fs::read(host::images().join("bin/hello")).unwrap(),
    };
    let size = HEADERS + code.len() as u64;
    let mut program = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    for half in [2, machine] {
        program.extend(half.to_le_bytes());
    }
    program.extend(1_u32.to_le_bytes());
    for word in [ADDRESS + HEADERS, 64, 0] {
        program.extend(word.to_le_bytes());
    }
    program.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 0, 0, 0] {
        program.extend(half.to_le_bytes());
    }
    // To be loaded, read and executed.
    program.extend(1_u32.to_le_bytes());
    program.extend(5_u32.to_le_bytes());
    for word in [0, ADDRESS, ADDRESS, size, size, 0x1000] {
        program.extend(word.to_le_bytes());
    }
    program.extend(code);
    program
}
