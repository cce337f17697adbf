//! Resolves an app's user and group as the App Container specification says.
//!
//! In this order: a path means the owner of that file in the image; a name is
//! looked up in the image's own /etc/passwd or /etc/group; digits are an id. So
//! a user *named* `1000` in the image wins over the number. The host is never
//! consulted, and a name that cannot be resolved never becomes root
//! (CVE-2026-30892).

use error::{Error, Result};
use image::store::rootfs::{Rootfs, Status};

/// The user and group of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user id.
    pub uid: u32,
    /// The primary group id; never taken from passwd.
    pub gid: u32,
}

/// Resolves both names against the root file system of the image.
pub fn resolve(user_name: &str, group_name: &str, rootfs: &dyn Rootfs) -> Result<Identity> {
    Ok(Identity {
        uid: user(user_name, rootfs)?,
        gid: group(group_name, rootfs)?,
    })
}

/// Resolves a user.
pub fn user(name: &str, rootfs: &dyn Rootfs) -> Result<u32> {
    find(name, "user", "etc/passwd", |file| file.uid, rootfs)
}

/// Resolves a group.
pub fn group(name: &str, rootfs: &dyn Rootfs) -> Result<u32> {
    find(name, "group", "etc/group", |file| file.gid, rootfs)
}

/// The most that is read of a passwd or group file, in bytes.
const TABLE_LIMIT: usize = 4 << 20;

fn find(
    name: &str,
    noun: &str,
    table: &str,
    side: impl Fn(Status) -> u32,
    rootfs: &dyn Rootfs,
) -> Result<u32> {
    if name.starts_with('/') {
        return match rootfs.status(name.trim_start_matches('/'))? {
            Some(file) => Ok(side(file)),
            None => Err(Error::invalid(format!(
                "cannot take the {noun} from `{name}`: file not found in the image"
            ))),
        };
    }
    if let Some(table) = rootfs.read(table, TABLE_LIMIT)?
        && let Some(id) = lookup(&table, name)
    {
        return Ok(id);
    }
    if let Some(id) = number(name) {
        return Ok(id);
    }
    // `root` exists on every system, even in an image without such a file.
    if name == "root" {
        return Ok(0);
    }
    Err(Error::invalid(format!(
        "the image has no {noun} `{name}` in `/{table}`"
    )))
}

/// Finds the id in `NAME:password:ID:...`; malformed lines are skipped.
fn lookup(table: &[u8], name: &str) -> Option<u32> {
    table.split(|&byte| byte == b'\n').find_map(|line| {
        let mut fields = line.split(|&byte| byte == b':');
        if fields.next() != Some(name.as_bytes()) {
            return None;
        }
        number(std::str::from_utf8(fields.nth(1)?).ok()?)
    })
}

/// Parses an id, which consists of digits only. The highest number is not an
/// id: chown(2) and setresuid(2) take it to mean "leave unchanged".
fn number(text: &str) -> Option<u32> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // An empty text fails to parse.
    text.parse().ok().filter(|&id| id != u32::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    struct Sample;

    impl Rootfs for Sample {
        fn read(&self, path: &str, _limit: usize) -> Result<Option<Vec<u8>>> {
            Ok(match path {
                "etc/passwd" => Some(
                    b"root:x:0:0::/:/bin/sh\nweb:x:33:1:\n1000:x:7:7:\nbad:x:4294967295:0:\nshort\n"
                        .to_vec(),
                ),
                "etc/group" => Some(b"wheel:x:10:root\n".to_vec()),
                _ => None,
            })
        }

        fn status(&self, path: &str) -> Result<Option<Status>> {
            Ok((path == "srv/data").then_some(Status {
                directory: true,
                uid: 5,
                gid: 6,
                mode: 0o755,
            }))
        }

        fn has(&self, _path: &str) -> Result<bool> {
            Ok(false)
        }

        fn is_empty(&self, _path: &str) -> Result<bool> {
            Ok(true)
        }
    }

    #[test]
    fn unknown_users_are_refused_and_never_root() {
        for name in [
            "",
            "nobody",
            "-1",
            "+5",
            "0x0",
            "1000x",
            "1:",
            ":1",
            "4294967295",
            "4294967296",
            "bad",
            "short",
            "/no/such",
            " 0",
            "0 ",
        ] {
            assert!(resolve(name, "0", &Sample).is_err(), "{name}");
            assert!(resolve("0", name, &Sample).is_err(), "{name}");
        }
    }

    #[test]
    fn paths_then_names_then_numbers_are_tried() {
        for (user, group, uid, gid) in [
            ("0", "0", 0, 0),
            ("root", "root", 0, 0),
            ("web", "wheel", 33, 10),
            ("/srv/data", "/srv/data", 5, 6),
            ("1000", "1000", 7, 1000),
            ("1001", "4294967294", 1001, u32::MAX - 1),
        ] {
            assert_eq!(
                resolve(user, group, &Sample).unwrap(),
                Identity { uid, gid }
            );
        }
    }

    #[test]
    fn the_message_names_the_user_and_the_table() {
        let error = resolve("nobody", "0", &Sample).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the image has no user `nobody` in `/etc/passwd`"
        );
    }
}
