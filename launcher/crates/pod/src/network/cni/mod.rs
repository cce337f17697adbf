//! Networks that plugins of the Container Network Interface make, versions 0.1.0
//! to 1.1.0 of its specification (<https://www.cni.dev/docs/spec/>).
//!
//! | | |
//! |---|---|
//! | [`configuration`] | what a network consists of |
//! | `find` | where configurations and plugins are |
//! | `call` | executes a plugin |
//! | [`result`] | what plugins answer |
//! | `journal` | what has to be undone |
//!
//! Plugins are programs of the host that run as root, because its administrator
//! has configured them: neither an image nor a pod manifest can choose one.
//!
//! They are given the pod's network namespace as a descriptor of the process
//! that waits for the pod, which becomes `stage1-init` and then the launcher
//! again, so that the path is the same in the end, and needs no clean-up.
//! When a pod was killed, its namespace is gone, and its links with it. But some
//! plugins ask the namespace for the addresses whose rules they have to remove;
//! so they get another one that has them.
//!
//! Not used: `CHECK`, since nobody asks; and `GC`, which would remove what other
//! runtimes have on a network, since it is told of our pods only.

mod call;
pub mod configuration;
mod find;
mod journal;
pub mod result;

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{Access, AtFlags, Dir};

use crate::network::cni::call::{Call, Operation};
use crate::network::cni::configuration::Told;
use crate::network::cni::find::Found;
use crate::network::cni::journal::{Asked, Event, Journal, Pending};
use crate::network::cni::result::Made;
use crate::plan::directives::Change;
use crate::spec::connection::{Arguments, NetworkName};
use crate::spec::ports::PublishedPort;
use crate::state::{lock, subdirectory};
use appc::json::{Object, Value};
use appc::types::Uuid;
use error::{Context as _, Error, Result};
use sys::netlink::Socket;
use sys::netlink::route::{Veth, bits};
use sys::netns;

/// A connection to a network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// The name of the network.
    pub(super) network: &'a NetworkName,
    /// The name of the link in the pod.
    pub(super) interface: &'a str,
    /// Arguments for its plugins.
    pub(super) arguments: &'a Arguments,
    /// Ports of the host that are to lead to the pod.
    pub(super) ports: &'a [PublishedPort],
}

/// What connects a pod to a network.
pub(super) struct Connected {
    /// What the plugins have made.
    pub(super) made: Made,
    /// The network namespace, to be held as long as the pod runs.
    pub(super) namespace: OwnedFd,
}

/// The capability to which the ports of a pod are given
/// (<https://www.cni.dev/docs/conventions/>).
const PORTS: &str = "portMappings";

/// Checks that there is a network of this name.
///
/// # Errors
///
/// There is none, or its configuration is not valid.
pub fn check(name: &NetworkName) -> Result<()> {
    find::find(name.as_str()).map(drop)
}

/// Finds the configuration that a connection uses, and its plugins.
///
/// # Errors
///
/// There is none, or it is not valid, or cannot publish ports; a plugin is not
/// there.
fn look(wanted: &Wanted<'_>) -> Result<Found> {
    let name = wanted.network.as_str();
    let found = find::find(name)?;
    let path = find::path();
    for plugin in &found.configuration.plugins {
        find::plugin(&path, &plugin.program)?;
    }
    if !wanted.ports.is_empty() && !found.configuration.can(PORTS) {
        let what = format!("cannot publish ports: the network `{name}` has no plugin for that");
        let hint = format!("`portmap` with `\"capabilities\": {{\"{PORTS}\": true}}` does it");
        return Err(Error::invalid(what).hint(hint));
    }
    Ok(found)
}

/// Connects a pod to a network. `pod` is its directory, `namespace` its network
/// namespace.
///
/// # Errors
///
/// As for [`look`]; a plugin fails. What plugins have done until then is
/// undone.
pub(super) fn connect(
    id: Uuid,
    wanted: &Wanted<'_>,
    pod: BorrowedFd<'_>,
    namespace: BorrowedFd<'_>,
) -> Result<Connected> {
    let name = wanted.network.as_str();
    let what = || format!("cannot connect the pod to the network `{name}`");
    let configuration = look(wanted)?.configuration;
    let namespace = namespace.try_clone_to_owned().context(what)?;
    let asked = Asked {
        interface: wanted.interface.to_owned(),
        configuration,
        arguments: arguments(wanted.arguments),
        capabilities: capabilities(wanted),
        path: find::path(),
        descriptor: namespace.as_raw_fd().unsigned_abs(),
        inode: rustix::fs::fstat(&namespace).context(what)?.st_ino,
    };
    let journal = Journal::make(pod).context(what)?;
    journal.ask(&asked).context(what)?;
    let added = add(id, &asked, &journal);
    if added.is_err() {
        // While the namespace is there. What fails is tried again.
        let _ = undo(id, &journal);
    }
    Ok(Connected {
        made: Made::read(&added.context(what)?),
        namespace,
    })
}

/// Returns what connecting a pod would change on this host.
///
/// # Errors
///
/// As for [`look`].
pub(super) fn change(wanted: &Wanted<'_>, reason: &str) -> Result<Change> {
    let found = look(wanted)?;
    let plugins = found.configuration.plugins.iter();
    let plugins: Vec<_> = plugins
        .map(|plugin| format!("`{}`", plugin.program))
        .collect();
    let (interface, file) = (wanted.interface, found.file.display());
    let plugins = plugins.join(" and ");
    Ok(Change {
        what: format!("`{interface}` of the pod, made by the CNI plugins of `{file}`: {plugins}"),
        reason: reason.to_owned(),
        stays: false,
    })
}

/// Has plugins connect a pod, one after another; returns the last result.
fn add(id: Uuid, asked: &Asked, journal: &Journal) -> Result<Value> {
    let namespace = place(asked.descriptor);
    let call = Call::of(id, asked, &namespace, journal);
    let mut previous = None;
    for plugin in &asked.configuration.plugins {
        let told = Told {
            capabilities: &asked.capabilities,
            previous: previous.as_ref(),
        };
        let request = asked.configuration.request(plugin, told);
        let output = journal.output();
        let output = output.context(|| "cannot record what a plugin does")?;
        let said = call.execute(Operation::Add, &plugin.program, &request, output)?;
        let result = result::result(&plugin.program, &said)?;
        let told = journal.tell(&asked.interface, &Event::Result(&result));
        told.context(|| "cannot record what a plugin has done")?;
        previous = Some(result);
    }
    Ok(previous.unwrap_or(Value::Null))
}

/// How often to try to remove what plugins have made.
const TRIES: usize = 3;

/// Has plugins remove what they have made for a pod that has ended.
///
/// # Errors
///
/// A plugin fails. That is tried again the next time, but not for ever.
pub(super) fn disconnect(pod: impl AsFd, id: Uuid) -> Result<()> {
    let what = || "cannot read what CNI plugins have made for the pod";
    match Journal::find(pod).context(what)? {
        Some(journal) => undo(id, &journal),
        None => Ok(()),
    }
}

/// Undoes what is in a journal, the last first. Goes on if something fails;
/// returns the first error.
fn undo(id: Uuid, journal: &Journal) -> Result<()> {
    let pending = journal.pending();
    let pending = pending.context(|| "cannot read what CNI plugins have made for the pod")?;
    let mut undone = Ok(());
    for one in pending.iter().rev() {
        let name = &one.asked.configuration.name;
        let again = one.failures + 1 < TRIES;
        let what = || match again {
            true => format!("cannot remove the pod from the network `{name}`"),
            false => format!("cannot remove the pod from the network `{name}`, and gave up"),
        };
        let deleted = delete(id, one, journal).context(what);
        let event = match deleted {
            Err(_) if again => Event::Failed,
            _ => Event::Gone,
        };
        let told = journal.tell(&one.asked.interface, &event).context(what);
        undone = undone.and(deleted).and(told);
    }
    undone
}

/// Has the plugins of a network remove what they have made.
fn delete(id: Uuid, pending: &Pending, journal: &Journal) -> Result<()> {
    let Pending { asked, result, .. } = pending;
    if is_there(asked) {
        return delete_in(&place(asked.descriptor), id, pending, journal);
    }
    if let Ok(made) = substitute(asked, result.as_ref()) {
        let namespace = place(made.as_raw_fd().unsigned_abs());
        if delete_in(&namespace, id, pending, journal).is_ok() {
            return Ok(());
        }
    }
    // After a reboot, nothing is there any more that the addresses are good for, and
    // some plugins do not expect that.
    delete_in("", id, pending, journal)
}

/// The same, the last plugin first, with the path of a network namespace.
fn delete_in(namespace: &str, id: Uuid, pending: &Pending, journal: &Journal) -> Result<()> {
    let Pending { asked, result, .. } = pending;
    let call = Call::of(id, asked, namespace, journal);
    let configuration = &asked.configuration;
    for plugin in configuration.plugins.iter().rev() {
        let told = Told {
            capabilities: &asked.capabilities,
            previous: result
                .as_ref()
                .filter(|_| configuration.has_result_at_end()),
        };
        let request = configuration.request(plugin, told);
        let output = call::memory().context(|| "cannot make a file in memory")?;
        call.execute(Operation::Delete, &plugin.program, &request, &output)?;
    }
    Ok(())
}

/// Returns the path of a descriptor of this process, for others.
fn place(descriptor: u32) -> String {
    format!("/proc/{}/fd/{descriptor}", std::process::id())
}

/// Returns whether this process holds the network namespace.
fn is_there(asked: &Asked) -> bool {
    let held = rustix::fs::stat(format!("/proc/self/fd/{}", asked.descriptor));
    held.is_ok_and(|held| held.st_ino == asked.inode && is_of_namespaces(held.st_dev))
}

/// Returns whether a device is the one of namespaces.
fn is_of_namespaces(device: u64) -> bool {
    let own = netns::here().and_then(rustix::fs::fstat);
    own.is_ok_and(|own| own.st_dev == device)
}

/// Makes a network namespace like the one of a pod that was killed: with a link of
/// the same name and addresses.
fn substitute(asked: &Asked, result: Option<&Value>) -> Result<OwnedFd> {
    let what = || "cannot make a network namespace like the pod's";
    let (namespace, mut socket) = netns::make(Socket::route)?;
    let pair = Veth {
        here: &asked.interface,
        there: "peer",
        namespace: namespace.as_fd(),
        mac: None,
        mtu: None,
    };
    socket.add_veth(&pair).context(what)?;
    let link = socket.find_link(&asked.interface).context(what)?;
    for address in result.map(Made::read).unwrap_or_default().addresses {
        let own = (address, bits(address));
        let added = link.map_or(Ok(()), |link| socket.add_address(link, own));
        added.context(what)?;
    }
    Ok(namespace)
}

/// Has plugins remove what they have made for pods that were killed, and whose
/// directories are beside the one of this pod. What fails is told.
pub(super) fn sweep(pod: BorrowedFd<'_>, own: Uuid, tell: &dyn Fn(&Error)) -> Result<()> {
    let what = || "cannot read the directory of pods";
    let Some(all) = subdirectory::open(pod, "..").context(what)? else {
        return Ok(());
    };
    for entry in Dir::read_from(&all).context(what)? {
        let entry = entry.context(what)?;
        let name = String::from_utf8_lossy(entry.file_name().to_bytes()).into_owned();
        let Some(id) = Uuid::parse(&name).ok().filter(|id| *id != own) else {
            continue;
        };
        // Most have none, so that is looked at first.
        let file = format!("{name}/{}", journal::FILE);
        if rustix::fs::accessat(&all, &file, Access::EXISTS, AtFlags::empty()).is_err() {
            continue;
        }
        let Some(other) = subdirectory::open(&all, &name).context(what)? else {
            continue;
        };
        if lock::take(&other).context(what)? {
            disconnect(&other, id).unwrap_or_else(|error| tell(&error));
        }
    }
    Ok(())
}

/// Formats arguments for plugins. Those that a plugin does not know are not its
/// concern.
fn arguments(arguments: &Arguments) -> String {
    let all = arguments
        .pairs()
        .map(|(key, value)| format!(";{key}={value}"));
    let all = all.collect::<String>();
    match all.is_empty() {
        true => String::new(),
        false => format!("IgnoreUnknown=1{all}"),
    }
}

/// Returns what plugins are told if they are capable of it
/// (<https://www.cni.dev/docs/conventions/>).
fn capabilities(wanted: &Wanted<'_>) -> Vec<(String, Value)> {
    let Arguments { ip, mac, .. } = wanted.arguments;
    let ports = wanted.ports.iter().map(|port| {
        Object::new()
            .with("hostPort", port.host)
            .with("containerPort", port.pod)
            .with("protocol", port.protocol.name())
            .with_some("hostIP", port.address.map(|address| address.to_string()))
    });
    let ports: Value = ports.collect();
    let all = [
        (PORTS, Some(ports).filter(|_| !wanted.ports.is_empty())),
        ("ips", ip.map(|ip| Value::List(vec![ip.to_string().into()]))),
        ("mac", mac.map(|mac| mac.to_string().into())),
    ];
    let given = all.into_iter();
    let given = given.filter_map(|(name, value)| Some((name.to_owned(), value?)));
    given.collect()
}

impl<'a> Call<'a> {
    fn of(pod: Uuid, asked: &'a Asked, namespace: &'a str, journal: &'a Journal) -> Self {
        Self {
            pod,
            namespace,
            interface: &asked.interface,
            arguments: &asked.arguments,
            path: &asked.path,
            lock: journal.lock(),
        }
    }
}
