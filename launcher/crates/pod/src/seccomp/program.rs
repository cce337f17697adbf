//! Compiles a filter into the kernel's classic BPF (seccomp(2)).
//!
//! The numbers of system calls become a binary tree of ranges: eight
//! comparisons instead of hundreds. When a filter is installed, the kernel runs
//! it once for every number, to remember which calls it always allows (Linux
//! 5.11), so a long linear list is slow to install.
//!
//! ```text
//! the first architecture? ... the second? ... another? ----> kill
//! number >= 175?  ... >= 83? ... a leaf: an action, or a test of one argument
//! ```
//!
//! Only the lower 32 bits of arguments are compared, because in the calls
//! concerned the kernel uses no others (CVE-2019-10063).

use std::collections::BTreeMap;

use super::calls::Arch;

/// What the kernel does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    /// Makes it.
    Allow,
    /// Makes it fail with this errno(3).
    Errno(u16),
    /// Kills the process as if by SIGSYS.
    Kill,
}

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The same action, whatever its arguments.
    Always(Action),
    /// One of two actions, depending on an argument.
    If {
        /// The index of the argument.
        argument: u8,
        /// The test.
        test: Test,
        /// The action if it succeeds.
        then: Action,
        /// The action if it does not.
        otherwise: Action,
    },
}

/// A test of the lower 32 bits of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    /// Is any of these bits set?
    HasAny(u32),
    /// Is it one of these values? No more than 200 of them.
    Among(&'static [u32]),
    /// Is it the number of a bit that is set here?
    Bit(u64),
}

/// A filter for one architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    /// The architecture.
    pub arch: Arch,
    /// Whether it is the second one of another.
    pub second: bool,
    /// Rules by number.
    pub rules: BTreeMap<u32, Rule>,
    /// For numbers that have no rule, including those of x32, which are the
    /// same calls with bit 30 set.
    pub otherwise: Action,
}

/// One instruction: `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    /// The opcode.
    pub code: u16,
    /// How many instructions to skip if a comparison holds.
    pub if_true: u8,
    /// How many instructions to skip if it does not.
    pub if_false: u8,
    /// The operand.
    pub operand: u32,
}

/// Opcodes of linux/bpf_common.h.
const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const JUMP_IF_ANY_SET: u16 = 0x45;
const RETURN: u16 = 0x06;

/// Offsets in `struct seccomp_data`; all our architectures are little-endian,
/// so the lower half of an argument comes first.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGUMENTS: u32 = 16;

impl Action {
    /// Returns what the filter returns (linux/seccomp.h). Before Linux 4.14,
    /// kill ends the thread instead of the process.
    const fn value(self) -> u32 {
        match self {
            Self::Allow => 0x7fff_0000,
            Self::Errno(errno) => 0x0005_0000 | errno as u32,
            Self::Kill => 0x8000_0000,
        }
    }
}

impl Arch {
    /// Returns the architecture's `AUDIT_ARCH_...` (linux/audit.h).
    pub(crate) const fn audit(self) -> u32 {
        match self {
            Self::X86_64 => 0xc000_003e,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
            Self::Riscv64 => 0xc000_00f3,
            Self::X86 => 0x4000_0003,
        }
    }
}

/// Compiles filters for several architectures into one program: calls of any
/// other architecture kill.
pub(crate) fn compile<'f>(filters: impl IntoIterator<Item = &'f Filter>) -> Vec<Instruction> {
    let mut program = vec![load(ARCH)];
    for filter in filters {
        let mut body = vec![load(NUMBER)];
        body.extend(tree(&filter.ranges()));
        let over = u32::try_from(body.len()).unwrap_or(u32::MAX);
        program.push(branch(JUMP_IF_EQUAL, filter.arch.audit(), 1, 0));
        program.push(branch(JUMP, over, 0, 0));
        program.extend(body);
    }
    program.push(give(Action::Kill));
    program
}

/// Compiles them to the bytes that the kernel takes: an array of `struct
/// sock_filter`.
pub(crate) fn bytes<'f>(filters: impl IntoIterator<Item = &'f Filter>) -> Vec<u8> {
    let program = compile(filters);
    program.iter().flat_map(Instruction::bytes).collect()
}

impl Filter {
    /// Returns the start of each range of numbers with the same rule; the first
    /// is 0.
    fn ranges(&self) -> Vec<(u32, Rule)> {
        let otherwise = Rule::Always(self.otherwise);
        let mut ranges: Vec<(u32, Rule)> = vec![(0, otherwise)];
        let mut begin = |at: u32, rule: Rule| {
            if let Some(last) = ranges.last_mut() {
                match last {
                    (start, old) if *start == at => *old = rule,
                    (_, old) if *old == rule => {}
                    _ => ranges.push((at, rule)),
                }
            }
        };
        for (&number, &rule) in &self.rules {
            begin(number, rule);
            if let Some(next) = number.checked_add(1) {
                begin(next, otherwise);
            }
        }
        // A range that starts after a number can be replaced at once, and then
        // equal its neighbour.
        ranges.dedup_by(|next, one| next.1 == one.1);
        ranges
    }
}

impl Instruction {
    /// Returns its bytes in memory on a little-endian machine.
    pub(crate) fn bytes(&self) -> [u8; 8] {
        let [a, b] = self.code.to_le_bytes();
        let [w, x, y, z] = self.operand.to_le_bytes();
        [a, b, self.if_true, self.if_false, w, x, y, z]
    }
}

/// Decides between ranges; the number has been loaded.
fn tree(ranges: &[(u32, Rule)]) -> Vec<Instruction> {
    let (below, above) = ranges.split_at(ranges.len() / 2);
    let Some(&(start, rule)) = above.first() else {
        return Vec::new();
    };
    if below.is_empty() {
        return leaf(rule);
    }
    let left = tree(below);
    let mut program = match u8::try_from(left.len()) {
        Ok(length) => vec![branch(JUMP_IF_AT_LEAST, start, length, 0)],
        // Too far for a conditional jump, which has eight bits.
        Err(_) => vec![
            branch(JUMP_IF_AT_LEAST, start, 0, 1),
            branch(JUMP, u32::try_from(left.len()).unwrap_or(u32::MAX), 0, 0),
        ],
    };
    program.extend(left);
    program.extend(tree(above));
    program
}

fn leaf(rule: Rule) -> Vec<Instruction> {
    let (argument, test, then, otherwise) = match rule {
        Rule::Always(action) => return vec![give(action)],
        Rule::If {
            argument,
            test,
            then,
            otherwise,
        } => (argument, test, then, otherwise),
    };
    let mut program = vec![load(ARGUMENTS + 8 * u32::from(argument))];
    match test {
        Test::HasAny(bits) => program.push(branch(JUMP_IF_ANY_SET, bits, 1, 0)),
        Test::Among(values) => program.extend(among(values)),
        Test::Bit(bits) => {
            let values: Vec<u32> = (0..64).filter(|bit| bits >> bit & 1 == 1).collect();
            program.extend(among(&values));
        }
    }
    program.extend([give(otherwise), give(then)]);
    program
}

/// Jumps over the remaining comparisons and the result "no".
fn among(values: &[u32]) -> impl Iterator<Item = Instruction> {
    let distances = (1..=values.len()).rev();
    values.iter().zip(distances).map(|(value, over)| {
        let over = u8::try_from(over).unwrap_or(u8::MAX);
        branch(JUMP_IF_EQUAL, *value, over, 0)
    })
}

fn load(operand: u32) -> Instruction {
    branch(LOAD, operand, 0, 0)
}

fn give(action: Action) -> Instruction {
    branch(RETURN, action.value(), 0, 0)
}

fn branch(code: u16, operand: u32, if_true: u8, if_false: u8) -> Instruction {
    Instruction {
        code,
        if_true,
        if_false,
        operand,
    }
}
