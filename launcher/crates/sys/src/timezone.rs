//! Time zones of the host.
//!
//! An image without zone files can still use a time zone: the last line of a
//! zone's file (RFC 9636, the footer) is its rule in the POSIX format of the
//! variable TZ, which every C library understands.

use std::path::{Path, PathBuf};

use error::{Context as _, Error, Kind, Result};

/// The host's zone files.
const ZONES: &str = "/usr/share/zoneinfo";

/// The host's own time zone.
const OWN: &str = "/etc/localtime";

/// Largest zone file that is read, in bytes; real ones have less than 4000.
const LIMIT: u64 = 1 << 20;

/// A time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its file on the host, if there is one.
    pub file: Option<PathBuf>,
    /// Its rule in the format of TZ, if it follows one.
    pub rule: Option<String>,
}

/// Finds a zone by its name, such as `Europe/Berlin`; `host` is the host's own.
///
/// # Errors
///
/// The name is not valid, or the host does not have the zone.
pub fn find(name: &str) -> Result<Zone> {
    let utc = Zone {
        file: None,
        rule: Some("UTC0".to_owned()),
    };
    let path = match name {
        "host" => PathBuf::from(OWN),
        name if is_name(name) => Path::new(ZONES).join(name),
        name => {
            return Err(Error::usage(format!("`{name}` is not a valid time zone"))
                .hint("`host`, or a name like `Europe/Berlin`"));
        }
    };
    // Links between zones are aliases; the plan contains what they point
    // to.
    let path = match std::fs::canonicalize(&path) {
        Ok(path) => path,
        // localtime(5): a host that does not say is in UTC.
        Err(_) if matches!(name, "host" | "UTC") => return Ok(utc),
        Err(error) => {
            return Err(Error::new(
                Kind::NotFound,
                format!("the host has no time zone `{name}` in `{ZONES}`"),
            )
            .because(error));
        }
    };
    let what = || format!("cannot read the time zone `{name}`");
    let file = std::fs::File::open(&path).context(what)?;
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(file, LIMIT), &mut bytes).context(what)?;
    if !bytes.starts_with(b"TZif") {
        return Err(Error::invalid(format!(
            "{}: it is not a time zone file",
            what()
        )));
    }
    let rule = rule(&bytes);
    let file = Some(path);
    Ok(Zone { file, rule })
}

/// Components of letters, digits, `_`, `+` and `-`, so that no name leaves the
/// directory.
fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte);
    text.split('/')
        .all(|part| !part.is_empty() && part.bytes().all(allowed))
}

/// Returns the footer, which is between the last two line breaks. Version 1 of
/// the format has none.
fn rule(file: &[u8]) -> Option<String> {
    let version = file.get(4)?;
    let front = file.strip_suffix(b"\n")?;
    let start = front.iter().rposition(|&byte| byte == b'\n')? + 1;
    let rule = std::str::from_utf8(front.get(start..)?).ok()?;
    let plain = rule.bytes().all(|byte| byte.is_ascii_graphic());
    (*version >= b'2' && !rule.is_empty() && plain).then(|| rule.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_zone_is_not_looked_for() {
        for name in [
            "",
            "/etc/passwd",
            "../passwd",
            "Europe/../x",
            "Europe/",
            "a b",
            "posixrules\0",
        ] {
            let message = find(name).unwrap_err().to_string();
            assert!(message.contains("is not a valid time zone"), "{message}");
        }
    }

    #[test]
    fn the_rule_is_the_footer_of_all_but_the_oldest_files() {
        for (file, expected) in [
            (
                &b"TZif2...\nCET-1CEST,M3.5.0,M10.5.0/3\n"[..],
                Some("CET-1CEST,M3.5.0,M10.5.0/3"),
            ),
            (b"TZif3\n<+0330>-3:30\n", Some("<+0330>-3:30")),
            (b"TZif2...\n\n", None),
            (b"TZif\0...\nUTC0\n", None),
            (b"TZif2...\nUTC0", None),
            (b"TZif2...\nU\x1bC0\n", None),
            (b"TZif", None),
        ] {
            assert_eq!(rule(file).as_deref(), expected);
        }
    }

    #[test]
    fn utc_is_known_everywhere() {
        assert_eq!(find("UTC").unwrap().rule.as_deref(), Some("UTC0"));
    }
}
