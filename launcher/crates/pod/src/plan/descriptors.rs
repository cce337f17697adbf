//! The descriptors that a plan names: its terminal and network, system call
//! filters, cgroups that apps move to, pipes and directories of logs.
//!
//! A plan has labels in place of descriptor numbers. The launcher opens what
//! each label stands for, gets whatever number is free, and replaces the labels
//! when it hands over the plan. So it does not matter which descriptors the
//! caller has open, or how many it may have.
//!
//! The terminal, the network, the default filter, that of PID 1 and our
//! directories always have the same labels, so that a plan written by hand can
//! name them; the others follow in the order of the apps. A number that is not a
//! label is a descriptor of the caller.

use std::borrow::Cow;
use std::path::PathBuf;

use crate::seccomp::Program;
use crate::spec::pod::Joined;
use crate::spec::ports::PublishedPort;

/// The namespaces that a command joins: the first of several consecutive
/// labels.
pub const NAMESPACES: u32 = 80;

/// What can be read when it is time to start a pod again, or a signal asks the
/// launcher to end.
pub(crate) const DELAY: u32 = 89;

/// The directory with the pod's files, in the options of a mount: what has
/// [short names](crate::plan::overlay::Overlay::links) is found there.
pub const FILES: u32 = 90;

/// The `/etc/hosts` of a pod on bridges.
pub const HOSTS: u32 = 91;

/// The socket by which an app notifies the service manager.
pub const NOTIFICATION: u32 = 92;

/// The filter of PID 1.
pub(crate) const INIT_FILTER: u32 = 93;

/// The data directory.
pub const DATA: u32 = 94;

/// The directory with that of pods: the data directory, or one in memory.
pub const PODS: u32 = 95;

/// The FIFO whose other end is open as long as a client is attached to the
/// pod's terminal.
pub(crate) const ATTACHED: u32 = 96;

/// The master side of the pod's terminal, which an attached client reads.
pub const MASTER: u32 = 97;

/// The pod's terminal.
pub const TERMINAL: u32 = 98;

/// The pod's network namespace.
pub const NETWORK: u32 = 99;

/// The default filter.
pub(crate) const DEFAULT_FILTER: u32 = 100;

/// A descriptor that a plan needs, with its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NeededDescriptor {
    /// A network namespace with a loopback interface: [`NETWORK`].
    Network,
    /// A network namespace that is there already: [`NETWORK`].
    Joined(Joined),
    /// The file with the names of other pods: [`HOSTS`].
    Hosts,
    /// The directories in which something is undone: [`DATA`] and [`PODS`].
    Directories,
    /// The pod's terminal: `ATTACHED`, [`MASTER`] and [`TERMINAL`].
    Terminal(Owner),
    /// A filter of system calls: an array of `struct sock_filter`.
    Filter(u32, Cow<'static, [u8]>),
    /// The file through which processes join a cgroup.
    Group(u32, PathBuf),
    /// A socket that listens on a port of the host.
    Socket(u32, PublishedPort),
    /// What can be read when something can be read from one of these sockets, or
    /// a signal asks the launcher to end.
    Awaited(u32, Vec<u32>),
    /// A timer for when it is time to start the pod again, and `DELAY`.
    Delay,
    /// The socket by which an app notifies the service manager: [`NOTIFICATION`].
    Notification,
    /// The null device.
    Null(u32),
    /// The directory of an app's log.
    LogDirectory(u32, String),
    /// A pipe, with a label for each end.
    Pipe {
        /// The end that is read.
        read: u32,
        /// The end that an app writes to.
        write: u32,
        /// Its owner.
        owner: Owner,
    },
}

/// The owner of a pipe or terminal, in ids of the host: an app that opens
/// /dev/stdout opens the pipe or terminal once more and needs the permission to
/// do so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The user, if the host has the id.
    pub uid: Option<u32>,
    /// The group, if the host has the id.
    pub gid: Option<u32>,
}

/// Assigns labels.
pub(crate) struct Labels {
    last: u32,
}

impl Labels {
    /// Starts after the fixed labels and after `highest`, the highest number
    /// that is in use otherwise.
    pub(crate) fn after(highest: u32) -> Self {
        Self {
            last: highest.max(DEFAULT_FILTER),
        }
    }

    /// Returns a label that was not used before.
    pub(crate) fn next(&mut self) -> u32 {
        self.last = self.last.saturating_add(1);
        self.last
    }

    /// Returns the label of a filter; the default one always has the same.
    pub(crate) fn filter(&mut self, program: &Program) -> u32 {
        match program.is_default() {
            true => DEFAULT_FILTER,
            false => self.next(),
        }
    }
}
