//! Capability sets of a process about to execute (capabilities(7)).

use rustix::io::{Errno, Result};
use rustix::thread::{self, CapabilitySet as Raw};
use stage1_init::CapabilitySet;

/// Empties the inheritable set, whatever it was: together with inheritable
/// file capabilities it would give more than was granted (CVE-2022-24769).
pub(crate) fn empty_inheritable() -> Result<()> {
    let mut sets = thread::capabilities(None)?;
    sets.inheritable = Raw::empty();
    thread::set_capabilities(None, sets)
}

/// `bounding`: drops all others, before the uid takes away the right to.
pub(crate) fn bound(set: CapabilitySet) -> Result<()> {
    let known = known()?;
    for capability in (known - wanted(set, known)).iter_single() {
        thread::remove_capability_from_bounding_set(capability)?;
    }
    Ok(())
}

/// `capabilities`: exactly these, permitted and effective.
pub(crate) fn limit(set: CapabilitySet) -> Result<()> {
    let wanted = wanted(set, thread::capabilities(None)?.permitted);
    let sets = thread::CapabilitySets {
        effective: wanted,
        permitted: wanted,
        inheritable: Raw::empty(),
    };
    thread::set_capabilities(None, sets)
}

/// `ambient`: exactly these, and inheritable because the kernel demands it.
pub(crate) fn keep(set: CapabilitySet) -> Result<()> {
    let mut sets = thread::capabilities(None)?;
    let wanted = wanted(set, sets.permitted);
    match thread::clear_ambient_capability_set() {
        // Linux 4.3 brought them; before, there are none.
        Err(Errno::INVAL) if wanted.is_empty() => return Ok(()),
        result => result?,
    }
    sets.inheritable = wanted;
    thread::set_capabilities(None, sets)?;
    for capability in wanted.iter_single() {
        thread::configure_capability_in_ambient_set(capability, true)?;
    }
    Ok(())
}

/// `all` is what there is: who runs in a container has not every capability.
fn wanted(set: CapabilitySet, all: Raw) -> Raw {
    match set {
        CapabilitySet::All => all,
        CapabilitySet::Only(members) => Raw::from_bits_retain(members.bits()),
    }
}

/// Asks the kernel which there are: it knows no more than the last it answers for.
fn known() -> Result<Raw> {
    let mut known = Raw::empty();
    for bit in 0..u64::BITS {
        let capability = Raw::from_bits_retain(1 << bit);
        match thread::capability_is_in_bounding_set(capability) {
            Ok(_) => known |= capability,
            Err(Errno::INVAL) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(known)
}

/// One set for each member.
trait Single {
    fn iter_single(self) -> impl Iterator<Item = Raw>;
}

impl Single for Raw {
    fn iter_single(self) -> impl Iterator<Item = Raw> {
        let bits = (0..u64::BITS).map(|bit| Raw::from_bits_retain(1 << bit));
        bits.filter(move |&bit| self.contains(bit))
    }
}
