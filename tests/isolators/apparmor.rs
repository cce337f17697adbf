//! Profiles of AppArmor: apps and commands have the one that was asked for,
//! and are held to it.

use std::fs;
use std::path::PathBuf;

use super::labelled;
use crate::host::{self, Ran, Scratch, call};

/// A profile, in the kernel for as long as this is in scope.
struct Profile {
    parser: PathBuf,
    rules: String,
}

impl Profile {
    fn new(parser: PathBuf, name: &str, rules: &str) -> Self {
        let rules = format!("profile {name} flags=(attach_disconnected) {{ {rules} }}\n");
        let profile = Self { parser, rules };
        profile.load("-r").exits(0);
        profile
    }

    fn load(&self, mode: &str) -> Ran {
        let parser = call(&self.parser).args(["-K", mode]);
        parser.input(self.rules.clone()).run()
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        self.load("-R");
    }
}

fn is_active() -> bool {
    let enabled = fs::read("/sys/module/apparmor/parameters/enabled");
    enabled.is_ok_and(|answer| answer.starts_with(b"Y"))
}

/// An image of the probe that asks for a profile.
fn image(scratch: &Scratch, profile: &str) -> PathBuf {
    let value = format!(r#"{{"profile": "{profile}"}}"#);
    let name = "os/linux/apparmor-profile";
    super::image(
        scratch,
        &format!(r#"[{{"name": "{name}", "value": {value}}}]"#),
    )
}

#[test]
fn a_profile_is_ignored_where_there_is_no_module_for_it() {
    require_root!();
    if is_active() {
        skip!("needs a kernel without AppArmor");
    }
    let scratch = Scratch::new();
    let image = image(&scratch, "nosecone-any");
    host::pod(&scratch.join("dir"), &image, &["--stdout", "runs"])
        .run()
        .exits(0)
        .says("runs\n")
        .complains_as("a profile is ignored where there is no module for it");
}

#[test]
fn a_profile_that_only_an_image_asks_for_is_not_taken() {
    require_root!();
    if !is_active() {
        skip!("needs a kernel with AppArmor");
    }
    let scratch = Scratch::new();
    let image = image(&scratch, "nosecone-no-such");
    host::pod(&scratch.join("dir"), &image, &["--stdout", "runs"])
        .run()
        .exits(0)
        .says("runs\n")
        .complains_as("a profile that only an image asks for");
}

#[test]
fn an_app_does_not_run_without_the_profile_that_it_asks_for() {
    require_root!();
    if !is_active() {
        skip!("needs a kernel with AppArmor");
    }
    let scratch = Scratch::new();
    let image = image(&scratch, "nosecone-no-such");
    super::granted(&scratch, &image)
        .exits(125)
        .says("")
        .complains_as("an app does not run without the profile that it asks for");
}

#[test]
fn an_app_and_its_commands_are_held_to_its_profile() {
    const NAME: &str = "nosecone-test";
    const UUID: &str = "1f0c1d52-8f4e-4a55-9c0f-2f6f2a6f7a10";
    require_root!();
    if !is_active() {
        skip!("needs a kernel with AppArmor");
    }
    let parser = tool!("apparmor_parser");
    let rules = "file, capability, signal, deny /dev/full w,";
    let _profile = Profile::new(parser, NAME, rules);
    let scratch = Scratch::new();
    labelled(
        UUID,
        &scratch,
        &image(&scratch, NAME),
        &format!("{NAME} (enforce)\nopen /dev/full: EACCES\n"),
    );
}
