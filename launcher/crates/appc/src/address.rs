//! Addresses as people and servers write them: URLs, which may contain
//! secrets.
//!
//! ```text
//! file:///srv/a.aci  file://localhost/srv/a%20b.aci  file:/srv/a.aci   a file
//! https://example.com/a?ticket=…  HTTP://[::1]:8080/a                  a web address
//! ```
//!
//! Pure: nothing is fetched here.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use error::quote::quoted;
use error::{Error, Result};

/// The query of a discovery page.
///
/// Source: App Container specification 0.8.11, "Meta Discovery".
pub const DISCOVERY: &str = "ac-discovery=1";

/// A web address. It is shown without a login before its host and without its
/// query, either of which may be a secret; [`DISCOVERY`] is none.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// Takes the text of an address, which need not be valid.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the whole address, with its secrets: for the server only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Without secrets.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.as_str();
        let (scheme, rest) = match text.find("://") {
            Some(colon) => text.split_at(colon + 3),
            None => ("", text),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        // A password may contain a slash, which should have been encoded. Then
        // what stands before it is no host with a port.
        let (authority, _) = rest.split_at(end);
        let login = authority.contains('@') || !is_host(authority);
        f.write_str(scheme)?;
        let rest = match rest.rsplit_once('@') {
            Some((_, host)) if login => {
                f.write_str("...@")?;
                host
            }
            _ => rest,
        };
        match rest.split_once('?') {
            Some((path, query)) if !query.is_empty() && query != DISCOVERY => {
                write!(f, "{path}?...")
            }
            _ => f.write_str(rest),
        }
    }
}

/// As it is displayed.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

/// Returns a sentence in which no address shows its secrets, as [`Address`] does:
/// the last line of defence, for what was typed where no address is expected.
pub fn without_secrets(sentence: &str) -> String {
    let mut shown = String::new();
    let mut rest = sentence;
    while let Some(colon) = rest.find("://") {
        let (before, address) = rest.split_at(colon);
        let ends = |character: char| character.is_whitespace() || "`'\"".contains(character);
        let (address, after) = address.split_at(address.find(ends).unwrap_or(address.len()));
        // What follows an address in a sentence is none of it.
        let bare = address.trim_end_matches([':', ',', ';', ')']);
        let scheme = before.rfind(|one: char| !one.is_ascii_alphanumeric() && !"+-.".contains(one));
        let scheme = scheme.map_or(0, |at| {
            at + before[at..].chars().next().map_or(1, char::len_utf8)
        });
        let (text, scheme) = before.split_at(scheme);
        shown.push_str(text);
        shown.push_str(&Address::new(format!("{scheme}{bare}")).to_string());
        shown.push_str(&address[bare.len()..]);
        rest = after;
    }
    shown + rest
}

/// Tells whether a text can be a host with or without a port.
fn is_host(text: &str) -> bool {
    let port = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((_, port)) => port.strip_prefix(':'),
        None => text.split_once(':').map(|(_, port)| port),
    };
    port.is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Where something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In a file on this host.
    File(PathBuf),
    /// At an `http:` or `https:` URL.
    Web(Address),
}

impl Location {
    /// Reads a URL; `None` if the text is none, such as a path or a name.
    ///
    /// # Errors
    ///
    /// The scheme is another one, or a `file:` URL is not one of this host.
    pub fn parse(text: &str) -> Result<Option<Self>> {
        let Some((scheme, rest)) = text.split_once(':') else {
            return Ok(None);
        };
        if scheme.eq_ignore_ascii_case("file") && rest.starts_with('/') {
            return path(rest).map(|path| Some(Self::File(path)));
        }
        if !rest.starts_with("//") {
            return Ok(None);
        }
        let web = ["http", "https"];
        if web.iter().any(|one| scheme.eq_ignore_ascii_case(one)) {
            return Ok(Some(Self::Web(Address::new(text))));
        }
        let what = format!("nothing can be fetched with {}", quoted(scheme));
        Err(Error::usage(what).hint("use `https:`, `http:` or `file:`"))
    }
}

/// Returns the path of a `file:` URL (RFC 8089, section 2) without its scheme.
fn path(rest: &str) -> Result<PathBuf> {
    let refused = |why: &str| {
        let text = format!("{}: {why}", quoted(&format!("file:{rest}")));
        Error::usage(text).hint("write an absolute path, as in `file:///srv/app.aci`")
    };
    let path = match rest.strip_prefix("//") {
        None => rest,
        Some(rest) => {
            let (host, _) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            if !host.is_empty() && !host.eq_ignore_ascii_case("localhost") {
                let why = format!("{} is not this host", quoted(host));
                return Err(refused(&why));
            }
            rest.strip_prefix(host).unwrap_or_default()
        }
    };
    let bytes = decoded(path);
    match bytes.as_slice() {
        [b'/', ..] if !bytes.contains(&0) => Ok(OsString::from_vec(bytes).into()),
        _ => Err(refused("it names no file")),
    }
}

/// Decodes percent-encoding (RFC 3986, section 2.1); what is no code stays as
/// it is.
pub fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digit = |at: usize| char::from(*after.get(at)?).to_digit(16);
        let code = match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => u8::try_from(high * 16 + low).ok(),
            _ => None,
        };
        bytes.push(code.unwrap_or(first));
        rest = match code {
            Some(_) => after.get(2..).unwrap_or_default(),
            None => after,
        };
    }
    bytes
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn no_secret_of_an_address_is_shown() {
        for (text, expected) in [
            ("https://u:secret@a.b/c", "https://...@a.b/c"),
            ("https://secret@a.b:8443/c?d", "https://...@a.b:8443/c?..."),
            ("https://u:se/cret@a.b/c", "https://...@a.b/c"),
            ("https://u:se@cret@a.b/c", "https://...@a.b/c"),
            ("https://u:se?cret@a.b/c", "https://...@a.b/c"),
            ("https://a.b/c?secret", "https://a.b/c?..."),
            ("https://a.b?secret=@x", "https://a.b?..."),
            ("https://a.b/c#secret", "https://a.b/c"),
            ("u:secret@a.b", "...@a.b"),
            ("https://a.b?ac-discovery=1", "https://a.b?ac-discovery=1"),
            ("https://a.b?ac-discovery=1&secret", "https://a.b?..."),
            ("https://a.b/c@1.aci", "https://a.b/c@1.aci"),
            ("https://a.b:80/c@1.aci", "https://a.b:80/c@1.aci"),
            ("https://[::1]:80/c@1.aci?", "https://[::1]:80/c@1.aci?"),
        ] {
            let address = Address::new(text);
            assert_eq!(address.to_string(), expected);
            assert_eq!(format!("{address:?}"), format!("{expected:?}"));
            assert_eq!(address.reveal(), text);
        }
    }

    #[test]
    fn no_sentence_shows_the_secret_of_an_address() {
        for (sentence, expected) in [
            (
                "pod `https://u:secret@a.b/c` not found",
                "pod `https://...@a.b/c` not found",
            ),
            ("é=https://u:secret@a.b/c, x", "é=https://...@a.b/c, x"),
            ("é`postgres://u:secret@a/b?c`", "é`postgres://...@a/b?...`"),
            ("`a --b='https://a/b?secret'`", "`a --b='https://a/b?...'`"),
            (
                "https://u:secret@a: https://secret@b",
                "https://...@a: https://...@b",
            ),
            ("(see https://a.b/c?...: no)", "(see https://a.b/c?...: no)"),
            (
                "https://a.b?ac-discovery=1: no",
                "https://a.b?ac-discovery=1: no",
            ),
            ("://u:secret@a", "://...@a"),
            ("`a@b` and c: d", "`a@b` and c: d"),
        ] {
            assert_eq!(without_secrets(sentence), expected);
            assert_eq!(without_secrets(expected), expected);
        }
    }

    fn file(path: impl Into<PathBuf>) -> Option<Location> {
        Some(Location::File(path.into()))
    }

    #[test]
    fn a_file_has_a_url_in_several_ways() {
        for text in [
            "file:///a b",
            "file:/a%20b",
            "FILE:///a b",
            "file://localhost/a%20b",
            "file://LOCALHOST/%61 b",
        ] {
            assert_eq!(Location::parse(text).unwrap(), file("/a b"), "{text}");
        }
        assert_eq!(Location::parse("file:///100%").unwrap(), file("/100%"));
        let bytes = Location::parse("file:///%ff").unwrap();
        assert_eq!(bytes, file(OsString::from_vec(vec![b'/', 0xff])));
    }

    #[test]
    fn what_is_no_file_of_this_host_is_refused() {
        for text in ["file://a/b", "file://", "file://localhost", "file:///a%00"] {
            assert!(Location::parse(text).is_err(), "{text}");
        }
        for text in ["ftp://a/b", "docker://a"] {
            assert!(Location::parse(text).is_err(), "{text}");
        }
        for text in ["a:1", "file:a", "http:a", "./a:b", "/a", ""] {
            assert_eq!(Location::parse(text).unwrap(), None, "{text}");
        }
    }

    #[test]
    fn the_scheme_of_a_web_address_is_written_in_any_case() {
        for text in ["HTTP://a", "Https://a/b", "https://[::1]/"] {
            let web = Some(Location::Web(Address::new(text)));
            assert_eq!(Location::parse(text).unwrap(), web);
        }
    }
}
