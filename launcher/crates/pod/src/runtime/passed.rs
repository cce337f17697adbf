//! Sockets that the caller passes, such as a service manager (sd_listen_fds(3)).

use std::ffi::OsString;
use std::os::fd::AsRawFd as _;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, sockopt};
use rustix::process::{PidfdFlags, PidfdGetfdFlags};

use crate::resolve::sockets::Passed;
use crate::spec::ports::Protocol;
use crate::spec::sockets::{FIRST, MOST};
use error::quote::quoted;
use error::{Error, Result};

/// The variables by which sockets are passed.
pub const VARIABLES: [&str; 3] = ["LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"];

/// Returns the sockets that were passed to this process.
///
/// # Errors
///
/// What the variables say is not true.
pub fn sockets() -> Result<Vec<Passed>> {
    let variable = |name: &str| std::env::var_os(name).map(text);
    let mut all = read(&variable, rustix::process::getpid().as_raw_nonzero().get())?;
    for one in &mut all {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", one.descriptor));
        link.map_err(|_| invalid(format!("descriptor {} is not open", one.descriptor)))?;
        one.port = port(one.descriptor);
    }
    Ok(all)
}

/// Lets the descriptors at which apps find sockets be taken by nothing else. They
/// are open from here on, in the programs that this one executes, too.
///
/// # Errors
///
/// The kernel refuses.
pub fn reserve() -> std::io::Result<()> {
    use rustix::fs::{Mode, OFlags};
    loop {
        let null = rustix::fs::open("/dev/null", OFlags::RDONLY, Mode::empty())?;
        if null.as_raw_fd().unsigned_abs() >= stage1_init::GATE {
            return Ok(());
        }
        std::mem::forget(null);
    }
}

fn text(value: OsString) -> String {
    value.to_string_lossy().into_owned()
}

fn invalid(why: String) -> Error {
    Error::invalid(why).at("cannot use the sockets that were passed to the launcher")
}

/// Reads the variables. They are for the process that they name, and for no other
/// to which they have come.
fn read(variable: &dyn Fn(&str) -> Option<String>, own: i32) -> Result<Vec<Passed>> {
    let [count, names, process] = VARIABLES.map(variable);
    let (Some(count), Some(process)) = (count, process) else {
        return Ok(Vec::new());
    };
    if process != own.to_string() {
        return Ok(Vec::new());
    }
    let number = count.parse().ok().filter(|&number: &usize| number <= MOST);
    let number = number.ok_or_else(|| {
        let count = quoted(&count);
        invalid(format!(
            "`LISTEN_FDS` is {count}, and not a number up to {MOST}"
        ))
    })?;
    let mut names = names.as_deref().map(|names| names.split(':'));
    let all = (FIRST..).take(number).map(|descriptor| Passed {
        name: names.as_mut().and_then(Iterator::next).map(str::to_owned),
        descriptor,
        port: None,
    });
    Ok(all.collect())
}

/// Returns the port that a socket listens on, as far as the kernel says.
fn port(descriptor: u32) -> Option<(Protocol, u16)> {
    let own = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty());
    let number = i32::try_from(descriptor).map_err(|_| Errno::BADF);
    let socket = rustix::process::pidfd_getfd(own.ok()?, number.ok()?, PidfdGetfdFlags::empty());
    let socket = socket.ok()?;
    let protocol = match sockopt::socket_type(&socket).ok()? {
        SocketType::STREAM => Protocol::Tcp,
        SocketType::DGRAM => Protocol::Udp,
        _ => return None,
    };
    let address = rustix::net::getsockname(&socket).ok()?;
    let inet = [AddressFamily::INET, AddressFamily::INET6].contains(&address.address_family());
    let address = inet.then(|| std::net::SocketAddr::try_from(address));
    Some((protocol, address?.ok()?.port()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn passed(variables: &[(&str, &str)]) -> Result<Vec<(Option<String>, u32)>> {
        let find = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let all = read(&find, 7)?.into_iter();
        Ok(all.map(|one| (one.name, one.descriptor)).collect())
    }

    #[test]
    fn sockets_for_another_process_are_left_alone() {
        for variables in [
            &[][..],
            &[("LISTEN_FDS", "1")],
            &[("LISTEN_FDS", "1"), ("LISTEN_PID", "8")],
            &[("LISTEN_FDS", "1"), ("LISTEN_PID", "")],
            &[("LISTEN_FDS", "x"), ("LISTEN_PID", "77")],
            &[("LISTEN_PID", "7")],
        ] {
            assert_eq!(passed(variables).unwrap(), []);
        }
    }

    #[test]
    fn what_is_no_number_of_sockets_is_an_error() {
        for count in ["", "x", "-1", "1 ", "30", "99999999999"] {
            let variables = [("LISTEN_FDS", count), ("LISTEN_PID", "7")];
            assert!(passed(&variables).is_err(), "{count}");
        }
    }

    #[test]
    fn names_are_given_in_order_as_far_as_there_are_any() {
        let variables = [
            ("LISTEN_FDS", "3"),
            ("LISTEN_PID", "7"),
            ("LISTEN_FDNAMES", "http:"),
        ];
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(
            passed(&variables).unwrap(),
            [(name("http"), 3), (name(""), 4), (None, 5)]
        );
        assert_eq!(passed(&variables[..2]).unwrap().len(), 3);
    }
}
