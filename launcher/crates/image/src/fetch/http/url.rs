//! HTTP and HTTPS URLs, parsed strictly. Pure.
//!
//! A URL from a server becomes part of a request line, so nothing may end that
//! line: control characters are rejected, and blanks and non-ASCII characters
//! are percent-encoded. What different programs read differently (a login
//! before the host, a backslash) is rejected.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use appc::address::Address;
use error::quote::quoted;

/// A parsed URL. The fragment is dropped, because it is not sent to the server.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Url {
    /// Whether the scheme is `https` rather than `http`.
    pub(crate) secure: bool,
    /// A name or an IP address, in lower case and without brackets.
    pub(crate) host: String,
    /// The port, even if it is the default one.
    pub(crate) port: u16,
    /// Path and query, starting with `/`.
    target: String,
}

/// Without the query, which may be a secret.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Address::new(self.reveal()))
    }
}

/// As it is displayed.
impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

const fn port_of(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

impl Url {
    /// Parses an absolute URL.
    ///
    /// # Errors
    ///
    /// The sentence to show, with the text in it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            let shown = quoted(&Address::new(text).to_string());
            format!("{shown} is not a URL that can be fetched: {why}")
        };
        if text.chars().any(char::is_control) {
            return Err(wrong("it contains a control character"));
        }
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| wrong("it does not start with `https://`"))?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(wrong("it is neither `https` nor `http`")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.contains('@') {
            return Err(wrong("a URL must not contain credentials"));
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let bracketed = rest.split_once(']').and_then(|(address, port)| {
                    let address: Ipv6Addr = address.parse().ok()?;
                    Some((address.to_string(), port))
                });
                bracketed.ok_or_else(|| wrong("the IPv6 address is not valid"))?
            }
            None => {
                let (host, port) =
                    authority.split_at(authority.find(':').unwrap_or(authority.len()));
                let sound = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
                if host.is_empty() || !host.bytes().all(sound) {
                    return Err(wrong("the host is not valid"));
                }
                (host.to_ascii_lowercase(), port)
            }
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => port_of(secure),
            Some("") => port_of(secure),
            port => port
                .and_then(number)
                .filter(|port| *port > 0)
                .ok_or_else(|| wrong("the port is not a number from 1 to 65535"))?,
        };
        Ok(Self {
            secure,
            host,
            port,
            target: encoded(target),
        })
    }

    /// Resolves a `Location` (RFC 3986, section 5.2).
    ///
    /// # Errors
    ///
    /// As for [`Self::parse`].
    pub(crate) fn join(&self, location: &str) -> Result<Self, String> {
        let location = location.trim();
        if location.chars().any(char::is_control) {
            return Self::parse(location);
        }
        let end = location.find(['/', '?', '#']).unwrap_or(location.len());
        if location[..end].contains(':') {
            return Self::parse(location);
        }
        if location.starts_with("//") {
            let scheme = if self.secure { "https" } else { "http" };
            return Self::parse(&format!("{scheme}:{location}"));
        }
        let relative = location.split('#').next().unwrap_or_default();
        let (path, _) = split_query(&self.target);
        let target = if relative.is_empty() {
            self.target.clone()
        } else if let Some(query) = relative.strip_prefix('?') {
            format!("{path}?{query}")
        } else {
            let (new, query) = split_query(relative);
            let merged = if new.starts_with('/') {
                new.to_owned()
            } else {
                let directory = path.rfind('/').map_or("/", |slash| &path[..=slash]);
                format!("{directory}{new}")
            };
            let path = without_dots(&merged);
            match query {
                Some(query) => format!("{path}?{query}"),
                None => path,
            }
        };
        Ok(Self {
            target: encoded(&target),
            ..self.clone()
        })
    }

    /// Returns the absolute URL, without the default port but with its query:
    /// for the server only.
    pub(crate) fn reveal(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority(), self.target)
    }

    /// Returns path and query, as for the server.
    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    /// Returns the host, an IPv6 address in brackets.
    pub(crate) fn bracketed(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        }
    }

    /// Returns the host, and the port unless it is the default one.
    pub(crate) fn authority(&self) -> String {
        match self.port == port_of(self.secure) {
            true => self.bracketed(),
            false => format!("{}:{}", self.bracketed(), self.port),
        }
    }

    /// Tells whether the host is this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let address: Result<IpAddr, _> = self.host.parse();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

/// Digits only, as `parse` alone accepts `+1`.
fn number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn split_query(target: &str) -> (&str, Option<&str>) {
    match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    }
}

/// Removes `.` and `..` from an absolute path (RFC 3986, section 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut pieces = path.split('/').skip(1).peekable();
    while let Some(piece) = pieces.next() {
        let last = pieces.peek().is_none();
        match piece {
            "." | ".." => {
                if piece == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            piece => kept.push(piece),
        }
    }
    format!("/{}", kept.join("/"))
}

/// Encodes a path and query for a request line.
fn encoded(target: &str) -> String {
    let mut text = String::with_capacity(target.len() + 1);
    if !target.starts_with('/') {
        text.push('/');
    }
    for &byte in target.as_bytes() {
        match byte {
            b' ' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x7f.. => {
                text.push_str(&format!("%{byte:02X}"));
            }
            byte => text.push(char::from(byte)),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("a URL")
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (text, why) in [
            (
                "https://user:password@example.com/",
                "a URL must not contain credentials",
            ),
            (
                "https://me:secret@example.com:0/",
                "`https://...@example.com:0/` is not a URL that can be fetched: a URL must not contain credentials",
            ),
            ("me:secret@example.com", "`...@example.com` is not a URL"),
            ("https://example.com\\@evil.example/", "credentials"),
            ("https://example.com:80a/", "the port is not a number"),
            ("https://example.com:+80/", "the port is not a number"),
            ("https://example.com:0/", "the port is not a number"),
            ("https://example.com:65536/", "the port is not a number"),
            ("https://exam ple.com/", "the host is not valid"),
            ("https:///x", "the host is not valid"),
            ("https://b\u{fc}cher.example/", "the host is not valid"),
            ("https://[::1/", "the IPv6 address is not valid"),
            ("https://[127.0.0.1]/", "the IPv6 address is not valid"),
            ("https://[fe80::1%25eth0]/", "the IPv6 address is not valid"),
            ("https://[::1]80/", "the port is not a number"),
            ("ftp://example.com/", "it is neither `https` nor `http`"),
            ("example.com/app", "it does not start with `https://`"),
            (
                "https://example.com/\r\nHost: evil",
                "it contains a control character",
            ),
        ] {
            let error = Url::parse(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_location_cannot_end_the_request_line() {
        let base = url("https://example.com/");
        for location in ["/a\r\nX: y", "a\nb", "https://example.com/\r\n"] {
            // White space around a location is ignored.
            match base.join(location) {
                Ok(joined) => assert_eq!(joined.to_string(), "https://example.com/"),
                Err(error) => assert!(error.contains("control character"), "{error}"),
            }
        }
        assert_eq!(
            base.join("/a b\u{e9}\"").expect("a URL").reveal(),
            "https://example.com/a%20b%C3%A9%22"
        );
    }

    #[test]
    fn a_relative_location_is_resolved_as_the_rfc_does() {
        let base = url("http://a/b/c/d;p?q");
        for (location, resolved) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q"),
            ("g#s", "http://a/b/c/g"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../../../g", "http://a/g"),
            ("g?y=../x", "http://a/b/c/g?y=../x"),
            ("https://h:8443/x", "https://h:8443/x"),
        ] {
            assert_eq!(
                base.join(location).expect(location).reveal(),
                resolved,
                "{location}"
            );
        }
    }

    #[test]
    fn a_url_is_written_in_one_way() {
        for (text, written) in [
            ("HTTPS://Example.COM", "https://example.com/"),
            ("https://example.com:443/a", "https://example.com/a"),
            ("http://example.com:?a=1#b", "http://example.com/?a=1"),
            ("http://example.com:443/", "http://example.com:443/"),
            ("http://[::FFFF:0:1]:80/a", "http://[::ffff:0.0.0.1]/a"),
            ("http://[0:0::1]:8080", "http://[::1]:8080/"),
        ] {
            assert_eq!(url(text).reveal(), written);
        }
    }

    #[test]
    fn only_this_machine_is_this_machine() {
        for other in [
            "http://localhost.example.com/",
            "http://127.0.0.1.example.com/",
            "http://128.0.0.1/",
            "http://0.0.0.0/",
        ] {
            assert!(!url(other).is_loopback(), "{other}");
        }
        for own in [
            "http://localhost/",
            "http://127.0.0.1/",
            "http://127.1.2.3/",
            "http://[::1]/",
        ] {
            assert!(url(own).is_loopback(), "{own}");
        }
    }
}
