//! Reads `--restart`.

use crate::spec::restart::Restart;
use error::quote::quoted;
use error::{Error, Result};

/// Parses a value of `--restart`.
///
/// # Errors
///
/// It is none of the words, or the number is none.
pub fn parse(text: &str) -> Result<Restart> {
    let on_failure = text.strip_prefix("on-failure");
    let most = on_failure.and_then(|rest| rest.strip_prefix(':'));
    match (text, on_failure, most) {
        ("no", ..) => Ok(Restart::No),
        ("always", ..) => Ok(Restart::Always),
        (_, Some(""), _) => Ok(Restart::OnFailure(None)),
        (_, _, Some(most)) => match most.parse() {
            Ok(0) | Err(_) => Err(Error::usage(format!(
                "{} is not how often a pod can be restarted",
                quoted(most)
            ))),
            Ok(most) => Ok(Restart::OnFailure(Some(most))),
        },
        ("unless-stopped", ..) => Err(Error::usage(
            "`unless-stopped` is for a daemon that starts pods when it starts",
        )
        .hint("`always` never restarts a pod that was stopped")),
        _ => Err(Error::usage(format!(
            "{} is neither `no`, `on-failure`, `on-failure:NUMBER` nor `always`",
            quoted(text)
        ))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_restarts_is_one() {
        for wrong in [
            "",
            "never",
            "Always",
            "on-failure:",
            "on-failure:x",
            "on-failure:0",
            "on-failure:-1",
            "on-failure:4294967296",
            "on-failures",
            "unless-stopped",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        for right in ["no", "on-failure", "on-failure:3", "always"] {
            assert_eq!(parse(right).unwrap().to_string(), right);
        }
    }
}
