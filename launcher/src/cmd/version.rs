//! `launcher version`.

use crate::cmd::results::Format;
use appc::json::Object;
use appc::manifest::SPECIFICATION;
use stage1_init::VERSION;

const NOSECONE: &str = env!("CARGO_PKG_VERSION");

/// Returns the versions; as text, one per line.
pub(crate) fn spell(format: Format) -> String {
    let json = || {
        Object::new()
            .with("nosecone", NOSECONE)
            .with("appc", SPECIFICATION)
            .with("plan", VERSION)
            .into()
    };
    format.spell(
        || format!("nosecone {NOSECONE}\nappc {SPECIFICATION}\nplan {VERSION}\n"),
        json,
    )
}
