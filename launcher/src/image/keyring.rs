use super::openpgp::*;
pub(crate) struct Keyring;
impl Keyring {
    pub(crate) fn open(_: &crate::ground::dirs::Dirs) -> crate::ground::Result<Self> {
        Ok(Keyring)
    }
    pub(crate) fn verify(
        &self,
        _: Check,
        _: &crate::words::types::AcIdentifier,
    ) -> crate::ground::Result<Signer> {
        Ok(Signer)
    }
}
