//! A command with a terminal: a child process becomes its init, and this
//! process relays the terminal.

use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use crate::cmd::child::{self, pass_on};
use crate::cmd::enter::place::{Place, Running};
use crate::cmd::exit::Exit;
use crate::cmd::{ONCE_MORE, complain};
use error::{Context as _, Result};
use pod::runtime::detach_keys::Keys;
use pod::runtime::relay::{HeldTerminal, RelayOptions, relay};
use sys::pty;

/// Creates the terminal, starts the process, relays until it has exited, and
/// returns how it ended.
pub(super) fn attend(pod: &Running, place: &Place, owner: u32) -> Result<Exit> {
    let master = place.terminal()?;
    pty::fit(&master);
    let terminal = pty::peer(&master)?;
    pty::give(&terminal, owner);
    let mut child = begin(&terminal).context(|| pod.cannot())?;
    let aside = RelayOptions {
        keys: &Keys::none(),
        signal: &mut |signal| pass_on(&child, signal),
        until: Some(HeldTerminal::ended(&child, terminal)?),
    };
    relay(master.as_fd(), aside)?;
    // Processes that still use the terminal now get a hangup.
    drop(master);
    let exit = child::wait(&mut child)?;
    tell(&mut child);
    Ok(exit)
}

/// Starts the launcher again, with the same arguments.
fn begin(terminal: &OwnedFd) -> std::io::Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("launcher").arg(ONCE_MORE);
    command.args(std::env::args_os().skip(1));
    command.stdin(Stdio::null()).stdout(terminal.try_clone()?);
    sys::limits::restore();
    command.stderr(Stdio::piped()).spawn()
}

/// Prints the error of a process that has exited.
fn tell(child: &mut Child) {
    let mut said = String::new();
    if let Some(mut stream) = child.stderr.take() {
        // An unreadable message counts as no message.
        let _ = stream.read_to_string(&mut said);
    }
    if let Some(error) = child::said_again(&said) {
        complain(&error);
    }
}
