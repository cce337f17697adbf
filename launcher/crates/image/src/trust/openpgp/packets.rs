//! Parses the packets of a file, with or without ASCII armour.
//!
//! A file is parsed completely or rejected. rPGP's own key parsers silently
//! skip broken and incomplete packets, which could be revocations.

use std::io::{Cursor, Read as _};

use pgp::armor::{BlockType, Dearmor};
use pgp::errors::Error as Fault;
use pgp::packet::{Packet, PacketParser};

use error::{Error, Result};

/// How a block of armour begins.
const BEGIN: &[u8] = b"-----BEGIN PGP ";

/// Parses the packets of a file.
///
/// # Errors
///
/// It is empty, not OpenPGP, or incomplete. The error names `what`: `the
/// signature`, `the key`.
pub(crate) fn read(what: &str, bytes: &[u8]) -> Result<Vec<Packet>> {
    match bytes.first() {
        None => return Err(Error::invalid(format!("{what} is empty"))),
        // The first byte of a packet has its highest bit set; a letter does
        // not.
        Some(first) if first & 0x80 != 0 => return parse(what, bytes),
        Some(_) => {}
    }
    let mut packets = Vec::new();
    for block in blocks(bytes) {
        packets.extend(parse(what, &unwrap(what, block)?)?);
    }
    match packets.is_empty() {
        true => Err(Error::invalid(format!("{what} is not OpenPGP data"))),
        false => Ok(packets),
    }
}

/// Splits text into blocks of armour. Anything before the first is a comment.
fn blocks(text: &[u8]) -> Vec<&[u8]> {
    let mut starts: Vec<usize> = (0..text.len())
        .filter(|&at| text[at..].starts_with(BEGIN))
        .filter(|&at| at == 0 || text[at - 1] == b'\n')
        .collect();
    starts.push(text.len());
    let pairs = starts.windows(2);
    pairs.map(|pair| &text[pair[0]..pair[1]]).collect()
}

/// Decodes a block of armour.
fn unwrap(what: &str, block: &[u8]) -> Result<Vec<u8>> {
    // The crate's own messages are for developers.
    let broken = || Error::invalid(format!("{what} has invalid ASCII armour or is truncated"));
    let mut dearmor = Dearmor::new(Cursor::new(block));
    dearmor.read_header().map_err(|_| broken())?;
    match dearmor.typ {
        Some(BlockType::PublicKey | BlockType::Signature) => {}
        Some(BlockType::PrivateKey) => return Err(private(what)),
        _ => {
            return Err(Error::invalid(format!(
                "{what} is another kind of OpenPGP data"
            )));
        }
    }
    let mut bytes = Vec::new();
    match dearmor.read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(_) => Err(broken()),
    }
}

/// The error for a private key instead of a public one.
pub(crate) fn private(what: &str) -> Error {
    Error::invalid(format!("{what} is a private key")).hint(
        "`gpg --armor --export FINGERPRINT` writes the public key; keep the private key secret",
    )
}

fn parse(what: &str, bytes: &[u8]) -> Result<Vec<Packet>> {
    let mut input = Cursor::new(bytes);
    let mut packets = Vec::new();
    for packet in PacketParser::new(&mut input) {
        match packet {
            Ok(Packet::Marker(_) | Packet::Padding(_) | Packet::Trust(_)) => {}
            Ok(packet) => packets.push(packet),
            // It is of a later version, and its maker knew that we might
            // not support it.
            Err(fault) if is_unsupported(&fault) => {}
            Err(_) => {
                return Err(Error::invalid(format!("{what} is broken or truncated")));
            }
        }
    }
    Ok(packets)
}

fn is_unsupported(fault: &Fault) -> bool {
    match fault {
        Fault::Unsupported { .. } => true,
        Fault::InvalidPacketContent { source } => matches!(**source, Fault::Unsupported { .. }),
        _ => false,
    }
}
