//! The images of this repository: the same bytes every time, and valid also in
//! the eyes of the reference implementation.

use std::fs;
use std::path::Path;

use crate::aci::{Aci, running};
use crate::host::{self, Scratch, call};

const OURS: [&str; 3] = ["hello", "probe", "nosecone-test"];

#[test]
fn building_again_elsewhere_gives_the_same_bytes() {
    let scratch = Scratch::new();
    let again = scratch.join("again");
    call(Path::new(env!("CARGO")))
        .whole_environment()
        .dir(&host::project())
        // A fresh directory: nothing that was built before is used again.
        .env("CARGO_TARGET_DIR", scratch.join("target"))
        .args(["run", "--quiet", "--offline", "--package", "xtask", "--"])
        .args(["images", "--programs", "--into"])
        .arg(&again)
        .run()
        .exits(0);
    for name in OURS {
        let first = fs::read(host::image(name)).unwrap();
        let second = fs::read(again.join(format!("{name}.aci"))).unwrap();
        assert!(first == second, "{name}.aci is not the same again");
    }
}

#[test]
fn the_reference_implementation_finds_every_image_valid() {
    let actool = tool!("actool");
    for name in OURS {
        call(&actool)
            .arg("validate")
            .arg(host::image(name))
            .run()
            .exits(0);
    }
}

#[test]
fn validate_refuses_what_the_reference_implementation_refuses() {
    let actool = tool!("actool");
    let scratch = Scratch::new();
    let sound = running(&["/x"]);
    for bad in [
        Aci::empty().dir("rootfs"),
        Aci::empty().file("manifest", 0o644, &sound),
        Aci::new(&sound).file("README", 0o644, "beside them"),
        Aci::new(&sound).file("rootfs/../../outside", 0o644, "x"),
        Aci::new(&sound.replace("example.com/sample", "Not A Name")),
    ] {
        let file = scratch.write("bad.aci", bad.bytes());
        for program in [&actool, &host::program()] {
            let ran = call(program).arg("validate").arg(&file).run();
            assert!(!ran.succeeded(), "{program:?} {ran:?}");
        }
    }
}

#[test]
fn validate_agrees_with_the_reference_implementation() {
    for name in OURS
        .into_iter()
        .chain(["busybox", "debian", "nosecone-base"])
    {
        if let Some(image) = host::find_image(name) {
            call(&host::program())
                .arg("validate")
                .arg(image)
                .run()
                .exits(0);
        } else {
            host::skipped(&format!("needs {name}.aci"));
        }
    }
}
