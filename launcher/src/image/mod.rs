//! Images: from an archive's bytes to a verified, unpacked tree in the store.

mod archive;
pub(crate) mod credentials;
mod decompress;
mod deflate;
pub(crate) mod discovery;
mod extract;
pub(crate) mod fetch;
mod frame;
mod gzip;
pub(crate) mod http;
pub(crate) mod keyring;
pub(crate) mod local;
mod meta;
mod names;
pub(crate) mod openpgp;
mod remembered;
pub(crate) mod rootfs;
pub(crate) mod staging;
pub(crate) mod store;
mod stream;
pub(crate) mod survey;
pub(crate) mod tree;
pub(crate) mod verify;
