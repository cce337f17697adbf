//! The types of the App Container specification: text that has been validated,
//! so that it need not be checked again.

mod annotation;
mod date;
mod duration;
mod label;
mod name;
mod path;
mod precedence;
mod quantity;
mod url;
mod uuid;
mod version;

pub use crate::types::annotation::{Annotation, Annotations, NOTIFY};
pub use crate::types::date::{
    read as read_time, spell as spell_time, spell_day, spell_exactly as spell_time_exactly,
};
pub use crate::types::duration::duration;
pub use crate::types::label::{HOST_ARCH, HOST_OS, Label, Labels};
pub use crate::types::name::{AcIdentifier, AcName};
pub use crate::types::path::{absolute, clean};
pub use crate::types::precedence::compare_versions;
pub use crate::types::quantity::Quantity;
pub use crate::types::uuid::Uuid;
pub use crate::types::version::Version;
