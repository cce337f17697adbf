//! Who vouches for an image: signatures, keys, and whose signature counts.

pub mod keyring;
pub mod openpgp;
pub mod privilege;
pub mod verify;
