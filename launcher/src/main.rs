//! Nose Cone: finds, verifies, stores and runs App Container images.
mod error;
fn main() {}
