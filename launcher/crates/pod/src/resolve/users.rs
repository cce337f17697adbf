//! Resolves an app's user and group as the App Container specification says.
//!
//! In this order: a path means the owner of that file in the image; a name is
//! looked up in the image's own /etc/passwd or /etc/group; digits are an id. So
//! a user *named* `1000` in the image wins over the number. The host is never
//! consulted, and a name that cannot be resolved never becomes root
//! (CVE-2026-30892).
//!
//! The specification has an image name its group. The group, the home directory
//! and the shell of the user's account (passwd(5)) are only used where nobody
//! has named others.

use error::{Error, Result};
use image::store::rootfs::{Rootfs, Status};

use crate::spec::environment::Variable;

/// The user and group of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user id.
    pub uid: u32,
    /// The primary group id.
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

/// An account in the image's /etc/passwd (passwd(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its user id.
    pub uid: u32,
    /// Its primary group id.
    pub gid: u32,
    /// Its home directory; may be empty.
    pub home: String,
    /// Its login shell; may be empty.
    pub shell: String,
}

/// Finds the account of a user that was resolved to this id: the one of that
/// name, otherwise the first with that id.
pub fn account(name: &str, uid: u32, rootfs: &dyn Rootfs) -> Result<Option<Account>> {
    let table = rootfs.read("etc/passwd", TABLE_LIMIT)?.unwrap_or_default();
    let lines = || table.split(|&byte| byte == b'\n');
    let accounts = || lines().filter_map(Account::of);
    let named = accounts().find(|account| account.name == name && account.uid == uid);
    Ok(named.or_else(|| accounts().find(|account| account.uid == uid)))
}

/// Returns the groups that the image's /etc/group lists an account in (group(5)).
pub fn memberships(account: &Account, rootfs: &dyn Rootfs) -> Result<Vec<u32>> {
    let table = rootfs.read("etc/group", TABLE_LIMIT)?.unwrap_or_default();
    let mut groups = Vec::new();
    for line in table.split(|&byte| byte == b'\n') {
        let [_, _, id, members] = fields(line)[..] else {
            continue;
        };
        let is_member = members.split(',').any(|member| member == account.name);
        groups.extend(number(id).filter(|_| is_member));
    }
    groups.sort_unstable();
    groups.dedup();
    Ok(groups)
}

/// Returns the variables that login(1) sets for an account. Without one, a
/// program that looks for its home directory finds the root.
pub fn variables(account: Option<&Account>) -> Vec<Variable> {
    let home = account.map(|account| account.home.as_str());
    let home = home.filter(|home| home.starts_with('/')).unwrap_or("/");
    let mut all = vec![Variable::new("HOME", home)];
    if let Some(account) = account {
        let (name, shell) = (account.name.as_str(), account.shell.as_str());
        let rest = [("LOGNAME", name), ("SHELL", shell), ("USER", name)];
        let rest = rest.into_iter().filter(|(_, value)| !value.is_empty());
        all.extend(rest.map(|(name, value)| Variable::new(name, value)));
    }
    all
}

impl Account {
    /// Parses `NAME:password:UID:GID:comment:HOME:SHELL`.
    fn of(line: &[u8]) -> Option<Self> {
        let [name, _, uid, gid, _, home, shell] = fields(line)[..] else {
            return None;
        };
        Some(Self {
            name: name.to_owned(),
            uid: number(uid)?,
            gid: number(gid)?,
            home: home.to_owned(),
            shell: shell.to_owned(),
        })
    }
}

/// Splits a line of a table; a line that is no text has no fields.
fn fields(line: &[u8]) -> Vec<&str> {
    let text = std::str::from_utf8(line).ok();
    let text = text.filter(|text| !text.contains('\0'));
    text.map_or_else(Vec::new, |text| text.split(':').collect())
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
                    b"root:x:0:0::/root:/bin/sh\nweb:x:33:1::/srv/web:\n1000:x:7:7:\nbad:x:4294967295:0:::\nshort\nalso:x:33:2::/:/x\nnul:x:34:1::/\0:/x\nrel:x:35:1::home:/x\n"
                        .to_vec(),
                ),
                "etc/group" => Some(
                    b"wheel:x:10:root,web\nwebs:x:9:webby\nbad:x:-1:web\nlogs:x:4:web\nlogs:x:4:web\n".to_vec(),
                ),
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

    fn pairs(account: Option<&Account>) -> Vec<String> {
        let all = variables(account).into_iter();
        all.map(|one| format!("{}={}", one.name, one.value))
            .collect()
    }

    #[test]
    fn an_account_is_found_by_name_and_then_by_number() {
        let found = |name, uid| account(name, uid, &Sample).unwrap();
        let name = |name, uid| found(name, uid).map(|account| account.name);
        assert_eq!(name("also", 33).unwrap(), "also");
        assert_eq!(name("33", 33).unwrap(), "web");
        assert_eq!(name("/srv/data", 0).unwrap(), "root");
        // Incomplete lines give an id, but are no accounts.
        assert_eq!(name("1000", 7), None);
        assert_eq!(name("bad", u32::MAX), None);
        assert_eq!(name("nul", 34), None);
        let web = found("web", 33).unwrap();
        assert_eq!((web.gid, web.home.as_str()), (1, "/srv/web"));
    }

    #[test]
    fn memberships_are_those_that_the_group_file_lists() {
        let web = account("web", 33, &Sample).unwrap().unwrap();
        assert_eq!(memberships(&web, &Sample).unwrap(), [4, 10]);
        let other = account("rel", 35, &Sample).unwrap().unwrap();
        assert_eq!(memberships(&other, &Sample).unwrap(), [0; 0]);
    }

    #[test]
    fn variables_come_from_the_account() {
        let of = |name, uid| pairs(account(name, uid, &Sample).unwrap().as_ref());
        let root = ["HOME=/root", "LOGNAME=root", "SHELL=/bin/sh", "USER=root"];
        assert_eq!(of("root", 0), root);
        assert_eq!(of("web", 33), ["HOME=/srv/web", "LOGNAME=web", "USER=web"]);
        let relative = ["HOME=/", "LOGNAME=rel", "SHELL=/x", "USER=rel"];
        assert_eq!(of("rel", 35), relative);
        assert_eq!(of("1001", 1001), ["HOME=/"]);
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
