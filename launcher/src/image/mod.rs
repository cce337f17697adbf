//! Images: from an archive's bytes to a verified, unpacked tree in the store.

mod archive;
#[allow(dead_code, reason = "no command fetches yet")]
pub(crate) mod credentials;
mod decompress;
mod deflate;
pub(crate) mod discovery;
mod extract;
mod frame;
mod gzip;
#[allow(dead_code, reason = "no command fetches yet")]
pub(crate) mod http;
pub(crate) mod local;
mod meta;
mod names;
pub(crate) mod rootfs;
pub(crate) mod staging;
pub(crate) mod store;
mod stream;
pub(crate) mod survey;
pub(crate) mod tree;
pub(crate) mod verify;
