//! Which descriptors a pod's plan names, and by which labels: its terminal and
//! network, filters of system calls, and the groups that apps move to.
//!
//! A label stands where a plan has the number of a descriptor, and is none: what
//! the launcher opens for it gets whatever number is free, which takes the place
//! of the label when the plan is handed over ([`Named`]). So it does not matter
//! what the caller has open, or how many descriptors it may have.
//!
//! The terminal, the network and the default filter always have the same labels,
//! so that a plan which somebody wrote down can name them; the others follow in
//! the order of the apps. A number that is no label is that of a descriptor of
//! the caller.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;

use rustix::fs::OFlags;

use crate::cgroup::Groups;
use crate::plan::seccomp::Program;

/// What is open as long as somebody attends to the pod's terminal.
pub(crate) const ATTENDED: u32 = 96;

/// The side of the pod's terminal that is read by whoever attends to it.
pub const MASTER: u32 = 97;

/// The pod's terminal.
pub(crate) const TERMINAL: u32 = 98;

/// The pod's network namespace.
pub const NETWORK: u32 = 99;

/// The default filter.
pub(crate) const DEFAULT_FILTER: u32 = 100;

/// What the processes of an app use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfApp {
    /// Its filter, if it has one.
    pub filter: Option<u32>,
    /// The groups that it moves to.
    pub groups: Vec<u32>,
}

/// All descriptors of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptors {
    /// Of each app, in the order of the apps.
    pub apps: Vec<OfApp>,
    /// Filters besides the default: `struct sock_filter`s.
    pub filters: Vec<(u32, Vec<u8>)>,
    /// Groups.
    pub groups: Vec<(u32, PathBuf)>,
}

/// Labels them. `filters` are those of the apps, in the order of the apps.
pub fn label<'a>(
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
                let label = take();
                all.filters.push((label, filter.bytes.to_vec()));
                label
            }
        });
        let mut app = OfApp {
            filter,
            groups: Vec::new(),
        };
        for group in groups.apps.get(at).into_iter().flatten() {
            let label = take();
            all.groups.push((label, group.clone()));
            app.groups.push(label);
        }
        all.apps.push(app);
    }
    all
}

/// What is open for a plan, by the labels that it has for them.
pub type Named = BTreeMap<u32, OwnedFd>;

/// Returns the number of the descriptor that a plan names so.
pub fn number_of(named: &Named, label: u32) -> u32 {
    match named.get(&label) {
        Some(fd) => fd.as_raw_fd().unsigned_abs(),
        None if is_ours(label) => NONE,
        None => label,
    }
}

/// The greatest number, which no descriptor can have.
const NONE: u32 = i32::MAX.unsigned_abs();

/// Tells whether a number is that of a descriptor which the launcher has for
/// itself: the caller's are those that survive an execution.
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
    fn no_number_of_a_plan_means_a_descriptor_of_the_launcher() {
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

    #[test]
    fn the_default_filter_has_one_label_and_all_else_its_own() {
        let default = Program::default();
        let own = Program {
            bytes: vec![1; 8].into(),
            summary: "".into(),
        };
        let mut groups = Groups::default();
        groups.apps = vec![vec![], vec!["/a".into(), "/b".into()], vec![]];
        let filters = [Some(&default), Some(&own), None, Some(&default)];
        let all = label(filters, &groups);
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
