//! Opens the descriptors that a plan names by labels.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, PidfdGetfdFlags};

use crate::cgroup;
use crate::network::{self, Inside};
use crate::plan::descriptors::{DATA, DELAY, HOSTS, NETWORK, NOTIFICATION, NeededDescriptor, PODS};
use crate::runtime::exec::sealed;
use crate::runtime::streams::give;
use crate::runtime::{joined, metadata, notify, terminal, timer};
use crate::spec::defaults;
use crate::spec::pod::PodSpec;
use crate::state::{directory, subdirectory};
use error::{Context as _, Error, Result};
use sys::dirs::Dirs;
use sys::netlink::Socket;
use sys::netns;

/// The open descriptors of a plan, by label.
pub type Named = BTreeMap<u32, OwnedFd>;

/// What a pod brings along when it is started.
pub struct Provided<'a> {
    /// What runs, if its network has to be connected to others.
    pub connected: Option<&'a PodSpec>,
    /// Called if it cannot be, and runs all the same.
    pub tell: &'a dyn Fn(&Error),
    /// The directory of the pod.
    pub pod: BorrowedFd<'a>,
    /// All our directories.
    pub dirs: &'a Dirs,
    /// The directory of its log, if it has one.
    pub log: Option<OwnedFd>,
    /// The master side of the pod's terminal, if the caller has opened it.
    pub master: Option<OwnedFd>,
}

/// What was opened for a pod.
#[derive(Default)]
pub struct Opened {
    /// The descriptors of the plan.
    pub named: Named,
    /// The listener of the metadata service, if the pod has a network for it.
    pub listener: Option<OwnedFd>,
    /// The sockets that listen on its ports on the host.
    pub ports: Vec<OwnedFd>,
    /// The socket by which its app notifies the service manager.
    pub told: Option<OwnedFd>,
    /// The timer for when it is time to start the pod again.
    pub delay: Option<OwnedFd>,
    /// What has to stay open as long as the pod runs.
    pub held: Vec<OwnedFd>,
    /// The content of its `/etc/resolv.conf`, if its networks say that.
    pub resolver: Option<String>,
}

/// Opens all descriptors, and connects the pod's network.
///
/// # Errors
///
/// Fails if the kernel refuses; as for [`network::connect`].
pub fn open(needed: &[NeededDescriptor], mut place: Provided<'_>) -> Result<Opened> {
    let mut opened = Opened::default();
    let named = &mut opened.named;
    for one in needed {
        match one {
            NeededDescriptor::Network => {
                let (namespace, (listener, socket)) = netns::make(|| {
                    let socket = place.connected.map(|_| Socket::route());
                    Ok((netns::listen(metadata::PORT)?, socket.transpose()?))
                })?;
                if let (Some(spec), Some(socket)) = (place.connected, socket) {
                    let inside = Inside {
                        namespace: namespace.as_fd(),
                        socket,
                        listener: listener.as_fd(),
                    };
                    let connected = network::connect(spec, inside, place.pod, place.tell)?;
                    opened.held.extend(connected.held);
                    opened.resolver = connected.resolver;
                    opened.ports = connected.ports;
                    named.extend(connected.hosts.map(|file| (HOSTS, file)));
                }
                named.insert(NETWORK, namespace);
                opened.listener = Some(listener);
            }
            NeededDescriptor::Joined(joined) => {
                named.insert(NETWORK, joined::open(place.dirs, joined)?);
            }
            // The pod of a written plan is connected to nobody.
            NeededDescriptor::Hosts if !named.contains_key(&HOSTS) => {
                let what = || "cannot make the file of names";
                let file = directory::make(place.pod, "hosts").context(what)?;
                rustix::fs::fchmod(&file, Mode::from_raw_mode(0o644)).context(what)?;
                rustix::io::write(&file, defaults::hosts("").as_bytes()).context(what)?;
                named.insert(HOSTS, file);
            }
            NeededDescriptor::Hosts => {}
            NeededDescriptor::Directories => {
                for (label, directory) in
                    [(DATA, place.dirs.root()?), (PODS, place.dirs.pods_base()?)]
                {
                    let directory = directory.try_clone_to_owned();
                    let directory = directory.context(|| "cannot pass on a directory")?;
                    named.insert(label, directory);
                }
            }
            NeededDescriptor::Terminal(owner) => {
                named.extend(terminal::open(place.pod, *owner, place.master.take())?);
            }
            NeededDescriptor::Filter(label, program) => {
                named.insert(*label, sealed("filter", program)?);
            }
            NeededDescriptor::Group(label, group) => {
                named.insert(*label, cgroup::open_procs(group)?);
            }
            NeededDescriptor::Socket(label, port) => {
                named.insert(*label, network::listen(*port)?);
            }
            NeededDescriptor::Awaited(label, sockets) => {
                let sockets = sockets.iter().filter_map(|socket| named.get(socket));
                let any = sys::signals::or_ending(sockets.map(AsFd::as_fd));
                let [any, signals] = any.context(|| "cannot wait for a connection")?;
                named.insert(*label, any);
                opened.held.push(signals);
            }
            NeededDescriptor::Delay => {
                let timer = timer::elapsed().context(|| timer::CANNOT)?;
                let any = sys::signals::or_ending([timer.as_fd()].into_iter());
                let [any, signals] = any.context(|| timer::CANNOT)?;
                named.insert(DELAY, any);
                opened.held.push(signals);
                opened.delay = Some(timer);
            }
            NeededDescriptor::Notification => {
                let made = notify::listen(place.pod);
                let [socket, there] = made.context(|| "cannot listen to the app")?;
                named.insert(NOTIFICATION, there);
                opened.told = Some(socket);
            }
            NeededDescriptor::Null(label) => {
                let flags = OFlags::RDWR | OFlags::CLOEXEC;
                let null = rustix::fs::open("/dev/null", flags, Mode::empty());
                named.insert(*label, null.context(|| "cannot open `/dev/null`")?);
            }
            NeededDescriptor::LogDirectory(label, app) => {
                if let Some(log) = &place.log {
                    let directory = subdirectory::make(log.as_fd(), app);
                    let directory = directory.context(|| cannot_log(app))?;
                    named.insert(*label, directory);
                }
            }
            NeededDescriptor::Pipe { read, write, owner } => {
                let (reader, writer) = std::io::pipe().context(|| "cannot create a pipe")?;
                give(writer.as_fd(), *owner);
                named.insert(*read, reader.into());
                named.insert(*write, writer.into());
            }
        }
    }
    Ok(opened)
}

fn cannot_log(app: &str) -> String {
    format!("cannot create the log of app `{app}`")
}

/// Returns the descriptor number for a label.
pub fn number_of(named: &Named, label: u32) -> u32 {
    match named.get(&label) {
        Some(fd) => fd.as_raw_fd().unsigned_abs(),
        None if is_ours(label) => NONE,
        None => label,
    }
}

/// Duplicates a descriptor that this process has inherited.
///
/// # Errors
///
/// It has not.
pub fn inherited(number: u32) -> rustix::io::Result<OwnedFd> {
    let own = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty())?;
    let number = i32::try_from(number).map_err(|_| Errno::BADF)?;
    rustix::process::pidfd_getfd(own, number, PidfdGetfdFlags::empty())
}

/// The highest number, which no descriptor can have.
const NONE: u32 = i32::MAX.unsigned_abs();

/// Returns whether the launcher has opened this descriptor for itself: those of
/// the caller are not close-on-exec.
fn is_ours(number: u32) -> bool {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}"));
    let info = info.unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & OFlags::CLOEXEC.bits() != 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_plan_cannot_name_a_descriptor_of_the_launcher() {
        let (reader, writer) = std::io::pipe().unwrap();
        let (own, given) = (reader.as_raw_fd().unsigned_abs(), writer.into());
        let named = Named::from([(98, given)]);
        let real = named[&98].as_raw_fd().unsigned_abs();
        assert_eq!(number_of(&named, 98), real);
        assert_eq!(number_of(&named, own), NONE);
        rustix::io::fcntl_setfd(&reader, rustix::io::FdFlags::empty()).unwrap();
        for number in [0, 1, 2, own, 1_000_000] {
            assert_eq!(number_of(&named, number), number);
        }
    }
}
