//! Capability sets of a process about to execute (capabilities(7)).

use stage1_init::CapabilitySet;

use crate::sys::{self, Errno, Result};

/// Empties the inheritable set, whatever it was: together with inheritable
/// file capabilities it would give more than was granted (CVE-2022-24769).
pub(crate) fn empty_inheritable() -> Result<()> {
    let mut sets = sys::capabilities()?;
    sets.inheritable = 0;
    sys::set_capabilities(&sets)
}

/// `bounding`: drops all others, before the uid takes away the right to.
pub(crate) fn bound(set: CapabilitySet) -> Result<()> {
    // The kernel knows no more than the last it answers for.
    for capability in 0..u64::BITS {
        match sys::check_capability(capability) {
            Ok(()) if has(wanted(set, u64::MAX), capability) => {}
            Ok(()) => sys::drop_bounding(capability)?,
            Err(Errno::INVAL) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// `capabilities`: exactly these, permitted and effective.
pub(crate) fn limit(set: CapabilitySet) -> Result<()> {
    let mut sets = sys::capabilities()?;
    sets.permitted = wanted(set, sets.permitted);
    sets.effective = sets.permitted;
    sets.inheritable = 0;
    sys::set_capabilities(&sets)
}

/// `ambient`: exactly these, and inheritable because the kernel demands it.
pub(crate) fn keep(set: CapabilitySet) -> Result<()> {
    let mut sets = sys::capabilities()?;
    let wanted = wanted(set, sets.permitted);
    match sys::clear_ambient() {
        // Linux 4.3 brought them; before, there are none.
        Err(Errno::INVAL) if wanted == 0 => return Ok(()),
        result => result?,
    }
    sets.inheritable = wanted;
    sys::set_capabilities(&sets)?;
    for capability in (0..u64::BITS).filter(|&capability| has(wanted, capability)) {
        sys::raise_ambient(capability)?;
    }
    Ok(())
}

/// `all` is what there is: who runs in a container has not every capability.
fn wanted(set: CapabilitySet, all: u64) -> u64 {
    match set {
        CapabilitySet::All => all,
        CapabilitySet::Only(members) => members.bits(),
    }
}

fn has(set: u64, capability: u32) -> bool {
    set >> capability & 1 == 1
}
