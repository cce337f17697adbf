//! Base64 (RFC 4648, section 4). The only file of this crate that knows the
//! base64 crate.

use ::base64::Engine as _;
use ::base64::alphabet::STANDARD;
use ::base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Padding is left out by some who write it.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Decodes a text, around which there may be white space.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    LENIENT.decode(text.trim()).ok()
}

/// Encodes bytes.
pub(crate) fn encode(bytes: &[u8]) -> String {
    LENIENT.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_base64_is_refused() {
        for text in ["a", "a b=", "YQ==YQ==", "_-_-", "é"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn padding_can_be_left_out() {
        // RFC 4648, section 10.
        for text in ["Zm8=", "Zm8", "Zm8=\n"] {
            assert_eq!(decode(text).as_deref(), Some(&b"fo"[..]), "{text}");
        }
        assert_eq!(decode("").as_deref(), Some(&b""[..]));
    }
}
