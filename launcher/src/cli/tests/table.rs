//! What holds for every command and option of the table.

use crate::cli::command::Command;
use crate::cli::table::spec::{Operands, Takes};
use crate::cli::tests::{message, parsed};
use crate::cli::{help, table};

#[test]
fn every_option_of_the_table_is_taken_by_its_command() {
    for (path, command) in table::all() {
        let operand = match command.operands {
            Operands::None | Operands::Commands => "",
            Operands::Shells => "bash",
            Operands::Files | Operands::Images | Operands::Pods => "web",
        };
        for option in command.visible() {
            let value = match option.takes {
                Takes::Nothing | Takes::Perhaps(_) => "",
                Takes::Value(_) => "=x",
            };
            for spelling in option.spellings() {
                let given = match (spelling.len(), value) {
                    (2, "=x") => format!("{spelling} x"),
                    _ => format!("{spelling}{value}"),
                };
                for line in [
                    format!("{path} {given} {operand}"),
                    format!("{path} {operand} {given}"),
                ] {
                    let said = message(&line);
                    assert!(!said.contains("there is no option"), "{line}: {said}");
                    assert!(!said.contains("one argument too many"), "{line}: {said}");
                }
            }
        }
    }
}

#[test]
fn help_is_there_for_all_commands_and_fits_a_terminal() {
    for (path, command) in table::all() {
        let help = help::of(command);
        assert!(
            help.starts_with(&format!("Usage: launcher {path}")),
            "{help}"
        );
        for ask in [
            format!("help {path}"),
            format!("{path} --help"),
            format!("{path} -h"),
            format!("--help {path}"),
        ] {
            let Ok(Command::Say(said)) = parsed(&ask) else {
                unreachable!("{ask} is understood");
            };
            assert_eq!(said, help, "{ask}");
        }
        assert!(
            !command.examples.is_empty() || !command.commands.is_empty(),
            "{path}"
        );
        let examples = command.examples.iter();
        for line in examples.flat_map(|(_, example)| example.lines()) {
            assert!(help.contains(&format!("\n  {line}")), "{path}: {line}");
        }
        for line in help.lines().filter(|line| !line.starts_with("  launcher ")) {
            assert!(line.chars().count() <= 80, "{path}: {line}");
        }
        for option in command.visible() {
            assert!(
                help.contains(&help::signature(option)),
                "{path} {}",
                option.name
            );
        }
    }
    assert!(
        help::overview()
            .lines()
            .all(|line| line.chars().count() <= 80)
    );
}

#[test]
fn examples_are_understood() {
    for (path, command) in table::all() {
        let examples = command.examples.iter();
        for line in examples.flat_map(|(_, example)| example.lines()) {
            let line = line.split(" && ").next().unwrap_or_default();
            let line = line
                .trim_start_matches("uuid=$(")
                .trim_start_matches("source <(");
            let line = line.split(" >").next().unwrap_or_default();
            let line = line.split(" <").next().unwrap_or_default();
            let line = line
                .trim_end_matches(')')
                .replace("$FINGERPRINT", &"0".repeat(40));
            let words = line.strip_prefix("launcher ").unwrap_or(&line);
            assert_eq!(message(words), "", "{path}: {line}");
        }
    }
}
