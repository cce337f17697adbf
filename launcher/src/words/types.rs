//! The types of the App Container specification: text that has been checked,
//! so that nobody downstream has to check it again.

mod annotation;
mod date;
mod duration;
mod label;
mod name;
mod path;
mod quantity;
mod url;
mod uuid;
mod version;

pub(crate) use annotation::{Annotation, Annotations};
pub(crate) use date::{
    read as read_time, spell as spell_time, spell_exactly as spell_time_exactly,
};
pub(crate) use duration::duration;
pub(crate) use label::{HOST_ARCH, HOST_OS, Label, Labels};
pub(crate) use name::{AcIdentifier, AcName};
pub(crate) use path::{absolute, clean};
pub(crate) use quantity::Quantity;
pub(crate) use uuid::Uuid;
pub(crate) use version::Version;
