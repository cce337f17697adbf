//! Finds the addresses of a host: in `/etc/hosts`, then at the name servers of
//! `/etc/resolv.conf`, as hosts(5) and resolv.conf(5) say.
//!
//! libc is not asked: it would load modules of the host (nsswitch.conf(5)) into
//! a launcher that is linked statically, and they may be those of another libc.
//! So a name that only such a module knows, of LDAP for example, is not found.

mod conf;
mod message;
mod server;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::fetch::http::fault::Fault;
use conf::Conf;

pub(crate) use message::fuzz;

/// Returns the addresses of a host, at least one, in the order in which they
/// should be tried. The host is a name or an address without brackets.
///
/// # Errors
///
/// The host has no address, or the name servers do not say.
pub(crate) fn resolve(host: &str) -> Result<Vec<IpAddr>, Fault> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let read = |path| std::fs::read(path).unwrap_or_default();
    let text = |path| String::from_utf8_lossy(&read(path)).into_owned();
    let known = known(&text("/etc/hosts"), host);
    match known.is_empty() {
        true => Conf::parse(&text("/etc/resolv.conf")).ask(host),
        false => Ok(known),
    }
}

/// Returns the addresses that a host has in a text of the format of hosts(5), or
/// by definition (RFC 6761, section 6.3).
fn known(hosts: &str, host: &str) -> Vec<IpAddr> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let address = |line: &str| {
        let line = line.split('#').next()?;
        let mut words = line.split_whitespace();
        let address = words.next()?.parse().ok()?;
        words
            .any(|name| name.eq_ignore_ascii_case(host))
            .then_some(address)
    };
    let found: Vec<IpAddr> = hosts.lines().filter_map(address).collect();
    match found.is_empty() && host.eq_ignore_ascii_case("localhost") {
        true => vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()],
        false => found,
    }
}

impl Conf {
    /// Asks for a host.
    fn ask(&self, host: &str) -> Result<Vec<IpAddr>, Fault> {
        let mut why = "no host has this name";
        for name in self.names(host) {
            match self.look_up(&name)? {
                Some(found) if found.is_empty() => why = "the host has no address",
                Some(found) => return Ok(found),
                None => {}
            }
        }
        Err(Fault::permanent(format!(
            "cannot resolve the host name: {why}"
        )))
    }

    /// Asks for one name: each server in turn, as often as there are attempts.
    /// `None` says that there is no such name.
    fn look_up(&self, name: &str) -> Result<Option<Vec<IpAddr>>, Fault> {
        let mut why = String::new();
        for _ in 0..self.attempts {
            for &server in &self.servers {
                match server::ask(server, name, self.timeout, self.tcp) {
                    Ok(answer) => return Ok(answer),
                    Err(fault) => why = format!("name server {}: {fault}", server.ip()),
                }
            }
        }
        Err(Fault::transient(format!(
            "cannot resolve the host name: {why}"
        )))
    }
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
