//! Trust in images: signatures, keys, and what each key may sign.

pub(crate) mod blob;
pub mod keyring;
pub mod openpgp;
pub mod privilege;
pub mod verify;
