//! The contract between whoever composes a pod and the init that runs it.
//!
//! `stage1-init` executes a **plan**: words, each followed by a NUL byte, that
//! say in order which namespaces to make, what to mount, and how to become and
//! start each app. This library is that vocabulary: it decodes, encodes and
//! documents plans and the reports that come back. It has no dependencies,
//! allocates nothing, and never panics.
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
//! init                              what PID 1 does when all roots stand
//! ```
//!
//! Any language can write one:
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
//! plan    = "plan" "1" { pod | setup } app { app } [ "init" { setup } ]
//! app     = "app" NAME { setup } "process" { process }
//! ```
//!
//! Which directive belongs to which part is a column of [`VOCABULARY`]; what
//! each does is said at its [`Directive`]. `main` stands exactly once in an
//! app, `pre-start` and `post-stop` at most once. Directives are carried out
//! strictly in the order in which they stand; nothing is reordered, added or
//! left out, so the order is the composer's responsibility. Those in the
//! process part are carried out again by every process of the app.
//!
//! # Operands
//!
//! * A number is decimal digits; a mode is octal digits. `oom-score-adj` and
//!   `clock-offset` take a leading `-`.
//! * A set is words with commas between them; the empty word is the empty set.
//! * A command is a count and that many words.
//! * A descriptor is the number of one that the process inherits.
//! * A target is an absolute path inside the root; see `root`.
//!
//! # Invariants
//!
//! 1. Any bytes decode to a plan or to a fault with a position
//!    (`any_bytes_give_a_plan_or_a_fault`).
//! 2. A whole plan is decoded before its first directive is carried out.
//! 3. What is encoded decodes to the same directives
//!    (`every_directive_survives_the_round_trip`).
//!
//! # Not here
//!
//! What the directives do to the kernel is the program's business (`main.rs`);
//! in which order they make sense is the composer's.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod choice;
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
pub use words::{Sink, WordList, Words};
