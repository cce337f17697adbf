//! Compiles the default filter of system calls and that of PID 1, and embeds
//! them, so that no run has to compile them.

use std::env;
use std::path::PathBuf;

#[path = "src/seccomp/calls.rs"]
mod calls;
#[path = "src/seccomp/default.rs"]
mod default;
#[path = "src/seccomp/errno.rs"]
#[allow(dead_code, reason = "here only the default filter is compiled")]
mod errno;
#[path = "src/seccomp/init.rs"]
mod init;
#[path = "src/seccomp/listing.rs"]
mod listing;
#[path = "src/seccomp/numbers.rs"]
mod numbers;
#[path = "src/seccomp/program.rs"]
#[allow(dead_code, reason = "here only the default filter is compiled")]
mod program;
#[path = "src/seccomp/second.rs"]
#[allow(dead_code, reason = "here only the default filter is compiled")]
mod second;

/// Writes the filters, and the summary of the default one, into files that
/// `seccomp` includes.
fn main() {
    println!("cargo:rerun-if-changed=src/seccomp");
    let directory = PathBuf::from(variable("OUT_DIR"));
    let conditions = default::Conditions {
        has: &|word| word == default::BY_DEFAULT,
        ptrace: true,
    };
    // On any other architecture there is no stage1-init to install it either.
    let arch = calls::Arch::named(&variable("CARGO_CFG_TARGET_ARCH"));
    let filters = arch.map(|arch| second::filters(arch, &conditions));
    let bytes = filters.as_ref().map(program::bytes);
    let init = arch.map(|arch| program::bytes([&init::filter(arch)]));
    let summary = filters
        .as_ref()
        .and_then(|all| all.first())
        .map(listing::listing);
    for (name, content) in [
        ("default.bpf", bytes.unwrap_or_default()),
        ("init.bpf", init.unwrap_or_default()),
        ("default.txt", summary.unwrap_or_default().into_bytes()),
    ] {
        std::fs::write(directory.join(name), content)
            .expect("cargo made the directory for what build scripts write");
    }
}

fn variable(name: &str) -> String {
    env::var(name).expect("cargo sets it for build scripts")
}
