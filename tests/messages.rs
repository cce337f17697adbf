//! Every failure that a user can cause: one sentence about the user's nouns, the
//! cause last, and a hint where we know what to do. This is the list of what can
//! be wrong; how it is said stands in `golden/messages/messages.txt`.
//!
//! A new failure of the launcher comes with its case here.

use std::fs;

use crate::aci::{Aci, manifest, running};
use crate::golden::{self, Cases};
use crate::host::{self, Scratch, launcher, pod};

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
    let mut cases = Cases::default();
    for (words, status) in [
        ("fly", USAGE),
        ("help fly", USAGE),
        ("run", OURS),
        ("run --fast hello.aci", OURS),
        ("run hello.aci sh", OURS),
        ("run --uuid", OURS),
        ("run --plan plan -- sh", OURS),
        ("plan --format xml hello.aci", USAGE),
        ("plan", USAGE),
        ("validate", USAGE),
        ("version now", USAGE),
    ] {
        let ran = launcher(&scratch.join("dir")).args(words.split(' ')).run();
        cases.add(words, &ran.exits(status).says("").told());
    }
    cases.as_written("wrong usage");
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
    golden::as_written("what `help` says", "help", &overview);
    let mut cases = Cases::default();
    for command in commands(&overview) {
        let help = said(&["help", command]);
        cases.add(format!("help {command}"), &help);
        if command != "help" {
            assert_eq!(said(&[command, "--help"]), help);
        }
    }
    cases.as_written("help of each command");
    assert!(said(&["version"]).starts_with("nosecone "));
}

/// The commands that `help` lists.
fn commands(overview: &str) -> Vec<&str> {
    let lines = overview.lines();
    let listed = lines.skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| line.starts_with("  "));
    let found: Vec<_> = listed
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(found.contains(&"help"), "{overview}");
    found
}

/// Command lines that are wrong, by what is wrong about them. Options of pods and
/// of apps are in `pods::messages`.
const WRONG: &[&str] = &[
    // Something is missing.
    "run-prepared",
    "attach",
    "cat-manifest",
    "enter",
    "export",
    "export web",
    "fetch",
    "image",
    "image build",
    "image build root -- x",
    "image build --name=a root",
    "image cat-manifest",
    "image export",
    "image export sha512-00",
    "image extract",
    "image extract sha512-00",
    "image render sha512-00",
    "image rm",
    "image verify --signature=x.asc",
    "kill",
    "logs",
    "pause",
    "prepare",
    "resume",
    "rm",
    "status",
    "stop",
    "trust --root",
    "trust key.asc",
    "trust rm --root",
    // Something is too many.
    "gc now",
    "attach web db",
    "cat-manifest web db",
    "export web x.aci y.aci",
    "help run now",
    "image build --name=a root x -- y",
    "image gc now",
    "image list now",
    "image cat-manifest a b",
    "image export a x.aci y.aci",
    "image extract a b c",
    "list now",
    "logs web db",
    "run-prepared web db",
    "status web db",
    "trust list now",
    // There is no such word.
    "image fly",
    // A value is missing, or there is one that is not wanted.
    "enter --cwd",
    "fetch --ca-file",
    "gc --dry-run=yes",
    "image rm --uuid-file",
    "kill --signal",
    "list --full=yes",
    "rm --force=yes web",
    "stop --time",
    // A value is of the wrong kind.
    "attach --detach-keys=x-y web",
    "enter --set-env=A web",
    "fetch --insecure-options=all a.aci",
    "fetch --pull-policy=always a.aci",
    "gc --grace-period=soon",
    "image build --name=A root -- x",
    "image build --name=a --environment=A root -- x",
    "image build --name=a --owner=web root -- x",
    "image build --name=a --working-dir=x root -- x",
    "image gc --grace-period=1",
    "image list --fields=id,latest",
    "image list --format=xml",
    "image list --order=up",
    "image list --sort=latest",
    "kill --signal=FLY web",
    "list --format=xml",
    "logs --format=xml web",
    "logs --since=soon web",
    "logs --tail=all web",
    "plan --format=xml a.aci",
    "run --detach --log=paper a.aci",
    "run --log-size=much a.aci",
    "run --name=a/b a.aci",
    "stats --format=xml",
    "status --wait=soon web",
    "stop --signal=0 web",
    "stop --time=soon web",
    "trust --root --fingerprint=abcd key.asc",
    "trust --prefix=../../etc -y key.asc",
    "trust list --format=xml",
    // One excludes the other, or needs it.
    "image build --manifest=m --name=a root",
    "image build --manifest=m root -- x",
    "image build --name=a --overwrite root -- x",
    "image verify --insecure-options=compression",
    "logs --uuid-file=f web",
    "rm --uuid-file=f web",
    "run --detach --rm --keep a.aci",
    "run --log=none a.aci",
    "run --plan=p a.aci",
    "run-prepared --log-size=1M web",
    "stop --uuid-file=f web",
    "trust --root --prefix=a key.asc",
    "trust --root -y --fingerprint=0123456789012345678901234567890123456789 key.asc",
];

#[test]
fn wrong_usage_of_each_command() {
    let scratch = Scratch::new();
    let run = |line: &str| {
        let words = line.split(' ');
        launcher(&scratch.join("dir")).args(words).run()
    };
    let overview = run("help").exits(0).stdout;
    let commands = commands(&overview);
    let mut cases = Cases::default();
    let strange = commands.iter().map(|command| format!("{command} --fly"));
    let wrong = WRONG.iter().map(|line| (*line).to_owned());
    for line in strange.chain(wrong) {
        let ran = run(&line).says("");
        let status = ran.exited().unwrap_or_default();
        assert!([USAGE, OURS].contains(&status), "{line}: {ran:?}");
        cases.add(format!("{line} (exits with {status})"), &ran.told());
    }
    cases.as_written("wrong usage of each command");
    assert!(!scratch.join("dir").exists());
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
    let outside = Aci::new(&sound).file("rootfs/../../outside", 0o644, "x");
    for (bytes, title) in [
        (Vec::new(), "an empty file"),
        (b"#!/bin/sh\necho hello\n".to_vec(), "a script"),
        (hello[..hello.len() / 2].to_vec(), "half an image"),
        (corrupt, "a corrupt image"),
        (Aci::empty().dir("rootfs").bytes(), "no manifest"),
        (
            Aci::empty().file("manifest", 0o644, &sound).bytes(),
            "no root",
        ),
        (
            Aci::new(&sound).file("README", 0o644, "hello").bytes(),
            "a file beside them",
        ),
        (outside.bytes(), "a path that leads out"),
        (
            Aci::new("{\"acKind\": \"ImageManifest\",").bytes(),
            "a manifest that is cut short",
        ),
        (
            Aci::new(&pod_manifest).bytes(),
            "the manifest of a pod in an image",
        ),
    ] {
        refused(&bytes, OURS, title);
    }
}

#[test]
fn images_that_cannot_be_run() {
    require_root!();
    let app = |app: &str| Aci::new(&manifest(app)).bytes();
    for (bytes, title) in [
        (
            Aci::new(&manifest("null")).bytes(),
            "an image without an app",
        ),
        (
            app(r#"{"exec": [], "user": "0", "group": "0"}"#),
            "an app without a program",
        ),
        (
            app(r#"{"exec": ["/x"], "user": "nobody", "group": "0"}"#),
            "a user that the image does not have",
        ),
        (
            app(r#"{"exec": ["/x"], "user": "0", "group": "staff"}"#),
            "a group that the image does not have",
        ),
    ] {
        refused(&bytes, OURS, title);
    }
}

// --- programs that do not start ---

#[test]
fn programs_that_do_not_start() {
    require_root!();
    for (image, status, title) in [
        (
            Aci::new(&running(&["/no/such"])),
            127,
            "a program that is not there",
        ),
        (
            Aci::new(&running(&["no-such"])),
            127,
            "a program that is not in PATH",
        ),
        (
            Aci::new(&running(&["/data"])).file("rootfs/data", 0o644, "data"),
            126,
            "a file without the right to execute it",
        ),
        (
            Aci::new(&running(&["/data"])).file("rootfs/data", 0o755, "data"),
            126,
            "a file that is no program",
        ),
        (
            Aci::new(&running(&["/dir"])).dir("rootfs/dir"),
            126,
            "a directory",
        ),
        (
            Aci::new(&running(&["/text"])).file("rootfs/text", 0o755, "echo\n"),
            126,
            "a script that names no interpreter",
        ),
        (
            Aci::new(&running(&["/script"])).file("rootfs/script", 0o755, "#!/bin/sh\n"),
            126,
            "a script without its interpreter",
        ),
        (
            Aci::new(&running(&["script"])).file("rootfs/bin/script", 0o755, "#!/bin/sh\n"),
            126,
            "a script in PATH without its interpreter",
        ),
        (
            Aci::new(&running(&["/script"]))
                .file("rootfs/bin/sh", 0o755, "#!/none")
                .file("rootfs/script", 0o755, "#!/bin/sh\r\necho\r\n"),
            126,
            "a script with the line endings of DOS",
        ),
        (
            Aci::new(&running(&["/program"])).file("rootfs/program", 0o755, dynamic()),
            126,
            "a program without its loader",
        ),
        (
            Aci::new(&running(&["/script"]))
                .file("rootfs/bin/sh", 0o755, dynamic())
                .file("rootfs/script", 0o755, "#!/bin/sh\n"),
            126,
            "a script whose interpreter is without its loader",
        ),
    ] {
        refused(&image.bytes(), status, title);
    }
    let app = r#"{"exec": ["/x"], "user": "0", "group": "0", "workingDirectory": "/srv/nowhere"}"#;
    refused(
        &Aci::new(&manifest(app)).bytes(),
        OURS,
        "a working directory that is not there",
    );
}

/// The smallest program for this machine that names a loader: the header of a
/// file, that of a segment, and a name (elf(5)).
fn dynamic() -> Vec<u8> {
    let own = fs::read("/proc/self/exe").unwrap();
    let mut file = vec![0; 64 + 56];
    file[..20].copy_from_slice(&own[..20]);
    // ET_EXEC, and EV_CURRENT.
    (file[16], file[20]) = (2, 1);
    // The segments begin behind the header, have 56 bytes each, and are one.
    (file[32], file[52], file[54], file[56]) = (64, 64, 56, 1);
    // PT_INTERP, where its name is, and how long that is.
    let name = b"/lib/none.so\0";
    (file[64], file[64 + 8]) = (3, 120);
    file[64 + 32] = u8::try_from(name.len()).unwrap();
    file.extend_from_slice(name);
    file
}

// --- a host, or a caller, that lacks something ---

#[test]
fn a_host_without_proc() {
    require_root!();
    let unshare = tool!("unshare");
    let scratch = Scratch::new();
    let script = "umount -l /proc && exec \"$0\" --dir \"$@\"";
    let title = "a host without procfs";
    for options in [&[][..], &["--detach"]] {
        host::call(&unshare)
            .args(["--mount", "sh", "-c", script])
            .arg(host::program())
            .arg(scratch.join("dir"))
            .arg("run")
            .args(options)
            .arg(host::image("probe"))
            .run()
            .exits(OURS)
            .says("")
            .complains_as(title);
    }
}

#[test]
fn a_caller_that_lacks_what_apps_are_given() {
    require_root!();
    let setpriv = tool!("setpriv");
    let scratch = Scratch::new();
    for (capability, title) in [
        ("dac_override", "a caller that may not read everything"),
        ("sys_chroot", "a caller that lacks what apps are given"),
    ] {
        let without = format!("-{capability}");
        host::call(&setpriv)
            .args(["--bounding-set", &without, "--inh-caps", &without])
            .arg(host::program())
            .arg("--dir")
            .arg(scratch.join("dir"))
            .arg("run")
            .arg(host::image("probe"))
            .run()
            .exits(OURS)
            .says("")
            .complains_with(title);
    }
}

// --- files, directories and rights ---

#[test]
fn an_image_that_is_not_there() {
    require_root!();
    let scratch = Scratch::new();
    let file = scratch.join("none.aci");
    let run = |verb: &str| {
        let ran = launcher(&scratch.join("dir")).arg(verb).arg(&file).run();
        ran.naming("FILE", &file)
    };
    let title = "an image that is not there";
    run("run").exits(OURS).says("").complains_as(title);
    run("plan").exits(FAILED).says("").complains_as(title);
    let ran = run("validate").exits(FAILED).complains("");
    ran.says_as("what is not there is not valid");
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
        .naming("FILE", &file)
        .complains_as("a directory that is none");
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
        .complains_as("an ordinary user");
    assert!(!scratch.join("dir").exists());
}

#[test]
fn a_plan_that_is_none() {
    require_root!();
    let scratch = Scratch::new();
    let mut cases = Cases::default();
    for plan in [
        "",
        "plan 2\n",
        "plan 1\nfly\n",
        "plan 1\nhostname web\n",
        "plan 1\nhostname 'web\n",
    ] {
        let file = scratch.write("plan", plan);
        let run = launcher(&scratch.join("dir")).args(["run", "--plan"]);
        let ran = run.arg(&file).run().exits(OURS).says("");
        cases.add(plan.escape_debug(), &ran.naming("FILE", &file).told());
    }
    cases.as_written("a plan that is none");
}

/// Runs an image that is refused, and checks that nothing of the pod is left.
#[track_caller]
fn refused(image: &[u8], status: i32, title: &str) {
    let scratch = Scratch::new();
    let file = scratch.write("some.aci", image);
    pod(&scratch.join("dir"), &file, &[])
        .run()
        .naming("FILE", &file)
        .complains_as(title)
        .exits(status)
        .says("");
    for dir in ["tmp", "pods/embryo", "pods/run", "pods/garbage"] {
        let dir = scratch.join("dir").join(dir);
        let left: Vec<_> = fs::read_dir(&dir).into_iter().flatten().collect();
        assert!(left.is_empty(), "left in {}: {left:?}", dir.display());
    }
}
