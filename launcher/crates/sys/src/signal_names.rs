//! Signal names as people write them: `TERM`, `SIGTERM`, `term` or `15`.

use rustix::process::Signal;

use error::quote::quoted;
use error::{Error, Result};

/// The names from signal(7).
const NAMES: &[(&str, Signal)] = &[
    ("HUP", Signal::HUP),
    ("INT", Signal::INT),
    ("QUIT", Signal::QUIT),
    ("ILL", Signal::ILL),
    ("TRAP", Signal::TRAP),
    ("ABRT", Signal::ABORT),
    ("BUS", Signal::BUS),
    ("FPE", Signal::FPE),
    ("KILL", Signal::KILL),
    ("USR1", Signal::USR1),
    ("SEGV", Signal::SEGV),
    ("USR2", Signal::USR2),
    ("PIPE", Signal::PIPE),
    ("ALRM", Signal::ALARM),
    ("TERM", Signal::TERM),
    ("CONT", Signal::CONT),
    ("TSTP", Signal::TSTP),
    ("TTIN", Signal::TTIN),
    ("TTOU", Signal::TTOU),
    ("URG", Signal::URG),
    ("XCPU", Signal::XCPU),
    ("XFSZ", Signal::XFSZ),
    ("VTALRM", Signal::VTALARM),
    ("PROF", Signal::PROF),
    ("WINCH", Signal::WINCH),
    ("IO", Signal::IO),
    ("PWR", Signal::POWER),
    ("SYS", Signal::SYS),
];

/// Parses a signal that can be sent to a pod.
///
/// # Errors
///
/// The name or number is not a signal, or an init cannot forward it.
pub fn signal(text: &str) -> Result<Signal> {
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    if matches!(name, "STOP" | "19" | "CHLD" | "17") {
        let what = format!("{} cannot be forwarded to apps", quoted(text));
        return Err(Error::usage(what).hint("`TSTP` stops apps, and `CONT` continues them"));
    }
    let is_it =
        |(known, signal): &&(&str, Signal)| *known == name || signal.as_raw().to_string() == name;
    let found = NAMES.iter().find(is_it).map(|(_, signal)| *signal);
    found.ok_or_else(|| {
        Error::usage(format!("{} is not a signal", quoted(text)))
            .hint("use a name or number such as `TERM` or `15`")
    })
}

/// Returns the name of the signal that ended a process, or its number if it has
/// no name.
pub fn name(number: u8) -> String {
    let number = i32::from(number);
    let is_it = |(_, signal): &&(&str, Signal)| signal.as_raw() == number;
    let found = NAMES.iter().find(is_it);
    found.map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_without_a_name_are_called_by_their_number() {
        for (number, expected) in [(9, "KILL"), (11, "SEGV"), (16, "16"), (34, "34")] {
            assert_eq!(name(number), expected);
        }
    }

    #[test]
    fn what_is_no_signal_for_a_pod_is_refused() {
        for text in ["", "SIG", "FOO", "0", "-9", "9x", "65", "SIGSIGTERM"] {
            let expected = format!(
                "`{text}` is not a signal\nhint: use a name or number such as `TERM` or `15`"
            );
            let error = signal(text).err().map(|error| error.to_string());
            assert_eq!(error, Some(expected));
        }
        for text in ["STOP", "sigstop", "19", "CHLD"] {
            let expected = format!(
                "`{text}` cannot be forwarded to apps\n\
                 hint: `TSTP` stops apps, and `CONT` continues them"
            );
            let error = signal(text).err().map(|error| error.to_string());
            assert_eq!(error, Some(expected));
        }
    }

    #[test]
    fn signals_are_known_by_name_and_number() {
        for (text, expected) in [
            ("TERM", Signal::TERM),
            ("sigterm", Signal::TERM),
            ("9", Signal::KILL),
            ("Usr1", Signal::USR1),
        ] {
            assert_eq!(signal(text).ok(), Some(expected), "{text}");
        }
    }
}
