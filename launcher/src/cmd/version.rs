//! `launcher version`.

/// Returns the versions, one per line.
pub(crate) fn text() -> String {
    format!(
        "nosecone {}\nappc {}\nplan {}\n",
        env!("CARGO_PKG_VERSION"),
        appc::manifest::SPECIFICATION,
        stage1_init::VERSION,
    )
}
