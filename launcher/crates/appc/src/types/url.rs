//! URLs for people: the annotations `homepage` and `documentation`.
//!
//! Nothing is ever fetched from them, so only the basic form of a URL is
//! checked.

use error::quote::quoted;
use error::{Error, Result};

/// Rejects text that is not an `http` or `https` URL.
pub(crate) fn check(text: &str) -> Result<()> {
    let web = text.split_once(':').is_some_and(|(scheme, rest)| {
        let known = ["http", "https"];
        known.iter().any(|known| scheme.eq_ignore_ascii_case(known)) && is_tail(rest)
    });
    if web {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{} is not an `http` or `https` URL",
        quoted(text)
    )))
}

/// No blanks or control characters, two digits after every `%`, and a numeric
/// port (RFC 3986, sections 2.1 and 3.2.3).
fn is_tail(rest: &str) -> bool {
    let blank = |character: char| character.is_whitespace() || character.is_control();
    let escaped = rest.split('%').skip(1).all(|part| {
        let digits = part.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    !rest.contains(blank) && escaped && has_port(rest)
}

fn has_port(rest: &str) -> bool {
    let Some(authority) = rest.strip_prefix("//") else {
        return true;
    };
    let end = authority.find(['/', '?', '#']).unwrap_or(authority.len());
    let authority = &authority[..end];
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    // The colons of an IPv6 address are between brackets.
    let after = host.rsplit_once(']').map_or(host, |(_, after)| after);
    after
        .split_once(':')
        .is_none_or(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_web_address_is_refused() {
        for text in [
            "",
            "not a url",
            "not-A$@#URL",
            "example.com",
            "ftp://example.com",
            "unix:///run/socket",
            "httpx://example.com",
            "http://a b",
            "http://a\n",
            "http://example.com/%zz",
            "http://example.com/%é",
            "http://example.com/%1",
            "http://example.com:http/",
        ] {
            assert!(check(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn web_addresses_are_accepted() {
        for text in [
            "http://foo.com",
            "http://foo.com/huh/what?is=this",
            "https://example.com/bar",
            "HTTPS://user:word@example.com:8080/a%20b#c:d",
            "http://[::1]:80/",
            "http://[::1]",
        ] {
            check(text).unwrap();
        }
    }
}
