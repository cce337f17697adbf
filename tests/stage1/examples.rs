//! The examples of the README, as somebody would try them.

use std::env;
use std::fs;
use std::path::Path;

use crate::host::{self, Scratch, project};

/// An example: its program, and what that prints.
struct Example {
    program: String,
    printed: String,
}

impl Example {
    /// Takes the first two blocks below a heading out of the README.
    fn below(heading: &str) -> Self {
        let readme = fs::read_to_string(project().join("stage1-init/README.md")).unwrap();
        let (_, below) = readme.split_once(&format!("\n### {heading}\n")).unwrap();
        let mut blocks = below.split("\n```").skip(1).step_by(2).map(|block| {
            let (_language, text) = block.split_once('\n').unwrap();
            format!("{text}\n")
        });
        Self {
            program: blocks.next().unwrap(),
            printed: blocks.next().unwrap(),
        }
    }

    /// Runs it with an interpreter, where `stage1-init` is found in PATH.
    fn run(&self, interpreter: &Path) -> host::Ran {
        let scratch = Scratch::new();
        host::copy_program(&host::stage1(), &scratch.join("stage1-init"));
        let path = env::var("PATH").unwrap_or_default();
        // What it prints, and what is said about it, in one order.
        host::call(Path::new("/bin/sh"))
            .args(["-c", "exec \"$@\" 2>&1", "sh"])
            .arg(interpreter)
            .arg(scratch.write("example", &self.program))
            .env("PATH", format!("{}:{path}", scratch.path().display()))
            .dir(scratch.path())
            .run()
    }
}

#[test]
fn the_safe_plan_keeps_its_app_from_the_host() {
    require_root!();
    let _busybox = tool!("busybox");
    let example = Example::below("A safe plan");
    let ran = example.run(Path::new("/bin/sh"));
    // Its processes are numbered as they come.
    let numberless = |text: &str| {
        text.lines()
            .map(|line| {
                line.trim_start()
                    .trim_start_matches(|c: char| c.is_ascii_digit())
            })
            .collect::<Vec<_>>()
            .join("\n")
    };
    let ran = ran.exits(3);
    assert_eq!(numberless(&ran.stdout), numberless(&example.printed));
}

#[test]
fn another_runtime_gets_terminals_cgroups_filters_and_ways_in() {
    require_root!();
    let python = tool!("python3");
    if !["/sys/fs/cgroup/pids", "/sys/fs/cgroup/pids.max"]
        .map(Path::new)
        .iter()
        .any(|path| path.exists())
    {
        skip!("needs cgroups that count processes");
    }
    let example = Example::below("Another runtime");
    example.run(&python).exits(0).says(&example.printed);
}
