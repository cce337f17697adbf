//! Signed messages, as `gpg --sign` makes them: what is signed and the signatures, in
//! one file and usually compressed (RFC 9580, section 10.3).

use std::io::Read as _;

use pgp::packet::Packet;

use crate::trust::openpgp::check::Check;
use crate::trust::openpgp::{SIGNATURE_LIMIT, packets};
use error::{Error, Result};
use sys::size;

/// Opens a message: returns what is signed, and a check that has seen it. Nothing in
/// it is to be believed before the check has ended.
///
/// # Errors
///
/// It is too large or broken, or not a signed message.
pub(crate) fn open(message: &[u8]) -> Result<(Vec<u8>, Check)> {
    let what = "the signature";
    let too_large = || {
        let most = size::spell(SIGNATURE_LIMIT as u64);
        Error::invalid(format!("{what} is larger than {most}"))
    };
    if message.len() > SIGNATURE_LIMIT {
        return Err(too_large());
    }
    let mut found = packets::read(what, message)?;
    if let [Packet::CompressedData(compressed)] = found.as_slice() {
        let broken = |_| Error::invalid(format!("{what} is broken or truncated"));
        let mut plain = Vec::new();
        let input = compressed.decompress().map_err(broken)?;
        let read = input
            .take(SIGNATURE_LIMIT as u64 + 1)
            .read_to_end(&mut plain);
        read.map_err(|_| Error::invalid(format!("{what} is broken or truncated")))?;
        if plain.len() > SIGNATURE_LIMIT {
            return Err(too_large());
        }
        found = packets::read(what, &plain)?;
    }
    let (mut content, mut signatures) = (None, Vec::new());
    for packet in found {
        match packet {
            Packet::OnePassSignature(_) if content.is_none() => {}
            Packet::LiteralData(literal) if content.is_none() => {
                content = Some(literal.data().to_vec());
            }
            Packet::Signature(signature) => signatures.push(signature),
            _ => return Err(Error::invalid(format!("{what} is not a signed message"))),
        }
    }
    let content = content.ok_or_else(|| Error::invalid(format!("{what} has no content")))?;
    let mut check = Check::of(signatures)?;
    check.update(&content);
    Ok((content, check))
}
