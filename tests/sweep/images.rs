//! The images that commands are swept with.

use std::fs;

use crate::aci::{Aci, manifest};
use crate::host;

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
