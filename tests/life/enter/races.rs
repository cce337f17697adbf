//! Commands that begin while their pod ends.
//!
//! As often as ROUNDS says: `cargo xtask sweep --races` says two thousand.

use std::thread;
use std::time::Duration;

use super::super::Life;
use crate::host::rounds;

/// How often the race is run, if nobody says.
const FEW: usize = 30;

/// After so many rounds the commands begin close to each other again.
const STEPS: u64 = 30;

/// How many commands begin in each round.
const COMMANDS: u64 = 4;

#[test]
fn beside_the_end_of_its_pod_a_command_ends_or_never_begins() {
    require_root!();
    let life = Life::new();
    for round in (0..STEPS).cycle().take(rounds(FEW)) {
        let uuid = life.waiting(&[]);
        let stop = life.call(&["stop", &uuid]);
        let commands = (0..COMMANDS).map(|number| {
            let words = [
                "enter",
                &uuid,
                "/probe",
                "--stdout",
                "ran",
                "--exit-code",
                "3",
            ];
            let command = life.call(&words).start();
            thread::sleep(Duration::from_micros(number * round * 100));
            command
        });
        let commands: Vec<_> = commands.collect();
        stop.run().exits(0);
        for command in commands {
            let ran = command.end();
            match ran.exited() {
                Some(3) => assert_eq!((&ran.stdout[..], &ran.stderr[..]), ("ran\n", "")),
                Some(137) => assert_eq!(ran.stderr, ""),
                Some(125) => ran
                    .naming("UUID", &uuid)
                    .complains_as_one_of("a pod that ends"),
                _ => panic!("{ran:?}"),
            }
        }
        assert_eq!(life.state(&uuid), "exited");
        assert_eq!(life.status(&uuid, "app-probe").as_deref(), Some("0"));
    }
    life.leaves_nothing();
}
