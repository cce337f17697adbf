//! Images: from an archive's bytes to a verified, unpacked tree in the store.

pub(crate) mod rootfs;
