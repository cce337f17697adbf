//! The command line of `launcher cp`.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use crate::cli::args::Args;
use crate::cli::command::Command;
use crate::cli::values::some;
use crate::cmd::cp::{Options, Side};
use crate::cmd::selector::PodSelector;
use error::{Error, Result};

/// Takes the options, a source and a target.
pub(super) fn cp(args: &mut Args) -> Result<Command> {
    let app = args.options.value("--app", some)?;
    let hint = "`launcher cp web:/etc/passwd .` copies from a pod, and \
                `launcher cp index.html web:/srv` into it";
    let mut side = |what: &str| {
        let word = args.argument();
        let missing = || Error::usage(format!("the {what} is missing")).hint(hint);
        word.ok_or_else(missing).and_then(side)
    };
    let ((from, source), (to, target)) = (side("source")?, side("target")?);
    let pod = match (from, to) {
        (Some(pod), None) | (None, Some(pod)) => pod,
        (None, None) => {
            let what = "neither the source nor the target is in a pod";
            return Err(Error::usage(what).hint(hint));
        }
        (Some(_), Some(_)) => {
            let what = "the source and the target are both in a pod";
            return Err(Error::usage(what).hint("copy to the host first"));
        }
    };
    let selector = PodSelector {
        words: vec![pod],
        file: None,
    };
    Ok(Command::Copy(Options {
        selector,
        app,
        source,
        target,
    }))
}

/// Splits `POD:PATH`. What begins with a slash or a dot is a path of the host.
fn side(word: PathBuf) -> Result<(Option<String>, Side)> {
    let bytes = word.as_os_str().as_bytes();
    if bytes.is_empty() {
        return Err(Error::usage("a path is empty"));
    }
    let colon = match bytes[0] {
        b'/' | b'.' => None,
        _ => bytes.iter().position(|&byte| byte == b':'),
    };
    let Some(colon) = colon else {
        return Ok((None, Side::Host(word)));
    };
    let pod = some(&String::from_utf8_lossy(&bytes[..colon]))?;
    let path = OsString::from_vec(bytes[colon + 1..].to_vec());
    // Joining would take away what a final `/.` says.
    let path = match path.as_bytes().first() {
        Some(b'/') => path,
        _ => [Path::new("/").as_os_str(), &path].into_iter().collect(),
    };
    Ok((Some(pod), Side::App(path.into())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_pod_has_a_colon_behind_a_name() {
        for word in ["file", "./a:b", "/a:b", "../a:b", "."] {
            let host = (None, Side::Host(word.into()));
            assert_eq!(side(word.into()).unwrap(), host, "{word}");
        }
        for (word, path) in [
            ("web:/etc", "/etc"),
            ("web:etc/", "/etc/"),
            ("web:", "/"),
            ("web:.", "/."),
            ("web:/a:b", "/a:b"),
        ] {
            let (pod, found) = side(word.into()).unwrap();
            assert_eq!(pod.as_deref(), Some("web"));
            let Side::App(found) = found else {
                panic!("{word}")
            };
            assert_eq!(found.as_os_str(), path);
        }
        for word in ["", ":/etc"] {
            assert!(side(word.into()).is_err(), "{word}");
        }
    }
}
