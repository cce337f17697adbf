//! The image store: images, layers, names, leases and garbage collection.

pub(crate) mod archive_index;
pub mod blobs;
pub mod gc;
pub mod images;
pub mod layers;
pub(crate) mod lease;
pub mod listing;
pub(crate) mod names;
pub(crate) mod objects;
pub mod record;
pub mod rootfs;
pub mod rootfs_view;
pub mod staging;
pub mod usage;
