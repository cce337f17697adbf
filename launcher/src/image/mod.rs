//! Images: from an archive's bytes to a verified, unpacked tree in the store.

mod archive;
mod decompress;
mod deflate;
mod extract;
mod flush;
mod frame;
pub(crate) mod gc;
mod gzip;
pub(crate) mod hold;
mod inflate;
mod members;
mod meta;
mod names;
mod pax;
pub(crate) mod rootfs;
pub(crate) mod staging;
pub(crate) mod store;
mod stream;
pub(crate) mod survey;
pub(crate) mod tree;
pub(crate) mod verify;
