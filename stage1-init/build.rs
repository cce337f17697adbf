//! Links `stage1-init`, which has no libc and no start files.

use std::path::PathBuf;
use std::{env, fs};

/// What the linker is told, and why.
const LINK: &[(&str, &str)] = &[
    ("-nostartfiles", "The entry point is our own `_start`."),
    ("-nostdlib", "There is no libc, and nothing else is linked."),
    (
        "-static",
        "A root that we did not write has no loader for us.",
    ),
    (
        "-no-pie",
        "Nobody would apply a position-independent program's relocations.",
    ),
    (
        "-Wl,--build-id=none",
        "Equal sources give equal bytes, and fewer of them.",
    ),
    (
        "-Wl,-z,noseparate-code",
        "Code and constants share pages, which stay resident.",
    ),
    ("-Wl,-z,norelro", "There are no relocations to protect."),
    ("-Wl,--no-eh-frame-hdr", "Nothing unwinds."),
    (
        "-Wl,--gc-sections",
        "What is not called is left out, without optimisation too.",
    ),
    ("-Wl,-z,noexecstack", "The stack holds data."),
];

/// Added to the linker's own script: tables for unwinding are a fifth of the
/// program, and nothing unwinds.
const SCRIPT: &str = "SECTIONS { /DISCARD/ : { *(.eh_frame) *(.ARM.exidx*) *(.comment) } }
INSERT AFTER .text;
";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_FREESTANDING").is_none() {
        return;
    }
    for (argument, _why) in LINK {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    let directory = env::var_os("OUT_DIR").expect("cargo sets it for build scripts");
    let script = PathBuf::from(directory).join("discard.ld");
    fs::write(&script, SCRIPT).expect("OUT_DIR can be written");
    println!("cargo:rustc-link-arg-bins=-Wl,-T,{}", script.display());
}
