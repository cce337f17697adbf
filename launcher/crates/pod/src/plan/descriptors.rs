//! The descriptors that a plan names: its terminal and network, filters of system
//! calls, cgroups that apps move to, pipes and directories of logs.
//!
//! A label stands where a plan has the number of a descriptor, and is none: what
//! the launcher opens for it gets whatever number is free, which takes the place
//! of the label when the plan is handed over. So it does not matter what the
//! caller has open, or how many descriptors it may have.
//!
//! The terminal, the network and the default filter always have the same labels,
//! so that a plan which somebody wrote down can name them; the others follow in
//! the order of the apps. A number that is no label is that of a descriptor of
//! the caller.

use std::borrow::Cow;
use std::path::PathBuf;

use crate::seccomp::Program;

/// The namespaces that a command joins: the first of some labels in a row.
pub const NAMESPACES: u32 = 80;

/// What is open as long as somebody is attached to the pod's terminal.
pub(crate) const ATTACHED: u32 = 96;

/// The side of the pod's terminal that is read by whoever is attached to it.
pub const MASTER: u32 = 97;

/// The pod's terminal.
pub const TERMINAL: u32 = 98;

/// The pod's network namespace.
pub const NETWORK: u32 = 99;

/// The default filter.
pub(crate) const DEFAULT_FILTER: u32 = 100;

/// What has to be open for a plan, with the labels that it has for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needed {
    /// A network namespace with a loopback interface: [`NETWORK`].
    Network,
    /// The pod's terminal: [`ATTACHED`], [`MASTER`] and [`TERMINAL`].
    Terminal(Owner),
    /// A filter of system calls: an array of `struct sock_filter`.
    Filter(u32, Cow<'static, [u8]>),
    /// The file by which processes enter a cgroup.
    Group(u32, PathBuf),
    /// The null device.
    Null(u32),
    /// The directory of the log of an app.
    LogDirectory(u32, String),
    /// A pipe, by the labels of its ends.
    Pipe {
        /// Where it is read.
        read: u32,
        /// Where an app writes.
        write: u32,
        /// Whose pipe it is.
        owner: Owner,
    },
}

/// Who owns a pipe or a terminal of an app, in ids of the host: an app that opens
/// /dev/stdout opens that once more, for which it needs the right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The user, if the host has it.
    pub uid: Option<u32>,
    /// The group, if the host has it.
    pub gid: Option<u32>,
}

/// Gives out labels.
pub(crate) struct Labels {
    last: u32,
}

impl Labels {
    /// Begins after the fixed labels, and after the `highest` number that is
    /// taken otherwise.
    pub(crate) fn after(highest: u32) -> Self {
        Self {
            last: highest.max(DEFAULT_FILTER),
        }
    }

    /// Returns one that was not given before.
    pub(crate) fn next(&mut self) -> u32 {
        self.last = self.last.saturating_add(1);
        self.last
    }

    /// Labels a filter: the default one is always called the same.
    pub(crate) fn filter(&mut self, program: &Program) -> u32 {
        match program.is_default() {
            true => DEFAULT_FILTER,
            false => self.next(),
        }
    }
}
