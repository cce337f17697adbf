//! The log of a pod: what its apps write, kept as records of a time, a stream and
//! some bytes, within a size.
//!
//! ```text
//! app --pipe--> outer half of stage1-init --> LOG/APP/log, and LOG/APP/log.1
//! ```
//!
//! LOG is in the directory of the pod, or in memory; see [`place`]. What a record
//! is says [`record`]. A file that would grow too large becomes `log.1`, which it
//! replaces: [`source`] reads the two as one. [`lines`] makes lines of records.

pub mod lines;
pub mod memory;
pub mod place;
pub mod record;
pub mod source;
