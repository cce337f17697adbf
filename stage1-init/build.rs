//! Links `stage1-init`, which has no libc and no start files.

use std::env;

/// What the linker is told, and why.
const LINK: &[(&str, &str)] = &[
    ("-nostartfiles", "The entry point is our own `_start`."),
    ("-nostdlib", "There is no libc, and nothing else is linked."),
    (
        "-static",
        "There is no loader in a root that we did not write.",
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

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_FREESTANDING").is_some() {
        for (argument, _why) in LINK {
            println!("cargo:rustc-link-arg-bins={argument}");
        }
    }
}
