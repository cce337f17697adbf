//! Archives: compression and tar, both ways.

pub(crate) mod decompress;
pub(crate) mod deflate;
pub(crate) mod disk;
pub(crate) mod extract;
pub(crate) mod file_writer;
pub(crate) mod fixed_header;
pub(crate) mod gzip;
pub(crate) mod holes;
pub(crate) mod inflate;
pub(crate) mod pax;
pub(crate) mod replaced;
pub(crate) mod sparse;
pub mod stream;
pub(crate) mod tar_header;
pub(crate) mod tar_reader;
pub(crate) mod tar_split;
pub(crate) mod unpack;
pub mod walk;
pub(crate) mod writeback;
pub(crate) mod zstd;
