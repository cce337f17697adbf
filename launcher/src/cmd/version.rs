//! `launcher version`.

/// How to use this command.
pub(crate) const HELP: &str = "\
Usage: launcher version

Shows the versions of Nose Cone, of the specification, and of plans.
";

/// Returns the versions, a line each.
pub(crate) fn text() -> String {
    format!(
        "nosecone {}\nappc {}\nplan {}\n",
        env!("CARGO_PKG_VERSION"),
        appc::manifest::SPECIFICATION,
        stage1_init::VERSION,
    )
}
