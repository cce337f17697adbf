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
}

impl Fault {
    /// A failure that may pass.
    pub(crate) fn transient(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            hint: None,
            transient: true,
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
        // Only the text of getaddrinfo(3) tells whether a host name does not
        // exist or could not be looked up.
        if let Some(why) = text.strip_prefix("failed to lookup address information: ") {
            let what = format!("cannot resolve the host name: {why}");
            return match why.contains("emporary failure") {
                true => Self::transient(what),
                false => Self::permanent(what),
            };
        }
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
    fn a_name_that_does_not_exist_is_not_asked_for_again() {
        let fault = |why| {
            let text = format!("failed to lookup address information: {why}");
            Fault::from(io::Error::other(text))
        };
        let start = "cannot resolve the host name";
        let unknown = Fault::permanent(format!("{start}: Name or service not known"));
        assert_eq!(fault("Name or service not known"), unknown);
        let later = "Temporary failure in name resolution";
        assert_eq!(fault(later), Fault::transient(format!("{start}: {later}")));
    }

    #[test]
    fn what_the_kernel_says_is_said_without_its_number() {
        let fault = |errno: rustix::io::Errno| Fault::from(io::Error::from(errno));
        let refused = Fault::transient("Connection refused");
        assert_eq!(fault(rustix::io::Errno::CONNREFUSED), refused);
        assert_eq!(fault(rustix::io::Errno::CONNRESET), Fault::broke());
    }
}
