//! Ports that an image listens on (image-spec, config.md, "ExposedPorts").

use std::fmt;

use error::quote::quoted;
use error::{Error, Result};

/// A port, or several in a row: `8080/tcp`, `8000-8010/udp`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// Its number, or the first of several.
    pub first: u16,
    /// The last.
    pub last: u16,
    /// The protocol, in lower case; `None` if it is not said and means TCP.
    pub protocol: Option<String>,
}

impl Port {
    /// Reads a port.
    ///
    /// # Errors
    ///
    /// It has another form, or the protocol is not TCP, UDP or SCTP.
    pub fn parse(text: &str) -> Result<Self> {
        let fault = || {
            let what = format!("{} is not a port such as `80` or `80/tcp`", quoted(text));
            Error::invalid(what)
        };
        let (numbers, protocol) = match text.split_once('/') {
            Some((numbers, protocol)) => (numbers, Some(protocol.to_ascii_lowercase())),
            None => (text, None),
        };
        if !matches!(protocol.as_deref(), None | Some("tcp" | "udp" | "sctp")) {
            return Err(fault());
        }
        let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
        let number = |text: &str| {
            let digits = text.bytes().all(|digit| digit.is_ascii_digit());
            let number = text
                .parse()
                .ok()
                .filter(|&number: &u16| digits && number > 0);
            number.ok_or_else(fault)
        };
        let (first, last) = (number(first)?, number(last)?);
        if last < first {
            return Err(fault());
        }
        Ok(Self {
            first,
            last,
            protocol,
        })
    }

    /// Returns the protocol.
    pub fn protocol(&self) -> &str {
        self.protocol.as_deref().unwrap_or("tcp")
    }
}

/// As it was written.
impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.last != self.first {
            write!(f, "-{}", self.last)?;
        }
        match &self.protocol {
            Some(protocol) => write!(f, "/{protocol}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_port_is_refused() {
        for text in [
            "", "0", "65536", "+80", "80/", "/tcp", "http", "80/icmp", "80-", "90-80", "80/tcp/x",
            "80:80",
        ] {
            assert!(Port::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_port_is_shown_as_it_was_read() {
        for (text, first, last, protocol) in [
            ("8080", 8080, 8080, "tcp"),
            ("6379/tcp", 6379, 6379, "tcp"),
            ("53/udp", 53, 53, "udp"),
            ("8000-8010/sctp", 8000, 8010, "sctp"),
        ] {
            let port = Port::parse(text).unwrap();
            assert_eq!(
                (port.first, port.last, port.protocol()),
                (first, last, protocol)
            );
            assert_eq!(port.to_string(), text);
        }
        assert_eq!(Port::parse("80/TCP").unwrap().to_string(), "80/tcp");
    }
}
