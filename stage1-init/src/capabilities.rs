//! Capability sets of a process that is about to execute a program
//! (capabilities(7)).

use stage1_init::CapabilitySet;

use crate::sys::{self, Errno, Result};

/// Empties the inheritable set: together with inheritable file capabilities, it
/// would give a program more than was granted (CVE-2022-24769).
pub(crate) fn empty_inheritable() -> Result<()> {
    let mut sets = sys::capabilities()?;
    sets.inheritable = 0;
    sys::set_capabilities(&sets)
}

/// `bounding`: drops all others, before the uid takes away the right to do so.
pub(crate) fn bound(set: CapabilitySet) -> Result<()> {
    let wanted = wanted(set, u64::MAX);
    for capability in (0..u64::BITS).filter(|&capability| !has(wanted, capability)) {
        match sys::drop_bounding(capability) {
            // The kernel knows neither this one nor those after it.
            Err(Errno::INVAL) => break,
            result => result?,
        }
    }
    Ok(())
}

/// `capabilities`: sets exactly these, permitted and effective.
pub(crate) fn limit(set: CapabilitySet) -> Result<()> {
    let mut sets = sys::capabilities()?;
    sets.permitted = wanted(set, sets.permitted);
    sets.effective = sets.permitted;
    sets.inheritable = 0;
    sys::set_capabilities(&sets)
}

/// `ambient`: sets exactly these, and makes them inheritable, as the kernel
/// demands.
pub(crate) fn keep(set: CapabilitySet) -> Result<()> {
    let mut sets = sys::capabilities()?;
    let wanted = wanted(set, sets.permitted);
    match sys::clear_ambient() {
        // Before Linux 4.3 there are none.
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

/// `all` means those that the process has: in a container, that is not every
/// capability.
fn wanted(set: CapabilitySet, all: u64) -> u64 {
    match set {
        CapabilitySet::All => all,
        CapabilitySet::Only(members) => members.bits(),
    }
}

fn has(set: u64, capability: u32) -> bool {
    set >> capability & 1 == 1
}
