//! `cargo xtask attack`: all attacks of tests/attack, races in hundreds of rounds,
//! and a table of what held.

use std::collections::BTreeMap;
use std::fs;

use crate::cmd::{Result, failed, show, target_dir};
use crate::test;

/// How often a race is run, if nobody says.
const ROUNDS: usize = 300;

/// The cases that there have to be, each whole or in parts (R9a, R9b): a letter,
/// and numbers from 1 to this.
const CASES: &[(char, u32)] = &[('R', 27), ('T', 15), ('H', 12)];

/// Where cases are, by the names of their tests.
const TESTS: &[&str] = &["attack::", "discovery::"];

/// What became of a case.
struct Row {
    claim: String,
    tried: String,
    outcome: String,
}

/// `cargo xtask attack`.
pub(crate) fn attack(rounds: Option<usize>) -> Result<()> {
    let file = target_dir().join("attack-table");
    let rounds = rounds.unwrap_or(ROUNDS).to_string();
    // Of an earlier run.
    let _ = fs::remove_file(&file);
    let path = file.display().to_string();
    let ran = test::some(TESTS, 2, &[("ATTACK_TABLE", &path), ("ROUNDS", &rounds)]);
    let text = fs::read_to_string(&file).map_err(failed("read", &file));
    let table = read(&text.unwrap_or_default());
    show(&shown(&table));
    ran?;
    judge(&table)
}

/// By letter, number, and part.
type Table = BTreeMap<(char, u32, String), Row>;

/// Reads lines of an id, a claim, a number and an outcome.
fn read(text: &str) -> Table {
    let row = |line: &str| {
        let mut fields = line.split('\t').map(str::to_owned);
        let id = fields.next()?;
        let letter = id.chars().next()?;
        let digits = id[letter.len_utf8()..].trim_end_matches(|c: char| c.is_ascii_lowercase());
        let part = id[letter.len_utf8() + digits.len()..].to_owned();
        let row = Row {
            claim: fields.next()?,
            tried: fields.next()?,
            outcome: fields.next()?,
        };
        Some(((letter, digits.parse().ok()?, part), row))
    };
    text.lines().filter_map(row).collect()
}

fn shown(table: &Table) -> String {
    let mut shown = "case   tried  held\n".to_owned();
    for ((letter, number, part), row) in table {
        let Row {
            claim,
            tried,
            outcome,
        } = row;
        let id = format!("{letter}{number}{part}");
        shown += &format!("{id:<6} {tried:>5}  {outcome}: {claim}\n");
    }
    shown
}

/// Fails if a case is missing, or did not hold.
fn judge(table: &Table) -> Result<()> {
    let all = CASES
        .iter()
        .flat_map(|&(letter, last)| (1..=last).map(move |n| (letter, n)));
    let is_there = |case: &(char, u32)| table.keys().any(|(l, n, _)| (*l, *n) == *case);
    let missing: Vec<_> = all
        .filter(|case| !is_there(case))
        .map(|(letter, number)| format!("{letter}{number}"))
        .collect();
    let failed = table
        .values()
        .filter(|row| row.outcome == "did not hold")
        .count();
    match (missing.is_empty(), failed) {
        (true, 0) => Ok(()),
        (false, _) => Err(format!("no test tries {}", missing.join(", "))),
        (true, failed) => Err(format!("{failed} cases did not hold")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table in which all cases held.
    fn whole() -> String {
        let all = CASES
            .iter()
            .flat_map(|&(l, last)| (1..=last).map(move |n| format!("{l}{n}")));
        all.map(|id| format!("{id}\tclaim\t2\theld\n")).collect()
    }

    #[test]
    fn a_case_that_is_missing_or_did_not_hold_fails_the_task() {
        assert!(judge(&read(&whole())).is_ok());
        let missing = whole().replace("R13\tclaim\t2\theld\n", "");
        assert!(judge(&read(&missing)).is_err());
        let parts = whole().replace("R13\t", "R13b\t");
        assert!(judge(&read(&parts)).is_ok());
        let failed = whole().replace("T2\tclaim\t2\theld", "T2\tclaim\t1\tdid not hold");
        assert!(judge(&read(&failed)).is_err());
    }

    #[test]
    fn cases_are_in_the_order_of_their_numbers() {
        let table = read("R10\tc\t2\theld\nR9b\tc\t2\theld\nR9a\tc\t2\theld\n");
        let shown = shown(&table);
        let ids: Vec<_> = shown.lines().skip(1).map(|line| &line[..3]).collect();
        assert_eq!(ids, ["R9a", "R9b", "R10"]);
    }
}
