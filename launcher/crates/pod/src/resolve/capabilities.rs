//! Names of capabilities, and changes of a set of them: `--cap-add`,
//! `--cap-drop`.

use stage1_init::Capabilities;

use crate::spec::process::CapabilityBound;

/// Every capability, as in the plan: `net_raw`.
pub fn words() -> impl Iterator<Item = &'static str> {
    Capabilities::WORDS.iter().map(|(word, _)| *word)
}

/// Finds a capability, with or without `CAP_`, in any case.
pub(crate) fn member(name: &str) -> Option<Capabilities> {
    let word = name.to_ascii_lowercase();
    Capabilities::member(word.strip_prefix("cap_").unwrap_or(&word).as_bytes())
}

/// Returns the name of a capability as manifests have it, such as
/// `CAP_NET_RAW`, whatever way it is spelt.
pub fn name(spelt: &str) -> Option<String> {
    let member = member(spelt)?;
    let mut names = names(member).into_iter();
    names.next()
}

/// Returns the names of these capabilities.
pub(crate) fn names(set: Capabilities) -> Vec<String> {
    let members = Capabilities::WORDS.iter();
    let members = members.filter(|(_, member)| set.contains(*member));
    members
        .map(|(word, _)| format!("CAP_{}", word.to_ascii_uppercase()))
        .collect()
}

/// Every capability that we know.
pub(crate) fn all() -> Capabilities {
    let members = Capabilities::WORDS.iter();
    members.fold(Capabilities::EMPTY, |all, (_, one)| all.with(*one))
}

/// A change of what an app may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Capabilities to add, if not all.
    pub added: Vec<String>,
    /// Whether to add all there are.
    pub all_added: bool,
    /// Capabilities to drop, if not all.
    pub dropped: Vec<String>,
    /// Whether to drop all that are not added.
    pub all_dropped: bool,
}

impl Change {
    /// Returns what becomes of a bound.
    pub(crate) fn of(&self, bound: CapabilityBound) -> CapabilityBound {
        let set = |names: &[String]| {
            let members = names.iter().filter_map(|name| member(name));
            members.fold(Capabilities::EMPTY, Capabilities::with)
        };
        let (added, dropped) = (set(&self.added), set(&self.dropped));
        let from = match (self.all_dropped, self.all_added) {
            (true, _) => CapabilityBound::Only(Capabilities::EMPTY),
            (_, true) => CapabilityBound::All,
            _ => bound,
        };
        match from {
            CapabilityBound::All if dropped == Capabilities::EMPTY => CapabilityBound::All,
            CapabilityBound::All => CapabilityBound::Only(all().without(dropped)),
            CapabilityBound::Only(set) => CapabilityBound::Only(set.with(added).without(dropped)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_capability_may_be_spelt_in_any_case_and_without_its_prefix() {
        for spelt in [
            "CAP_NET_RAW",
            "cap_net_raw",
            "NET_RAW",
            "net_raw",
            "Cap_Net_Raw",
        ] {
            assert_eq!(name(spelt).unwrap(), "CAP_NET_RAW", "{spelt}");
        }
        for stranger in ["", "CAP_", "CAP_NETRAW", "CAP_CAP_KILL", "all", " kill"] {
            assert_eq!(name(stranger), None, "{stranger}");
        }
        assert_eq!(names(all()).len(), words().count());
    }

    #[test]
    fn what_is_dropped_is_gone_whatever_is_added() {
        let only = CapabilityBound::Only;
        let (kill, chown) = (Capabilities::KILL, Capabilities::CHOWN);
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let change = |added: &[&str], all_added, dropped: &[&str], all_dropped| Change {
            added: names(added),
            all_added,
            dropped: names(dropped),
            all_dropped,
        };
        for (change, expected) in [
            (change(&[], false, &[], false), only(kill)),
            (
                change(&["CAP_CHOWN"], false, &[], false),
                only(kill.with(chown)),
            ),
            (
                change(&["CAP_CHOWN"], false, &["CAP_KILL"], false),
                only(chown),
            ),
            (change(&["CAP_CHOWN"], false, &[], true), only(chown)),
            (change(&[], false, &[], true), only(Capabilities::EMPTY)),
            (change(&[], true, &[], false), CapabilityBound::All),
            (
                change(&[], true, &["CAP_KILL"], false),
                only(all().without(kill)),
            ),
        ] {
            assert_eq!(change.of(only(kill)), expected, "{change:?}");
        }
    }
}
