//! The store: images, their names, leases on them, and what removes them.

pub mod gc;
pub mod images;
pub(crate) mod known;
pub mod layers;
pub(crate) mod lease;
pub(crate) mod names;
pub(crate) mod objects;
pub mod record;
pub mod rootfs;
pub mod rootfs_view;
pub mod staging;
