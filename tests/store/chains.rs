//! Images that need others, in chains as long as Docker's images have layers.

use std::fs;

use crate::aci::{Aci, running};
use crate::host::{Scratch, launcher, names, probe};

/// A chain of this many images, each of which adds a file and changes one, and
/// the last of which has a program; returns what it says with these words.
fn run_chain(length: usize, options: &[&str], words: &[&str]) -> String {
    let scratch = Scratch::new();
    let images = scratch.join("images/example.com");
    fs::create_dir_all(&images).unwrap();
    let name = |number: usize| format!("example.com/layer-{number}");
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        other => other,
    };
    for number in 0..length {
        let below = number.checked_sub(1).map(|below| {
            let below = name(below);
            format!(r#""dependencies": [{{"imageName": "{below}"}}], "#)
        });
        let manifest = running(&["/probe"]).replace("example.com/sample", &name(number));
        let labels = format!(
            r#""labels": [{{"name": "version", "value": "1.0.0"}},
                {{"name": "os", "value": "linux"}}, {{"name": "arch", "value": "{arch}"}}], "#
        );
        let more = labels + &below.unwrap_or_default();
        let manifest = manifest.replace("\"app\":", &format!("{more}\"app\":"));
        let mut image = Aci::new(&manifest)
            .dir("rootfs/layers")
            .file(&format!("rootfs/layers/{number:03}"), 0o644, "")
            .file("rootfs/last", 0o644, format!("{number}\n"));
        if number + 1 == length {
            image = image.file("rootfs/probe", 0o755, fs::read(probe()).unwrap());
        }
        let file = format!("layer-{number}-1.0.0-linux-{arch}.aci");
        fs::write(images.join(file), image.bytes()).unwrap();
    }
    let call = launcher(&scratch.join("dir"))
        .args(["run", "--quiet"])
        .args(options);
    let call = call.arg("--pull-policy=never").arg("--image-dir");
    let call = call.arg(scratch.join("images")).arg(name(length - 1));
    let ran = call.arg("--").args(words).run();
    let said = ran.exits(0).complains("").stdout;
    // None is merged of the others.
    assert_eq!(names(&scratch.join("dir/layers")).len(), length);
    said
}

// As images of Docker are that were made from its layers one by one.
#[test]
fn a_chain_of_127_images_runs_with_the_files_of_all() {
    require_root!();
    for options in [&[][..], &["--no-overlay"]] {
        let listed = run_chain(127, options, &["--list", "/layers"]);
        let listed: Vec<_> = listed.split_whitespace().collect();
        let expected: Vec<_> = (0..127).map(|number| format!("{number:03}")).collect();
        for name in &expected {
            assert!(
                listed.iter().any(|line| line.contains(name.as_str())),
                "{name}: {listed:?}"
            );
        }
        let last = run_chain(127, options, &["--read-file", "/last"]);
        assert!(last.contains("126"), "{last}");
    }
}
