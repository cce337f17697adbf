//! Reports, line by line, what a process sees and can do where it runs.
//!
//! Without words it prints the whole report. Otherwise each word is an action,
//! and they are carried out in the order in which they stand:
//!
//! ```text
//! --report               print the whole report
//! --report-only FIELD    print the lines that begin with FIELD
//! --try NAME             try a forbidden thing, print `try NAME: ok` or the errno
//! --try-all              try all of them
//! --read-file PATH       print the file, or `read PATH: ERRNO`
//! --write-file PATH TEXT write the file, print `write PATH: ok` or the errno
//! --open-to-write PATH   open without writing, print `open PATH: ok` or the errno
//! --list DIR             print the names in a directory, sorted
//! --stdin                copy standard input to standard output
//! --stdout TEXT          print a line
//! --stderr TEXT          print a line to standard error
//! --sleep SECONDS        sleep
//! --watch FILE           print what other processes let be seen, until there is FILE
//! --fork-bomb            make children until that fails, print how many there are
//! --spawn-orphans N      leave N dead children of dead parents to PID 1
//! --wait-no-zombies      wait until PID 1 has reaped all of them
//! --trap-exit SIGNAL N   print `waiting`, wait for the signal, exit with N
//! --kill SIGNAL          send a signal to itself
//! --refuse CALLS ERRNO   let system calls fail from now on: numbers, commas between
//! --execute PROGRAM...   become a program, with all the words that are left
//! --execute-as USER ...  the same, as this user and the group of the same number
//! --exit-code N          exit with N
//! ```

#![allow(clippy::print_stdout, reason = "printing is all that it is for")]
#![allow(clippy::print_stderr, reason = "printing is all that it is for")]

mod actions;
mod errno;
mod report;
#[allow(unsafe_code, reason = "raw system calls, which is what it probes")]
mod sys;
#[allow(unsafe_code, reason = "raw system calls, which is what it probes")]
mod tries;
mod watch;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let mut any = false;
    while let Some(word) = words.next() {
        any = true;
        if let Err(problem) = actions::run(&word, &mut words) {
            eprintln!("probe: {problem}");
            return ExitCode::from(2);
        }
    }
    if !any {
        report::print("");
    }
    ExitCode::SUCCESS
}
