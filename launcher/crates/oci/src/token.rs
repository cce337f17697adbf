//! What a server answers that issues tokens (distribution's "Token
//! Authentication Specification", and OAuth 2.0, RFC 6749, section 5.1).

use appc::json::Value;
use error::{Error, Result};

use crate::document::{read_secret, secret};
use crate::secret::Secret;

/// Most bytes of an answer.
pub const LIMIT: usize = 64 << 10;

/// How long a token is good if the server does not say, in seconds; and the
/// least that is believed.
const LIFETIME: u64 = 60;

/// A token for requests to a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The token.
    pub token: Secret,
    /// For how many seconds it is good.
    pub lifetime: u64,
}

impl Token {
    /// Reads an answer: `token`, or `access_token`.
    ///
    /// # Errors
    ///
    /// It has neither, or none that can be sent.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        read_secret(bytes, LIMIT, |node| {
            let mut fields = node
                .fields()
                .map_err(|_| Error::invalid("it is not an object"))?;
            let token = fields.optional("token", secret)?.flatten();
            let access = fields.optional("access_token", secret)?.flatten();
            let lifetime = fields.optional("expires_in", |node| {
                Ok(match node.value() {
                    Value::Integer(seconds) => u64::try_from(*seconds).unwrap_or_default(),
                    _ => 0,
                })
            })?;
            let token = token.or(access);
            let token = token.ok_or_else(|| Error::invalid("there is no token in it"))?;
            Ok(Self {
                token: Secret::new(token),
                lifetime: lifetime.unwrap_or_default().max(LIFETIME),
            })
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_a_token_is_refused_and_not_shown() {
        for (text, said) in [
            ("{}", "there is no token in it"),
            (r#"{"token":""}"#, "there is no token in it"),
            (
                r#"{"token":null,"access_token":null}"#,
                "there is no token in it",
            ),
            (r#"{"token":"s3cret" x}"#, "it is not JSON"),
            (r#"["s3cret"]"#, "it is not an object"),
            (r#"{"token":5337}"#, "field `token`: it is not text"),
            (
                "{\"token\":\"s3cret\\r\\nX: y\"}",
                "field `token`: it contains a control character",
            ),
        ] {
            let error = Token::read(text.as_bytes()).unwrap_err().to_string();
            assert_eq!(error, said, "{text}");
        }
        let error = Token::read(&[b' '; LIMIT + 1]).unwrap_err().to_string();
        assert_eq!(error, "it is larger than 65536 bytes");
    }

    #[test]
    fn a_token_is_read_under_both_names_and_never_shown() {
        for (text, token, lifetime) in [
            (r#"{"token":"a"}"#, "a", 60),
            (
                r#"{"access_token":"b","expires_in":300,"issued_at":"x"}"#,
                "b",
                300,
            ),
            (
                r#"{"token":"a","access_token":"b","expires_in":null}"#,
                "a",
                60,
            ),
            (
                r#"{"token":"","access_token":"b","expires_in":-1}"#,
                "b",
                60,
            ),
            (r#"{"token":"a","expires_in":"soon"}"#, "a", 60),
        ] {
            let read = Token::read(text.as_bytes()).unwrap();
            assert_eq!(
                (read.token.reveal(), read.lifetime),
                (token, lifetime),
                "{text}"
            );
            let shown = format!("{read:?}");
            assert_eq!(
                shown,
                format!("Token {{ token: ..., lifetime: {lifetime} }}")
            );
        }
    }
}
