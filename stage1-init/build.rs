//! Links `stage1-init`, which has no libc and no start files.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The arguments for the linker, as for a compiler that calls it, and the reasons.
const LINK: &[(&str, &str)] = &[
    ("-nostartfiles", "The entry point is our own `_start`."),
    ("-nostdlib", "There is no libc, and nothing else is linked."),
    (
        "-static",
        "A root that somebody else has filled has no loader for it.",
    ),
    (
        "-no-pie",
        "Nothing would apply the relocations of a position-independent program. \
         Only the address of the code is fixed: the kernel still places the \
         stack, and mappings, at random.",
    ),
    (
        "-Wl,--build-id=none",
        "The same sources give the same bytes, and fewer of them.",
    ),
    ("-Wl,--no-eh-frame-hdr", "Nothing unwinds."),
    (
        "-Wl,--gc-sections",
        "Unused code is left out, even without optimisation.",
    ),
    ("-Wl,-z,noexecstack", "The stack holds data."),
    (
        "-Wl,-z,nosectionheader",
        "Nobody needs a table of sections to run it. Older linkers pass over this.",
    ),
];

/// Where the linker puts everything.
///
/// The whole program is one segment that can be read and executed, so that no
/// page of the file is mapped twice. None of it is writable: all variables are
/// on the stack, and the linker refuses others. Tables for unwinding would be a
/// fifth of the program, and nothing unwinds.
const SCRIPT: &str = r#"
ENTRY(_start)
PHDRS {
    program PT_LOAD FILEHDR PHDRS FLAGS(5);
    stack PT_GNU_STACK FLAGS(6);
}
SECTIONS {
    . = 0x200000 + SIZEOF_HEADERS;
    .text : { *(.rodata .rodata.* .srodata .srodata.* .data.rel.ro .data.rel.ro.* .got .got.plt) *(.text .text.*) } :program
    /DISCARD/ : { *(.eh_frame) *(.gcc_except_table*) *(.data.DW.ref.*) *(.ARM.exidx*) *(.ARM.extab*) *(.comment) }
    .data : { *(.data .data.* .sdata .sdata.* .bss .bss.* .sbss .sbss.* COMMON) }
    ASSERT(SIZEOF(.data) == 0, "stage1-init has a variable that is not on its stack")
}
"#;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_FREESTANDING").is_none() {
        return;
    }
    let bare = is_bare(&env::var_os("RUSTC_LINKER").unwrap_or_default());
    let say = |argument: &str| match argument.strip_prefix("-Wl,") {
        Some(arguments) if bare => arguments.split(',').for_each(pass),
        // Only a compiler adds start files.
        None if bare && argument == "-nostartfiles" => {}
        _ => pass(argument),
    };
    for (argument, _why) in LINK {
        say(argument);
    }
    let directory = env::var_os("OUT_DIR").expect("cargo sets it for build scripts");
    let script = PathBuf::from(directory).join("link.ld");
    fs::write(&script, SCRIPT).expect("OUT_DIR can be written");
    say(&format!("-Wl,-T,{}", script.display()));
}

fn pass(argument: &str) {
    println!("cargo:rustc-link-arg-bins={argument}");
}

/// Tells whether cargo was given a bare linker, such as `rust-lld` or `ld.lld`,
/// and not a compiler. For another machine, nothing else is needed.
fn is_bare(linker: &OsStr) -> bool {
    let name = Path::new(linker).file_name().unwrap_or_default();
    name.as_encoded_bytes().ends_with(b"ld")
}
