//! Speaks with the service manager that has started the launcher (sd_notify(3)).
//!
//! What an app says is not trusted. Of each message only the lines are passed on
//! that are about the app itself, so few in a second that they are no burden.
//! Descriptors that come along are closed: that is also what answers a barrier
//! (sd_notify_barrier(3)).

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, UCred,
};
use rustix::process::Pid;

use crate::spec::notify::Manager;
use error::quote::{escaped, quoted};
use error::{Error, Result};

/// The variables by which a service manager introduces itself.
pub const VARIABLES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];

/// The socket in the directory of a pod.
const FILE: &str = "notify";

/// The longest message that is passed on, in bytes: as long as systemd accepts.
const LONGEST: usize = 4096;

/// The longest status, in bytes.
const STATUS: usize = 1024;

/// How long to rest after each message of an app.
const PACE: Duration = Duration::from_millis(10);

/// How long to wait for a service manager that does not listen.
const PATIENCE: Duration = Duration::from_secs(5);

/// Returns the service manager that has started this process, if one has.
///
/// # Errors
///
/// What it says of itself cannot be understood.
pub fn manager() -> Result<Option<Manager>> {
    let variable = |name: &str| {
        let value = std::env::var_os(name)?;
        Some(value.to_string_lossy().into_owned())
    };
    read(&variable, rustix::process::getpid().as_raw_nonzero().get())
}

fn read(variable: &dyn Fn(&str) -> Option<String>, own: i32) -> Result<Option<Manager>> {
    let [socket, process, watchdog] = VARIABLES.map(variable);
    let Some(address) = socket.filter(|socket| !socket.is_empty()) else {
        return Ok(None);
    };
    if !address.starts_with(['/', '@']) || place(&address).is_err() {
        let what = format!(
            "cannot notify the service manager: `NOTIFY_SOCKET` is {}",
            quoted(&address)
        );
        return Err(Error::invalid(what).hint("a path, or `@` and an abstract name, is supported"));
    }
    let ours = process.is_none_or(|process| process == own.to_string());
    let watchdog = watchdog.filter(|_| ours).and_then(|time| time.parse().ok());
    Ok(Some(Manager {
        address,
        watchdog: watchdog.filter(|&time| time > 0),
    }))
}

fn place(address: &str) -> rustix::io::Result<SocketAddrUnix> {
    match address.strip_prefix('@') {
        Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes()),
        None => SocketAddrUnix::new(address),
    }
}

/// Tells a service manager something in the name of a process: of the one that it
/// knows as the service, where the caller may do that.
///
/// # Errors
///
/// Nobody listens.
pub fn tell(manager: &Manager, message: &str, process: Option<Pid>) -> std::io::Result<()> {
    let kind = SocketType::DGRAM;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
    let (to, text) = (place(&manager.address)?, [IoSlice::new(message.as_bytes())]);
    let send = |control: &mut SendAncillaryBuffer<'_, '_, '_>| {
        rustix::net::sendmsg_addr(&socket, &to, &text, control, SendFlags::NOSIGNAL)
    };
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmCredentials(UCred {
        pid: process.unwrap_or_else(rustix::process::getpid),
        uid: rustix::process::geteuid(),
        gid: rustix::process::getegid(),
    }));
    let sent = match send(&mut control) {
        Err(Errno::PERM) => send(&mut SendAncillaryBuffer::default()),
        sent => sent,
    };
    Ok(sent.map(drop)?)
}

/// Tells a service manager that an image is being fetched, so that it waits longer.
pub fn still(manager: &Manager, name: &str) {
    let time = LONGER.as_micros();
    let message = format!("EXTEND_TIMEOUT_USEC={time}\nSTATUS=Fetching {name}");
    let _ = tell(manager, &message, None);
}

/// How much longer a service manager is to wait after each sign of progress.
const LONGER: Duration = Duration::from_secs(60);

/// Makes the socket that an app writes to: the socket, and its place in the pod's
/// directory.
///
/// # Errors
///
/// The kernel refuses.
pub(crate) fn listen(pod: BorrowedFd<'_>) -> std::io::Result<[OwnedFd; 2]> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    // The path of the directory may be longer than an address can be.
    let path = format!("/proc/self/fd/{}/{FILE}", pod.as_raw_fd());
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    // Whatever user the app runs as.
    rustix::fs::chmodat(pod, FILE, Mode::from_raw_mode(0o666), AtFlags::empty())?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = rustix::fs::openat(pod, FILE, flags, Mode::empty())?;
    Ok([socket, place])
}

/// Makes a socket from which something can be read at once: so the launcher is
/// executed to serve it when the pod is there.
///
/// # Errors
///
/// The kernel refuses.
pub(crate) fn alarm() -> std::io::Result<OwnedFd> {
    let (family, flags) = (AddressFamily::UNIX, SocketFlags::CLOEXEC);
    let (socket, other) = rustix::net::socketpair(family, SocketType::DGRAM, flags, None)?;
    rustix::net::send(&other, b"!", SendFlags::empty())?;
    Ok(socket)
}

/// Passes on what an app has said so far, in the name of a process.
pub fn pass_on(socket: impl AsFd, manager: &Manager, process: Option<Pid>) {
    while let Some(message) = read_next(&socket, RecvFlags::PEEK) {
        let message = permitted(&message);
        if !message.is_empty() {
            // If nobody listens, nobody is interested.
            let _ = tell(manager, &message, process);
        }
        // Only now: whoever goes on if this process is killed finds it again.
        drop_next(&socket);
        std::thread::sleep(PACE);
    }
}

/// Drops the next message.
pub fn drop_next(socket: impl AsFd) {
    let _ = read_next(socket, RecvFlags::empty());
}

/// Reads the next message, without waiting; one that is too long is empty. There
/// is no room for descriptors, so the kernel closes those that come along.
fn read_next(socket: impl AsFd, how: RecvFlags) -> Option<Vec<u8>> {
    let mut buffer = vec![0; LONGEST];
    let flags = RecvFlags::DONTWAIT | RecvFlags::TRUNC | how;
    loop {
        match rustix::net::recv(&socket, &mut buffer[..], flags) {
            Ok((_, length)) if length > LONGEST => return Some(Vec::new()),
            Ok((_, length)) => {
                buffer.truncate(length);
                return Some(buffer);
            }
            Err(Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}

/// Returns what of a message may be passed on.
fn permitted(message: &[u8]) -> String {
    let text = std::str::from_utf8(message).unwrap_or_default();
    let lines = text.split('\n').filter(|line| is_permitted(line));
    lines.collect::<Vec<_>>().join("\n")
}

fn is_permitted(line: &str) -> bool {
    let Some((name, value)) = line.split_once('=') else {
        return false;
    };
    match name {
        "READY" | "STOPPING" | "RELOADING" => value == "1",
        "WATCHDOG" => matches!(value, "1" | "trigger"),
        "ERRNO" | "EXTEND_TIMEOUT_USEC" | "MONOTONIC_USEC" => {
            let digits = value.bytes().all(|byte| byte.is_ascii_digit());
            digits && (1..=20).contains(&value.len())
        }
        "STATUS" => value.len() <= STATUS && escaped(value) == value,
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_about_the_app_itself_is_passed_on() {
        for line in [
            "MAINPID=1",
            "MAINPIDFD=1",
            "FDSTORE=1",
            "FDSTOREREMOVE=1",
            "FDNAME=x",
            "FDPOLL=0",
            "BARRIER=1",
            "BUSERROR=x",
            "NOTIFYACCESS=all",
            "WATCHDOG_USEC=1",
            "EXIT_STATUS=0",
            "X_SOMETHING=1",
            "READY=0",
            "READY=",
            "READY",
            " READY=1",
            "READY=1\r",
            "ERRNO=-1",
            "ERRNO=",
            "ERRNO=1x",
            "EXTEND_TIMEOUT_USEC=123456789012345678901",
            "STATUS=a\x1b[31mb",
            "STATUS=a\tb",
            "STATUS=a\u{202e}b",
            "",
        ] {
            assert_eq!(permitted(line.as_bytes()), "", "{line:?}");
            let between = format!("READY=1\n{line}\nSTATUS=well");
            assert_eq!(permitted(between.as_bytes()), "READY=1\nSTATUS=well");
        }
        assert_eq!(permitted(b"READY=1\xff"), "");
        let long = format!("STATUS={}", "x".repeat(STATUS + 1));
        assert_eq!(permitted(long.as_bytes()), "");
        let message = "READY=1\nSTATUS=gr\u{fc}n\nERRNO=2\nSTOPPING=1\nRELOADING=1\n\
            MONOTONIC_USEC=7\nWATCHDOG=1\nWATCHDOG=trigger\nEXTEND_TIMEOUT_USEC=5";
        assert_eq!(permitted(message.as_bytes()), message);
    }

    fn introduced(variables: &[(&str, &str)]) -> Result<Option<Manager>> {
        let find = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        read(&find, 7)
    }

    #[test]
    fn a_service_manager_is_where_it_says() {
        for address in [
            "relative",
            "vsock:2:1234",
            "@",
            &format!("/{}", "x".repeat(200)),
        ] {
            let refused = introduced(&[("NOTIFY_SOCKET", address)]).is_err();
            assert!(refused || address == "@", "{address}");
        }
        assert_eq!(introduced(&[]).unwrap(), None);
        assert_eq!(introduced(&[("NOTIFY_SOCKET", "")]).unwrap(), None);
        for (process, time, watchdog) in [
            ("7", "5", Some(5)),
            ("8", "5", None),
            ("7", "0", None),
            ("7", "x", None),
        ] {
            let found = introduced(&[
                ("NOTIFY_SOCKET", "/run/x"),
                ("WATCHDOG_PID", process),
                ("WATCHDOG_USEC", time),
            ]);
            assert_eq!(found.unwrap().unwrap().watchdog, watchdog);
        }
    }
}
