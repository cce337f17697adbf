//! Every failure that a user can cause, with all that is shown: one sentence
//! about the user's nouns, the cause last, and a hint where we know what to do.
//!
//! A new failure of the launcher comes with its line here.

use std::fs;

use crate::aci::{Aci, manifest, running};
use crate::host::{self, Ran, Scratch, launcher, pod};

/// Status of a launcher that failed, where no app's status could be meant.
const FAILED: i32 = 1;
/// Status of wrong usage.
const USAGE: i32 = 2;
/// Status of `run` when Nose Cone failed.
const OURS: i32 = 125;

// --- wrong usage ---

#[test]
fn wrong_usage() {
    let scratch = Scratch::new();
    for (words, status, text) in [
        (
            "fly",
            USAGE,
            "there is no command `fly`\nhint: `launcher help` lists all commands",
        ),
        (
            "help fly",
            USAGE,
            "there is no command `fly`\nhint: `launcher help` lists all commands",
        ),
        (
            "run",
            OURS,
            "an image is missing\nhint: for instance `hello.aci`",
        ),
        (
            "run --fast hello.aci",
            OURS,
            "there is no option `--fast`\nhint: `launcher help COMMAND` lists the options of a command",
        ),
        (
            "run hello.aci sh",
            OURS,
            "`sh` is one argument too many\nhint: arguments of the app stand behind `--`, another app behind `---`",
        ),
        ("run --uuid", OURS, "`--uuid` needs a value"),
        (
            "run --plan plan -- sh",
            OURS,
            "a plan already has its arguments; `--plan` and `--` exclude each other",
        ),
        (
            "plan --format xml hello.aci",
            USAGE,
            "`--format`: `xml` is no format of plans; it is `text`, `json` or `words`",
        ),
        (
            "plan",
            USAGE,
            "an image is missing\nhint: for instance `hello.aci`",
        ),
        ("validate", USAGE, "a file is missing"),
        ("version now", USAGE, "`now` is one argument too many"),
    ] {
        launcher(&scratch.join("dir"))
            .args(words.split(' '))
            .run()
            .exits(status)
            .says("")
            .complains(&format!("launcher: {text}\n"));
    }
    assert!(!scratch.join("dir").exists());
}

#[test]
fn help_and_version_go_to_standard_output() {
    let scratch = Scratch::new();
    let said = |words: &[&str]| {
        let ran = launcher(&scratch.join("dir")).args(words).run();
        ran.exits(0).complains("").stdout
    };
    let overview = said(&["help"]);
    assert_eq!(said(&[]), overview);
    assert_eq!(said(&["--help"]), overview);
    for command in [
        "run",
        "prepare",
        "run-prepared",
        "plan",
        "validate",
        "help",
        "version",
    ] {
        assert!(overview.contains(&format!("  {command} ")), "{overview}");
        let help = said(&["help", command]);
        assert!(
            help.starts_with(&format!("Usage: launcher {command}")),
            "{help}"
        );
        if command != "help" {
            assert_eq!(said(&[command, "--help"]), help);
        }
    }
    assert!(said(&["version"]).starts_with("nosecone "));
}

// --- images that are none ---

#[test]
fn files_that_are_no_images() {
    require_root!();
    let hello = fs::read(host::image("hello")).unwrap();
    let mut corrupt = hello.clone();
    // The first byte of the checksum.
    let checksum = corrupt.len() - 8;
    corrupt[checksum] ^= 0xff;
    let sound = running(&["/hello"]);
    let pod_manifest = sound.replace("ImageManifest", "PodManifest");
    for (bytes, text) in [
        (Vec::new(), "the file is empty"),
        (
            b"#!/bin/sh\necho hello\n".to_vec(),
            "it is no image archive",
        ),
        (
            hello[..hello.len() / 2].to_vec(),
            "cannot unpack entry `rootfs/hello`: the compressed data ends too early",
        ),
        (
            corrupt,
            "cannot unpack entry `rootfs/hello`: the compressed data is corrupt: its checksum differs",
        ),
        (Aci::empty().dir("rootfs").bytes(), "it has no `manifest`"),
        (
            Aci::empty().file("manifest", 0o644, &sound).bytes(),
            "it has no directory `rootfs`",
        ),
        (
            Aci::new(&sound).file("README", 0o644, "hello").bytes(),
            "entry `README` is neither `manifest` nor below `rootfs`",
        ),
        (
            Aci::new(&sound)
                .file("rootfs/../../outside", 0o644, "x")
                .bytes(),
            "entry `rootfs/../../outside` leads out of the image",
        ),
        (
            Aci::new("{\"acKind\": \"ImageManifest\",").bytes(),
            "its manifest: line 1, column 27 is not JSON: EOF while parsing a value, in `{\"acKind\": \"ImageManifest\",`",
        ),
        (
            Aci::new(&pod_manifest).bytes(),
            "its manifest: field `acKind`: expected `ImageManifest`, found `PodManifest`",
        ),
    ] {
        let text = format!("image `FILE` is not valid: {text}");
        refused(&bytes, OURS, &text);
    }
}

#[test]
fn images_that_cannot_be_run() {
    require_root!();
    let app = |app: &str| Aci::new(&manifest(app)).bytes();
    for (bytes, text) in [
        (
            Aci::new(&manifest("null")).bytes(),
            "image `example.com/sample` has no app to run\nhint: it is meant to be a dependency of other images",
        ),
        (
            app(r#"{"exec": [], "user": "0", "group": "0"}"#),
            "the app of image `example.com/sample` names no program\nhint: `--exec PROGRAM` behind the image does",
        ),
        (
            app(r#"{"exec": ["/x"], "user": "nobody", "group": "0"}"#),
            "the image has no user `nobody` in `/etc/passwd`",
        ),
        (
            app(r#"{"exec": ["/x"], "user": "0", "group": "staff"}"#),
            "the image has no group `staff` in `/etc/group`",
        ),
    ] {
        refused(&bytes, OURS, text);
    }
}

// --- programs that do not start ---

#[test]
fn programs_that_do_not_start() {
    require_root!();
    for (image, status, text) in [
        (
            Aci::new(&running(&["/no/such"])),
            127,
            "cannot execute `/no/such`: No such file or directory",
        ),
        (
            Aci::new(&running(&["no-such"])),
            127,
            "cannot execute `no-such`: No such file or directory",
        ),
        (
            Aci::new(&running(&["/data"])).file("rootfs/data", 0o644, "data"),
            126,
            "cannot execute `/data`: Permission denied",
        ),
        (
            Aci::new(&running(&["/data"])).file("rootfs/data", 0o755, "data"),
            126,
            "cannot execute `/data`: Exec format error",
        ),
        (
            Aci::new(&running(&["/dir"])).dir("rootfs/dir"),
            126,
            "cannot execute `/dir`: Permission denied",
        ),
        (
            Aci::new(&running(&["/script"])).file("rootfs/script", 0o755, "#!/bin/sh\n"),
            127,
            "cannot execute `/script`: its interpreter `/bin/sh` is not in the image\n\
             hint: build the program statically, or add what it needs to the image",
        ),
    ] {
        refused(&image.bytes(), status, text);
    }
    let app = r#"{"exec": ["/x"], "user": "0", "group": "0", "workingDirectory": "/srv/nowhere"}"#;
    refused(
        &Aci::new(&manifest(app)).bytes(),
        OURS,
        "cannot use `/srv/nowhere` as the working directory: No such file or directory",
    );
}

// --- files, directories and rights ---

#[test]
fn an_image_that_is_not_there() {
    require_root!();
    let scratch = Scratch::new();
    let file = scratch.join("none.aci");
    let text = format!(
        "launcher: cannot open image `{}`: No such file or directory\n",
        file.display()
    );
    let run = |verb: &str| launcher(&scratch.join("dir")).arg(verb).arg(&file).run();
    run("run").exits(OURS).says("").complains(&text);
    run("plan").exits(FAILED).says("").complains(&text);
    run("validate").exits(FAILED).complains("").says(&format!(
        "{} NOT OK: cannot read it: No such file or directory\n",
        file.display()
    ));
}

#[test]
fn a_directory_that_is_none() {
    require_root!();
    let scratch = Scratch::new();
    let file = scratch.write("file", "");
    launcher(&file)
        .arg("run")
        .arg(host::image("hello"))
        .run()
        .exits(OURS)
        .says("")
        .complains(&format!(
            "launcher: cannot use directory `{}`: Not a directory\n",
            file.display()
        ));
}

#[test]
fn an_ordinary_user() {
    require_root!();
    let scratch = Scratch::new();
    let program = host::public_copy(&scratch, &host::program(), "launcher");
    let image = host::public_copy(&scratch, &host::image("hello"), "hello.aci");
    host::call(&program)
        .user(1000)
        .arg("--dir")
        .arg(scratch.join("dir"))
        .arg("run")
        .arg(image)
        .run()
        .exits(OURS)
        .says("")
        .complains(
            "launcher: pods can only be run by root\n\
             hint: `launcher plan` shows without privileges what would be done\n",
        );
    assert!(!scratch.join("dir").exists());
}

#[test]
fn a_plan_that_is_none() {
    require_root!();
    let scratch = Scratch::new();
    for (plan, text) in [
        ("", "word 0 of the plan: the first word must be `plan`"),
        (
            "plan 2\n",
            "word 1 of the plan (`2`): the version must be 1",
        ),
        (
            "plan 1\nfly\n",
            "word 2 of the plan (`fly`): no such directive",
        ),
        (
            "plan 1\nhostname web\n",
            "word 4 of the plan: there is no `app`",
        ),
        (
            "plan 1\nhostname 'web\n",
            "line 2 of the plan has a quote that is not closed",
        ),
    ] {
        let file = scratch.write("plan", plan);
        launcher(&scratch.join("dir"))
            .args(["run", "--plan"])
            .arg(&file)
            .run()
            .exits(OURS)
            .says("")
            .complains(&format!(
                "launcher: cannot read plan `{}`: {text}\n",
                file.display()
            ));
    }
}

/// Runs an image that is refused with these words, `FILE` standing for its
/// name, and checks that nothing of the pod is left.
#[track_caller]
fn refused(image: &[u8], status: i32, text: &str) -> Ran {
    let scratch = Scratch::new();
    let file = scratch.write("some.aci", image);
    let text = text.replace("FILE", &file.display().to_string());
    let ran = pod(&scratch.join("dir"), &file, &[])
        .run()
        .complains(&format!("launcher: {text}\n"))
        .exits(status)
        .says("");
    for dir in ["tmp", "pods/embryo", "pods/run", "pods/garbage"] {
        let dir = scratch.join("dir").join(dir);
        let left: Vec<_> = fs::read_dir(&dir).into_iter().flatten().collect();
        assert!(left.is_empty(), "left in {}: {left:?}", dir.display());
    }
    ran
}
