//! The store: images, their names, leases on them, and what removes them.

pub mod gc;
pub mod images;
pub mod known;
pub(crate) mod lease;
pub mod names;
pub mod record;
pub mod rootfs;
pub mod rootfs_view;
pub mod staging;
