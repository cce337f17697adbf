//! The log of a pod: what its apps write, stored as records of a time, a stream
//! and some bytes, and limited in size.
//!
//! ```text
//! app --pipe--> outer half of stage1-init --> LOG/APP/log, and LOG/APP/log.1
//! ```
//!
//! LOG is in the pod's directory or in memory; see [`place`]. [`record`]
//! defines the records. A file that would grow too large is renamed to `log.1`,
//! replacing the previous one: [`source`] reads the two as one. [`lines`] makes
//! lines from records.

pub mod lines;
pub mod memory;
pub mod place;
pub mod record;
pub mod source;
