//! Golden plans: what `run` would do with the images that everybody can build,
//! whole, so that every change of it is seen in review.
//!
//! `UPDATE=1 cargo test -p launcher --test tests plans` writes them anew.

use std::env;
use std::fs;
use std::path::Path;

use crate::claims;
use crate::host::{self, Scratch, launcher};
use crate::kernel;

/// Of the pod whose plan is shown; any will do.
const UUID: &str = "6f0c1d52-8f4e-4a55-9c0f-2f6f2a6f7a10";

#[test]
fn planning_needs_no_root_and_leaves_nothing_behind() {
    require_root!();
    let scratch = Scratch::new();
    // Where an ordinary user finds them, whatever directories lead to ours.
    let program = host::public_copy(&scratch, &host::program(), "launcher");
    let image = host::public_copy(&scratch, &host::image("hello"), "hello.aci");
    let dir = scratch.join("dir");
    let ran = host::call(&program)
        .user(1000)
        .arg("--dir")
        .arg(&dir)
        .arg("plan")
        .arg(image)
        .run()
        .exits(0)
        .complains("");
    assert!(ran.stdout.starts_with("plan 1\n"), "{}", ran.stdout);
    assert!(!dir.exists());
}

#[test]
fn the_plan_of_hello_is_as_it_was() {
    golden("hello", "text");
}

#[test]
fn the_plan_of_hello_as_json_is_as_it_was() {
    if Path::new("/sys/devices/system/cpu/cpu0/thermal_throttle").exists() {
        skip!("needs processors that have nothing to hide");
    }
    if !kernel::numbers_end() {
        skip!("needs a kernel on which pods count their processes themselves");
    }
    golden("hello", "json");
}

#[test]
fn the_plan_of_busybox_is_as_it_was() {
    let _ = image!("busybox");
    golden("busybox", "text");
}

#[test]
fn the_plan_of_debian_is_as_it_was() {
    let _ = image!("debian");
    golden("debian", "text");
}

#[test]
fn the_plan_of_two_apps_with_volumes_is_as_it_was() {
    let _ = image!("busybox");
    let (busybox, hello) = (host::image("busybox"), host::image("hello"));
    let words = [
        "--hostname",
        "both",
        "--volume",
        "data,kind=empty,mode=0770,gid=7",
        "--volume",
        "docs,kind=host,source=/usr/share,readOnly=true,recursive=false",
        "--volume",
        "users,kind=host,source=/etc/passwd",
        "--set-env",
        "STAGE=test",
        busybox.to_str().unwrap(),
        "--mount",
        "volume=data,target=/data",
        "--mount",
        "volume=docs,target=/usr/share/docs",
        "--mount",
        "volume=users,target=/srv/users",
        "--readonly-rootfs",
        "--user",
        "7",
        "--",
        "-c",
        "ls /data",
        "---",
        hello.to_str().unwrap(),
        "--name",
        "greeter",
        "--mount",
        "volume=data,target=/data",
        "--no-new-privileges",
    ];
    compare("pod.text", "text", &words);
}

#[test]
fn the_plan_of_changes_in_memory_is_as_it_was() {
    let hello = host::image("hello");
    let words = ["--writable=memory:64Mi", hello.to_str().unwrap()];
    compare("memory.text", "text", &words);
}

#[test]
fn what_plan_prints_is_what_run_takes() {
    require_root!();
    let scratch = Scratch::new();
    let run = |words: &[&str]| launcher(&scratch.join("dir")).args(words);
    // The plan names the unpacked image, so it has to be there.
    let image = host::image("hello");
    let image = image.to_str().unwrap();
    run(&["run", image]).run().exits(0);
    for format in ["text", "json", "words"] {
        let plan = run(&["plan", "--format", format, "--hostname", "planned", image])
            .run()
            .exits(0);
        let file = scratch.write("plan", &plan.stdout);
        let ran = run(&["run", "--plan"]).arg(file).run().exits(0);
        ran.complains("")
            .says("Hello from hello, process 2 on planned\n");
    }
}

/// Compares the plan of an image with the file in `tests/golden`.
#[track_caller]
fn golden(name: &str, format: &str) {
    if !cfg!(target_arch = "x86_64") {
        skip!("needs x86_64, whose system calls the plan lists");
    }
    let image = host::image(name);
    compare(
        &format!("{name}.{format}"),
        format,
        &[image.to_str().unwrap()],
    );
}

/// Compares a plan with a file in `tests/golden`, or writes that.
#[track_caller]
fn compare(file: &str, format: &str, words: &[&str]) {
    let scratch = Scratch::new();
    compare_in(&scratch.join("dir"), file, format, words);
}

/// The same with images that are stored in a data directory.
#[track_caller]
pub(crate) fn compare_in(dir: &Path, file: &str, format: &str, words: &[&str]) {
    let ran = launcher(dir)
        .args(["plan", "--uuid", UUID, "--format", format])
        .args(words)
        .run()
        .exits(0)
        .complains("");
    let plan = anonymous(&ran.stdout, &dir.display().to_string());
    let path = host::project().join("tests/golden").join(file);
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, &plan).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    claims::same(
        &format!("the plan in {file} (if it is meant to, UPDATE=1 writes it anew)"),
        &plan,
        &expected,
    );
}

/// Takes out what differs between hosts and toolchains: the directory, the ID
/// of the image, how many processors have something to hide, and by what the
/// kernel counts processes.
fn anonymous(plan: &str, dir: &str) -> String {
    let mut text = plan.replace(dir, "/DIR");
    for algorithm in ["sha512-", "sha256-"] {
        while let Some(at) = text.find(algorithm) {
            let rest = &text[at + algorithm.len()..];
            let digits = rest
                .find(|c: char| !c.is_ascii_hexdigit())
                .unwrap_or(rest.len());
            text.replace_range(at..at + algorithm.len() + digits, "IMAGE-ID");
        }
    }
    text.lines()
        .filter(|line| !line.contains("thermal_throttle"))
        .filter(|line| !line.starts_with("cgroup ") && !line.starts_with("sysctl kernel.pid_max "))
        .map(|line| format!("{line}\n"))
        .collect()
}
