//! Exit codes, as shells and container runtimes have them.

/// The command line, the plan or a directive failed.
pub(crate) const OURS: u8 = 125;
/// A program could not be executed.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// A program was not found.
pub(crate) const NOT_FOUND: u8 = 127;

/// Turns a wait status, as wait(2) packs it, into an exit code.
pub(crate) fn of(status: u32) -> u8 {
    let [low, code, ..] = status.to_le_bytes();
    match low & 0x7f {
        0 => code,
        signal => 128 + signal,
    }
}
