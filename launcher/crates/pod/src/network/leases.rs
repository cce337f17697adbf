//! Who has which address: a file for each, which names the pod and its ports on
//! the host, and is locked as long as the pod runs.
//!
//! The kernel releases the lock of a process that is killed. The address then
//! belongs to whoever locks the file next, who first removes what the dead pod
//! has left. Whoever removes a file holds its lock; so whoever has locked one
//! looks whether it is still there.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags};
use rustix::io::{Errno, Result};

use crate::network::attachment::Held;
use crate::spec::ports::PublishedPort;
use crate::state::lock::is_there;
use crate::state::subdirectory;
use appc::types::Uuid;
use sys::netns;
use sys::small_file;

/// The directory of all network namespaces.
const ROOT: [&str; 3] = ["/run", "nosecone", "net"];

/// The leases of a network namespace.
pub(super) struct Leases {
    directory: OwnedFd,
    name: String,
}

/// An address that this process may use, or free.
pub(super) struct Lease {
    pub(super) address: Ipv4Addr,
    /// Whether another pod has had it, which was killed.
    pub(super) used: bool,
    /// The lock; `None` if this process has inherited it.
    file: Option<OwnedFd>,
}

impl Lease {
    /// Returns the descriptor that has to be held as long as the pod runs.
    pub(super) fn into_lock(self) -> Option<OwnedFd> {
        self.file
    }

    /// Returns the number of that descriptor.
    pub(super) fn descriptor(&self) -> u32 {
        let file = self.file.as_ref();
        file.map_or(u32::MAX, |file| file.as_raw_fd().unsigned_abs())
    }
}

/// What a lease says of the pod that has it: a line for the pod, one for its names,
/// and one for each of its ports on the host.
pub(super) struct Owner {
    pub(super) pod: Uuid,
    pub(super) ports: Vec<PublishedPort>,
    /// What others on its bridges call it.
    pub(super) names: Vec<String>,
}

/// How the line begins that has its names.
const NAMES: &str = "names ";

/// The most that a lease can say, in bytes.
const LIMIT: usize = 64 << 10;

impl Owner {
    fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let pod = Uuid::parse(lines.next()?).ok()?;
        let names = lines.clone().find_map(|line| line.strip_prefix(NAMES));
        let names = names.unwrap_or_default().split_whitespace();
        Some(Self {
            pod,
            names: names.map(str::to_owned).collect(),
            ports: lines.filter_map(|line| line.parse().ok()).collect(),
        })
    }

    /// Writes a lease, which has to be held.
    pub(super) fn write(&self, lease: &Lease) -> Result<()> {
        let file = lease.file.as_ref().ok_or(Errno::BADF)?;
        let mut text = format!("{}\n", self.pod);
        if !self.names.is_empty() {
            text.push_str(&format!("{NAMES}{}\n", self.names.join(" ")));
        }
        for port in &self.ports {
            text.push_str(&format!("{port}\n"));
        }
        rustix::fs::ftruncate(file, 0)?;
        let written = rustix::io::pwrite(file, text.as_bytes(), 0)?;
        match written == text.len() {
            true => Ok(()),
            false => Err(Errno::NOSPC),
        }
    }
}

/// How often to try again what another process is just removing.
const TRIES: usize = 100;

impl Leases {
    /// Opens those of the network namespace that this process is in; `None` if
    /// it has none.
    pub(super) fn here() -> Result<Option<Self>> {
        // The directory is root's.
        let root = match rustix::process::geteuid().is_root() {
            true => subdirectory::open(CWD, ROOT.join("/"))?,
            false => None,
        };
        let Some(root) = root else {
            return Ok(None);
        };
        let name = name()?;
        let directory = subdirectory::open(root, &name)?;
        Ok(directory.map(|directory| Self { directory, name }))
    }

    /// Opens or makes them.
    fn make() -> Result<Self> {
        let name = name()?;
        let directory = subdirectory::make(root()?.as_fd(), &name)?;
        Ok(Self { directory, name })
    }

    /// Takes the first address that no pod uses; `None` if there is none. The
    /// lease is still as its last owner has left it.
    pub(super) fn take(addresses: impl Iterator<Item = Ipv4Addr>) -> Result<Option<(Self, Lease)>> {
        let mut leases = Self::make()?;
        for address in addresses {
            for _ in 0..TRIES {
                match leases.lock(address, OFlags::CREATE) {
                    Ok(None) => break,
                    Ok(Some(lease)) => return Ok(Some((leases, lease))),
                    // Another process has removed the file, or the directory
                    // with its last one.
                    Err(Errno::NOENT) => leases = Self::make()?,
                    Err(errno) => return Err(errno),
                }
            }
        }
        Ok(None)
    }

    /// Locks the lease of an address; `None` if a pod uses it.
    fn lock(&self, address: Ipv4Addr, flags: OFlags) -> Result<Option<Lease>> {
        let name = address.to_string();
        let flags = flags | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = rustix::fs::openat(&self.directory, &name, flags, mode)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Ok(None),
            locked => locked?,
        }
        if !is_there(&self.directory, &name, &file)? {
            return Err(Errno::NOENT);
        }
        Ok(Some(Lease {
            address,
            used: rustix::fs::fstat(&file)?.st_size > 0,
            file: Some(file),
        }))
    }

    /// Returns whose lease an address is; `None` if nobody has written it.
    pub(super) fn owner(&self, address: Ipv4Addr) -> Result<Option<Owner>> {
        let text = small_file::find(&self.directory, address.to_string(), LIMIT);
        let text = text.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok(text.and_then(|text| Owner::read(&String::from_utf8_lossy(&text))))
    }

    /// Returns all addresses that have an owner, dead ones too.
    pub(super) fn owners(&self) -> Result<Vec<(Ipv4Addr, Owner)>> {
        let mut owned = Vec::new();
        for address in self.all()? {
            owned.extend(self.owner(address)?.map(|owner| (address, owner)));
        }
        Ok(owned)
    }

    /// Returns their directory.
    pub(super) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Takes the lease of a pod that has ended; `None` if it is gone, or
    /// another pod has it by now.
    pub(super) fn reclaim(&self, held: Held, pod: Uuid) -> Result<Option<Lease>> {
        let address = held.address;
        let held = format!("/proc/self/fd/{}", held.descriptor);
        let held = rustix::fs::stat(held).ok();
        let name = address.to_string();
        let there = rustix::fs::statat(&self.directory, &name, AtFlags::SYMLINK_NOFOLLOW);
        let inode = |status: rustix::fs::Stat| (status.st_dev, status.st_ino);
        if there.is_ok() && held.map(inode) == there.ok().map(inode) {
            // stage1-init has passed it on, locked.
            let used = true;
            return Ok(Some(Lease {
                address,
                used,
                file: None,
            }));
        }
        match self.lock(address, OFlags::empty()) {
            Err(Errno::NOENT) => Ok(None),
            locked => Ok(locked?.filter(|lease| self.is_of(lease, pod))),
        }
    }

    fn is_of(&self, lease: &Lease, pod: Uuid) -> bool {
        let owner = self.owner(lease.address).ok().flatten();
        owner.is_some_and(|owner| owner.pod == pod)
    }

    /// Locks the leases of all pods that are gone.
    pub(super) fn dead(&self) -> Result<Vec<Lease>> {
        let mut dead = Vec::new();
        for address in self.all()? {
            match self.lock(address, OFlags::empty()) {
                Ok(lease) => dead.extend(lease),
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(dead)
    }

    /// Returns the addresses of all leases.
    fn all(&self) -> Result<Vec<Ipv4Addr>> {
        let mut all = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.directory)? {
            let entry = entry?;
            all.extend(
                entry
                    .file_name()
                    .to_str()
                    .ok()
                    .and_then(|name| name.parse::<Ipv4Addr>().ok()),
            );
        }
        Ok(all)
    }

    /// Returns whether there are none but this one.
    pub(super) fn are_none_but(&self, one: Option<Ipv4Addr>) -> Result<bool> {
        Ok(self.all()?.into_iter().all(|address| Some(address) == one))
    }

    /// Frees an address.
    pub(super) fn free(&self, lease: &Lease) -> Result<()> {
        let name = lease.address.to_string();
        rustix::fs::unlinkat(&self.directory, name, AtFlags::empty())
    }

    /// Removes the directory, if it is empty.
    pub(super) fn remove(&self) -> Result<()> {
        let path = [&ROOT[..], &[&self.name]].concat().join("/");
        match rustix::fs::unlinkat(CWD, path, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::NOENT) => Ok(()),
            removed => removed,
        }
    }
}

/// Opens or makes the directory of all network namespaces.
///
/// # Errors
///
/// Those of the disk.
pub(super) fn root() -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let run = rustix::fs::open(ROOT[0], flags, Mode::empty())?;
    let own = subdirectory::make(run.as_fd(), ROOT[1])?;
    subdirectory::make(own.as_fd(), ROOT[2])
}

/// Returns what the directory of the network namespace is called that this
/// process is in.
fn name() -> Result<String> {
    let status = rustix::fs::fstat(netns::here()?)?;
    Ok(format!("{:x}-{:x}", status.st_dev, status.st_ino))
}
