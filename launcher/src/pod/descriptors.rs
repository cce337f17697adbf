//! Which descriptors a pod's plan names, and by which numbers: its terminal and
//! network, filters of system calls, and the groups that apps move to.
//!
//! The numbers begin where callers of the launcher have none open. The terminal,
//! the network and the default filter always have the same, so that a plan which somebody
//! wrote down can name them; the others follow in the order of the apps.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;

use super::cgroup::Groups;
use super::seccomp::Program;
use crate::ground::{Context as _, Error, Kind, Result};

/// What is open as long as somebody attends to the pod's terminal.
pub(crate) const ATTENDED: u32 = 96;

/// The side of the pod's terminal that is read by whoever attends to it.
pub(crate) const MASTER: u32 = 97;

/// The pod's terminal.
pub(crate) const TERMINAL: u32 = 98;

/// The pod's network namespace.
pub(crate) const NETWORK: u32 = 99;

/// The default filter.
pub(crate) const DEFAULT_FILTER: u32 = 100;

/// What the processes of an app use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OfApp {
    /// Its filter, if it has one.
    pub(crate) filter: Option<u32>,
    /// The groups that it moves to.
    pub(crate) groups: Vec<u32>,
}

/// All descriptors of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Descriptors {
    /// Of each app, in the order of the apps.
    pub(crate) apps: Vec<OfApp>,
    /// Filters besides the default: `struct sock_filter`s.
    pub(crate) filters: Vec<(u32, Vec<u8>)>,
    /// Groups.
    pub(crate) groups: Vec<(u32, PathBuf)>,
}

/// Numbers them. `filters` are those of the apps, in the order of the apps.
pub(crate) fn number<'a>(
    filters: impl IntoIterator<Item = Option<&'a Program>>,
    groups: &Groups,
) -> Descriptors {
    let mut all = Descriptors::default();
    let mut next = DEFAULT_FILTER;
    let mut take = || {
        next += 1;
        next
    };
    for (at, filter) in filters.into_iter().enumerate() {
        let filter = filter.map(|filter| match filter.is_default() {
            true => DEFAULT_FILTER,
            false => {
                let number = take();
                all.filters.push((number, filter.bytes.to_vec()));
                number
            }
        });
        let mut app = OfApp {
            filter,
            groups: Vec::new(),
        };
        for group in groups.apps.get(at).into_iter().flatten() {
            let number = take();
            all.groups.push((number, group.clone()));
            app.groups.push(number);
        }
        all.apps.push(app);
    }
    all
}

/// Gives a descriptor its number, which must be free or its own.
pub(crate) fn renumbered(fd: OwnedFd, number: u32) -> Result<OwnedFd> {
    let what = || format!("cannot pass on descriptor {number}");
    let wanted = i32::try_from(number).unwrap_or(i32::MAX);
    if fd.as_raw_fd() == wanted {
        return Ok(fd);
    }
    let copy = rustix::io::fcntl_dupfd_cloexec(fd, wanted).context(what)?;
    if copy.as_raw_fd() != wanted {
        return Err(Error::new(Kind::Failed, what())
            .because(Error::invalid("what called the launcher has it open")));
    }
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_filter_has_one_number_and_all_else_its_own() {
        let default = Program::default();
        let own = Program {
            bytes: vec![1; 8].into(),
            summary: "".into(),
        };
        let mut groups = Groups::default();
        groups.apps = vec![vec![], vec!["/a".into(), "/b".into()], vec![]];
        let filters = [Some(&default), Some(&own), None, Some(&default)];
        let all = number(filters, &groups);
        let app = |filter, groups: &[u32]| OfApp {
            filter,
            groups: groups.to_vec(),
        };
        assert_eq!(
            all.apps,
            [
                app(Some(100), &[]),
                app(Some(101), &[102, 103]),
                app(None, &[]),
                app(Some(100), &[]),
            ]
        );
        assert_eq!(all.filters, [(101, vec![1; 8])]);
        assert_eq!(all.groups, [(102, "/a".into()), (103, "/b".into())]);
    }
}
