//! From images and options to what runs.

pub mod dependencies;
pub mod devices;
pub mod dry_run;
pub mod identity;
pub mod isolators;
pub mod merge;
pub mod reify;
pub mod volume;
