//! How to compile stage1-init, for whoever starts the compiler.

/// Returns the flags for the compiler that make stage1-init smaller, separated
/// as `CARGO_ENCODED_RUSTFLAGS` wants them. `arch` is the machine's name in the
/// compiler's `target_arch`.
pub(crate) fn flags(arch: &str) -> String {
    let mut flags = vec![
        // It is linked to one address, and needs no detours to find itself.
        "-Crelocation-model=static",
        // Then a table of addresses is larger than comparisons.
        "-Cjump-tables=no",
        // Found by trying: more is larger, and less is, too.
        "-Cllvm-args=-inline-threshold=10",
        // Ends of blocks that are the same are shared from two instructions on,
        // and not from three.
        "-Cllvm-args=-tail-merge-size=2",
        // What a loop needs is made where it is used: kept from before, it takes a
        // register, which is then saved and restored.
        "-Cllvm-args=-disable-machine-licm",
    ];
    // 32-bit ARM has two sets of instructions. In the one that compilers choose
    // the init would be a third larger.
    if arch == "arm" {
        flags.push("-Ctarget-feature=+thumb-mode");
    }
    flags.join("\u{1f}")
}
