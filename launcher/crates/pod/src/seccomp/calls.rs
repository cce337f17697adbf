//! The architectures that filters are made for, and the system calls of each.
//!
//! One table for all architectures, so that any machine can check the filters
//! of every other. The build script reads it, too.

use super::numbers::CALLS;

/// The architectures that have a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arch {
    /// `x86_64`
    X86_64,
    /// `aarch64`
    Aarch64,
    /// `arm`, the EABI
    Arm,
    /// `riscv64`
    Riscv64,
    /// `x86`, of 32 bits
    X86,
}

impl Arch {
    /// Every one, with the name that Rust gives it, in the order of the columns.
    pub(crate) const ALL: [(&'static str, Self); 5] = [
        ("x86_64", Self::X86_64),
        ("aarch64", Self::Aarch64),
        ("arm", Self::Arm),
        ("riscv64", Self::Riscv64),
        ("x86", Self::X86),
    ];

    /// Finds an architecture by the name that Rust gives it.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(known, _)| *known == name);
        found.map(|&(_, arch)| arch)
    }

    /// Returns the architecture of 32 bits whose programs a kernel of this one
    /// also executes.
    pub(crate) const fn second(self) -> Option<Self> {
        match self {
            Self::X86_64 => Some(Self::X86),
            Self::Aarch64 => Some(Self::Arm),
            Self::Arm | Self::Riscv64 | Self::X86 => None,
        }
    }

    /// Returns every call that the architecture has, in the order of the names.
    pub(crate) fn calls(self) -> impl Iterator<Item = (&'static str, u32)> {
        let numbered = CALLS
            .iter()
            .map(move |&(name, numbers)| (name, numbers[self as usize]));
        numbered.filter_map(|(name, number)| Some((name, u32::try_from(number).ok()?)))
    }

    /// Finds the number of a call.
    pub(crate) fn number(self, name: &str) -> Option<u32> {
        let at = CALLS
            .binary_search_by(|(known, _)| (*known).cmp(name))
            .ok()?;
        u32::try_from(CALLS.get(at)?.1[self as usize]).ok()
    }
}
