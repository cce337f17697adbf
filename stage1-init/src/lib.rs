//! The contract between a program that composes pods and the init that runs
//! them.
//!
//! `stage1-init` executes a **plan**: a sequence of words, each ending with a
//! NUL byte, that says which namespaces to create, what to mount, and how to
//! set up and start each app. This library is that vocabulary. It decodes,
//! encodes and documents plans, and the reports that come back. It has no
//! dependencies, allocates nothing, and never panics.
//!
//! ```text
//! plan 1                            the version
//! unshare mnt,pid,uts,ipc,net       the pod: namespaces, host name, ...
//! hostname web
//! app web                           an app: its root ...
//!   root /srv/web
//!   mount proc proc /proc nosuid,nodev,noexec ''
//!   pivot
//! process                           ... and what each of its processes does
//!   uid 1000                        to itself before it executes
//!   env PATH=/bin
//!   main 2 httpd -f                 how many words, and the words
//! init                              what PID 1 does when all roots are ready
//! undo                              what the first process does when all is over
//! ```
//!
//! A plan can be written in any language:
//!
//! ```sh
//! printf '%s\0' plan 1 unshare mnt,pid hostname web app web process main 1 /bin/sh |
//!     stage1-init --plan-fd 0
//! stage1-init plan 1 app web process main 1 /bin/sh      # the same words as arguments
//! ```
//!
//! # The grammar
//!
//! ```text
//! plan    = "plan" "1" { pod | setup } app { app } [ "init" { setup | bound } ]
//!           [ "undo" { undo } ]
//! app     = "app" NAME { setup } "process" { process }
//! ```
//!
//! [`VOCABULARY`] lists which directive belongs to which part, and each
//! [`Directive`] says what it does. `main` must appear exactly once in an app,
//! `pre-start` and `post-stop` at most once. Directives are executed strictly
//! in the order given; none is added, left out or moved, so the order is up to
//! the composer. Those in the process part are executed again by every process
//! of the app.
//!
//! # Operands
//!
//! * A number is decimal digits; a mode is octal digits. `oom-score-adj` and
//!   `clock-offset` accept a leading `-`.
//! * A set is words separated by commas; the empty word is the empty set.
//! * A command is a count and that many words.
//! * A descriptor is given by its number, and must be inherited by the process.
//! * A target is an absolute path inside the root; see `root`.
//!
//! # Invariants
//!
//! 1. Any bytes decode to a plan, or to a fault with a position
//!    (`any_bytes_give_a_plan_or_a_fault`).
//! 2. A plan is decoded as a whole before its first directive is executed.
//! 3. An encoded directive decodes to the same directive
//!    (`every_directive_survives_the_round_trip`).
//!
//! # Not here
//!
//! How the directives are executed is in the program (`main.rs`); which order
//! makes sense is up to the composer.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod choice;
mod descriptors;
mod directive;
mod fault;
mod grammar;
mod operand;
mod packed;
mod plan;
mod report;
mod words;

pub use choice::{
    Capabilities, CapabilitySet, Clock, MountFlags, Namespaces, NodeKind, Propagation, Resource,
    SetGroups,
};
pub use directive::{Directive, Part, VOCABULARY, vocabulary};
pub use fault::{Fault, FaultKind};
pub use grammar::MAX_APPS;
pub use operand::{AppName, Argv, Count, Groups, Limit, Mode, read_number};
pub use plan::{Directives, GATE, MAX_PLAN, Plan, VERSION, encode_header};
pub use report::Report;
pub use words::{Decimal, Sink, WordList, Words};
