//! Contexts of SELinux: apps and commands have the one that was asked for, and
//! are held to it.

use std::fs;
use std::path::{Path, PathBuf};

use super::labelled;
use crate::host::{self, Scratch};

/// A context of the policy in `tests/guest`.
const CONTEXT: &str = "test:test:app:s0";

fn is_active() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}

/// An image of the probe that asks for a context.
fn image(scratch: &Scratch, context: &str) -> PathBuf {
    let words: Vec<_> = context.split(':').collect();
    let [user, role, kind, level] = words[..] else {
        panic!("`{context}` has not four parts");
    };
    let value =
        format!(r#"{{"user": "{user}", "role": "{role}", "type": "{kind}", "level": "{level}"}}"#);
    let name = "os/linux/selinux-context";
    super::image(
        scratch,
        &format!(r#"[{{"name": "{name}", "value": {value}}}]"#),
    )
}

#[test]
fn a_context_is_ignored_where_there_is_no_module_for_it() {
    require_root!();
    if is_active() {
        skip!("needs a kernel without SELinux");
    }
    let scratch = Scratch::new();
    let image = image(&scratch, CONTEXT);
    host::pod(&scratch.join("dir"), &image, &["--stdout", "runs"])
        .run()
        .exits(0)
        .says("runs\n")
        .complains_as("a context is ignored where there is no module for it");
}

#[test]
fn a_context_that_only_an_image_asks_for_is_not_taken() {
    require_root!();
    if !is_active() {
        skip!("needs a kernel with SELinux");
    }
    let scratch = Scratch::new();
    let image = image(&scratch, "no:such:context:s0");
    host::pod(&scratch.join("dir"), &image, &["--stdout", "runs"])
        .run()
        .exits(0)
        .says("runs\n")
        .complains_as("a context that only an image asks for");
}

#[test]
fn an_app_does_not_run_without_the_context_that_it_asks_for() {
    require_root!();
    if !is_active() {
        skip!("needs a kernel with SELinux");
    }
    let scratch = Scratch::new();
    let image = image(&scratch, "no:such:context:s0");
    super::granted(&scratch, &image)
        .exits(125)
        .says("")
        .complains_as("an app does not run without the context that it asks for");
}

#[test]
fn an_app_and_its_commands_are_held_to_its_context() {
    const UUID: &str = "1f0c1d52-8f4e-4a55-9c0f-2f6f2a6f7a12";
    require_root!();
    if fs::write("/sys/fs/selinux/context", CONTEXT).is_err() {
        skip!("needs a kernel with SELinux, and a policy with the context `{CONTEXT}`");
    }
    let scratch = Scratch::new();
    labelled(
        UUID,
        &scratch,
        &image(&scratch, CONTEXT),
        &format!("{CONTEXT}\0open /dev/full: EACCES\n"),
    );
}
