//! Trust in images: signatures, keys, and what each key may sign.

pub mod admitted;
pub(crate) mod blob;
pub(crate) mod guarded;
pub mod keyring;
pub mod locks;
pub mod openpgp;
pub mod policy;
pub mod privilege;
pub(crate) mod signatures;
pub(crate) mod sigstore;
pub mod verify;
