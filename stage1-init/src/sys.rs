//! System calls, each as a function that cannot be misused.
//!
//! rustix makes the calls whose structures differ between machines, or whose
//! results need more than 32 bits. It could make the others, too, but in twice
//! the code.
//!
//! | file | about |
//! |---|---|
//! | `call` | the call itself, and what the kernel returns |
//! | `result` | errors |
//! | `fd` | descriptors: who owns them, and how they are closed |
//! | `files` | files and mounts, by descriptor |
//! | `memory` | arrays and argument vectors: there is no heap |
//! | `process` | processes, and what they set for themselves |
//! | `signals` | signals, waiting, clocks |
//! | `calls` | calls that need nothing but their arguments in registers |
//! | `missing` | whether a filter refuses what the program depends on |

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a register has no type: numbers are passed in and out by their bits"
)]

#[macro_use]
mod call;
#[macro_use]
mod fd;

mod calls;
mod files;
mod memory;
mod missing;
mod process;
mod result;
mod signals;

pub(crate) use calls::*;
pub(crate) use fd::{
    End, Keep, OwnedFd, STDERR, STDIN, STDOUT, Standard, close, close_all_but, copy,
    descriptor_flags, inherited, keep_on_exec, open_lowest, pass, pipe, place_gate, reserve_gate,
    set_standard, set_status_flags, shrink_pipe,
};
pub(crate) use files::*;
pub(crate) use memory::{Array, Room, Strings, Vector, release_stack};
pub(crate) use missing::missing;
pub(crate) use process::*;
pub(crate) use result::{Errno, Result};
pub(crate) use signals::*;
