//! The names of pods on bridges: a file `UUID.hosts` beside the leases for each of
//! these pods, mounted as its `/etc/hosts`. It has the pod's own names, and those of
//! all pods of its bridges, which whoever starts or ends one of them brings up to
//! date. Programs read the file whenever they look up a name.
//!
//! The file is written in place, since a mount holds on to the file and not to its
//! name; whoever writes has the bridges to himself.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::{Errno, Result};

use crate::network::bridge::Turn;
use crate::network::leases::{Leases, Owner};
use crate::network::pool::{self, Pool};
use appc::types::Uuid;
use sys::small_file;

/// How the names of these files end.
const SUFFIX: &str = ".hosts";

/// What separates a pod's own names from those of others.
const MARK: &str = "# pods on the same bridges\n";

/// The most that such a file can hold, in bytes.
const LIMIT: usize = 1 << 20;

/// Makes the file of a pod, with its own names; returns it, for a mount.
///
/// # Errors
///
/// Those of the disk.
pub(super) fn make(leases: &Leases, pod: Uuid, own: &str) -> Result<OwnedFd> {
    let name = format!("{pod}{SUFFIX}");
    let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY;
    let file = open(leases, &name, flags)?;
    // Apps of any user read it.
    rustix::fs::fchmod(&file, Mode::from_raw_mode(0o644))?;
    overwrite(&file, &format!("{own}{MARK}"))?;
    open(leases, &name, OFlags::RDONLY)
}

fn open(leases: &Leases, name: &str, flags: OFlags) -> Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(leases.directory(), name, flags, Mode::RUSR | Mode::WUSR)
}

/// Writes into all files which pods there are, and removes those of pods that have
/// ended.
///
/// # Errors
///
/// Those of the disk.
pub(super) fn update(leases: &Leases, _turn: &Turn, ipv6: bool) -> Result<()> {
    let bridged: BTreeMap<Ipv4Addr, Owner> = leases
        .owners()?
        .into_iter()
        .filter(|(address, _)| pool::is_of_bridge(*address))
        .collect();
    for entry in rustix::fs::Dir::read_from(leases.directory())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy();
        let Some(pod) = name
            .strip_suffix(SUFFIX)
            .and_then(|id| Uuid::parse(id).ok())
        else {
            continue;
        };
        let own = bridged.iter().filter(|(_, owner)| owner.pod == pod);
        let networks: Vec<Pool> = own.map(|(&address, _)| Pool::of_bridge(address)).collect();
        if networks.is_empty() {
            rustix::fs::unlinkat(leases.directory(), &*name, AtFlags::empty())?;
            continue;
        }
        let near = bridged
            .iter()
            .filter(|(address, _)| networks.contains(&Pool::of_bridge(**address)));
        let text = small_file::find(leases.directory(), &*name, LIMIT);
        let text = text.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        let text = String::from_utf8_lossy(&text.unwrap_or_default()).into_owned();
        let (own, _) = text.split_once(MARK).unwrap_or((&text, ""));
        let mut text = format!("{own}{MARK}");
        for (&address, owner) in near.filter(|(_, owner)| !owner.names.is_empty()) {
            for address in pool::both(address, ipv6) {
                // Writing to a String cannot fail.
                let _ = writeln!(text, "{address}\t{}", owner.names.join(" "));
            }
        }
        overwrite(&open(leases, &name, OFlags::WRONLY)?, &text)?;
    }
    Ok(())
}

/// Replaces the content of a file. Whoever reads it meanwhile finds it whole but for
/// what is at its end.
fn overwrite(file: &OwnedFd, text: &str) -> Result<()> {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let at = (text.len() - rest.len()) as u64;
        let written = rustix::io::pwrite(file, rest, at)?;
        rest = rest.get(written..).unwrap_or_default();
    }
    rustix::fs::ftruncate(file, text.len() as u64)
}
