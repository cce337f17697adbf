//! Signals as people write them: `TERM`, `SIGTERM`, `term` or `15`; `RTMIN+3`,
//! `SIGRTMAX-2`.

#![allow(
    unsafe_code,
    reason = "rustix has no safe way to make a signal that has no name of its own"
)]

use std::ops::RangeInclusive;

use rustix::process::Signal;

use error::quote::quoted;
use error::{Error, Result};

/// The names from signal(7), and their numbers, which our architectures share.
/// Of several names for a number, the first is the one that is shown.
const NAMES: &[(&str, i32)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", CHILD),
    ("CLD", CHILD),
    ("CONT", 18),
    ("STOP", STOP),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
    ("UNUSED", 31),
];

/// An init gets it when a process of the pod ends.
const CHILD: i32 = 17;

/// No process can handle it, so no init can forward it.
const STOP: i32 = 19;

/// All signals of Linux.
const ALL: RangeInclusive<i32> = 1..=64;

/// The real-time signals that C libraries leave to programs, as glibc, shells
/// and other runners count them: `RTMIN` to `RTMAX`.
const REAL_TIME: RangeInclusive<i32> = 34..=64;

/// Parses a signal that can be sent to a pod.
///
/// # Errors
///
/// The name or number is not a signal, or an init cannot forward it.
pub fn signal(text: &str) -> Result<Signal> {
    let number = number(text).ok_or_else(|| {
        Error::usage(format!("{} is not a signal", quoted(text)))
            .hint("use a name or number such as `TERM`, `15` or `RTMIN+3`")
    })?;
    if matches!(number, CHILD | STOP) {
        let what = format!("{} cannot be forwarded to apps", quoted(text));
        return Err(Error::usage(what).hint("`TSTP` stops apps, and `CONT` continues them"));
    }
    // SAFETY: it is between 1 and 64, the signals of Linux. Those for which the
    // C library has a use of its own are only sent to other processes.
    Ok(unsafe { Signal::from_raw_unchecked(number) })
}

/// Returns the number of a signal.
fn number(text: &str) -> Option<i32> {
    let name = text.to_ascii_uppercase();
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
        return name.parse().ok().filter(|number| ALL.contains(number));
    }
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    let found = NAMES.iter().find(|(known, _)| *known == name);
    found
        .map(|&(_, number)| number)
        .or_else(|| real_time(name).filter(|number| REAL_TIME.contains(number)))
}

/// Reads `RTMIN`, `RTMIN+3`, `RTMAX` or `RTMAX-3`.
fn real_time(name: &str) -> Option<i32> {
    let distance = |rest: &str, sign| match rest.strip_prefix(sign) {
        None => rest.is_empty().then_some(0),
        Some(digits) => digits
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| digits.parse::<u8>().ok())?
            .map(i32::from),
    };
    match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) => distance(rest, '+').map(|more| REAL_TIME.start() + more),
        (_, Some(rest)) => distance(rest, '-').map(|less| REAL_TIME.end() - less),
        _ => None,
    }
}

/// Returns the name of the signal that ended a process, or its number if it has
/// no name.
pub fn name(number: u8) -> String {
    let number = i32::from(number);
    if let Some((name, _)) = NAMES.iter().find(|(_, known)| *known == number) {
        return (*name).to_owned();
    }
    // As shells do, counted from the nearer end.
    let (first, last) = (*REAL_TIME.start(), *REAL_TIME.end());
    match (number - first, last - number) {
        (0, _) => "RTMIN".to_owned(),
        (_, 0) => "RTMAX".to_owned(),
        (more @ 1..=15, _) => format!("RTMIN+{more}"),
        (16.., less @ 1..) => format!("RTMAX-{less}"),
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_has_a_name_that_is_read_again() {
        for (number, expected) in [
            (9, "KILL"),
            (11, "SEGV"),
            (16, "STKFLT"),
            (34, "RTMIN"),
            (37, "RTMIN+3"),
            (49, "RTMIN+15"),
            (50, "RTMAX-14"),
            (62, "RTMAX-2"),
            (64, "RTMAX"),
            // The C library has a use for these two.
            (32, "32"),
            (33, "33"),
            (0, "0"),
            (65, "65"),
        ] {
            assert_eq!(name(number), expected);
        }
        for known in 1..=64 {
            assert_eq!(super::number(&name(known)), Some(i32::from(known)));
        }
    }

    #[test]
    fn what_is_no_signal_for_a_pod_is_refused() {
        for text in [
            "",
            "SIG",
            "FOO",
            "0",
            "-9",
            "+9",
            "9x",
            "65",
            "SIG9",
            "SIGSIGTERM",
            "RTMIN-1",
            "RTMIN+",
            "RTMIN+31",
            "RTMIN++3",
            "RTMIN+ 3",
            "RTMAX+1",
            "RTMAX-31",
            "RTMAX-300",
            "RT",
            "RTMIN3",
            "99999999999999999999",
        ] {
            let expected = format!(
                "`{text}` is not a signal\nhint: use a name or number such as `TERM`, `15` or \
                 `RTMIN+3`"
            );
            let error = signal(text).err().map(|error| error.to_string());
            assert_eq!(error, Some(expected));
        }
        for text in ["STOP", "sigstop", "19", "CHLD", "cld"] {
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
            ("TERM", 15),
            ("sigterm", 15),
            ("9", 9),
            ("Usr1", 10),
            ("SigIot", 6),
            ("POLL", 29),
            ("STKFLT", 16),
            ("32", 32),
            ("37", 37),
            ("64", 64),
            ("RTMIN", 34),
            ("rtmin+3", 37),
            ("SIGRTMIN+30", 64),
            ("sigRTmax", 64),
            ("SIGRTMAX-2", 62),
            ("RTMAX-30", 34),
        ] {
            let number = signal(text).map(|signal| signal.as_raw()).ok();
            assert_eq!(number, Some(expected), "{text}");
        }
    }
}
