//! Device rules as a BPF program, for version 2 of cgroups.
//!
//! ```text
//! for each rule: another kind, major, minor, or more access? next rule : allow
//! refuse
//! ```

use stage1_init::NodeKind;

use crate::spec::limits::{Access, Rule};
use sys::bpf::Instruction;

/// Opcodes of linux/bpf.h.
const LOAD: u8 = 0x61;
const COPY: u8 = 0xbf;
const SET: u8 = 0xb7;
const SHIFT_RIGHT: u8 = 0x77;
const AND: u8 = 0x57;
const JUMP_UNLESS: u8 = 0x55;
const EXIT: u8 = 0x95;

/// Registers: the result, the argument (`struct bpf_cgroup_dev_ctx`), and its
/// fields.
const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
/// Reuses the context register, which is not needed once the fields are read.
const REST: u8 = CONTEXT;

/// Compiles rules into a program that refuses whatever no rule allows.
pub(crate) fn compile(rules: &[Rule]) -> Vec<Instruction> {
    let mut program = vec![
        // access_type: access in the upper half, kind in the lower.
        instruction(LOAD, KIND, CONTEXT, 0, 0),
        instruction(COPY, ACCESS, KIND, 0, 0),
        instruction(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        instruction(AND, KIND, 0, 0, 0xffff),
        instruction(LOAD, MAJOR, CONTEXT, 4, 0),
        instruction(LOAD, MINOR, CONTEXT, 8, 0),
    ];
    for rule in rules {
        program.extend(one(rule));
    }
    program.extend(answer(0));
    program
}

fn one(rule: &Rule) -> Vec<Instruction> {
    let mut checks = vec![unless(KIND, kind(rule.kind))];
    for (register, number) in [(MAJOR, rule.major), (MINOR, rule.minor)] {
        checks.extend(number.map(|number| unless(register, number.cast_signed())));
    }
    checks.extend([
        instruction(COPY, REST, ACCESS, 0, 0),
        instruction(AND, REST, 0, 0, 7 & !access(rule.access)),
        unless(REST, 0),
    ]);
    checks.extend(answer(1));
    let length = checks.len();
    for (at, check) in checks.iter_mut().enumerate() {
        if check.code == JUMP_UNLESS {
            // Jumps over the rest of this rule, a dozen instructions at most.
            check.offset = i16::try_from(length - at - 1).unwrap_or(0);
        }
    }
    checks
}

fn unless(register: u8, number: i32) -> Instruction {
    instruction(JUMP_UNLESS, register, 0, 0, number)
}

fn answer(number: i32) -> [Instruction; 2] {
    [
        instruction(SET, ANSWER, 0, 0, number),
        instruction(EXIT, 0, 0, 0, 0),
    ]
}

/// Returns the kernel's `BPF_DEVCG_DEV_...`.
fn kind(kind: NodeKind) -> i32 {
    match kind {
        NodeKind::Block => 1,
        NodeKind::Character => 2,
    }
}

/// Returns the kernel's `BPF_DEVCG_ACC_...`.
fn access(access: Access) -> i32 {
    i32::from(access.make) | i32::from(access.read) << 1 | i32::from(access.write) << 2
}

fn instruction(code: u8, target: u8, source: u8, offset: i16, number: i32) -> Instruction {
    Instruction {
        code,
        registers: target | source << 4,
        offset,
        number,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// Runs a program for one access to a device: kind, numbers, access.
    fn run(program: &[Instruction], context: [i32; 4]) -> i32 {
        let [kind, major, minor, access] = context;
        let memory = [access << 16 | kind, major, minor];
        let mut registers = [0_i32; 6];
        let mut at = 0;
        loop {
            let Instruction {
                code,
                registers: pair,
                offset,
                number,
            } = program[at];
            let (target, source) = (usize::from(pair & 15), usize::from(pair >> 4));
            at += 1;
            match code {
                LOAD => registers[target] = memory[usize::try_from(offset / 4).unwrap()],
                COPY => registers[target] = registers[source],
                SET => registers[target] = number,
                SHIFT_RIGHT => registers[target] >>= number,
                AND => registers[target] &= number,
                JUMP_UNLESS if registers[target] == number => {}
                JUMP_UNLESS => at += usize::try_from(offset).unwrap(),
                EXIT => return registers[0],
                other => panic!("no such instruction: {other:#x}"),
            }
        }
    }

    #[test]
    fn only_devices_with_a_rule_can_be_used() {
        let rules = ["c *:* m", "c 1:3 rwm", "c 136:* rw", "b 8:1 r"];
        let rules: Vec<Rule> = rules
            .iter()
            .map(|line| Rule::parse(line).unwrap())
            .collect();
        let program = compile(&rules);
        let (make, read, write) = (1, 2, 4);
        for (context, expected) in [
            ([2, 1, 3, read | write], 1),
            ([2, 1, 3, make], 1),
            ([1, 1, 3, read], 0),
            ([2, 1, 4, read], 0),
            ([2, 2, 3, read], 0),
            ([2, 9, 9, make], 1),
            ([2, 9, 9, make | read], 0),
            ([1, 9, 9, make], 0),
            ([2, 136, 0, read | write], 1),
            ([2, 136, 77, write], 1),
            ([2, 137, 77, write], 0),
            ([1, 8, 1, read], 1),
            ([1, 8, 1, write], 0),
            ([1, 8, 1, read | write], 0),
        ] {
            assert_eq!(run(&program, context), expected, "{context:?}");
        }
        assert_eq!(run(&compile(&[]), [2, 1, 3, read]), 0);
    }
}
