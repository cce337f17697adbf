//! Why there is no answer, or no more of it.

use std::io;

/// Why there is no answer, or no more of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The cause in a few words.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) hint: Option<&'static str>,
    /// Whether another attempt may succeed.
    pub(crate) transient: bool,
    /// Whether the server has spoken TLS with us.
    pub(crate) in_tls: bool,
}

impl Fault {
    /// A failure that may pass.
    pub(crate) fn transient(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            hint: None,
            transient: true,
            in_tls: false,
        }
    }

    /// A failure that will not pass.
    pub(crate) fn permanent(what: impl Into<String>) -> Self {
        Self {
            transient: false,
            ..Self::transient(what)
        }
    }

    /// Adds what to do.
    pub(crate) fn hint(self, hint: &'static str) -> Self {
        Self {
            hint: Some(hint),
            ..self
        }
    }

    /// The connection ended before what was sent over it.
    pub(crate) fn broke() -> Self {
        Self::transient("the connection broke")
    }
}

/// A connection that failed.
impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        let text = error.to_string();
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Self::broke(),
            _ => Self::transient(text.split(" (os error ").next().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_said_without_its_number() {
        let fault = |errno: rustix::io::Errno| Fault::from(io::Error::from(errno));
        let refused = Fault::transient("Connection refused");
        assert_eq!(fault(rustix::io::Errno::CONNREFUSED), refused);
        assert_eq!(fault(rustix::io::Errno::CONNRESET), Fault::broke());
    }
}
