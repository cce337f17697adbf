//! Devices of the host that an app gets in addition to the standard ones.
//!
//! A device node that is not a mount of its own cannot be opened in a pod
//! (`nodev`), so any device that is mounted can be read and written. Where an
//! app may do only one of these, the devices controller has to enforce it.

use std::path::Path;

use rustix::fs::{FileType, Mode};
use stage1_init::NodeKind;

use crate::spec::defaults::{BELOW_DEV, DEVICES, LINKS};
use crate::spec::limits::{Access, Rule};
use crate::spec::mounts::Device;
use error::quote::quoted;
use error::{Context as _, Error, Result};

/// A device requested by an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRequest {
    /// Its path below /dev, on the host and in the pod.
    path: String,
    access: Access,
}

const ALL: Access = Access {
    read: true,
    write: true,
    make: true,
};

/// Parses `/dev/NAME[:ACCESS]`, where the access consists of the letters `rwm`.
///
/// # Errors
///
/// Fails if it is not a path below /dev, or every app has its own device there.
pub fn parse(text: &str) -> Result<DeviceRequest> {
    let (path, access) = match text.rsplit_once(':') {
        None => (text, ALL),
        Some((path, letters)) => (path, access(letters)?),
    };
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    let name = path.strip_prefix("/dev/").unwrap_or_default();
    if !name.split('/').all(plain) {
        return Err(Error::usage(format!(
            "{} is not a valid device: expected a path below `/dev`",
            quoted(path)
        )));
    }
    let first = name.split('/').next().unwrap_or_default();
    let below = BELOW_DEV.iter().map(|fixture| fixture.target);
    let links = LINKS.iter().map(|&(_, link)| link);
    let mut ours = below
        .chain(links)
        .filter_map(|path| path.strip_prefix("/dev/"));
    if ours.any(|own| own == first) || DEVICES.iter().any(|&(own, ..)| own == first) {
        return Err(Error::usage(format!(
            "every app has its own `/dev/{first}`"
        )));
    }
    Ok(DeviceRequest {
        path: path.to_owned(),
        access,
    })
}

fn access(letters: &str) -> Result<Access> {
    Access::parse(letters).ok_or_else(|| {
        Error::usage(format!(
            "{} is not a valid access mode: expected letters of `rwm`",
            quoted(letters)
        ))
    })
}

impl DeviceRequest {
    /// Returns its path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Looks up the device on the host.
    ///
    /// # Errors
    ///
    /// Fails if the path does not exist or is not a device.
    pub fn look(&self) -> Result<Device> {
        let what = || format!("cannot use the device `{}`", self.path);
        let found = rustix::fs::stat(Path::new(&self.path)).context(what)?;
        let kind = match FileType::from_raw_mode(found.st_mode) {
            FileType::CharacterDevice => NodeKind::Character,
            FileType::BlockDevice => NodeKind::Block,
            _ => return Err(Error::invalid(what()).because(Error::invalid("it is not a device"))),
        };
        Ok(Device {
            path: self.path.clone(),
            kind,
            major: rustix::fs::major(found.st_rdev),
            minor: rustix::fs::minor(found.st_rdev),
            mode: Mode::from_raw_mode(found.st_mode).bits() & 0o777,
            uid: found.st_uid,
            gid: found.st_gid,
            access: self.access,
        })
    }
}

/// Returns the rules with which the devices controller limits an app to its
/// devices; `None` if the app may read and write all of them.
pub(crate) fn rules(devices: &[Device]) -> Option<Vec<Rule>> {
    if devices
        .iter()
        .all(|device| device.access.read && device.access.write)
    {
        return None;
    }
    let rule = |kind, major, minor, access| Rule {
        kind,
        major,
        minor,
        access,
    };
    let make = Access {
        read: false,
        write: false,
        make: true,
    };
    // Making a node is harmless: it cannot be opened.
    let mut rules = vec![
        rule(NodeKind::Character, None, None, make),
        rule(NodeKind::Block, None, None, make),
    ];
    for (name, major, minor) in DEVICES {
        // It is the null device again.
        if name != "console" {
            rules.push(rule(NodeKind::Character, Some(major), Some(minor), ALL));
        }
    }
    // Terminals: /dev/ptmx, and what is in /dev/pts.
    rules.push(rule(NodeKind::Character, Some(5), Some(2), ALL));
    rules.push(rule(NodeKind::Character, Some(136), None, ALL));
    for one in devices {
        rules.push(rule(one.kind, Some(one.major), Some(one.minor), one.access));
    }
    Some(rules)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn invalid_devices_are_refused() {
        for (text, message) in [
            ("", "`` is not a valid device: expected a path below `/dev`"),
            (
                "null",
                "`null` is not a valid device: expected a path below `/dev`",
            ),
            (
                "/dev/",
                "`/dev/` is not a valid device: expected a path below `/dev`",
            ),
            (
                "/dev/../etc/x",
                "`/dev/../etc/x` is not a valid device: expected a path below `/dev`",
            ),
            (
                "/dev/a//b",
                "`/dev/a//b` is not a valid device: expected a path below `/dev`",
            ),
            (
                "/dev/kvm:",
                "`` is not a valid access mode: expected letters of `rwm`",
            ),
            (
                "/dev/kvm:rx",
                "`rx` is not a valid access mode: expected letters of `rwm`",
            ),
            ("/dev/null", "every app has its own `/dev/null`"),
            ("/dev/pts/0:r", "every app has its own `/dev/pts`"),
            ("/dev/fd", "every app has its own `/dev/fd`"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), message, "{text}");
        }
        let missing = parse("/dev/no-such-device").unwrap().look().unwrap_err();
        assert_eq!(
            missing.to_string(),
            "cannot use the device `/dev/no-such-device`: No such file or directory"
        );
    }

    #[test]
    fn a_device_has_the_numbers_of_the_hosts_device() {
        let wanted = parse("/dev/kmsg:r").unwrap();
        assert_eq!(wanted.path, "/dev/kmsg");
        let Ok(device) = wanted.look() else {
            return;
        };
        assert_eq!(
            (device.kind, device.major, device.minor),
            (NodeKind::Character, 1, 11)
        );
        assert!(device.access.read && !device.access.write && !device.access.make);
    }

    fn device(letters: &str) -> Device {
        Device {
            path: "/dev/x".to_owned(),
            kind: NodeKind::Block,
            major: 8,
            minor: 1,
            mode: 0o600,
            uid: 0,
            gid: 6,
            access: access(letters).unwrap(),
        }
    }

    #[test]
    fn rules_exist_only_where_nothing_else_restricts_access() {
        assert_eq!(rules(&[]), None);
        assert_eq!(rules(&[device("rwm"), device("rw")]), None);
        let rules = rules(&[device("r")]).unwrap();
        let lines: Vec<String> = rules.iter().map(Rule::to_string).collect();
        assert_eq!(
            lines,
            [
                "c *:* m",
                "b *:* m",
                "c 1:3 rwm",
                "c 1:5 rwm",
                "c 1:7 rwm",
                "c 1:8 rwm",
                "c 1:9 rwm",
                "c 5:0 rwm",
                "c 5:2 rwm",
                "c 136:* rwm",
                "b 8:1 r",
            ]
        );
        for (rule, line) in rules.iter().zip(&lines) {
            assert_eq!(Rule::parse(line), Some(*rule));
        }
        for damaged in ["", "c", "c 1:3", "x 1:3 r", "c 1 r", "c 1:y r", "c 1:3 x"] {
            assert_eq!(Rule::parse(damaged), None, "{damaged}");
        }
    }
}
